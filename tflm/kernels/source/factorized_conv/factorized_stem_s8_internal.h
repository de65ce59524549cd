/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of factorized_stem_s8 and factorized_stem_rows_s8: internal. */
#ifndef MICRONET_FACTORIZED_STEM_S8_INTERNAL_H
#define MICRONET_FACTORIZED_STEM_S8_INTERNAL_H

#include "factorized_conv_internal.h"
#include "factorized_stem_s8.h"

enum { FACTORIZED_STEM_MOST_TAPS = 7 };

/* Rows of the output that follow each other, and what they read. The same taps of all their windows
 * are inside the input: `first` to `last` - 1. */
typedef struct {
  int32_t count;
  int32_t first;
  int32_t last;
  /* What each tap of the first window meets; for one outside, another row of the window. Each
   * further window begins vertical.stride rows later: if there is one, the rows must follow each
   * other in memory, and if not, they can be anywhere. */
  const int8_t *rows[FACTORIZED_STEM_MOST_TAPS];
} factorized_stem_strip;

/* From one row to another one, which may be in other memory: modulo 2^32. */
static inline uint32_t factorized_stem_distance(const int8_t *from, const int8_t *to) {
  return (uint32_t)((uintptr_t)to - (uintptr_t)from);
}

/* What is at that distance. Addresses have 32 bits, or they are near to each other. */
static inline const int8_t *factorized_stem_at(const int8_t *from, uint32_t distance) {
  return (const int8_t *)((uintptr_t)from + (uintptr_t)(intptr_t)(int32_t)distance);
}

/* Bytes of the buffer of `micronet_factorized_stem_s8_strip`: for two columns of two vertical
 * channels, int16 with the DSP extension. */
static inline int32_t factorized_stem_strip_buffer_size(
    const micronet_factorized_stem_s8_params *params) {
  return factorized_column_pairs(params) * 8;
}

/* Computes a strip with the best implementation for these operands.
 *
 * output: the strip's first row.
 * buffer: factorized_stem_strip_buffer_size bytes, at a multiple of 4; its content does not
 *     matter. */
void micronet_factorized_stem_s8_strip(const micronet_factorized_stem_s8_params *params,
                                       const factorized_stem_strip *strip, int8_t *output,
                                       void *buffer);

/* The implementations. This one is for any operands. */
void micronet_factorized_stem_s8_scalar(const micronet_factorized_stem_s8_params *params,
                                        const factorized_stem_strip *strip, int8_t *output,
                                        int8_t *buffer);

#if defined(MICRONET_DSP)
/* 3 channels and 3 vertical taps; 3 or 5 horizontal taps and stride 1 or 2; all limits the ends of
 * int8; a width of at least 2. */
void micronet_factorized_stem_s8_dsp(const micronet_factorized_stem_s8_params *params,
                                     const factorized_stem_strip *strip, int8_t *output,
                                     int16_t *buffer);
#endif

#if defined(MICRONET_MVE)
/* 3 channels and 3 vertical taps; 3 or 5 horizontal taps; a width and an output's width of at least
 * 4. */
void micronet_factorized_stem_s8_mve(const micronet_factorized_stem_s8_params *params,
                                     const factorized_stem_strip *strip, int8_t *output,
                                     int8_t *buffer);
#endif

#endif
