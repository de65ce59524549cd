/* Shared by the implementations of dynamic_shift_max_s8.h. */
#ifndef MICRONET_DYNAMIC_SHIFT_MAX_S8_INTERNAL_H
#define MICRONET_DYNAMIC_SHIFT_MAX_S8_INTERNAL_H

#include "dynamic_shift_max_s8.h"
#include "processor.h"

enum { MICRONET_DYNAMIC_SHIFT_MAX_S8_BLOCK = 4 /* rows and columns of a block of weights */ };

/* The kernel's buffer, of int16 values in the order that each implementation likes. */
typedef struct {
  void *means;        /* (C') */
  void *hidden;       /* (S') */
  void *coefficients; /* (K, C', 2): a and b in turn */
} micronet_dynamic_shift_max_s8_buffer;

static inline int32_t micronet_dynamic_shift_max_s8_rounded_up(int32_t count) {
  return (count + 3) & ~3;
}

static inline micronet_dynamic_shift_max_s8_buffer micronet_dynamic_shift_max_s8_divide_buffer(
    const micronet_dynamic_shift_max_s8_params *params, void *memory) {
  int16_t *means = memory;
  int16_t *hidden = means + micronet_dynamic_shift_max_s8_rounded_up(params->channels);
  int16_t *coefficients =
      hidden + micronet_dynamic_shift_max_s8_rounded_up(params->squeeze_channels);
  return (micronet_dynamic_shift_max_s8_buffer){means, hidden, coefficients};
}

/* The mean in 1/64 of `pixels` values whose sum is `sum`, rounded, halves up. */
static inline int16_t micronet_dynamic_shift_max_s8_mean(int32_t sum, int32_t pixels) {
  const int32_t numerator = 64 * sum + pixels / 2;
  const int32_t quotient = numerator / pixels;
  return (int16_t)(quotient - (quotient * pixels > numerator)); /* C rounds towards 0 */
}

/* The coefficients as words: a in the lower half, b in the upper one. On any processor with DSP
 * instructions. */
void micronet_dynamic_shift_max_s8_coefficients_dsp(
    const micronet_dynamic_shift_max_s8_params *params, const int8_t *input,
    const micronet_dynamic_shift_max_s8_buffer *buffer);

/* One implementation each; arguments as in micronet_dynamic_shift_max_s8. */
void micronet_dynamic_shift_max_s8_scalar(const micronet_dynamic_shift_max_s8_params *params,
                                          const int8_t *input, int8_t *output, void *memory);
void micronet_dynamic_shift_max_s8_dsp(const micronet_dynamic_shift_max_s8_params *params,
                                       const int8_t *input, int8_t *output, void *memory);
void micronet_dynamic_shift_max_s8_mve(const micronet_dynamic_shift_max_s8_params *params,
                                       const int8_t *input, int8_t *output, void *memory);

#endif
