/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "channel_sums.h"
#include "dynamic_shift_max_s8_internal.h"

#if defined(MICRONET_DSP)

typedef micronet_dynamic_shift_max_s8_params shift_max_params;

enum { BLOCK = MICRONET_DYNAMIC_SHIFT_MAX_S8_BLOCK };

/* Four int16 in the order in which SXTB16 takes weights out of a word: 0, 2, 1, 3. */
static inline void store_block(uint32_t *words, int32_t v0, int32_t v1, int32_t v2, int32_t v3) {
  words[0] = micronet_pack_low((uint32_t)v0, (uint32_t)v2);
  words[1] = micronet_pack_low((uint32_t)v1, (uint32_t)v3);
}

static void average(const shift_max_params *params, const int8_t *input, uint32_t *means) {
  const int32_t channels = params->channels, pixels = params->pixels;
  const int32_t zero_point_sum = params->input_zero_point * pixels;
  int32_t sums[MICRONET_CHANNEL_SUMS_MOST];
  for (int32_t first = 0; first < channels; first += MICRONET_CHANNEL_SUMS_MOST) {
    const int32_t left = channels - first;
    const int32_t count = left < MICRONET_CHANNEL_SUMS_MOST ? left : MICRONET_CHANNEL_SUMS_MOST;
    micronet_channel_sums(input + first, pixels, channels, count, sums);
    for (int32_t i = 0; i < count; ++i) {
      sums[i] = micronet_dynamic_shift_max_s8_mean(sums[i] - zero_point_sum, pixels);
    }
    for (int32_t i = 0; i < count; i += BLOCK, means += BLOCK / 2) {
      store_block(means, sums[i], sums[i + 1], sums[i + 2], sums[i + 3]);
    }
  }
}

/* The biases of 4 rows and the products of their blocks with `values`, scaled. Not inlined, as the
 * loop needs all registers.
 *
 * values, end: pairs of int16, two words a block. */
static __attribute__((noinline)) void multiply_rows(const uint32_t *blocks, const int32_t *biases,
                                                    const int32_t *multipliers,
                                                    const uint32_t *values, const uint32_t *end,
                                                    int32_t *results) {
  int32_t sum0 = biases[0], sum1 = biases[1], sum2 = biases[2], sum3 = biases[3];
  do {
    uint32_t even, odd, first, second;
    values = micronet_load_2_words(values, &even, &odd);
    blocks = micronet_load_2_words(blocks, &first, &second);
    sum0 = micronet_smlad(micronet_sxtb16(first), even, sum0);
    sum0 = micronet_smlad(micronet_sxtb16_ror8(first), odd, sum0);
    sum1 = micronet_smlad(micronet_sxtb16(second), even, sum1);
    sum1 = micronet_smlad(micronet_sxtb16_ror8(second), odd, sum1);
    blocks = micronet_load_2_words(blocks, &first, &second);
    sum2 = micronet_smlad(micronet_sxtb16(first), even, sum2);
    sum2 = micronet_smlad(micronet_sxtb16_ror8(first), odd, sum2);
    sum3 = micronet_smlad(micronet_sxtb16(second), even, sum3);
    sum3 = micronet_smlad(micronet_sxtb16_ror8(second), odd, sum3);
  } while (values != end);
  results[0] = micronet_scale(sum0, multipliers[0], 0);
  results[1] = micronet_scale(sum1, multipliers[1], 0);
  results[2] = micronet_scale(sum2, multipliers[2], 0);
  results[3] = micronet_scale(sum3, multipliers[3], 0);
}

