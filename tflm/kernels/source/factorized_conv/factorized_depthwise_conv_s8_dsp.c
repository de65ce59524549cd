/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#if defined(__GNUC__) && !defined(__clang__)
/* More registers than there are would be needed, and loads would not stay side by side. */
#pragma GCC optimize("no-schedule-insns,no-schedule-insns2")
#endif

#include "factorized_conv_dsp.h"
#include "factorized_depthwise_conv_s8_internal.h"

#if defined(MICRONET_DSP)

/* The buffer holds a strip of rows of one or two vertical channels. Pair j of a padded row stands
 * in column j, and a column's rows follow each other, so that both convolutions step by constants:
 * one channel has 16 rows, or two have 8. */
enum {
  STRIP_ROWS = MICRONET_FACTORIZED_DEPTHWISE_CONV_S8_STRIP_ROWS,
  COLUMN_PITCH = 2 * STRIP_ROWS,
  SECOND_CHANNEL = COLUMN_PITCH / 2
};

/* What one strip of vertical results reads and writes. Behind the rows that the first results read
 * besides, each step reads two more. */
typedef struct {
  const int8_t *read;  /* the first row that is inside the input */
  int32_t step;        /* from there to the next row */
  int32_t is_top;      /* whether zero points are read before it */
  int32_t outside;     /* rows that are read behind the input's last row: 0 to 2 */
  int32_t rows;        /* of results */
  int32_t full_steps;  /* which read two rows inside the input */
  int32_t half_steps;  /* which then read one and zero points: 0 or 1 */
  int32_t empty_steps; /* which then read zero points alone: 0 or 1 */
  int16_t *write;      /* the first result of the first column */
} row_strip;

static row_strip strip_at(const micronet_factorized_conv_params *params, const int8_t *input,
                          int32_t start, int32_t end, int16_t *buffer) {
  const micronet_factorized_half *half = &params->vertical;
  const int32_t first = start * half->stride - half->taps / 2;
  const int32_t last = (end - 1) * half->stride + half->taps / 2;
  const int32_t steps = half->stride == 1 ? (end - start + 1) / 2 : end - start;
  const int32_t left = params->height - (start * half->stride + half->taps / 2 + 1 - half->stride);
  const int32_t before = params->horizontal.taps / 2;
  row_strip strip;
  strip.step = params->width * params->channels;
  strip.is_top = start == 0;
  strip.read = strip.is_top ? input : input + first * strip.step;
  strip.outside = last < params->height ? 0 : last - params->height + 1;
  strip.rows = end - start;
  strip.full_steps = left / 2 < steps ? left / 2 : steps;
  strip.half_steps = strip.full_steps < steps ? left % 2 : 0;
  strip.empty_steps = steps - strip.full_steps - strip.half_steps;
  strip.write = buffer + before / 2 * COLUMN_PITCH + before % 2;
  return strip;
}

/* The rows that the next results read: with stride 1, one pair (3 taps) or two; with stride 2 the
 * last row by itself and, with 5 taps, the pair before it. */
typedef struct {
  uint32_t q0;
  uint32_t q1;
  int32_t last;
} column_state;

/* The state before a column's first results. `read` is moved behind the rows that it holds. */
FACTORIZED_INLINE column_state begin(int32_t taps, int32_t stride, int32_t is_top, int32_t padding,
                                     const int8_t **read, int32_t step) {
  column_state state = {0, 0, padding};
  if (taps == 5) {
    state.q0 = factorized_pair(padding, padding);
    if (!is_top) {
      state.q0 = factorized_pair((*read)[0], (*read)[step]);
      *read = factorized_skip(*read, step);
    }
    if (stride == 1) {
      state.q1 = factorized_pair((*read)[0], (*read)[step]);
      *read = factorized_skip(*read, step);
    } else {
      state.last = **read;
      *read += step;
    }
    return state;
  }
  if (!is_top) {
    state.last = **read;
    *read += step;
  }
  if (stride == 1) {
    state.q0 = factorized_pair(state.last, **read);
    *read += step;
  }
  return state;
}

/* Results of the next two rows: one with stride 2; two with stride 1, and the first of them only if
 * `is_single`. */
