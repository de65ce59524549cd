/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-schedule-insns,no-schedule-insns2")
#endif

#include "factorized_conv_dsp.h"
#include "factorized_stem_s8_internal.h"

#if defined(MICRONET_DSP)

/* The buffer holds one row of two vertical channels, pair by pair: first a pair of the one, then
 * one of the other. */
enum { TAPS = 3, DEPTH = 3, PAIR_PITCH = 4, SECOND_CHANNEL = 2 };

/* The numbers of two vertical channels in the order in which they are used, two by two: loaded
 * anew for each two pixels, since there are more than registers. The values of a pixel are called
 * 0, 1, 2; where there are two numbers of a kind, the first is the first channel's. */
enum {
  BIASES = 0,
  ROWS = 2,      /* of each row: its distance from the first row, that plus 2 bytes; */
  ROW_SIDES = 2, /* then weights of values 0 and 2, as a pair */
  ROW_NUMBERS = 4,
  MIDDLES = ROWS + TAPS * ROW_NUMBERS, /* weights of value 1 in the first two rows, as a pair */
  LAST_MIDDLES = MIDDLES + 2,          /* weights of value 1 in the last row: of both channels */
  ZERO_POINT = LAST_MIDDLES + 1,
  MULTIPLIERS = ZERO_POINT + 1,
  NUMBERS = MULTIPLIERS + 2
};

/* Rows outside the input get zero weights; what they add goes to the bias. */
static void load_channel(const micronet_factorized_conv_params *params, int32_t channel,
                         const factorized_stem_strip *strip, int32_t place, uint32_t *numbers,
                         int32_t *last_middle) {
  const micronet_factorized_half *half = &params->vertical;
  const int8_t *weights = half->weights + channel * TAPS * DEPTH;
  int32_t bias = half->requantization[2 * channel];
  int32_t inside[TAPS][DEPTH];
  FACTORIZED_UNROLL
  for (int32_t tap = 0; tap < TAPS; ++tap) {
    const int32_t is_inside = strip->first <= tap && tap < strip->last;
    FACTORIZED_UNROLL
    for (int32_t value = 0; value < DEPTH; ++value) {
      const int32_t weight = weights[tap * DEPTH + value];
      inside[tap][value] = is_inside ? weight : 0;
      bias += is_inside ? 0 : weight * half->padding;
    }
    numbers[ROWS + tap * ROW_NUMBERS + ROW_SIDES + place] =
        factorized_pair(inside[tap][0], inside[tap][2]);
  }
  numbers[BIASES + place] = (uint32_t)bias;
  numbers[MIDDLES + place] = factorized_pair(inside[0][1], inside[1][1]);
  numbers[MULTIPLIERS + place] = (uint32_t)half->requantization[2 * channel + 1];
  *last_middle = inside[2][1];
}

static void load_numbers(const micronet_factorized_conv_params *params, int32_t first,
                         int32_t second, const factorized_stem_strip *strip, uint32_t *numbers) {
  int32_t last_middles[2];
  load_channel(params, first, strip, 0, numbers, &last_middles[0]);
  load_channel(params, second, strip, 1, numbers, &last_middles[1]);
  numbers[LAST_MIDDLES] = factorized_pair(last_middles[0], last_middles[1]);
  numbers[ZERO_POINT] = (uint32_t)params->vertical.zero_point;
  for (int32_t tap = 0; tap < TAPS; ++tap) {
    const uint32_t distance = factorized_stem_distance(strip->rows[0], strip->rows[tap]);
    numbers[ROWS + tap * ROW_NUMBERS] = distance;
    numbers[ROWS + tap * ROW_NUMBERS + 1] = distance + 2;
  }
}

FACTORIZED_INLINE int16_t finish(int32_t sum, uint32_t multiplier, uint32_t zero_point) {
  return (int16_t)micronet_saturate_int8(
      micronet_scale(sum, (int32_t)multiplier, (int32_t)zero_point));
}

/* Two pixels of two vertical channels.
 *
 * pixels: the first of them in the row that the first tap meets.
 * write: the first pixel's result; the second pixel's is `distance` further.
 * Returns `numbers`, from the register in which they were walked through. */
