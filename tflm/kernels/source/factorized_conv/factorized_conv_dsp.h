/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of factorized_depthwise_conv_s8 and factorized_stem_s8 with the DSP extension: internal.
 *
 * Values are read as pairs: two that follow each other, one in each halfword. A pair and a pair of
 * weights make two products at once, and two results that follow each other share their pairs. */
#ifndef MICRONET_FACTORIZED_CONV_DSP_H
#define MICRONET_FACTORIZED_CONV_DSP_H

#include "factorized_conv_internal.h"

#if defined(MICRONET_DSP)

/* One channel. Weights stand in pairs: (0, 1), (1, 2) of 3 taps, and (2, 3), (3, 4) of 5. */
typedef struct {
  uint32_t weights[4];
  int32_t bias;
  int32_t multiplier;
  int32_t zero_point;
} factorized_filter;

FACTORIZED_INLINE uint32_t factorized_pair(int32_t low, int32_t high) {
  return micronet_pack_low((uint32_t)low, (uint32_t)high);
}

FACTORIZED_INLINE factorized_filter factorized_load_filter(const micronet_factorized_half *half,
                                                           int32_t channel, int32_t taps) {
  const int8_t *weights = half->weights + channel * taps;
  const int32_t first = weights[0], second = weights[1], third = weights[2];
  factorized_filter filter = {{0}, 0, 0, 0};
  if (taps == 5) {
    const int32_t fourth = weights[3], fifth = weights[4];
    filter.weights[2] = factorized_pair(third, fourth);
    filter.weights[3] = factorized_pair(fourth, fifth);
  }
  filter.weights[0] = factorized_pair(first, second);
  filter.weights[1] = factorized_pair(second, third);
  filter.bias = half->requantization[2 * channel];
  filter.multiplier = half->requantization[2 * channel + 1];
  filter.zero_point = half->zero_point;
  return filter;
}

FACTORIZED_INLINE int32_t factorized_finish(const factorized_filter *filter, int32_t sum) {
  return micronet_saturate_int8(micronet_scale(sum, filter->multiplier, filter->zero_point));
}

/* Result of the window that begins with the low halfword of q0. q2 is read with 5 taps only. */
FACTORIZED_INLINE int32_t factorized_even(const factorized_filter *filter, int32_t taps,
                                          uint32_t q0, uint32_t q1, uint32_t q2) {
  int32_t sum = micronet_smlad(q0, filter->weights[0], filter->bias);
  if (taps == 3) {
    sum = micronet_smlabt(q1, filter->weights[1], sum);
  } else {
    sum = micronet_smlad(q1, filter->weights[2], sum);
    sum = micronet_smlabt(q2, filter->weights[3], sum);
  }
  return factorized_finish(filter, sum);
}

/* Result of the window that begins with the high halfword of q0. */
FACTORIZED_INLINE int32_t factorized_odd(const factorized_filter *filter, int32_t taps, uint32_t q0,
                                         uint32_t q1, uint32_t q2) {
  int32_t sum = micronet_smlatb(q0, filter->weights[0], filter->bias);
  sum = micronet_smlad(q1, filter->weights[1], sum);
  if (taps == 5) sum = micronet_smlad(q2, filter->weights[3], sum);
  return factorized_finish(filter, sum);
}

/* `pointer` behind two steps. */
FACTORIZED_INLINE const int8_t *factorized_skip(const int8_t *pointer, int32_t step) {
  return (const int8_t *)micronet_add_twice((uintptr_t)pointer, step);
}

/* Pairs that the next windows of a row begin with, all but their last one: q1 with 5 taps only. */
typedef struct {
  uint32_t q0;
  uint32_t q1;
} factorized_row_state;

FACTORIZED_INLINE uint32_t factorized_load_pair(const int16_t *pair) {
  uint32_t word;
  memcpy(&word, pair, sizeof(word));
  return word;
}

/* The next results of a row, a number that the compiler knows. What the second of two results
 * loads and its store stand side by side, for the sake of Cortex-M4's pipeline.
 *
 * state: before them; becomes the one behind them, unless they are an odd number with stride 1.
 * pairs: the first pair that is not in it; the others are `pitch` int16 apart.
 * Returns the channel's place behind them. */
