/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "channel_sums.h"
#include "dynamic_shift_max_s8_internal.h"

#if defined(MICRONET_DSP)

typedef micronet_dynamic_shift_max_s8_params shift_max_params;

enum { BLOCK = MICRONET_DYNAMIC_SHIFT_MAX_S8_BLOCK };

static uint32_t pack_both(int32_t half) {
  return micronet_pack_low((uint32_t)half, (uint32_t)half);
}

/* What is added to means and taken from them again, so that numerators are positive. */
enum { LARGEST_MEAN = 16384 };

/* Two means less LARGEST_MEAN. */
static inline uint32_t two_means(int32_t numerator, int32_t next_numerator, int32_t pixels) {
  const uint32_t mean = (uint32_t)numerator / (uint32_t)pixels;
  const uint32_t next_mean = (uint32_t)next_numerator / (uint32_t)pixels;
  return micronet_ssub16(micronet_pack_low(mean, next_mean), pack_both(LARGEST_MEAN));
}

/* Channels at a time, if not eight. */
#if defined(MICRONET_MVE)
enum { CHANNELS_MOST = MICRONET_CHANNEL_SUMS_MOST };
#else
enum { CHANNELS_MOST = MICRONET_CHANNEL_SUMS_MOST - 1 };

/* Of at most MICRONET_CHANNEL_SUMS_PIXELS pixels. Not inlined, as the loop needs all registers. */
static __attribute__((noinline)) void sum_eight(const int8_t *source, int32_t pixels,
                                                int32_t stride, micronet_sums_8 *sums) {
  *sums = micronet_sum_channels_8(source, pixels, stride);
}

/* Adds 64 times the sums that are halfwords, of channels 0 and 2 and of 1 and 3. */
static inline void add_numerators(uint32_t even, uint32_t odd, int32_t *numerators) {
  numerators[0] = micronet_smlabb(even, 64, numerators[0]);
  numerators[1] = micronet_smlabb(odd, 64, numerators[1]);
  numerators[2] = micronet_smlatb(even, 64, numerators[2]);
  numerators[3] = micronet_smlatb(odd, 64, numerators[3]);
}

/* Eight channels at a time. Returns how many are done. */
static int32_t average_eights(const shift_max_params *params, const int8_t *input, int32_t start,
                              uint32_t *means) {
  const int32_t channels = params->channels, pixels = params->pixels;
  int32_t first = 0;
  for (; first + 8 <= channels; first += 8, means += 4) {
    int32_t numerators[8] = {start, start, start, start, start, start, start, start};
    const int8_t *source = input + first;
    int32_t left = pixels;
    do {
      const int32_t block =
          left < MICRONET_CHANNEL_SUMS_PIXELS ? left : MICRONET_CHANNEL_SUMS_PIXELS;
      micronet_sums_8 sums;
      sum_eight(source, block, channels, &sums);
      add_numerators(sums.even, sums.odd, numerators);
      add_numerators(sums.next_even, sums.next_odd, numerators + 4);
      source += block * channels;
      left -= block;
    } while (left > 0);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      means[i] = two_means(numerators[2 * i], numerators[2 * i + 1], pixels);
    }
  }
  return first;
}

#endif

static void average(const shift_max_params *params, const int8_t *input, uint32_t *means) {
  const int32_t channels = params->channels, pixels = params->pixels;
  const int32_t zero_point = params->input_zero_point;
  const int32_t start = pixels / 2 + (LARGEST_MEAN - 64 * zero_point) * pixels;
  int32_t first = 0;
#if !defined(MICRONET_MVE)
  first = average_eights(params, input, start, means);
  means += first / 2;
#endif
  for (; first < channels; first += CHANNELS_MOST) {
    int32_t sums[MICRONET_CHANNEL_SUMS_MOST];
    const int32_t left = channels - first;
    const int32_t count = left < CHANNELS_MOST ? left : CHANNELS_MOST;
    micronet_channel_sums(input + first, pixels, channels, count, sums);
    const int32_t rounded_up = micronet_dynamic_shift_max_s8_rounded_up(count);
    for (int32_t i = count; i < rounded_up; ++i) sums[i] = zero_point * pixels;
    for (int32_t i = 0; i < rounded_up; i += 2) {
      *means++ = two_means(64 * sums[i] + start, 64 * sums[i + 1] + start, pixels);
    }
  }
}

/* A dense layer, and which of its rows are next. */
typedef struct {
  const uint32_t *blocks;     /* of weights */
  const int32_t *biases;      /* the rows' */
  const int32_t *multipliers; /* the rows' */
  int32_t multiplier_step;    /* to those of the next 4 rows */
  const uint32_t *values;     /* pairs of int16 */
  const uint32_t *values_end;
  uint32_t partners;        /* the products of all values and their partners */
  uint32_t lowest, highest; /* of results: pairs, of even and of odd rows */
  int32_t offset;           /* of results */
  uint32_t *results;        /* pairs of int16 */
  uint32_t *results_end;
} dense_layer;

static uint32_t multiply_partners(const uint32_t *values, const uint32_t *end) {
  int32_t sum = 0;
  for (; values != end; values += 2) sum = micronet_smlad(values[0], values[1], sum);
  return (uint32_t)sum;
}

