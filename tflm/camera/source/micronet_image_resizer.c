/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "micronet_image_resizer.h"

#include <stddef.h>

enum {
  MOST_SPAN = MICRONET_IMAGE_RESIZER_SPAN(MICRONET_IMAGE_RESIZER_MOST_SHRINK),
  MOST_FRAME_SIZE = 65536, /* so that products of sizes fit into 32 bits */
  WEIGHT_BITS = 14,        /* behind the point; a weight can be a little more than 1 */
  BLOCK = 4,
  ROW_BITS = 6 /* of values between the two directions, from about -100 to 400 */
};

static int32_t limited(int32_t value, int32_t lowest, int32_t highest) {
  return value < lowest ? lowest : value > highest ? highest : value;
}

/* Rounds to the nearest and removes `bits` bits behind the point. */
static inline int32_t rounded(int32_t value, int bits) {
  return (value + (1 << (bits - 1))) >> bits;
}

/* One direction: `source` pixels become `result` pixels. */
typedef struct {
  int32_t source;
  int32_t result;
} line;

static int32_t longer(line of) { return of.source > of.result ? of.source : of.result; }

/* Pixels that would count if there were some before the first and behind the last. */
static int32_t reach(line of) { return (4 * longer(of) + of.result - 1) / of.result; }

/* The first of them. */
static int32_t first(line of, int32_t index) {
  const int32_t doubled = (2 * index + 1) * of.source - 4 * longer(of) - of.result;
  const int32_t quotient = doubled / (2 * of.result);
  const bool is_rounded_up = doubled < 0 && doubled % (2 * of.result) != 0;
  return quotient + 1 - (is_rounded_up ? 1 : 0);
}

/* Pixels of the source that count for one of the result, at most. */
static int32_t span_of(line of) { return limited(reach(of), 1, of.source); }

/* How far the pixel `position` of the source is from that of the result, `index`: in units of
 * 1 / (2 * longer()) of the kernel's length of 1. Exact. */
static int32_t distance(line of, int32_t position, int32_t index) {
  return (2 * position + 1) * of.result - (2 * index + 1) * of.source;
}

/* The first of span_of() pixels among which are all that count. */
static int32_t start_of(line of, int32_t index) {
  return limited(first(of, index), 0, of.source - span_of(of));
}

/* Behind the last pixel that counts. */
static int32_t end_of(line of, int32_t index) {
  return limited(first(of, index) + reach(of), 1, of.source);
}

/* Keys' cubic kernel with a = -0.5. distance: at least 0, with 16 bits behind the point.
 * Returns a value with 28 bits behind the point. */
static int64_t kernel(int64_t distance) {
  const int64_t one = 1 << 16;
  const int64_t square = distance * distance;
  const int64_t cube = square * distance;
  if (distance < one) return (3 * cube - 5 * square * one + 2 * one * one * one) >> 21;
  if (distance >= 2 * one) return 0;
  return (-cube + 5 * square * one - 8 * distance * one * one + 4 * one * one * one) >> 21;
}

/* Writes the weights of span_of() pixels from start_of() on. Their sum is exactly 1. */
static void compute_weights(line of, int32_t index, int16_t *weights) {
  const int32_t span = span_of(of);
  const int32_t start = start_of(of, index);
  int64_t values[MOST_SPAN];
  int64_t total = 0;
  for (int32_t i = 0; i < span; ++i) {
    const int64_t signed_size = distance(of, start + i, index);
    const int64_t size = signed_size < 0 ? -signed_size : signed_size;
    values[i] = kernel((size << 16) / (2 * longer(of)));
    total += values[i];
  }
  /* Sums are rounded, not weights, whose rounding errors would add up. */
  const int64_t factor = ((int64_t)1 << 60) / total;
  int64_t sum = 0;
  int32_t rounded_before = 0;
  for (int32_t i = 0; i < span; ++i) {
    sum += values[i];
    const int shift = 60 - WEIGHT_BITS;
    const int32_t rounded_sum = (int32_t)((sum * factor + ((int64_t)1 << (shift - 1))) >> shift);
    weights[i] = (int16_t)(rounded_sum - rounded_before);
    rounded_before = rounded_sum;
  }
}

