/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "factorized_depthwise_conv_s8_internal.h"

/* One row of vertical results of `channel`. */
static void vertical_row(const micronet_factorized_conv_params *params, const int8_t *input,
                         int32_t channel, factorized_window window, int8_t *row) {
  const micronet_factorized_half *half = &params->vertical;
  const int8_t *weights = half->weights + channel * half->taps;
  const int32_t multiplier = half->requantization[2 * channel + 1];
  const int32_t row_bytes = params->width * params->channels;
  int32_t bias = half->requantization[2 * channel];
  for (int32_t tap = 0; tap < half->taps; ++tap) {
    if (tap < window.first || tap >= window.last) bias += weights[tap] * half->padding;
  }
  input += (window.start + window.first) * row_bytes;
  input += channel / (half->channels / params->channels);
  for (int32_t x = 0; x < params->width; ++x) {
    const int8_t *read = input + x * params->channels;
    int32_t sum = bias;
    for (int32_t tap = window.first; tap < window.last; ++tap) {
      sum += weights[tap] * *read;
      read += row_bytes;
    }
    row[x] = factorized_requantize(half, sum, multiplier);
  }
}

MICRONET_SHARED void micronet_factorized_depthwise_conv_s8_scalar(
    const micronet_factorized_depthwise_conv_s8_params *params, const int8_t *input, int8_t *output,
    int8_t *buffer) {
  const int32_t height = factorized_output_height(params);
  const int32_t output_row_bytes = factorized_output_width(params) * params->horizontal.channels;
  factorized_pad_row(params, buffer);
  for (int32_t y = 0; y < height; ++y) {
    const factorized_window window = factorized_vertical_window(params, y);
    for (int32_t channel = 0; channel < params->vertical.channels; ++channel) {
      vertical_row(params, input, channel, window, buffer + params->horizontal.taps / 2);
      factorized_horizontal_channels(params, channel, buffer, output + y * output_row_bytes);
    }
  }
}
