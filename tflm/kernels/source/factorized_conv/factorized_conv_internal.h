/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of factorized_depthwise_conv_s8 and factorized_stem_s8 in plain C: internal. */
#ifndef MICRONET_FACTORIZED_CONV_INTERNAL_H
#define MICRONET_FACTORIZED_CONV_INTERNAL_H

#include <string.h>

#include "factorized_conv.h"
#include "processor.h"

/* For functions to which the compiler is to give constants, and loops of a number that it knows. */
#define FACTORIZED_INLINE static inline __attribute__((always_inline))
#define FACTORIZED_UNROLL _Pragma("GCC unroll 16")

/* Number of columns of the padded input, two by two, the last one perhaps alone. */
static inline int32_t factorized_column_pairs(const micronet_factorized_conv_params *params) {
  return (params->width + params->horizontal.taps) / 2;
}

static inline int32_t factorized_output_height(const micronet_factorized_conv_params *params) {
  return (params->height - 1) / params->vertical.stride + 1;
}

static inline int32_t factorized_output_width(const micronet_factorized_conv_params *params) {
  return (params->width - 1) / params->horizontal.stride + 1;
}

/* Taps first .. last - 1 of a window that are inside the input; the window's first tap is at
 * `start`. */
typedef struct {
  int32_t start;
  int32_t first;
  int32_t last;
} factorized_window;

static inline factorized_window factorized_vertical_window(
    const micronet_factorized_conv_params *params, int32_t output_row) {
  const int32_t taps = params->vertical.taps;
  factorized_window window;
  window.start = output_row * params->vertical.stride - taps / 2;
  window.first = window.start < 0 ? -window.start : 0;
  window.last = params->height - window.start < taps ? params->height - window.start : taps;
  return window;
}

static inline int8_t factorized_requantize(const micronet_factorized_half *half, int32_t sum,
                                           int32_t multiplier) {
  const int32_t scaled = micronet_scale(sum, multiplier, half->zero_point);
  return (int8_t)micronet_clamp(scaled, half->lowest, half->highest);
}

/* Zero points at both ends of a padded row of vertical results; nothing else writes there. */
static inline void factorized_pad_row(const micronet_factorized_conv_params *params, int8_t *row) {
  const int32_t padding = params->horizontal.taps / 2;
  memset(row, params->horizontal.padding, (size_t)padding);
  memset(row + padding + params->width, params->horizontal.padding, (size_t)padding);
}

/* One row of one horizontal channel.
 *
 * row: padded row of vertical results.
 * output: the channel's place in the row's first pixel. */
static inline void factorized_horizontal_row(const micronet_factorized_conv_params *params,
                                             int32_t channel, const int8_t *row, int8_t *output) {
  const micronet_factorized_half *half = &params->horizontal;
  const int8_t *weights = half->weights + channel * half->taps;
  const int32_t bias = half->requantization[2 * channel];
  const int32_t multiplier = half->requantization[2 * channel + 1];
  const int32_t width = factorized_output_width(params);
  for (int32_t x = 0; x < width; ++x) {
    int32_t sum = bias;
    for (int32_t tap = 0; tap < half->taps; ++tap) sum += weights[tap] * row[tap];
    *output = factorized_requantize(half, sum, multiplier);
    output += half->channels;
    row += half->stride;
  }
}

/* One row of all horizontal channels that read vertical channel `vertical_channel`. */
static inline void factorized_horizontal_channels(const micronet_factorized_conv_params *params,
                                                  int32_t vertical_channel, const int8_t *row,
                                                  int8_t *output_row) {
  const int32_t multiplier = params->horizontal.channels / params->vertical.channels;
  for (int32_t i = 0; i < multiplier; ++i) {
    const int32_t channel = vertical_channel * multiplier + i;
    factorized_horizontal_row(params, channel, row, output_row + params->output_positions[channel]);
  }
}

#endif
