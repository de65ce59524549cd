/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "factorized_conv_mve.h"
#include "factorized_depthwise_conv_s8_internal.h"

#if defined(MICRONET_MVE)

/* The buffer holds a strip of padded rows of one vertical channel. */
enum { STRIP_ROWS = 32 };

/* Rows of vertical results: start .. end - 1, of which first_whole .. end_whole - 1 read only rows
 * inside the input. */
typedef struct {
  int32_t start;
  int32_t first_whole;
  int32_t end_whole;
  int32_t end;
} row_strip;

static row_strip strip_at(const micronet_factorized_conv_params *params, int32_t start,
                          int32_t end) {
  const int32_t stride = params->vertical.stride, before = params->vertical.taps / 2;
  const int32_t rows_behind = params->height - before - 1; /* -1 or less: no result is whole */
  const int32_t end_whole = rows_behind < 0 ? 0 : rows_behind / stride + 1;
  row_strip strip;
  strip.start = start;
  strip.first_whole = micronet_clamp((before + stride - 1) / stride, start, end);
  strip.end_whole = micronet_clamp(end_whole, strip.first_whole, end);
  strip.end = end;
  return strip;
}

/* Rows of a strip, at most: fewer where they may be overwritten, which takes longer. */
static int32_t most_rows(const micronet_factorized_conv_params *params, const int8_t *input,
                         const int8_t *output) {
  const int32_t output_bytes = factorized_output_height(params) * factorized_output_width(params) *
                               params->horizontal.channels;
  const uintptr_t distance = (uintptr_t)input - (uintptr_t)output; /* huge if output is behind */
  return distance < (uintptr_t)output_bytes ? MICRONET_FACTORIZED_DEPTHWISE_CONV_S8_STRIP_ROWS
                                            : STRIP_ROWS;
}

/* Rows of the next strip of which `left` are left: vectors of rows are whole ones in all strips but
 * the last, which has enough rows for one. */
static int32_t rows_of_strip(int32_t left, int32_t most) {
  if (left <= most) return left;
  return left >= most + FACTORIZED_LANES ? most : left / 2;
}

/* Four results of row `y`, which reads rows outside the input.
 *
 * column: the first lane's place in the input's first row. */
FACTORIZED_INLINE void partial_vector(const micronet_factorized_conv_params *params,
                                      const factorized_lanes_filter *filter, int32_t taps,
                                      int32_t y, const int8_t *column, int8_t *write) {
  const int32_t start = y * params->vertical.stride - taps / 2;
  const int32_t row_bytes = params->width * params->channels;
  const uint32x4_t lanes = factorized_lanes(params->channels);
  int32x4_t sums = vdupq_n_s32(filter->bias);
  FACTORIZED_UNROLL
  for (int32_t tap = 0; tap < taps; ++tap) {
    const int32_t row = start + tap;
    int32x4_t values = vdupq_n_s32(params->vertical.padding);
    if (0 <= row && row < params->height) {
      values = vldrbq_gather_offset_s32(column + row * row_bytes, lanes);
    }
    sums = vmlaq_n_s32(sums, values, filter->weights[tap]);
  }
  vstrbq_s32(write,
             factorized_finish_lanes(sums, vdupq_n_s32(filter->multiplier), filter->zero_point,
                                     vdupq_n_s32(filter->lowest), vdupq_n_s32(filter->highest)));
}

/* A strip of one vertical channel, four columns after the other.
 *
 * rows: the strip's first result; rows are `pitch` apart. */
FACTORIZED_INLINE void vertical_rows(const micronet_factorized_conv_params *params,
                                     const int8_t *input, int32_t channel, const row_strip *strip,
                                     int8_t *rows, int32_t pitch, int32_t taps) {
  const micronet_factorized_half *half = &params->vertical;
  const factorized_lanes_filter filter = factorized_load_lanes_filter(half, channel, taps);
  const int32_t row_bytes = params->width * params->channels;
  const factorized_lanes_layout layout = {row_bytes, params->channels, half->stride * row_bytes, 1,
                                          pitch};
  const int32_t whole = strip->end_whole - strip->first_whole;
  const int32_t first_read = strip->first_whole * half->stride - taps / 2;
  input += channel / (half->channels / params->channels);
  for (int32_t i = 0; i < factorized_vector_count(params->width); ++i) {
    const int32_t x = factorized_vector_start(i, params->width);
    const int8_t *column = input + x * params->channels;
    int8_t *write = rows + x;
    for (int32_t y = strip->start; y < strip->first_whole; ++y, write += pitch) {
      partial_vector(params, &filter, taps, y, column, write);
    }
    if (whole > 0) {
      factorized_vectors(&filter, taps, &layout, column + first_read * row_bytes, write, whole);
    }
    write += whole * pitch;
    for (int32_t y = strip->end_whole; y < strip->end; ++y, write += pitch) {
      partial_vector(params, &filter, taps, y, column, write);
    }
  }
}

/* A strip of one horizontal channel, four rows after the other.
 *
 * rows: the strip's vertical results, padded.
 * output: the strip's first row. */
FACTORIZED_INLINE void horizontal_rows(const micronet_factorized_conv_params *params,
                                       int32_t channel, const int8_t *rows, int32_t pitch,
                                       int32_t count, int8_t *output, int32_t taps) {
  const micronet_factorized_half *half = &params->horizontal;
  const factorized_lanes_filter filter = factorized_load_lanes_filter(half, channel, taps);
  const int32_t width = factorized_output_width(params);
  const int32_t row_bytes = width * half->channels;
  const factorized_lanes_layout layout = {1, pitch, half->stride, row_bytes, half->channels};
  output += params->output_positions[channel];
  for (int32_t i = 0; i < factorized_vector_count(count); ++i) {
    const int32_t y = factorized_vector_start(i, count);
    factorized_vectors(&filter, taps, &layout, rows + y * pitch, output + y * row_bytes, width);
  }
}

MICRONET_SHARED void micronet_factorized_depthwise_conv_s8_mve(
    const micronet_factorized_depthwise_conv_s8_params *params, const int8_t *input, int8_t *output,
    int8_t *buffer) {
  const int32_t before = params->horizontal.taps / 2;
  const int32_t pitch = params->width + 2 * before;
  const int32_t height = factorized_output_height(params);
  const int32_t row_bytes = factorized_output_width(params) * params->horizontal.channels;
  const int32_t multiplier = params->horizontal.channels / params->vertical.channels;
  const int32_t most = most_rows(params, input, output);
  memset(buffer, params->horizontal.padding, (size_t)(pitch * STRIP_ROWS));
  for (int32_t start = 0, rows; start < height; start += rows) {
    rows = rows_of_strip(height - start, most);
    const row_strip strip = strip_at(params, start, start + rows);
    int8_t *output_strip = output + start * row_bytes;
    for (int32_t channel = 0; channel < params->vertical.channels; ++channel) {
      if (params->vertical.taps == 3) {
        vertical_rows(params, input, channel, &strip, buffer + before, pitch, 3);
      } else {
        vertical_rows(params, input, channel, &strip, buffer + before, pitch, 5);
      }
      for (int32_t j = channel * multiplier; j < (channel + 1) * multiplier; ++j) {
        if (params->horizontal.taps == 3) {
          horizontal_rows(params, j, buffer, pitch, rows, output_strip, 3);
        } else {
          horizontal_rows(params, j, buffer, pitch, rows, output_strip, 5);
        }
      }
    }
  }
}

#endif
