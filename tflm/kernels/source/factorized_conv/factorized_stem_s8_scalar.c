/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "factorized_stem_s8_internal.h"

/* One row of vertical results of `channel`.
 *
 * distance: from the strip's first rows to those that are read, in bytes. */
static void vertical_row(const micronet_factorized_conv_params *params, int32_t channel,
                         const factorized_stem_strip *strip, int32_t distance, int8_t *row) {
  const micronet_factorized_half *half = &params->vertical;
  const int32_t depth = params->channels;
  const int8_t *weights = half->weights + channel * half->taps * depth;
  const int8_t *const *const end = strip->rows + strip->last;
  const int32_t multiplier = half->requantization[2 * channel + 1];
  int32_t bias = half->requantization[2 * channel];
  for (int32_t i = 0; i < half->taps * depth; ++i) {
    if (i < strip->first * depth || i >= strip->last * depth) bias += weights[i] * half->padding;
  }
  weights += strip->first * depth;
  for (int32_t x = 0; x < params->width; ++x) {
    const int8_t *weight = weights;
    const int8_t *const *rows = strip->rows + strip->first;
    int32_t sum = bias;
    do {
      const int8_t *read = *rows++ + distance;
      for (int32_t i = 0; i < depth; ++i) sum += *weight++ * read[i];
    } while (rows != end);
    distance += depth;
    row[x] = factorized_requantize(half, sum, multiplier);
  }
}

MICRONET_SHARED void micronet_factorized_stem_s8_scalar(
    const micronet_factorized_stem_s8_params *params, const factorized_stem_strip *strip,
    int8_t *output, int8_t *buffer) {
  const int32_t row_bytes = factorized_output_width(params) * params->horizontal.channels;
  const int32_t step = params->vertical.stride * params->width * params->channels;
  factorized_pad_row(params, buffer);
  for (int32_t y = 0; y < strip->count; ++y) {
    for (int32_t channel = 0; channel < params->vertical.channels; ++channel) {
      vertical_row(params, channel, strip, y * step, buffer + params->horizontal.taps / 2);
      factorized_horizontal_channels(params, channel, buffer, output);
    }
    output += row_bytes;
  }
}
