#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-schedule-insns") /* which would take more vectors than there are */
#endif

#include "factorized_conv_mve.h"
#include "factorized_stem_s8_internal.h"

#if defined(MICRONET_MVE)

enum { TAPS = 3, DEPTH = 3, TOGETHER = 2 /* vertical channels at a time share what they read */ };

/* Two vertical channels. */
typedef struct {
  int32_t weights[TAPS * DEPTH][TOGETHER];
  int32_t biases[TOGETHER];
  int32_t multipliers[TOGETHER];
} stem_lanes_filters;

/* Rows outside the input get zero weights; what they add goes to the bias. */
static void load_filters(const micronet_factorized_conv_params *params, const int32_t *channels,
                         factorized_window window, stem_lanes_filters *filters) {
  const micronet_factorized_half *half = &params->vertical;
  for (int32_t i = 0; i < TOGETHER; ++i) {
    const int8_t *weights = half->weights + channels[i] * TAPS * DEPTH;
    filters->biases[i] = half->requantization[2 * channels[i]];
    filters->multipliers[i] = half->requantization[2 * channels[i] + 1];
    for (int32_t j = 0; j < TAPS * DEPTH; ++j) {
      const int32_t is_inside = window.first * DEPTH <= j && j < window.last * DEPTH;
      filters->weights[j][i] = is_inside ? weights[j] : 0;
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
  uint32x4_t lanes[DEPTH]; /* distances of the lanes' values 0, 1 and 2 from a pixel */
  int32_t second_row;      /* distances of the rows from the first one */
  int32_t third_row;
} stem_row;

/* Four results of two vertical channels.
 *
 * pixels: the first of them in the row that the first weights meet.
 * second: distance from the first channel's results to the second's. */
FACTORIZED_INLINE void vertical_vector(const stem_row *row,
                                       const int32_t weights[TAPS * DEPTH][TOGETHER],
                                       const int8_t *pixels, int8_t *write, int32_t second) {
  const int8_t *rows[TAPS] = {pixels, pixels + row->second_row, pixels + row->third_row};
  int32x4_t sums[TOGETHER] = {vdupq_n_s32(row->biases[0]), vdupq_n_s32(row->biases[1])};
  FACTORIZED_UNROLL
  for (int32_t i = 0; i < TAPS * DEPTH; ++i) {
    const int32x4_t values = vldrbq_gather_offset_s32(rows[i / DEPTH], row->lanes[i % DEPTH]);
    sums[0] = vmlaq_n_s32(sums[0], values, weights[i][0]);
    sums[1] = vmlaq_n_s32(sums[1], values, weights[i][1]);
  }
  FACTORIZED_UNROLL
  for (int32_t i = 0; i < TOGETHER; ++i) {
    vstrbq_s32(write + i * second,
               factorized_finish_lanes(sums[i], row->multipliers[i], row->zero_point, row->lowest,
                                       row->highest));
  }
}

/* One row of two vertical channels.
 *
 * rows: what the weights of each row meet. */
static void vertical_row(const micronet_factorized_half *half, const stem_lanes_filters *filters,
                         const int8_t *const rows[TAPS], int32_t width, int8_t *write,
                         int32_t second) {
  const int8_t *pixels = rows[0];
  stem_row row;
  row.lowest = vdupq_n_s32(half->lowest);
  row.highest = vdupq_n_s32(half->highest);
  row.zero_point = half->zero_point;
  row.second_row = (int32_t)(rows[1] - pixels);
  row.third_row = (int32_t)(rows[2] - pixels);
  FACTORIZED_UNROLL
  for (int32_t i = 0; i < TOGETHER; ++i) {
    row.multipliers[i] = vdupq_n_s32(filters->multipliers[i]);
    row.biases[i] = filters->biases[i];
  }
  FACTORIZED_UNROLL
  for (int32_t i = 0; i < DEPTH; ++i) {
    row.lanes[i] = vaddq_n_u32(factorized_lanes(DEPTH), (uint32_t)i);
  }
  for (int32_t left = width / FACTORIZED_LANES; left > 0; --left) {
    vertical_vector(&row, filters->weights, pixels, write, second);
    pixels += FACTORIZED_LANES * DEPTH;
    write += FACTORIZED_LANES;
  }
  if (width % FACTORIZED_LANES > 0) {
    const int32_t again = FACTORIZED_LANES - width % FACTORIZED_LANES;
    vertical_vector(&row, filters->weights, pixels - again * DEPTH, write - again, second);
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

void micronet_factorized_stem_s8_mve(const micronet_factorized_stem_s8_params *params,
                                     const int8_t *input, int8_t *output, int8_t *buffer) {
  const int32_t before = params->horizontal.taps / 2;
  const int32_t pitch = params->width + 2 * before;
  const int32_t count = params->vertical.channels;
  const int32_t height = factorized_output_height(params);
  const int32_t row_bytes = params->width * DEPTH;
  const int32_t output_row_bytes = factorized_output_width(params) * params->horizontal.channels;
  const int32_t multiplier = params->horizontal.channels / count;
  memset(buffer, params->horizontal.padding, (size_t)(pitch * TOGETHER));
  for (int32_t y = 0; y < height; ++y) {
    const factorized_window window = factorized_vertical_window(params, y);
    const int8_t *rows[TAPS];
    for (int32_t tap = 0; tap < TAPS; ++tap) {
      const int32_t row = window.start + micronet_clamp(tap, window.first, window.last - 1);
      rows[tap] = input + row * row_bytes;
    }
    for (int32_t channel = 0; channel < count; channel += TOGETHER) {
      const int32_t channels[TOGETHER] = {channel, channel + 1 < count ? channel + 1 : channel};
      stem_lanes_filters filters;
      load_filters(params, channels, window, &filters);
      vertical_row(&params->vertical, &filters, rows, params->width, buffer + before, pitch);
      for (int32_t i = channel * multiplier; i < (channels[1] + 1) * multiplier; ++i) {
        const int8_t *row = buffer + (i / multiplier - channel) * pitch;
        if (params->horizontal.taps == 3) {
          horizontal_row(params, i, row, output + y * output_row_bytes, 3);
        } else {
          horizontal_row(params, i, row, output + y * output_row_bytes, 5);
        }
      }
    }
  }
}

#endif