static bool is_within(int32_t value, int32_t most) { return value >= 1 && value <= most; }

MICRONET_SHARED bool micronet_image_resizer_init(micronet_image_resizer *resizer, int32_t width,
                                                 int32_t height, int32_t channels,
                                                 int32_t largest_shrink, void *memory,
                                                 int32_t memory_bytes) {
  if (resizer == NULL || memory == NULL || (uintptr_t)memory % 4 != 0) return false;
  if (!is_within(width, MICRONET_IMAGE_RESIZER_MOST_SIZE)) return false;
  if (!is_within(height, MICRONET_IMAGE_RESIZER_MOST_SIZE)) return false;
  if (!is_within(largest_shrink, MICRONET_IMAGE_RESIZER_MOST_SHRINK)) return false;
  if (channels != 1 && channels != 3) return false;
  if (memory_bytes < MICRONET_IMAGE_RESIZER_BYTES(width, channels, largest_shrink)) return false;
  const int32_t span = MICRONET_IMAGE_RESIZER_SPAN(largest_shrink);
  resizer->output_width = width;
  resizer->output_height = height;
  resizer->channels = channels;
  resizer->largest_shrink = largest_shrink;
  resizer->column_starts = memory;
  resizer->rows = (int16_t *)(void *)(resizer->column_starts + width);
  resizer->column_weights = resizer->rows + span * width * channels;
  resizer->output_row = (uint8_t *)(resizer->column_weights + span * width);
  resizer->frame_width = 0;
  resizer->frame_height = 0;
  return true;
}

/* Decides what depends on the frame's size. */
static bool prepare(micronet_image_resizer *resizer, int32_t width, int32_t height) {
  const int32_t output_width = resizer->output_width;
  const int32_t output_height = resizer->output_height;
  resizer->frame_width = 0;
  if (!is_within(width, MOST_FRAME_SIZE) || !is_within(height, MOST_FRAME_SIZE)) return false;
  resizer->part_height = limited(width * output_height / output_width, 1, height);
  resizer->part_width = limited(height * output_width / output_height, 1, width);
  if (resizer->part_width > resizer->largest_shrink * output_width) return false;
  if (resizer->part_height > resizer->largest_shrink * output_height) return false;
  resizer->top = (height - resizer->part_height) / 2;
  resizer->left = (width - resizer->part_width) / 2;
  resizer->is_unchanged = width == output_width && height == output_height;
  const line columns = {resizer->part_width, output_width};
  const line rows = {resizer->part_height, output_height};
  resizer->column_span = span_of(columns);
  resizer->row_span = span_of(rows);
  for (int32_t x = 0; x < output_width && !resizer->is_unchanged; ++x) {
    resizer->column_starts[x] = start_of(columns, x);
    compute_weights(columns, x, resizer->column_weights + x * resizer->column_span);
  }
  resizer->frame_width = width;
  resizer->frame_height = height;
  return true;
}

MICRONET_SHARED bool micronet_image_resizer_begin(micronet_image_resizer *resizer, int32_t width,
                                                  int32_t height) {
  const bool is_prepared = resizer->frame_width == width && resizer->frame_height == height;
  if (!is_prepared && !prepare(resizer, width, height)) return false;
  resizer->frame_rows = 0;
  resizer->part_rows = 0;
  resizer->output_rows = 0;
  resizer->unchanged_row = NULL;
  return true;
}

static void resize_columns_of_gray(const micronet_image_resizer *resizer, const uint8_t *pixels,
                                   int16_t *result) {
  const int16_t *weights = resizer->column_weights;
  for (int32_t x = 0; x < resizer->output_width; ++x) {
    const uint8_t *pixel = pixels + resizer->column_starts[x];
    int32_t gray = 0;
    for (int32_t i = 0; i < resizer->column_span; ++i) gray += *pixel++ * *weights++;
    *result++ = (int16_t)rounded(gray, WEIGHT_BITS - ROW_BITS);
  }
}