FACTORIZED_INLINE void advance(const factorized_filter *filter, int32_t taps, int32_t stride,
                               int32_t is_single, column_state *state, int32_t low, int32_t high,
                               int16_t *write) {
  if (stride == 2) {
    const uint32_t pair = factorized_pair(state->last, low);
    if (taps == 3) {
      *write = (int16_t)factorized_even(filter, 3, pair, (uint32_t)high, 0);
    } else {
      *write = (int16_t)factorized_even(filter, 5, state->q0, pair, (uint32_t)high);
    }
    state->q0 = pair;
    state->last = high;
    return;
  }
  const uint32_t pair = is_single ? (uint32_t)low : factorized_pair(low, high);
  const uint32_t q1 = taps == 3 ? pair : state->q1;
  write[0] = (int16_t)factorized_even(filter, taps, state->q0, q1, pair);
  if (!is_single) write[2] = (int16_t)factorized_odd(filter, taps, state->q0, q1, pair);
  state->q0 = q1;
  state->q1 = pair;
}

/* One column of any number of results; of an odd number, with stride 1, one more. */
FACTORIZED_INLINE void column(const factorized_filter *filter, int32_t taps, int32_t stride,
                              const row_strip *strip, int32_t padding, const int8_t *read,
                              int32_t step, int16_t *write) {
  const int32_t pitch = stride == 1 ? 4 : 2; /* what two rows of input give */
  column_state state = begin(taps, stride, strip->is_top, padding, &read, step);
  for (int32_t i = strip->full_steps; i > 0; --i) {
    int32_t low, high;
    micronet_load_2_int8(read, step, &low, &high);
    read = factorized_skip(read, step);
    advance(filter, taps, stride, 0, &state, low, high, write);
    write += pitch;
  }
  if (strip->half_steps > 0) {
    advance(filter, taps, stride, 0, &state, read[0], padding, write);
    write += pitch;
  }
  if (strip->empty_steps > 0) advance(filter, taps, stride, 0, &state, padding, padding, write);
}

/* Whether a row is inside the input of which a column reads rows 0 .. needed - 1, or may be outside
 * and has to be looked up. Rows without a possible look-up are known to the compiler.
 *
 * most_outside: the most rows outside that a strip of this kind can have. */
FACTORIZED_INLINE int is_inside(const row_strip *strip, int32_t most_outside, int32_t row,
                                int32_t needed) {
  return row + most_outside < needed || row + strip->outside < needed;
}

/* One column of `rows` results, a number that the compiler knows. */
FACTORIZED_INLINE void short_column(const factorized_filter *filter, int32_t taps, int32_t stride,
                                    const int32_t rows, const row_strip *strip,
                                    int32_t most_outside, int32_t padding, const int8_t *read,
                                    int32_t step, int16_t *write) {
  column_state state = begin(taps, stride, strip->is_top, padding, &read, step);
  const int32_t needed = stride == 1 ? rows : 2 * rows;
  FACTORIZED_UNROLL
  for (int32_t i = 0; i < needed; i += 2) {
    const int32_t is_single = i + 1 == needed;
    const int8_t *next = factorized_skip(read, step);
    int32_t low, high = padding;
    if (stride == 2 && i + 1 + most_outside < needed) {
      micronet_load_2_int8(read, step, &low, &high);
    } else {
      low = is_inside(strip, most_outside, i, needed) ? read[0] : padding;
      if (!is_single && is_inside(strip, most_outside, i + 1, needed)) high = read[step];
    }
    read = next;
    advance(filter, taps, stride, is_single, &state, low, high, write);
    write += stride == 1 ? 4 : 2;
  }
}

/* The same for two channels, 3 taps and stride 2, which share what they read, all of it inside.
 *
 * last_weights: the last weights of both, so that they take one register. */
FACTORIZED_INLINE void two_short_columns(const factorized_filter *first,
                                         const factorized_filter *second, uint32_t last_weights,
                                         const int32_t rows, const row_strip *strip,
                                         int32_t padding, const int8_t *read, int32_t step,
                                         int16_t *write) {
  int32_t last = begin(3, 2, strip->is_top, padding, &read, step).last;
  FACTORIZED_UNROLL
  for (int32_t i = 0; i < 2 * rows; i += 2) {
    const int8_t *next = factorized_skip(read, step);
    int32_t low, high;
    micronet_load_2_int8(read, step, &low, &high);
    read = next;
    const uint32_t pair = factorized_pair(last, low);
    last = high;
    int32_t sum = micronet_smlad(pair, first->weights[0], first->bias);
    sum = micronet_smlabb((uint32_t)last, last_weights, sum);
    write[i] = (int16_t)factorized_finish(first, sum);
    sum = micronet_smlad(pair, second->weights[0], second->bias);
    sum = micronet_smlabt((uint32_t)last, last_weights, sum);
    write[i + SECOND_CHANNEL] = (int16_t)factorized_finish(second, sum);
  }
}