/* 4 values and 4 weights of a row, with the products of partners: see dynamic_shift_max_s8.h. */
static inline int32_t add_row(uint32_t first, uint32_t second, uint32_t weights, int32_t sum) {
  return micronet_smlad(micronet_sxtab16(second, weights), micronet_sxtab16_ror8(first, weights),
                        sum);
}

/* A block; moves both pointers behind it. */
static inline void add_block(const uint32_t **values, const uint32_t **blocks, int32_t *sums) {
  uint32_t words[6];
  micronet_load_2_and_4_words(values, blocks, words);
  sums[0] = add_row(words[0], words[1], words[2], sums[0]);
  sums[1] = add_row(words[0], words[1], words[3], sums[1]);
  sums[2] = add_row(words[0], words[1], words[4], sums[2]);
  sums[3] = add_row(words[0], words[1], words[5], sums[3]);
}

static inline uint32_t finish_two_rows(const int32_t *sums, const int32_t *multipliers,
                                       int32_t offset, uint32_t lowest, uint32_t highest) {
  const int32_t even = micronet_scale(sums[0], multipliers[0], offset);
  const int32_t odd = micronet_scale(sums[1], multipliers[1], offset);
  const uint32_t both = micronet_pack_low((uint32_t)micronet_saturate_int16(even),
                                          (uint32_t)micronet_saturate_int16(odd));
  return micronet_minimum_2(micronet_maximum_2(both, lowest), highest);
}

/* All rows, 4 at a time. Not inlined, as the loop needs all registers. */
static __attribute__((noinline)) void multiply(dense_layer *layer) {
  const uint32_t *blocks = layer->blocks;
  layer->partners = multiply_partners(layer->values, layer->values_end);
  do {
    micronet_forget_memory();
    int32_t sums[BLOCK];
    const int32_t *biases = layer->biases;
    const uint32_t partners = layer->partners;
#pragma GCC unroll 4
    for (int i = 0; i < BLOCK; ++i) sums[i] = (int32_t)((uint32_t)biases[i] - partners);
    layer->biases = biases + BLOCK;
    const uint32_t *values = layer->values, *end = layer->values_end;
    if ((end - values) % BLOCK != 0) add_block(&values, &blocks, sums);
    while (values != end) {
      add_block(&values, &blocks, sums);
      add_block(&values, &blocks, sums);
    }
    micronet_forget_memory();
    const int32_t *multipliers = layer->multipliers;
    layer->multipliers = multipliers + layer->multiplier_step;
    const int32_t offset = layer->offset;
    const uint32_t lowest = layer->lowest, highest = layer->highest;
    uint32_t *results = layer->results;
    const uint32_t first = finish_two_rows(sums, multipliers, offset, lowest, highest);
    const uint32_t second = finish_two_rows(sums + 2, multipliers + 2, offset, lowest, highest);
    results[0] = first;
    results[1] = second;
    layer->results = results + 2;
  } while (layer->results != layer->results_end);
  layer->blocks = blocks;
}

static void squeeze(const shift_max_params *params, const uint32_t *means, uint32_t *hidden) {
  const int32_t columns = micronet_dynamic_shift_max_s8_rounded_up(params->channels);
  const int32_t rows = micronet_dynamic_shift_max_s8_rounded_up(params->squeeze_channels);
  dense_layer layer = {
      .blocks = (const uint32_t *)params->squeeze_weights,
      .biases = params->squeeze_constants,
      .multipliers = params->squeeze_constants + rows,
      .multiplier_step = BLOCK,
      .values = means,
      .values_end = means + columns / 2,
      .lowest = pack_both(-MICRONET_DYNAMIC_SHIFT_MAX_S8_MIDDLE),
      .highest = pack_both(INT16_MAX - MICRONET_DYNAMIC_SHIFT_MAX_S8_MIDDLE),
      .offset = -MICRONET_DYNAMIC_SHIFT_MAX_S8_MIDDLE,
      .results = hidden,
      .results_end = hidden + rows / 2,
  };
  multiply(&layer);
}

/* Words of a and b. */
static void excite(const shift_max_params *params, const uint32_t *hidden, uint32_t *coefficients) {
  const int32_t columns = micronet_dynamic_shift_max_s8_rounded_up(params->squeeze_channels);
  const int32_t channels = micronet_dynamic_shift_max_s8_rounded_up(params->channels);
  dense_layer layer = {
      .blocks = (const uint32_t *)params->excite_weights,
      .biases = params->excite_constants,
      .multipliers = params->excite_constants + 2 * params->fusions * channels,
      .multiplier_step = params->excite_multiplier_each ? BLOCK : 0,
      .values = hidden,
      .values_end = hidden + columns / 2,
      .results = coefficients,
  };
  for (int32_t k = 0; k < params->fusions; ++k) {
    const int16_t *limits = params->coefficient_limits + 4 * k;
    layer.lowest = micronet_pack_low((uint32_t)limits[0], (uint32_t)limits[2]);
    layer.highest = micronet_pack_low((uint32_t)limits[1], (uint32_t)limits[3]);
    layer.results_end = layer.results + channels;
    multiply(&layer);
    layer.multipliers += BLOCK - layer.multiplier_step; /* one scale: they stand once a fusion */
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
    const uint32_t word = *first, second_word = *second; /* loads in a row */
    *first++ = with_factors(word, of_a, of_b);
    *second++ = with_factors(second_word, of_a, of_b);
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