static void squeeze(const shift_max_params *params, const uint32_t *means, uint32_t *hidden) {
  const int32_t columns = micronet_dynamic_shift_max_s8_rounded_up(params->channels);
  const uint32_t *blocks = (const uint32_t *)params->squeeze_weights;
  const int32_t *biases = params->squeeze_constants;
  const int32_t *multipliers =
      biases + micronet_dynamic_shift_max_s8_rounded_up(params->squeeze_channels);
  for (int32_t row = 0; row < params->squeeze_channels; row += BLOCK) {
    int32_t results[BLOCK];
    multiply_rows(blocks, biases + row, multipliers + row, means, means + columns / 2, results);
#pragma GCC unroll 4
    for (int i = 0; i < BLOCK; ++i) results[i] = micronet_clamp(results[i], 0, INT16_MAX);
    store_block(hidden, results[0], results[1], results[2], results[3]);
    blocks += columns; /* 4 rows of bytes */
    hidden += BLOCK / 2;
  }
}

static inline uint32_t coefficients_of(const int32_t *results, const int32_t *limits) {
  const int32_t a = micronet_clamp(results[0], limits[0], limits[1]);
  const int32_t b = micronet_clamp(results[1], limits[2], limits[3]);
  return micronet_pack_low((uint32_t)a, (uint32_t)b);
}

/* Words of a and b, those of two channels at a time. */
static void excite(const shift_max_params *params, const uint32_t *hidden, uint32_t *coefficients) {
  const int32_t columns = micronet_dynamic_shift_max_s8_rounded_up(params->squeeze_channels);
  const int32_t channels = micronet_dynamic_shift_max_s8_rounded_up(params->channels);
  const uint32_t *blocks = (const uint32_t *)params->excite_weights;
  const int32_t *biases = params->excite_constants;
  const int32_t *multipliers = biases + 2 * params->fusions * channels;
  const int32_t step = params->excite_multiplier_each ? BLOCK : 0;
  for (int32_t k = 0; k < params->fusions; ++k) {
    const int16_t *source = params->coefficient_limits + 4 * k;
    const int32_t limits[4] = {source[0], source[1], source[2], source[3]};
    for (int32_t channel = 0; channel < channels; channel += BLOCK / 2) {
      int32_t results[BLOCK];
      multiply_rows(blocks, biases, multipliers, hidden, hidden + columns / 2, results);
      coefficients[0] = coefficients_of(results, limits);
      coefficients[1] = coefficients_of(results + 2, limits);
      blocks += columns;
      biases += BLOCK;
      multipliers += step;
      coefficients += BLOCK / 2;
    }
    multipliers += BLOCK - step; /* those of one scale stand once for each fusion */
  }
}

static inline uint32_t with_factors(uint32_t word, int32_t of_a, int32_t of_b) {
  const int32_t a = micronet_smlabb(word, (uint32_t)of_a, 512) >> 10;
  const int32_t b = micronet_smlatb(word, (uint32_t)of_b, 512) >> 10;
  return micronet_pack_low((uint32_t)a, (uint32_t)b);
}

/* Multiplies the words of coefficients by the factors of their channels. */
static void apply_factors(const shift_max_params *params, uint32_t *first) {
  const int8_t *inputs = params->channel_factors, *input = inputs;
  const int8_t *output = inputs + params->channels, *end = output;
  const int16_t *shift = params->shift;
  uint32_t *second = first + micronet_dynamic_shift_max_s8_rounded_up(params->channels);
  if (params->fusions == 1) {
    do {
      const int32_t factor = *output++;
      *first = with_factors(*first, *input++ * factor, inputs[*shift++] * factor);
      ++first;
    } while (input != end);
    return;
  }
  do {
    const int32_t factor = *output++;
    const int32_t of_a = *input++ * factor, of_b = inputs[*shift++] * factor;
    *first = with_factors(*first, of_a, of_b);
    *second = with_factors(*second, of_a, of_b);
    ++first;
    ++second;
  } while (input != end);
}

MICRONET_SHARED void micronet_dynamic_shift_max_s8_coefficients_dsp(
    const micronet_dynamic_shift_max_s8_params *params, const int8_t *input,
    const micronet_dynamic_shift_max_s8_buffer *buffer) {
  average(params, input, buffer->means);
  squeeze(params, buffer->means, buffer->hidden);
  excite(params, buffer->hidden, buffer->coefficients);
  if (params->channel_factors != 0) apply_factors(params, buffer->coefficients);
}

#endif