/* The same row of the next column: from the lower half of a pair, whose address is a multiple of 4,
 * to the upper one, and from there to the next pair. */
FACTORIZED_INLINE int16_t *next_column(int16_t *write) {
  const uintptr_t address = (uintptr_t)write, upper = address & sizeof(*write);
  return (int16_t *)((address ^ sizeof(*write)) + upper * COLUMN_PITCH);
}

/* All columns of one vertical channel.
 *
 * input_channel: the one that it reads.
 * short_rows: the strip's number of rows if the compiler is to know it, or 0; with stride 2 the
 *     input's height is even then.
 * is_map: whether the strip is all of a map. */
FACTORIZED_INLINE void columns(const micronet_factorized_conv_params *params, int32_t input_channel,
                               int32_t channel, const row_strip *strip, int32_t taps,
                               int32_t stride, int32_t short_rows, int32_t is_map) {
  const factorized_filter filter = factorized_load_filter(&params->vertical, channel, taps);
  const int32_t padding = params->vertical.padding;
  const int32_t depth = params->channels;
  const int32_t step = strip->step;
  const int8_t *read = strip->read + input_channel;
  const int8_t *end = read + params->width * depth;
  int16_t *write = strip->write;
  row_strip known = *strip;
  const int32_t most_outside = taps / 2 - (stride - 1);
  if (is_map) {
    known.is_top = 1;
    known.outside = most_outside;
  }
  do {
    if (short_rows > 0) {
      short_column(&filter, taps, stride, short_rows, &known, most_outside, padding, read, step,
                   write);
    } else {
      column(&filter, taps, stride, &known, padding, read, step, write);
    }
    read += depth;
    write = next_column(write);
  } while (read != end);
}

/* All columns of two vertical channels that read the same input channel, of an even height. */
FACTORIZED_INLINE void two_columns_3_2(const micronet_factorized_conv_params *params,
                                       int32_t input_channel, int32_t channel,
                                       const row_strip *strip, int32_t short_rows) {
  const factorized_filter first = factorized_load_filter(&params->vertical, channel, 3);
  const factorized_filter second = factorized_load_filter(&params->vertical, channel + 1, 3);
  const uint32_t last_weights = micronet_pack_high(first.weights[1], second.weights[1]);
  const int32_t padding = params->vertical.padding;
  const int32_t depth = params->channels;
  const int32_t step = strip->step;
  const int8_t *read = strip->read + input_channel;
  const int8_t *end = read + params->width * depth;
  int16_t *write = strip->write;
  do {
    two_short_columns(&first, &second, last_weights, short_rows, strip, padding, read, step, write);
    read += depth;
    write = next_column(write);
  } while (read != end);
}

/* Each number of taps with each stride; and, without loops, the heights and widths of the maps that
 * MicroNets make of images of 224 pixels (7, 14) and of 96 (3, 6). */
#define COLUMNS(name, taps, stride, short_rows, is_map)                                  \
  static void name(const micronet_factorized_conv_params *params, int32_t input_channel, \
                   int32_t channel, const row_strip *strip) {                            \
    columns(params, input_channel, channel, strip, taps, stride, short_rows, is_map);    \
  }
COLUMNS(columns_3_1, 3, 1, 0, 0)
COLUMNS(columns_3_1_map_of_3, 3, 1, 3, 1)
COLUMNS(columns_3_1_of_6, 3, 1, 6, 0)
COLUMNS(columns_3_1_of_7, 3, 1, 7, 0)
COLUMNS(columns_3_2, 3, 2, 0, 0)
COLUMNS(columns_5_1, 5, 1, 0, 0)
COLUMNS(columns_5_1_map_of_3, 5, 1, 3, 1)
COLUMNS(columns_5_1_map_of_6, 5, 1, 6, 1)
COLUMNS(columns_5_1_map_of_7, 5, 1, 7, 1)
COLUMNS(columns_5_1_map_of_14, 5, 1, 14, 1)
COLUMNS(columns_5_2, 5, 2, 0, 0)
COLUMNS(columns_5_2_map_of_3, 5, 2, 3, 1)
COLUMNS(columns_5_2_of_6, 5, 2, 6, 0)
COLUMNS(columns_5_2_of_7, 5, 2, 7, 0)

static void two_columns_3_2_of_6(const micronet_factorized_conv_params *params,
                                 int32_t input_channel, int32_t channel, const row_strip *strip) {
  two_columns_3_2(params, input_channel, channel, strip, 6);
}

