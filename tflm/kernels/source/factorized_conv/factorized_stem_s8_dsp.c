/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#if defined(__GNUC__) && !defined(__clang__)
/* More registers than there are would be needed, and loads would not stay side by side. */
#pragma GCC optimize("no-schedule-insns,no-schedule-insns2")
#endif

#include "factorized_conv_dsp.h"
#include "factorized_stem_s8_internal.h"

#if defined(MICRONET_DSP)

/* The buffer holds one row of two vertical channels, pair by pair: first a pair of the one, then
 * one of the other. */
enum { TAPS = 3, DEPTH = 3, PAIR_PITCH = 4, SECOND_CHANNEL = 2 };

/* From a result in the upper half of a pair to the one in the lower half of the next. */
enum { SECOND_PIXEL = PAIR_PITCH - 1 };

/* The numbers of two vertical channels in the order in which they are used, three by three: loaded
 * anew for each two pixels, since there are more than registers. The values of a pixel are called
 * 0, 1, 2; where there are two numbers of a kind, the first is the first channel's. */
enum {
  ROWS = 0,        /* of each row: weights of values 0 and 2, as a pair, of both channels; */
  ROW_MIDDLES = 2, /* then weights of value 1: a pair of both channels */
  ROW_NUMBERS = 3,
  MULTIPLIERS = ROWS + TAPS * ROW_NUMBERS,
  ZERO_POINT = MULTIPLIERS + 2,
  BIASES = ZERO_POINT + 1,
  NUMBERS = BIASES + 2
};

/* Rows outside the input get zero weights; what they add goes to the bias. */
static void load_channel(const micronet_factorized_conv_params *params, int32_t channel,
                         const factorized_stem_strip *strip, int32_t place, uint32_t *numbers,
                         int32_t *middles) {
  const micronet_factorized_half *half = &params->vertical;
  const int8_t *weights = half->weights + channel * TAPS * DEPTH;
  int32_t bias = half->requantization[2 * channel];
  for (int32_t tap = 0; tap < TAPS; ++tap) {
    int32_t first = weights[0], middle = weights[1], last = weights[2];
    weights += DEPTH;
    if (tap < strip->first || tap >= strip->last) {
      bias += (first + middle + last) * half->padding;
      first = middle = last = 0;
    }
    numbers[ROWS + tap * ROW_NUMBERS + place] = factorized_pair(first, last);
    middles[tap] = middle;
  }
  numbers[BIASES + place] = (uint32_t)bias;
  numbers[MULTIPLIERS + place] = (uint32_t)half->requantization[2 * channel + 1];
}

static void load_numbers(const micronet_factorized_conv_params *params, int32_t first,
                         int32_t second, const factorized_stem_strip *strip, uint32_t *numbers) {
  int32_t middles[2][TAPS];
  load_channel(params, first, strip, 0, numbers, middles[0]);
  load_channel(params, second, strip, 1, numbers, middles[1]);
  for (int32_t tap = 0; tap < TAPS; ++tap) {
    numbers[ROWS + tap * ROW_NUMBERS + ROW_MIDDLES] =
        factorized_pair(middles[0][tap], middles[1][tap]);
  }
  numbers[ZERO_POINT] = (uint32_t)params->vertical.zero_point;
}

FACTORIZED_INLINE int16_t finish(int32_t sum, uint32_t multiplier, uint32_t zero_point) {
  return (int16_t)micronet_saturate_int8(
      micronet_scale(sum, (int32_t)multiplier, (int32_t)zero_point));
}

/* Sums of two pixels of two vertical channels. */
typedef struct {
  int32_t first[2];
  int32_t second[2];
} pixel_sums;

/* Sums with one row more.
 *
 * pixels: the first pixel in that row.
 * numbers: of the row. */
FACTORIZED_INLINE pixel_sums add_row(pixel_sums sums, const int8_t *pixels,
                                     const uint32_t *numbers) {
  uint32_t first, second, middles, low, high;
  micronet_load_words_and_pixels(numbers, pixels, &first, &second, &middles, &low, &high);
  const uint32_t low_sides = micronet_sxtb16(low);
  sums.first[0] = micronet_smlad(low_sides, first, sums.first[0]);
  sums.second[0] = micronet_smlad(low_sides, second, sums.second[0]);
  low = micronet_sxtb16_ror8(low);
  sums.first[0] = micronet_smlabb(low, middles, sums.first[0]);
  sums.second[0] = micronet_smlabt(low, middles, sums.second[0]);
  const uint32_t high_sides = micronet_sxtb16_ror8(high);
  sums.first[1] = micronet_smlad(high_sides, first, sums.first[1]);
  sums.second[1] = micronet_smlad(high_sides, second, sums.second[1]);
  high = micronet_sxtb16(high);
  sums.first[1] = micronet_smlatb(high, middles, sums.first[1]);
  sums.second[1] = micronet_smlatt(high, middles, sums.second[1]);
  return sums;
}

/* Two pixels of two vertical channels.
 *
 * rows: the first of them in the rows that the three taps meet.
 * write: the first pixel's result; the second pixel's is SECOND_PIXEL further. */
