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
  factorized_filter filter = {{0}, 0, 0, 0};
  filter.weights[0] = factorized_pair(weights[0], weights[1]);
  filter.weights[1] = factorized_pair(weights[1], weights[2]);
  if (taps == 5) {
    filter.weights[2] = factorized_pair(weights[2], weights[3]);
    filter.weights[3] = factorized_pair(weights[3], weights[4]);
  }
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

/* The next pair of a row. */
FACTORIZED_INLINE uint32_t factorized_next(const int16_t **pairs, int32_t pitch) {
  uint32_t pair;
  memcpy(&pair, *pairs, sizeof(pair));
  *pairs += pitch;
  return pair;
}

/* Two results of stride 1. */
FACTORIZED_INLINE int8_t *factorized_two(const factorized_filter *filter, int32_t taps, uint32_t q0,
                                         uint32_t q1, uint32_t q2, int8_t *output, int32_t step) {
  output[0] = (int8_t)factorized_even(filter, taps, q0, q1, q2);
  output[step] = (int8_t)factorized_odd(filter, taps, q0, q1, q2);
  return (int8_t *)micronet_add_twice((uintptr_t)output, step);
}

/* One row of one horizontal channel, stride 1.
 *
 * pairs: the padded row's first pair; the others are `pitch` int16 apart.
 * Returns the channel's place in the next row. */
FACTORIZED_INLINE int8_t *factorized_line_1(const factorized_filter filter, int32_t taps,
                                            const int16_t *pairs, int32_t pitch, int32_t width,
                                            int8_t *output, int32_t step) {
  uint32_t q0 = factorized_next(&pairs, pitch), q1 = 0, q2 = 0;
  if (taps == 3) {
    for (; width >= 4; width -= 4) {
      q1 = factorized_next(&pairs, pitch);
      output = factorized_two(&filter, 3, q0, q1, q1, output, step);
      q0 = factorized_next(&pairs, pitch);
      output = factorized_two(&filter, 3, q1, q0, q0, output, step);
    }
  } else {
    q1 = factorized_next(&pairs, pitch);
    for (; width >= 6; width -= 6) {
      q2 = factorized_next(&pairs, pitch);
      output = factorized_two(&filter, 5, q0, q1, q2, output, step);
      q0 = factorized_next(&pairs, pitch);
      output = factorized_two(&filter, 5, q1, q2, q0, output, step);
      q1 = factorized_next(&pairs, pitch);
      output = factorized_two(&filter, 5, q2, q0, q1, output, step);
    }
  }
  for (; width >= 2; width -= 2) {
    q2 = factorized_next(&pairs, pitch);
    if (taps == 3) q1 = q2;
    output = factorized_two(&filter, taps, q0, q1, q2, output, step);
    q0 = q1;
    q1 = q2;
  }
  if (width > 0) {
    q2 = factorized_next(&pairs, pitch);
    if (taps == 3) q1 = q2;
    *output = (int8_t)factorized_even(&filter, taps, q0, q1, q2);
    output += step;
  }
  return output;
}

/* The same with stride 2. */
FACTORIZED_INLINE int8_t *factorized_line_2(const factorized_filter filter, int32_t taps,
                                            const int16_t *pairs, int32_t pitch, int32_t width,
                                            int8_t *output, int32_t step) {
  uint32_t q0 = factorized_next(&pairs, pitch), q1 = 0, q2 = 0;
  if (taps == 3) {
    for (; width >= 4; width -= 4) {
      FACTORIZED_UNROLL
      for (int32_t i = 0; i < 2; ++i) {
        q1 = factorized_next(&pairs, pitch);
        output[0] = (int8_t)factorized_even(&filter, 3, q0, q1, q1);
        q0 = factorized_next(&pairs, pitch);
        output[step] = (int8_t)factorized_even(&filter, 3, q1, q0, q0);
        output = (int8_t *)micronet_add_twice((uintptr_t)output, step);
      }
    }
  } else {
    q1 = factorized_next(&pairs, pitch);
    for (; width >= 3; width -= 3) {
      q2 = factorized_next(&pairs, pitch);
      output[0] = (int8_t)factorized_even(&filter, 5, q0, q1, q2);
      q0 = factorized_next(&pairs, pitch);
      output[step] = (int8_t)factorized_even(&filter, 5, q1, q2, q0);
      output = (int8_t *)micronet_add_twice((uintptr_t)output, step);
      q1 = factorized_next(&pairs, pitch);
      *output = (int8_t)factorized_even(&filter, 5, q2, q0, q1);
      output += step;
    }
  }
  for (; width > 0; --width) {
    q2 = factorized_next(&pairs, pitch);
    if (taps == 3) q1 = q2;
    *output = (int8_t)factorized_even(&filter, taps, q0, q1, q2);
    output += step;
    q0 = q1;
    q1 = q2;
  }
  return output;
}

/* The same for a width that the compiler knows, without a loop. */
FACTORIZED_INLINE int8_t *factorized_short_line(const factorized_filter filter, int32_t taps,
                                                int32_t stride, const int16_t *pairs, int32_t pitch,
                                                const int32_t width, int8_t *output, int32_t step) {
  uint32_t q0 = factorized_next(&pairs, pitch), q1 = 0, q2 = 0;
  if (taps == 5) q1 = factorized_next(&pairs, pitch);
  const int32_t steps = stride == 1 ? (width + 1) / 2 : width;
  FACTORIZED_UNROLL
  for (int32_t i = 0; i < steps; ++i) {
    q2 = factorized_next(&pairs, pitch);
    if (taps == 3) q1 = q2;
    if (stride == 1 && 2 * i + 1 < width) {
      output = factorized_two(&filter, taps, q0, q1, q2, output, step);
    } else {
      *output = (int8_t)factorized_even(&filter, taps, q0, q1, q2);
      output += step;
    }
    q0 = q1;
    q1 = q2;
  }
  return output;
}

/* Rows of one horizontal channel.
 *
 * pairs: pairs of the first row, `pitch` int16 apart; the next row begins `row_pitch` further.
 * output: the first row.
 * short_width: the output's width if the compiler is to know it, or 0. */
FACTORIZED_INLINE void factorized_lines(const micronet_factorized_conv_params *params,
                                        int32_t channel, const int16_t *pairs, int32_t pitch,
                                        int32_t row_pitch, int32_t rows, int8_t *output,
                                        int32_t taps, int32_t stride, int32_t short_width) {
  const factorized_filter filter = factorized_load_filter(&params->horizontal, channel, taps);
  const int32_t width = factorized_output_width(params);
  const int32_t step = params->horizontal.channels;
  output += params->output_positions[channel];
  for (; rows > 0; --rows) {
    if (short_width > 0) {
      output = factorized_short_line(filter, taps, stride, pairs, pitch, short_width, output, step);
    } else if (stride == 1) {
      output = factorized_line_1(filter, taps, pairs, pitch, width, output, step);
    } else {
      output = factorized_line_2(filter, taps, pairs, pitch, width, output, step);
    }
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
