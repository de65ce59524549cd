/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "grouped_pointwise_conv_s8_internal.h"

/* Adds the products of one input for a pair of outputs to `sums`. They are unsigned because
 * operands of a damaged file may wrap. */
static void add_pair(int32_t pair, int32_t input, uint32_t *sums) {
  const int32_t second = (int8_t)(pair & 0xFF);
  const int32_t first = (int8_t)((pair - second) >> 8 & 0xFF);
  sums[0] += (uint32_t)(first * input);
  sums[1] += (uint32_t)(second * input);
}

/* All inputs of a group for a pair of outputs. */
static void add_inputs(const int8_t *input, int32_t inputs, const int16_t *pairs, uint32_t *sums) {
  for (; inputs >= 4; inputs -= 4, input += 4, pairs += 4) {
    add_pair(pairs[0], input[0], sums);
    add_pair(pairs[2], input[1], sums);
    add_pair(pairs[1], input[2], sums);
    add_pair(pairs[3], input[3], sums);
  }
  if (inputs > 0) add_pair(pairs[0], input[0], sums);
  if (inputs > 1) add_pair(pairs[2], input[1], sums);
  if (inputs > 2) add_pair(pairs[1], input[2], sums);
}

/* One group of one pixel. */
static void convolve_group(const micronet_grouped_pointwise_conv_s8_params *params, int32_t group,
                           const int8_t *input, int8_t *output) {
  const int32_t length = 4 * micronet_pointwise_steps(params);
  const int32_t pairs = (params->outputs + 1) / 2;
  const int16_t *weights = params->weights + group * pairs * length;
  const int32_t first_channel = group * params->outputs;
  for (int32_t i = 0; i < params->outputs; i += 2, weights += length) {
    uint32_t sums[2] = {0};
    add_inputs(input, params->inputs, weights, sums);
    for (int32_t j = 0; j < 2 && i + j < params->outputs; ++j) {
      const int32_t channel = first_channel + i + j;
      const int32_t *constants = params->channels + 2 * channel;
      const int32_t sum = (int32_t)(sums[j] + (uint32_t)constants[0]);
      const int32_t result = micronet_scale(sum, constants[1], params->output_zero_point);
      output[params->positions[channel]] = (int8_t)micronet_clamp(result, INT8_MIN, INT8_MAX);
    }
  }
}

MICRONET_SHARED void micronet_grouped_pointwise_conv_s8_scalar(
    const micronet_grouped_pointwise_conv_s8_params *params, const int8_t *input, int8_t *output) {
  for (int32_t pixel = 0; pixel < params->pixels; ++pixel) {
    for (int32_t group = 0; group < params->groups; ++group, input += params->inputs) {
      convolve_group(params, group, input, output);
    }
    output += params->groups * params->outputs;
  }
}