FACTORIZED_INLINE void two_pixels(const uint32_t *numbers, const int8_t *const *rows,
                                  int16_t *write) {
  uint32_t first, second, zero_point;
  micronet_load_words(numbers + BIASES, &first, &second);
  pixel_sums sums = {{(int32_t)first, (int32_t)first}, {(int32_t)second, (int32_t)second}};
  FACTORIZED_UNROLL
  for (int32_t tap = 0; tap < TAPS; ++tap) {
    sums = add_row(sums, rows[tap], numbers + ROWS + tap * ROW_NUMBERS);
  }
  micronet_load_3_words(numbers + MULTIPLIERS, &first, &second, &zero_point);
  write[0] = finish(sums.first[0], first, zero_point);
  write[SECOND_CHANNEL] = finish(sums.second[0], second, zero_point);
  write[SECOND_PIXEL] = finish(sums.first[1], first, zero_point);
  write[SECOND_PIXEL + SECOND_CHANNEL] = finish(sums.second[1], second, zero_point);
}

/* One row of two vertical channels, two pixels at a time: from the first pixel in the upper half of
 * a pair. One in a lower half before it, and one behind the last two, are computed with a neighbour
 * and moved to their places.
 *
 * offset: from the strip's first row of pixels. */
FACTORIZED_INLINE void vertical_row(const micronet_factorized_conv_params *params,
                                    const factorized_stem_strip *strip, int32_t offset,
                                    const uint32_t *numbers, int16_t *buffer) {
  const int32_t before = params->horizontal.taps / 2;
  const int32_t start = 1 - before % 2;
  const int32_t pairs = (params->width - start) / 2;
  const int32_t is_last_single = (params->width - start) % 2;
  int16_t *const first_pair = buffer + (before + start) / 2 * PAIR_PITCH + 1;
  int16_t results[SECOND_PIXEL + PAIR_PITCH];
  for (int32_t part = start > 0 ? 0 : 1; part < 2 + is_last_single; ++part) {
    const int32_t pixel = part == 0 ? 0 : part == 1 ? start : params->width - 2;
    int16_t *write = part == 1 ? first_pair : results;
    const int16_t *end = write + (part == 1 ? pairs : 1) * PAIR_PITCH;
    const int8_t *rows[TAPS];
    FACTORIZED_UNROLL
    for (int32_t tap = 0; tap < TAPS; ++tap) {
      rows[tap] = strip->rows[tap] + offset + pixel * DEPTH;
    }
    for (; write != end; write += PAIR_PITCH) {
      two_pixels(numbers, rows, write);
      FACTORIZED_UNROLL
      for (int32_t tap = 0; tap < TAPS; ++tap) rows[tap] += 2 * DEPTH;
    }
    if (part != 1) {
      const int16_t *single = part == 0 ? results : results + SECOND_PIXEL;
      write = part == 0 ? first_pair - 1 : first_pair + pairs * PAIR_PITCH;
      write[0] = single[0];
      write[SECOND_CHANNEL] = single[SECOND_CHANNEL];
    }
  }
}

#define LINE(name, taps, stride, many)                                               \
  static void name(const micronet_factorized_conv_params *params, int32_t channel,   \
                   const int16_t *pairs, int8_t *output) {                           \
    factorized_lines(params, channel, pairs, PAIR_PITCH, 0, 1, output, taps, stride, \
                     FACTORIZED_ANY_WIDTH, many);                                    \
  }
LINE(line_3_1, 3, 1, 2)
LINE(line_3_2, 3, 2, 8)
LINE(line_5_1, 5, 1, 2)
LINE(line_5_2, 5, 2, 2)

typedef void (*line_function)(const micronet_factorized_conv_params *, int32_t, const int16_t *,
                              int8_t *);

static line_function line_of(const micronet_factorized_half *half) {
  if (half->taps == 3) return half->stride == 1 ? line_3_1 : line_3_2;
  return half->stride == 1 ? line_5_1 : line_5_2;
}

/* Zero points at both ends of a row of two channels; nothing else writes there. */
static void pad_row(const micronet_factorized_conv_params *params, int16_t *buffer) {
  const int16_t padding = (int16_t)params->horizontal.padding;
  const int32_t before = params->horizontal.taps / 2;
  const int32_t columns = 2 * factorized_column_pairs(params);
  for (int32_t column = 0; column < columns; ++column) {
    if (column == before) column += params->width;
    int16_t *write = buffer + column / 2 * PAIR_PITCH + column % 2;
    write[0] = write[SECOND_CHANNEL] = padding;
  }
}

MICRONET_SHARED void micronet_factorized_stem_s8_dsp(
    const micronet_factorized_stem_s8_params *params, const factorized_stem_strip *strip,
    int8_t *output, int16_t *buffer) {
  const line_function compute_line = line_of(&params->horizontal);
  const int32_t channels = params->vertical.channels;
  const int32_t row_bytes = factorized_output_width(params) * params->horizontal.channels;
  const int32_t multiplier = params->horizontal.channels / channels;
  const int32_t step = params->vertical.stride * params->width * DEPTH;
  uint32_t numbers[NUMBERS];
  pad_row(params, buffer);
  for (int32_t y = 0; y < strip->count; ++y) {
    for (int32_t channel = 0; channel < channels; channel += 2) {
      const int32_t second = channel + 1 < channels ? channel + 1 : channel;
      if (y == 0 || channels > 2) load_numbers(params, channel, second, strip, numbers);
      vertical_row(params, strip, y * step, numbers, buffer);
      for (int32_t i = channel * multiplier; i < (second + 1) * multiplier; ++i) {
        const int32_t is_second = i >= (channel + 1) * multiplier;
        compute_line(params, i, buffer + is_second * SECOND_CHANNEL, output);
      }
    }
    output += row_bytes;
  }
}

#endif