FACTORIZED_INLINE const uint32_t *two_pixels(const uint32_t *numbers, const int8_t *pixels,
                                             int16_t *write, int32_t distance) {
  uint32_t first, second, low_row, high_row, low_middles = 0, high_middles = 0;
  uint32_t last_low = 0, last_high = 0;
  int32_t a0, b0, a1, b1; /* sums: channel and pixel */
  numbers = micronet_load_2_words(numbers, &first, &second);
  a0 = a1 = (int32_t)first;
  b0 = b1 = (int32_t)second;
  FACTORIZED_UNROLL
  for (int32_t row = 0; row < TAPS; ++row) {
    numbers = micronet_load_2_words(numbers, &low_row, &high_row);
    const uint32_t low = micronet_load_4(factorized_stem_at(pixels, low_row));
    const uint32_t high = micronet_load_4(factorized_stem_at(pixels, high_row));
    numbers = micronet_load_2_words(numbers, &first, &second);
    const uint32_t low_sides = micronet_sxtb16(low);
    a0 = micronet_smlad(low_sides, first, a0);
    b0 = micronet_smlad(low_sides, second, b0);
    last_low = micronet_sxtb16_ror8(low);
    const uint32_t high_sides = micronet_sxtb16_ror8(high);
    a1 = micronet_smlad(high_sides, first, a1);
    b1 = micronet_smlad(high_sides, second, b1);
    last_high = micronet_sxtb16(high);
    if (row == 0) {
      low_middles = last_low;
      high_middles = last_high;
    } else if (row == 1) {
      low_middles = micronet_pack_low(low_middles, last_low);
      high_middles = micronet_pack_high(high_middles, last_high);
    }
  }
  numbers = micronet_load_2_words(numbers, &first, &second);
  a0 = micronet_smlad(low_middles, first, a0);
  b0 = micronet_smlad(low_middles, second, b0);
  a1 = micronet_smlad(high_middles, first, a1);
  b1 = micronet_smlad(high_middles, second, b1);
  uint32_t zero_point;
  numbers = micronet_load_2_words(numbers, &first, &zero_point);
  a0 = micronet_smlabb(last_low, first, a0);
  b0 = micronet_smlabt(last_low, first, b0);
  a1 = micronet_smlatb(last_high, first, a1);
  b1 = micronet_smlatt(last_high, first, b1);
  numbers = micronet_load_2_words(numbers, &first, &second);
  write[0] = finish(a0, first, zero_point);
  write[SECOND_CHANNEL] = finish(b0, second, zero_point);
  write[distance] = finish(a1, first, zero_point);
  write[distance + SECOND_CHANNEL] = finish(b1, second, zero_point);
  return numbers - NUMBERS;
}

/* One row of two vertical channels.
 *
 * distance: from an even pixel's result to the next one's, 1 or 3. */
FACTORIZED_INLINE void all_pixels(const uint32_t *numbers, const int8_t *pixels, int32_t width,
                                  int16_t *write, int32_t distance) {
  const int8_t *end = pixels + width / 2 * (2 * DEPTH);
  for (; pixels != end; pixels += 2 * DEPTH) {
    numbers = two_pixels(numbers, pixels, write, distance);
    write += PAIR_PITCH;
  }
  if (width % 2 == 1) { /* the last pixel with the one before it once more: none is behind it */
    int16_t results[PAIR_PITCH];
    two_pixels(numbers, end - DEPTH, results, 1);
    write[0] = results[1];
    write[SECOND_CHANNEL] = results[1 + SECOND_CHANNEL];
  }
}

static void vertical_row(const micronet_factorized_conv_params *params, const int8_t *pixels,
                         const uint32_t *numbers, int16_t *buffer) {
  const int32_t before = params->horizontal.taps / 2;
  int16_t *write = buffer + before / 2 * PAIR_PITCH + before % 2;
  if (before % 2 == 0) {
    all_pixels(numbers, pixels, params->width, write, 1);
  } else {
    all_pixels(numbers, pixels, params->width, write, PAIR_PITCH - 1);
  }
}

#define LINE(name, taps, stride, many)                                                         \
  static void name(const micronet_factorized_conv_params *params, int32_t channel,       \
                   const int16_t *pairs, int8_t *output) {                               \
    factorized_lines(params, channel, pairs, PAIR_PITCH, 0, 1, output, taps, stride, 0, many); \
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
      vertical_row(params, strip->rows[0] + y * step, numbers, buffer);
      for (int32_t i = channel * multiplier; i < (second + 1) * multiplier; ++i) {
        const int32_t is_second = i >= (channel + 1) * multiplier;
        compute_line(params, i, buffer + is_second * SECOND_CHANNEL, output);
      }
    }
    output += row_bytes;
  }
}

#endif