FACTORIZED_INLINE int8_t *factorized_results(const factorized_filter *filter, int32_t taps,
                                             int32_t stride, const int32_t count,
                                             factorized_row_state *state, const int16_t *pairs,
                                             int32_t pitch, int8_t *output, int32_t step) {
  uint32_t q0 = state->q0, q1 = state->q1;
  uint32_t next = factorized_load_pair(pairs), behind = 0;
  if (stride == 2 && count > 1) behind = factorized_load_pair(pairs + pitch);
  FACTORIZED_UNROLL
  for (int32_t i = 0; i < count; i += 2) {
    uint32_t then = 0, then_behind = 0;
    int32_t second = 0;
    if (taps == 3) q1 = next;
    output[0] = (int8_t)factorized_even(filter, taps, q0, q1, next);
    if (i + 1 == count) {
      state->q0 = q1;
      state->q1 = next;
      return output + step;
    }
    if (stride == 1) {
      second = factorized_odd(filter, taps, q0, q1, next);
    } else {
      second = factorized_even(filter, taps, q1, taps == 3 ? behind : next, behind);
    }
    pairs += stride == 1 ? pitch : 2 * pitch;
    if (i + 2 < count) then = factorized_load_pair(pairs);
    if (stride == 2 && i + 3 < count) then_behind = factorized_load_pair(pairs + pitch);
    output[step] = (int8_t)second;
    output = (int8_t *)micronet_add_twice((uintptr_t)output, step);
    if (stride == 1) {
      q0 = q1;
      q1 = next;
    } else {
      q0 = taps == 3 ? behind : next;
      q1 = behind;
    }
    next = then;
    behind = then_behind;
  }
  state->q0 = q0;
  state->q1 = q1;
  return output;
}

FACTORIZED_INLINE factorized_row_state factorized_begin_row(int32_t taps, const int16_t *pairs,
                                                            int32_t pitch) {
  factorized_row_state state = {factorized_load_pair(pairs), 0};
  if (taps == 5) state.q1 = factorized_load_pair(pairs + pitch);
  return state;
}

/* The widths of output that a function is for: any, or multiples of a number, or that number. */
typedef enum { FACTORIZED_ANY_WIDTH, FACTORIZED_MULTIPLES, FACTORIZED_ONE_WIDTH } factorized_widths;

/* One row of one horizontal channel.
 *
 * pairs: the padded row's first pair; the others are `pitch` int16 apart.
 * widths: the compiler is to know it.
 * many: results without a loop, a number that the compiler knows; even, unless the stride is 2 or
 *     it is the width.
 * Returns the channel's place in the next row. */
FACTORIZED_INLINE int8_t *factorized_line(const factorized_filter *filter, int32_t taps,
                                          int32_t stride, factorized_widths widths,
                                          const int32_t many, const int16_t *pairs, int32_t pitch,
                                          int32_t width, int8_t *output, int32_t step) {
  const int32_t pairs_of_two = stride == 2 ? 2 * pitch : pitch;
  factorized_row_state state = factorized_begin_row(taps, pairs, pitch);
  pairs += taps / 2 * pitch;
  if (widths == FACTORIZED_ONE_WIDTH) {
    return factorized_results(filter, taps, stride, many, &state, pairs, pitch, output, step);
  }
  if (widths == FACTORIZED_MULTIPLES) {
    do {
      output = factorized_results(filter, taps, stride, many, &state, pairs, pitch, output, step);
      pairs += many * pairs_of_two / 2;
      width -= many;
    } while (width > 0);
    return output;
  }
  for (; many > 2 && width >= many; width -= many) {
    output = factorized_results(filter, taps, stride, many, &state, pairs, pitch, output, step);
    pairs += many * pairs_of_two / 2;
  }
  for (; width >= 2; width -= 2) {
    output = factorized_results(filter, taps, stride, 2, &state, pairs, pitch, output, step);
    pairs += pairs_of_two;
  }
  if (width == 0) return output;
  return factorized_results(filter, taps, stride, 1, &state, pairs, pitch, output, step);
}

/* Rows of one horizontal channel.
 *
 * pairs: pairs of the first row, `pitch` int16 apart; the next row begins `row_pitch` further.
 * output: the first row.
 * widths, many: as for `factorized_line`. */
FACTORIZED_INLINE void factorized_lines(const micronet_factorized_conv_params *params,
                                        int32_t channel, const int16_t *pairs, int32_t pitch,
                                        int32_t row_pitch, int32_t rows, int8_t *output,
                                        int32_t taps, int32_t stride, factorized_widths widths,
                                        const int32_t many) {
  const factorized_filter filter = factorized_load_filter(&params->horizontal, channel, taps);
  const int32_t width = factorized_output_width(params);
  const int32_t step = params->horizontal.channels;
  output += params->output_positions[channel];
  for (; rows > 0; --rows) {
    output =
        factorized_line(&filter, taps, stride, widths, many, pairs, pitch, width, output, step);
    pairs += row_pitch;
  }
}

FACTORIZED_INLINE int factorized_is_full_range(const micronet_factorized_half *half) {
  return half->lowest == INT8_MIN && half->highest == INT8_MAX;
}

static inline int factorized_is_for_dsp(const micronet_factorized_half *half) {
  return (half->taps == 3 || half->taps == 5) && half->stride <= 2;
}

#endif /* MICRONET_DSP */

#endif
