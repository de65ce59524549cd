/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-schedule-insns") /* which would take more vectors than there are */
#endif

#include "factorized_conv_mve.h"
#include "factorized_stem_s8_internal.h"

#if defined(MICRONET_MVE)

enum { TAPS = 3, DEPTH = 3, TOGETHER = 2 /* vertical channels at a time share what they read */ };

/* Two vertical channels. */
typedef struct {
  const int8_t *weights[TOGETHER];
  int32_t biases[TOGETHER];
  int32_t multipliers[TOGETHER];
  int8_t inside[TOGETHER][TAPS * DEPTH]; /* weights of a window that is not all inside the input */
} stem_lanes_filters;

/* Rows outside the input get zero weights; what they add goes to the bias. */
static void load_filters(const micronet_factorized_conv_params *params, const int32_t *channels,
                         const factorized_stem_strip *strip, stem_lanes_filters *filters) {
  const micronet_factorized_half *half = &params->vertical;
  for (int32_t i = 0; i < TOGETHER; ++i) {
    const int8_t *weights = half->weights + channels[i] * TAPS * DEPTH;
    filters->biases[i] = half->requantization[2 * channels[i]];
    filters->multipliers[i] = half->requantization[2 * channels[i] + 1];
    filters->weights[i] = weights;
    if (strip->last - strip->first == TAPS) continue;
    filters->weights[i] = filters->inside[i];
    for (int32_t j = 0; j < TAPS * DEPTH; ++j) {
      const int32_t is_inside = strip->first * DEPTH <= j && j < strip->last * DEPTH;
      filters->inside[i][j] = is_inside ? weights[j] : 0;
      filters->biases[i] += is_inside ? 0 : weights[j] * half->padding;
    }
  }
}

/* What is the same for all vectors of a row. */
typedef struct {
  int32x4_t multipliers[TOGETHER];
  int32x4_t lowest;
  int32x4_t highest;
  int32_t zero_point;
  int32_t biases[TOGETHER];
  int32_t weights[TAPS * DEPTH][TOGETHER];
  uint32x4_t lanes;    /* distances of the four pixels from the first one */
  uint32_t second_row; /* distances of the rows from the first one */
  uint32_t third_row;
} stem_row;

/* Four results of two vertical channels.
 *
 * pixels: the first of them in the row that the first weights meet.
 * second: distance from the first channel's results to the second's. */
FACTORIZED_INLINE void vertical_vector(const stem_row *row, const int8_t *pixels, int8_t *write,
                                       int32_t second) {
  const int8_t *rows[TAPS] = {pixels, factorized_stem_at(pixels, row->second_row),
                              factorized_stem_at(pixels, row->third_row)};
  int32x4_t sums[TOGETHER] = {vdupq_n_s32(row->biases[0]), vdupq_n_s32(row->biases[1])};
  FACTORIZED_UNROLL
  for (int32_t i = 0; i < TAPS * DEPTH; ++i) {
    const int32x4_t values = vldrbq_gather_offset_s32(rows[i / DEPTH] + i % DEPTH, row->lanes);
    sums[0] = vmlaq_n_s32(sums[0], values, row->weights[i][0]);
    sums[1] = vmlaq_n_s32(sums[1], values, row->weights[i][1]);
  }
  FACTORIZED_UNROLL
  for (int32_t i = 0; i < TOGETHER; ++i) {
    vstrbq_s32(write + i * second,
               factorized_finish_lanes(sums[i], row->multipliers[i], row->zero_point, row->lowest,
                                       row->highest));
  }
}

/* One row of two vertical channels. Not inlined, where its loop would get fewer registers.
 *
 * pixels: the row that the first tap meets. */