static void resize_columns_of_rgb(const micronet_image_resizer *resizer, const uint8_t *pixels,
                                  int16_t *result) {
  const int16_t *weights = resizer->column_weights;
  for (int32_t x = 0; x < resizer->output_width; ++x) {
    const uint8_t *pixel = pixels + resizer->column_starts[x] * 3;
    int32_t red = 0;
    int32_t green = 0;
    int32_t blue = 0;
    for (int32_t i = 0; i < resizer->column_span; ++i) {
      const int32_t weight = *weights++;
      red += pixel[0] * weight;
      green += pixel[1] * weight;
      blue += pixel[2] * weight;
      pixel += 3;
    }
    *result++ = (int16_t)rounded(red, WEIGHT_BITS - ROW_BITS);
    *result++ = (int16_t)rounded(green, WEIGHT_BITS - ROW_BITS);
    *result++ = (int16_t)rounded(blue, WEIGHT_BITS - ROW_BITS);
  }
}

MICRONET_SHARED void micronet_image_resizer_push(micronet_image_resizer *resizer,
                                                 const uint8_t *row) {
  const int32_t y = resizer->frame_rows++ - resizer->top;
  if (y < 0 || y >= resizer->part_height) return;
  micronet_image_resizer_push_part(resizer, row + resizer->left * resizer->channels);
}

MICRONET_SHARED void micronet_image_resizer_push_part(micronet_image_resizer *resizer,
                                                      const uint8_t *row) {
  const int32_t y = resizer->part_rows++;
  if (resizer->is_unchanged) {
    resizer->unchanged_row = row;
    return;
  }
  /* The rows that count are at the places of their numbers, modulo how many there are. */
  const int32_t row_size = resizer->output_width * resizer->channels;
  int16_t *result = resizer->rows + y % resizer->row_span * row_size;
  if (resizer->channels == 1) {
    resize_columns_of_gray(resizer, row, result);
  } else {
    resize_columns_of_rgb(resizer, row, result);
  }
}

static inline uint8_t pixel_of(int32_t sum) {
  return (uint8_t)limited(rounded(sum, WEIGHT_BITS + ROW_BITS), 0, UINT8_MAX);
}

/* Of the rows from `start` on. */
static void sum_rows(const micronet_image_resizer *resizer, int32_t start, const int16_t *weights) {
  const int32_t row_size = resizer->output_width * resizer->channels;
  const int16_t *rows[MOST_SPAN];
  for (int32_t i = 0; i < resizer->row_span; ++i) {
    rows[i] = resizer->rows + (start + i) % resizer->row_span * row_size;
  }
  int32_t x = 0;
  for (; x <= row_size - BLOCK; x += BLOCK) { /* a weight and an address serve four values */
    int32_t sums[BLOCK] = {0, 0, 0, 0};
    for (int32_t i = 0; i < resizer->row_span; ++i) {
      const int16_t *row = rows[i] + x;
      const int32_t weight = weights[i];
      sums[0] += row[0] * weight;
      sums[1] += row[1] * weight;
      sums[2] += row[2] * weight;
      sums[3] += row[3] * weight;
    }
    for (int32_t i = 0; i < BLOCK; ++i) resizer->output_row[x + i] = pixel_of(sums[i]);
  }
  for (; x < row_size; ++x) {
    int32_t sum = 0;
    for (int32_t i = 0; i < resizer->row_span; ++i) sum += rows[i][x] * weights[i];
    resizer->output_row[x] = pixel_of(sum);
  }
}

MICRONET_SHARED const uint8_t *micronet_image_resizer_next_row(micronet_image_resizer *resizer) {
  if (resizer->is_unchanged) {
    const uint8_t *row = resizer->unchanged_row;
    resizer->unchanged_row = NULL;
    return row;
  }
  const line rows = {resizer->part_height, resizer->output_height};
  if (resizer->output_rows == resizer->output_height) return NULL;
  if (resizer->part_rows < end_of(rows, resizer->output_rows)) return NULL;
  int16_t weights[MOST_SPAN];
  compute_weights(rows, resizer->output_rows, weights);
  sum_rows(resizer, start_of(rows, resizer->output_rows), weights);
  ++resizer->output_rows;
  return resizer->output_row;
}