static void two_columns_3_2_of_7(const micronet_factorized_conv_params *params,
                                 int32_t input_channel, int32_t channel, const row_strip *strip) {
  two_columns_3_2(params, input_channel, channel, strip, 7);
}

#define LINES(name, taps, stride, widths, many)                                           \
  static void name(const micronet_factorized_conv_params *params, int32_t channel,        \
                   const int16_t *pairs, int32_t rows, int8_t *output) {                  \
    factorized_lines(params, channel, pairs, COLUMN_PITCH, 2, rows, output, taps, stride, \
                     FACTORIZED_##widths, many);                                          \
  }
LINES(lines_3_1, 3, 1, ANY_WIDTH, 4)
LINES(lines_3_1_of_3, 3, 1, ONE_WIDTH, 3)
LINES(lines_3_1_of_7, 3, 1, ONE_WIDTH, 7)
LINES(lines_3_2, 3, 2, ANY_WIDTH, 8)
LINES(lines_5_1, 5, 1, ANY_WIDTH, 2)
LINES(lines_5_1_of_3, 5, 1, ONE_WIDTH, 3)
LINES(lines_5_1_of_6, 5, 1, ONE_WIDTH, 6)
LINES(lines_5_1_of_7, 5, 1, ONE_WIDTH, 7)
LINES(lines_5_1_of_14, 5, 1, ONE_WIDTH, 14)
LINES(lines_5_2, 5, 2, ANY_WIDTH, 2)
LINES(lines_5_2_of_3, 5, 2, ONE_WIDTH, 3)
LINES(lines_5_2_of_6, 5, 2, ONE_WIDTH, 6)
LINES(lines_5_2_by_7, 5, 2, MULTIPLES, 7)

typedef void (*columns_function)(const micronet_factorized_conv_params *, int32_t, int32_t,
                                 const row_strip *);
typedef void (*lines_function)(const micronet_factorized_conv_params *, int32_t, const int16_t *,
                               int32_t, int8_t *);

/* How the vertical results are computed. */
typedef struct {
  uint8_t taps;
  uint8_t stride;
  uint8_t rows;     /* of a strip: exactly that many, or up to STRIP_ROWS */
  uint8_t is_map;   /* whether the strip must be the whole map */
  uint8_t channels; /* at a time: reading the same input channel */
  columns_function compute;
} columns_plan;

/* The first that fits is taken. */
static const columns_plan COLUMNS_PLANS[] = {
    {3, 1, 3, 1, 1, columns_3_1_map_of_3}, {3, 1, 7, 0, 1, columns_3_1_of_7},
    {3, 1, 6, 0, 1, columns_3_1_of_6},     {3, 1, STRIP_ROWS, 0, 1, columns_3_1},
    {3, 2, 7, 0, 2, two_columns_3_2_of_7}, {3, 2, 6, 0, 2, two_columns_3_2_of_6},
    {3, 2, STRIP_ROWS, 0, 1, columns_3_2}, {5, 1, 14, 1, 1, columns_5_1_map_of_14},
    {5, 1, 7, 1, 1, columns_5_1_map_of_7}, {5, 1, 6, 1, 1, columns_5_1_map_of_6},
    {5, 1, 3, 1, 1, columns_5_1_map_of_3}, {5, 1, STRIP_ROWS, 0, 1, columns_5_1},
    {5, 2, 3, 1, 1, columns_5_2_map_of_3}, {5, 2, 7, 0, 1, columns_5_2_of_7},
    {5, 2, 6, 0, 1, columns_5_2_of_6},     {5, 2, STRIP_ROWS, 0, 1, columns_5_2},
};

static const columns_plan *plan_columns(const micronet_factorized_conv_params *params) {
  const micronet_factorized_half *half = &params->vertical;
  const int32_t height = factorized_output_height(params);
  const int32_t multiplier = half->channels / params->channels;
  for (const columns_plan *plan = COLUMNS_PLANS;; ++plan) {
    if (plan->taps != half->taps || plan->stride != half->stride) continue;
    if (plan->rows == STRIP_ROWS) return plan;
    if (plan->stride == 2 && params->height % 2 != 0) continue;
    if (multiplier % plan->channels != 0) continue;
    if (plan->is_map ? height == plan->rows : height % plan->rows == 0) return plan;
  }
}

/* How the horizontal results are computed. */
typedef struct {
  uint8_t taps;
  uint8_t stride;
  uint8_t width;   /* of the output; 0: any */
  uint8_t is_unit; /* whether multiples of it will do */
  lines_function compute;
} lines_plan;

static const lines_plan LINES_PLANS[] = {
    {3, 1, 7, 0, lines_3_1_of_7}, {3, 1, 3, 0, lines_3_1_of_3},   {3, 1, 0, 0, lines_3_1},
    {3, 2, 0, 0, lines_3_2},      {5, 1, 14, 0, lines_5_1_of_14}, {5, 1, 7, 0, lines_5_1_of_7},
    {5, 1, 6, 0, lines_5_1_of_6}, {5, 1, 3, 0, lines_5_1_of_3},   {5, 1, 0, 0, lines_5_1},
    {5, 2, 7, 1, lines_5_2_by_7}, {5, 2, 6, 0, lines_5_2_of_6},   {5, 2, 3, 0, lines_5_2_of_3},
    {5, 2, 0, 0, lines_5_2},
};

static lines_function plan_lines(const micronet_factorized_conv_params *params) {
  const micronet_factorized_half *half = &params->horizontal;
  const int32_t width = factorized_output_width(params);
  for (const lines_plan *plan = LINES_PLANS;; ++plan) {
    if (plan->taps != half->taps || plan->stride != half->stride) continue;
    if (plan->width == 0 || plan->width == width) return plan->compute;
    if (plan->is_unit && width % plan->width == 0) return plan->compute;
  }
}

static void clamp_middle(const micronet_factorized_conv_params *params, int16_t *values) {
  const micronet_factorized_half *half = &params->vertical;
  for (int32_t x = params->width; x > 0; --x) {
    for (int32_t row = 0; row < STRIP_ROWS; ++row) {
      values[2 * row] = (int16_t)micronet_clamp(values[2 * row], half->lowest, half->highest);
    }
    values = next_column(values);
  }
}

static void clamp_output(const micronet_factorized_conv_params *params, int8_t *output) {
  const micronet_factorized_half *half = &params->horizontal;
  const int32_t elements =
      factorized_output_height(params) * factorized_output_width(params) * half->channels;
  for (int32_t i = 0; i < elements; ++i) {
    output[i] = (int8_t)micronet_clamp(output[i], half->lowest, half->highest);
  }
}

/* Zero points in the columns before and behind those of the input; nothing else writes there. */
static void pad_buffer(const micronet_factorized_conv_params *params, int16_t *write) {
  const int32_t before = params->horizontal.taps / 2, behind = before + params->width;
  const int32_t columns = 2 * factorized_column_pairs(params);
  for (int32_t x = 0; x < columns; ++x) {
    if (x < before || x >= behind) {
      for (int32_t row = 0; row < STRIP_ROWS; ++row) {
        write[2 * row] = (int16_t)params->horizontal.padding;
      }
    }
    write = next_column(write);
  }
}

MICRONET_SHARED void micronet_factorized_depthwise_conv_s8_dsp(
    const micronet_factorized_depthwise_conv_s8_params *params, const int8_t *input, int8_t *output,
    int16_t *buffer) {
  const columns_plan plan = *plan_columns(params);
  const lines_function compute_lines = plan_lines(params);
  const int32_t height = factorized_output_height(params);
  const int32_t row_bytes = factorized_output_width(params) * params->horizontal.channels;
  const int32_t strips = (height + plan.rows - 1) / plan.rows;
  const int32_t unit = plan.rows % 2 == 0 ? 2 : 1; /* of a strip's rows; the last may have less */
  const int32_t units = (height + unit - 1) / unit;
  const int32_t depth_multiplier = params->vertical.channels / params->channels;
  const int32_t multiplier = params->horizontal.channels / params->vertical.channels;
  const int is_full_range = factorized_is_full_range(&params->vertical);
  pad_buffer(params, buffer);
  for (int32_t i = 0; i < strips; ++i) {
    const int32_t start = units * i / strips * unit;
    const int32_t end = i + 1 == strips ? height : units * (i + 1) / strips * unit;
    const row_strip strip = strip_at(params, input, start, end, buffer);
    int8_t *output_strip = output + start * row_bytes;
    int32_t output_channel = 0;
    for (int32_t channel = 0; channel < params->vertical.channels; channel += plan.channels) {
      plan.compute(params, channel / depth_multiplier, channel, &strip);
      if (!is_full_range) clamp_middle(params, strip.write);
      for (int32_t j = 0; j < plan.channels; ++j) {
        const int16_t *pairs = buffer + j * SECOND_CHANNEL;
        for (int32_t end = output_channel + multiplier; output_channel < end; ++output_channel) {
          compute_lines(params, output_channel, pairs, strip.rows, output_strip);
        }
      }
    }
  }
  if (!factorized_is_full_range(&params->horizontal)) clamp_output(params, output);
}

#endif
