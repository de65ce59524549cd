/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "dynamic_shift_max_s8_internal.h"

typedef micronet_dynamic_shift_max_s8_params shift_max_params;

static int8_t finish(const shift_max_params *params, int32_t sum) {
  const int32_t shift = params->coefficient_shift;
  const int32_t rounded = (sum + (1 << (shift - 1))) >> shift;
  return (int8_t)micronet_clamp(rounded + params->output_zero_point, params->lowest,
                                params->highest);
}

static void fuse_channel(const shift_max_params *params, const int16_t *coefficients,
                         int32_t channel, const int8_t *input, int8_t *output, int32_t pixels) {
  const int32_t channels = params->channels, zero_point = params->input_zero_point;
  const int16_t *first = coefficients + 2 * channel;
  const int16_t *last =
      first + (params->fusions - 1) * 2 * micronet_dynamic_shift_max_s8_rounded_up(channels);
  const int8_t *own = input + channel, *partner = input + params->shift[channel];
  output += params->output_positions[channel];
  for (int32_t pixel = 0; pixel < pixels; ++pixel) {
    const int32_t x = own[pixel * channels] - zero_point;
    const int32_t shifted = partner[pixel * channels] - zero_point;
    const int32_t sum = first[0] * x + first[1] * shifted;
    const int32_t other = last[0] * x + last[1] * shifted;
    output[pixel * channels] = finish(params, sum > other ? sum : other);
  }
}

MICRONET_SHARED void micronet_dynamic_shift_max_s8_fuse_scalar(
    const micronet_dynamic_shift_max_s8_params *params, const void *coefficients,
    const int8_t *input, int8_t *output, int32_t pixels) {
  for (int32_t channel = 0; channel < params->channels; ++channel) {
    fuse_channel(params, coefficients, channel, input, output, pixels);
  }
}