static __attribute__((noinline)) void vertical_row(const micronet_factorized_half *half,
                                                   const stem_lanes_filters *filters,
                                                   const factorized_stem_strip *strip,
                                                   const int8_t *pixels, int32_t width,
                                                   int8_t *write, int32_t second) {
  stem_row row;
  row.lowest = vdupq_n_s32(half->lowest);
  row.highest = vdupq_n_s32(half->highest);
  row.zero_point = half->zero_point;
  row.lanes = factorized_lanes(DEPTH);
  row.second_row = factorized_stem_distance(strip->rows[0], strip->rows[1]);
  row.third_row = factorized_stem_distance(strip->rows[0], strip->rows[2]);
  FACTORIZED_UNROLL
  for (int32_t i = 0; i < TOGETHER; ++i) {
    row.multipliers[i] = vdupq_n_s32(filters->multipliers[i]);
    row.biases[i] = filters->biases[i];
    FACTORIZED_UNROLL
    for (int32_t j = 0; j < TAPS * DEPTH; ++j) row.weights[j][i] = filters->weights[i][j];
  }
  for (int32_t left = width / FACTORIZED_LANES; left > 0; --left) {
    vertical_vector(&row, pixels, write, second);
    pixels += FACTORIZED_LANES * DEPTH;
    write += FACTORIZED_LANES;
  }
  if (width % FACTORIZED_LANES > 0) {
    const int32_t again = FACTORIZED_LANES - width % FACTORIZED_LANES;
    vertical_vector(&row, pixels - again * DEPTH, write - again, second);
  }
}

/* One row of one horizontal channel. */
FACTORIZED_INLINE void horizontal_row(const micronet_factorized_conv_params *params,
                                      int32_t channel, const int8_t *row, int8_t *output,
                                      int32_t taps) {
  const micronet_factorized_half *half = &params->horizontal;
  const factorized_lanes_filter filter = factorized_load_lanes_filter(half, channel, taps);
  const int32_t width = factorized_output_width(params);
  const int32_t whole = width / FACTORIZED_LANES, last = width - FACTORIZED_LANES;
  const factorized_lanes_layout layout = {1, half->stride, FACTORIZED_LANES * half->stride,
                                          half->channels, FACTORIZED_LANES * half->channels};
  output += params->output_positions[channel];
  factorized_vectors(&filter, taps, &layout, row, output, whole);
  if (width % FACTORIZED_LANES == 0) return;
  factorized_vectors(&filter, taps, &layout, row + last * half->stride,
                     output + last * half->channels, 1);
}

/* Zero points at both ends of a row, one or two; nothing else writes there. */
static void pad_row(const micronet_factorized_conv_params *params, int8_t *row) {
  const int32_t padding = params->horizontal.taps / 2;
  int8_t *end = row + padding + params->width;
  row[0] = row[padding - 1] = end[0] = end[padding - 1] = (int8_t)params->horizontal.padding;
}

MICRONET_SHARED void micronet_factorized_stem_s8_mve(
    const micronet_factorized_stem_s8_params *params, const factorized_stem_strip *strip,
    int8_t *output, int8_t *buffer) {
  const int32_t before = params->horizontal.taps / 2;
  const int32_t pitch = params->width + 2 * before;
  const int32_t count = params->vertical.channels;
  const int32_t step = params->vertical.stride * params->width * DEPTH;
  const int32_t row_bytes = factorized_output_width(params) * params->horizontal.channels;
  const int32_t multiplier = params->horizontal.channels / count;
  stem_lanes_filters filters;
  for (int32_t i = 0; i < TOGETHER; ++i) pad_row(params, buffer + i * pitch);
  for (int32_t y = 0; y < strip->count; ++y) {
    for (int32_t channel = 0; channel < count; channel += TOGETHER) {
      const int32_t channels[TOGETHER] = {channel, channel + 1 < count ? channel + 1 : channel};
      if (y == 0 || count > TOGETHER) load_filters(params, channels, strip, &filters);
      vertical_row(&params->vertical, &filters, strip, strip->rows[0] + y * step, params->width,
                   buffer + before, pitch);
      for (int32_t i = channel * multiplier; i < (channels[1] + 1) * multiplier; ++i) {
        const int8_t *row = buffer + (i / multiplier - channel) * pitch;
        if (params->horizontal.taps == 3) {
          horizontal_row(params, i, row, output, 3);
        } else {
          horizontal_row(params, i, row, output, 5);
        }
      }
    }
    output += row_bytes;
  }
}

#endif
