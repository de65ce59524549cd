/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the implementations of dynamic_shift_max_s8.h. */
#ifndef MICRONET_DYNAMIC_SHIFT_MAX_S8_INTERNAL_H
#define MICRONET_DYNAMIC_SHIFT_MAX_S8_INTERNAL_H

#include "dynamic_shift_max_s8.h"
#include "processor.h"

enum {
  MICRONET_DYNAMIC_SHIFT_MAX_S8_BLOCK = 4,     /* rows and columns of a block of weights */
  MICRONET_DYNAMIC_SHIFT_MAX_S8_MIDDLE = 16384 /* of the hidden values */
};

/* The beginning of the buffer, of int16 values. Once the coefficients are there, what is behind
 * them is free. */
typedef struct {
  void *coefficients; /* (K, C', 2): a and b in turn */
  void *means;        /* (C') */
  void *hidden;       /* (S'), each less MICRONET_DYNAMIC_SHIFT_MAX_S8_MIDDLE */
} micronet_dynamic_shift_max_s8_buffer;

static inline int32_t micronet_dynamic_shift_max_s8_rounded_up(int32_t count) {
  return (count + 3) & ~3;
}

static inline micronet_dynamic_shift_max_s8_buffer micronet_dynamic_shift_max_s8_divide_buffer(
    const micronet_dynamic_shift_max_s8_params *params, void *memory) {
  const int32_t channels = micronet_dynamic_shift_max_s8_rounded_up(params->channels);
  int16_t *coefficients = memory;
  int16_t *means = coefficients + 2 * params->fusions * channels;
  return (micronet_dynamic_shift_max_s8_buffer){coefficients, means, means + channels};
}

/* The mean in 1/64 of `pixels` values whose sum is `sum`, rounded, halves up. */
static inline int16_t micronet_dynamic_shift_max_s8_mean(int32_t sum, int32_t pixels) {
  const int32_t numerator = 64 * sum + pixels / 2;
  const int32_t quotient = numerator / pixels;
  return (int16_t)(quotient - (quotient * pixels > numerator)); /* C rounds towards 0 */
}

/* What the coefficients a and b of a channel are multiplied by, in 1024ths. */
typedef struct {
  int32_t a, b;
} micronet_dynamic_shift_max_s8_factors;

static inline micronet_dynamic_shift_max_s8_factors micronet_dynamic_shift_max_s8_factors_of(
    const micronet_dynamic_shift_max_s8_params *params, int32_t channel) {
  const int8_t *inputs = params->channel_factors, *outputs = inputs + params->channels;
  const int32_t output = outputs[channel];
  return (micronet_dynamic_shift_max_s8_factors){inputs[channel] * output,
                                                 inputs[params->shift[channel]] * output};
}

/* The coefficients of a whole map. */
void micronet_dynamic_shift_max_s8_coefficients_scalar(
    const micronet_dynamic_shift_max_s8_params *params, const int8_t *input,
    const micronet_dynamic_shift_max_s8_buffer *buffer);

/* The same as words: a in the lower half, b in the upper one. On any processor with DSP
 * instructions. */
void micronet_dynamic_shift_max_s8_coefficients_dsp(
    const micronet_dynamic_shift_max_s8_params *params, const int8_t *input,
    const micronet_dynamic_shift_max_s8_buffer *buffer);

/* Fuses `pixels` pixels with the coefficients of their map. */
void micronet_dynamic_shift_max_s8_fuse_scalar(const micronet_dynamic_shift_max_s8_params *params,
                                               const void *coefficients, const int8_t *input,
                                               int8_t *output, int32_t pixels);
void micronet_dynamic_shift_max_s8_fuse_dsp(const micronet_dynamic_shift_max_s8_params *params,
                                            const void *coefficients, const int8_t *input,
                                            int8_t *output, int32_t pixels);
/* A coefficient_shift of at least 8: the vector instructions keep 16 bits of a product. */
void micronet_dynamic_shift_max_s8_fuse_mve(const micronet_dynamic_shift_max_s8_params *params,
                                            const void *coefficients, const int8_t *input,
                                            int8_t *output, int32_t pixels);

/* The two parts as the processor does them fastest. */
static inline void micronet_dynamic_shift_max_s8_coefficients(
    const micronet_dynamic_shift_max_s8_params *params, const int8_t *input,
    const micronet_dynamic_shift_max_s8_buffer *buffer) {
#if defined(MICRONET_DSP)
  micronet_dynamic_shift_max_s8_coefficients_dsp(params, input, buffer);
#else
  micronet_dynamic_shift_max_s8_coefficients_scalar(params, input, buffer);
#endif
}

static inline void micronet_dynamic_shift_max_s8_fuse(
    const micronet_dynamic_shift_max_s8_params *params, const void *coefficients,
    const int8_t *input, int8_t *output, int32_t pixels) {
#if defined(MICRONET_MVE)
  if (params->coefficient_shift >= 8) {
    micronet_dynamic_shift_max_s8_fuse_mve(params, coefficients, input, output, pixels);
    return;
  }
#endif
#if defined(MICRONET_DSP)
  micronet_dynamic_shift_max_s8_fuse_dsp(params, coefficients, input, output, pixels);
#else
  micronet_dynamic_shift_max_s8_fuse_scalar(params, coefficients, input, output, pixels);
#endif
}

#endif
