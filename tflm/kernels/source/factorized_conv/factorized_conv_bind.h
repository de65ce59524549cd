/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the operands of factorized_depthwise_conv_s8 and factorized_stem_s8: internal. */
#ifndef MICRONET_FACTORIZED_CONV_BIND_H
#define MICRONET_FACTORIZED_CONV_BIND_H

#include "factorized_conv.h"

enum {
  FACTORIZED_OPTION_COUNT = 16,
  FACTORIZED_CONSTANT_COUNT = 5,
  FACTORIZED_LARGEST_SIDE = 4096,
  FACTORIZED_MOST_ELEMENTS = 1 << 24
};

static inline int factorized_is_half_valid(const micronet_factorized_half *half) {
  return micronet_is_within(half->channels, 1, FACTORIZED_LARGEST_SIDE) &&
         micronet_is_within(half->taps, 1, 7) && half->taps % 2 == 1 &&
         micronet_is_within(half->stride, 1, 4) &&
         micronet_is_within(half->padding, INT8_MIN, INT8_MAX) &&
         micronet_is_within(half->zero_point, INT8_MIN, INT8_MAX) &&
         micronet_are_limits(half->lowest, half->highest);
}

static inline int factorized_are_sizes_valid(const micronet_factorized_conv_params *params) {
  if (!micronet_is_within(params->height, 1, FACTORIZED_LARGEST_SIDE) ||
      !micronet_is_within(params->width, 1, FACTORIZED_LARGEST_SIDE) ||
      !micronet_is_within(params->channels, 1, FACTORIZED_LARGEST_SIDE)) {
    return 0;
  }
  const int64_t height = (params->height - 1) / params->vertical.stride + 1;
  const int64_t width = (params->width - 1) / params->horizontal.stride + 1;
  return (int64_t)params->height * params->width * params->channels <= FACTORIZED_MOST_ELEMENTS &&
         height * width * params->horizontal.channels <= FACTORIZED_MOST_ELEMENTS &&
         params->horizontal.channels % params->vertical.channels == 0;
}

/* Whether no sum of `weights` (`inputs` for each channel) can leave int32. */
static inline int factorized_do_sums_fit(const micronet_factorized_half *half, int32_t inputs) {
  for (int32_t i = 0; i < half->channels; ++i) {
    const int64_t bias = half->requantization[2 * i];
    int64_t reach = bias < 0 ? -bias : bias;
    for (int32_t j = 0; j < inputs; ++j) {
      const int32_t weight = half->weights[i * inputs + j];
      reach += 128 * (weight < 0 ? -weight : weight);
    }
    if (reach > INT32_MAX) return 0;
  }
  return 1;
}

/* Reads the constants at `index` and `index` + 1. */
static inline micronet_status factorized_read_half(const micronet_operands *operands, int32_t index,
                                                   int32_t inputs, micronet_factorized_half *half) {
  const void *data = 0;
  micronet_status status =
      micronet_read_constant(operands, index, (int64_t)half->channels * inputs, 1, &data);
  if (status != MICRONET_OK) return status;
  half->weights = data;
  status = micronet_read_constant(operands, index + 1, 2 * half->channels, 4, &data);
  if (status != MICRONET_OK) return status;
  half->requantization = data;
  status = micronet_check_channels(half->requantization, half->channels);
  if (status != MICRONET_OK) return status;
  return factorized_do_sums_fit(half, inputs) ? MICRONET_OK : MICRONET_CONSTANT_VALUE;
}

static inline micronet_status factorized_read_options(const micronet_operands *operands,
                                                      micronet_factorized_conv_params *params) {
  int32_t values[FACTORIZED_OPTION_COUNT];
  if (params == 0) return MICRONET_NULL_POINTER;
  const micronet_status status = micronet_read_options(operands, MICRONET_FACTORIZED_CONV_VERSION,
                                                       values, FACTORIZED_OPTION_COUNT);
  if (status != MICRONET_OK) return status;
  if (operands->constant_count != FACTORIZED_CONSTANT_COUNT) return MICRONET_CONSTANT_COUNT;
  params->height = values[0];
  params->width = values[1];
  params->channels = values[2];
  params->vertical.channels = values[3];
  params->vertical.taps = values[4];
  params->vertical.stride = values[5];
  params->vertical.padding = values[6];
  params->vertical.zero_point = params->horizontal.padding = values[7];
  params->vertical.lowest = values[8];
  params->vertical.highest = values[9];
  params->horizontal.channels = values[10];
  params->horizontal.taps = values[11];
  params->horizontal.stride = values[12];
  params->horizontal.zero_point = values[13];
  params->horizontal.lowest = values[14];
  params->horizontal.highest = values[15];
  const int is_valid = factorized_is_half_valid(&params->vertical) &&
                       factorized_is_half_valid(&params->horizontal) &&
                       factorized_are_sizes_valid(params);
  return is_valid ? MICRONET_OK : MICRONET_OPTIONS_VALUE;
}

/* Reads the constants; `vertical_inputs` weights for each vertical channel. */
static inline micronet_status factorized_read_constants(const micronet_operands *operands,
                                                        int32_t vertical_inputs,
                                                        micronet_factorized_conv_params *params) {
  const void *data = 0;
  micronet_status status = factorized_read_half(operands, 0, vertical_inputs, &params->vertical);
  if (status != MICRONET_OK) return status;
  status = factorized_read_half(operands, 2, params->horizontal.taps, &params->horizontal);
  if (status != MICRONET_OK) return status;
  status = micronet_read_constant(operands, 4, params->horizontal.channels, 2, &data);
  if (status != MICRONET_OK) return status;
  params->output_positions = data;
  return micronet_check_permutation(params->output_positions, params->horizontal.channels);
}

#endif
