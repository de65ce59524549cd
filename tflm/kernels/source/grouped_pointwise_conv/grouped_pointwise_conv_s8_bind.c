/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "grouped_pointwise_conv_s8_internal.h"

enum { OPTION_COUNT = 7, CONSTANT_COUNT = 3, MOST_CHANNELS = 4096, MOST_ELEMENTS = 1 << 24 };

static int is_shape_valid(const micronet_grouped_pointwise_conv_s8_params *params) {
  if (!micronet_is_within(params->pixels, 1, MOST_ELEMENTS) ||
      !micronet_is_within(params->inputs, 1, MOST_CHANNELS) ||
      !micronet_is_within(params->outputs, 1, MOST_CHANNELS) ||
      !micronet_is_within(params->groups, 1, MOST_CHANNELS)) {
    return 0;
  }
  const int64_t input_channels = (int64_t)params->groups * params->inputs;
  const int64_t output_channels = (int64_t)params->groups * params->outputs;
  return input_channels <= MOST_CHANNELS && output_channels <= MOST_CHANNELS &&
         params->pixels * input_channels <= MOST_ELEMENTS &&
         params->pixels * output_channels <= MOST_ELEMENTS;
}

static int is_range_valid(const micronet_grouped_pointwise_conv_s8_params *params) {
  return micronet_is_within(params->output_zero_point, INT8_MIN, INT8_MAX) &&
         micronet_are_limits(params->lowest, params->highest);
}

static micronet_status read_options(const micronet_operands *operands,
                                    micronet_grouped_pointwise_conv_s8_params *params) {
  int32_t values[OPTION_COUNT];
  const micronet_status status = micronet_read_options(
      operands, MICRONET_GROUPED_POINTWISE_CONV_S8_VERSION, values, OPTION_COUNT);
  if (status != MICRONET_OK) return status;
  params->pixels = values[0];
  params->inputs = values[1];
  params->outputs = values[2];
  params->groups = values[3];
  params->output_zero_point = values[4];
  params->lowest = values[5];
  params->highest = values[6];
  return is_shape_valid(params) && is_range_valid(params) ? MICRONET_OK : MICRONET_OPTIONS_VALUE;
}

static micronet_status read_constants(const micronet_operands *operands,
                                      micronet_grouped_pointwise_conv_s8_params *params) {
  const void *weights, *channels, *positions;
  const int32_t channel_count = params->groups * params->outputs;
  const int64_t pairs = (int64_t)params->groups * ((params->outputs + 1) / 2);
  if (operands->constant_count != CONSTANT_COUNT) return MICRONET_CONSTANT_COUNT;
  micronet_status status = micronet_read_constant(
      operands, 0, pairs * micronet_pointwise_steps(params), 4 * sizeof(int16_t), &weights);
  if (status != MICRONET_OK) return status;
  status = micronet_read_constant(operands, 1, channel_count, 2 * sizeof(int32_t), &channels);
  if (status != MICRONET_OK) return status;
  status = micronet_read_constant(operands, 2, channel_count, sizeof(int16_t), &positions);
  if (status != MICRONET_OK) return status;
  params->weights = weights;
  params->channels = channels;
  params->positions = positions;
  status = micronet_check_channels(params->channels, channel_count);
  if (status != MICRONET_OK) return status;
  return micronet_check_permutation(params->positions, channel_count);
}

MICRONET_SHARED micronet_status micronet_grouped_pointwise_conv_s8_bind(
    const micronet_operands *operands, micronet_grouped_pointwise_conv_s8_params *params) {
  if (params == 0) return MICRONET_NULL_POINTER;
  const micronet_status status = read_options(operands, params);
  return status == MICRONET_OK ? read_constants(operands, params) : status;
}
