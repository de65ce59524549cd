/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "dynamic_shift_max_s8_internal.h"

#if defined(MICRONET_DSP)

typedef micronet_dynamic_shift_max_s8_params shift_max_params;

enum { FAST_SHIFT = 12 };

/* What all channels have in common. A pair of coefficients is a word: a, then b. */
typedef struct {
  const int8_t *input;
  int8_t *output;
  const int16_t *shift, *output_positions;
  const uint32_t *first;  /* coefficients of the first fusion */
  const uint32_t *second; /* of the second; with one fusion, the same */
  int32_t stride;         /* between pixels */
  int32_t pixels;
  int32_t zero_point;   /* of the input */
  uint32_t zero_points; /* less than 0, in both halves */
  int32_t offset; /* to add to the sums: the output's zero point, and the half that rounds */
} fused_map;

/* One channel. */
typedef struct {
  const int8_t *input, *partner;
  int8_t *output;
  uint32_t first, second; /* coefficients */
  uint32_t difference;    /* the first less the second */
  int is_difference_exact;
} fused_channel;

/* The loops hold one address, that of the input, and how far the others are from it: a register
 * less. Another one holds the stride and, in its upper half, how many passes follow. */

/* One pass more than `passes` is made; at most 2^15 of them. */
static inline uint32_t describe_steps(int32_t stride, int32_t passes) {
  return (uint32_t)stride | (uint32_t)passes << 16;
}

static inline int is_pass_left(uint32_t *steps) {
  *steps -= 1u << 16;
  return (int32_t)*steps >= 0;
}

static inline const int8_t *next_pixel(const int8_t *input, uint32_t steps) {
  return (const int8_t *)micronet_add_low_half((uintptr_t)input, steps);
}

static inline intptr_t distance(const int8_t *input, const int8_t *other) {
  return (intptr_t)((uintptr_t)other - (uintptr_t)input);
}

static inline const int8_t *at(const int8_t *input, intptr_t distance) {
  return (const int8_t *)((uintptr_t)input + (uintptr_t)distance);
}

static inline void store(const int8_t *input, intptr_t distance, int32_t value) {
  *(int8_t *)((uintptr_t)input + (uintptr_t)distance) = (int8_t)value;
}

/* -zero_point times the sum of both coefficients. */
static inline int32_t without_zero_point(uint32_t coefficients, int32_t zero_point) {
  return -zero_point * ((int16_t)coefficients + (int16_t)(coefficients >> 16));
}

/* One element of a channel and of its partner: its low halfword and its high one. */
static inline uint32_t load_pair(const int8_t *input, const int8_t *partner) {
  return micronet_pack_low((uint32_t)(int32_t)*input, (uint32_t)(int32_t)*partner);
}

/* The elements of two neighbouring channels and of two neighbouring partners. */
static inline uint32_t load_two_pairs(const int8_t *input, const int8_t *partner) {
  return micronet_pack_low(micronet_load_2(input), micronet_load_2(partner));
}

/* The larger of two sums: the second, and what the first is more. */
static inline int32_t add_more(uint32_t second, uint32_t pair, int32_t difference) {
  return micronet_smlad(second, pair, micronet_saturate_positive(difference));
}

static inline int32_t fuse_1(uint32_t first, uint32_t pair, int32_t start) {
  return micronet_saturate_int8_asr12(micronet_smlad(first, pair, start));
}

static inline int32_t fuse_2(uint32_t second, uint32_t difference, uint32_t pair, int32_t start) {
  const int32_t more = micronet_smuad(difference, pair);
  return micronet_saturate_int8_asr12(add_more(second, pair, more) + start);
}

#define FUSE_ELEMENT_2(pair)                                                                   \
  micronet_saturate_int8_asr12(                                                                \
      add_more(second, pair, micronet_smlad(difference, pair, more_start)) + start)

static void fuse_channel_1(const fused_map *map, const fused_channel *channel) {
  const int8_t *input = channel->input;
  const intptr_t partner = distance(input, channel->partner);
  const intptr_t output = distance(input, channel->output) - map->stride;
  const uint32_t first = channel->first;
  const int32_t start = without_zero_point(first, map->zero_point) + map->offset;
  uint32_t steps = describe_steps(map->stride, map->pixels / 2 - 1);
  if (map->pixels % 2 != 0) {
    const int32_t result = fuse_1(first, load_pair(input, at(input, partner)), start);
    input = next_pixel(input, steps);
    store(input, output, result);
    if (map->pixels == 1) return;
  }
  do {
    const int32_t result = fuse_1(first, load_pair(input, at(input, partner)), start);
    input = next_pixel(input, steps);
    const uint32_t pair = load_pair(input, at(input, partner));
    store(input, output, result);
    const int32_t second_result = fuse_1(first, pair, start);
    input = next_pixel(input, steps);
    store(input, output, second_result);
  } while (is_pass_left(&steps));
}

static void fuse_channel_2(const fused_map *map, const fused_channel *channel) {
  const int8_t *input = channel->input;
  const intptr_t partner = distance(input, channel->partner);
  const intptr_t output = distance(input, channel->output) - map->stride;
  const uint32_t second = channel->second, difference = channel->difference;
  const int32_t start = without_zero_point(second, map->zero_point) + map->offset;
  const int32_t more_start = without_zero_point(difference, map->zero_point);
  uint32_t steps = describe_steps(map->stride, map->pixels / 2 - 1);
  if (map->pixels % 2 != 0) {
    const int32_t result = FUSE_ELEMENT_2(load_pair(input, at(input, partner)));
    input = next_pixel(input, steps);
    store(input, output, result);
    if (map->pixels == 1) return;
  }
  do {
    const int32_t result = FUSE_ELEMENT_2(load_pair(input, at(input, partner)));
    input = next_pixel(input, steps);
    const uint32_t pair = load_pair(input, at(input, partner));
    store(input, output, result);
    const int32_t second_result = FUSE_ELEMENT_2(pair);
    input = next_pixel(input, steps);
    store(input, output, second_result);
  } while (is_pass_left(&steps));
}

/* Two neighbouring channels with neighbouring partners. */
static void fuse_two_channels_1(const fused_map *map, const fused_channel *channels) {
  const int8_t *input = channels[0].input;
  const intptr_t partner = distance(input, channels[0].partner);
  const intptr_t output = distance(input, channels[0].output) - map->stride;
  const intptr_t next_output = distance(input, channels[1].output);
  const uint32_t first = channels[0].first, next_first = channels[1].first;
  const uint32_t zeros = map->zero_points;
  const int32_t offset = map->offset;
  uint32_t steps = describe_steps(map->stride, map->pixels / 2 - 1);
  if (map->pixels % 2 != 0) {
    const uint32_t word = load_two_pairs(input, at(input, partner));
    store(input, next_output, fuse_1(next_first, micronet_sxtab16_ror8(zeros, word), offset));
    input = next_pixel(input, steps);
    store(input, output, fuse_1(first, micronet_sxtab16(zeros, word), offset));
    if (map->pixels == 1) return;
  }
  do {
    uint32_t word = load_two_pairs(input, at(input, partner));
    store(input, next_output, fuse_1(next_first, micronet_sxtab16_ror8(zeros, word), offset));
    input = next_pixel(input, steps);
    const int32_t result = fuse_1(first, micronet_sxtab16(zeros, word), offset);
    word = load_two_pairs(input, at(input, partner));
    store(input, output, result);
    store(input, next_output, fuse_1(next_first, micronet_sxtab16_ror8(zeros, word), offset));
    input = next_pixel(input, steps);
    store(input, output, fuse_1(first, micronet_sxtab16(zeros, word), offset));
  } while (is_pass_left(&steps));
}

static void fuse_two_channels_2(const fused_map *map, const fused_channel *channels) {
  const int8_t *input = channels[0].input;
  const intptr_t partner = distance(input, channels[0].partner);
  const intptr_t output = distance(input, channels[0].output) - map->stride;
  const intptr_t next_output = distance(input, channels[1].output);
  const uint32_t second = channels[0].second, difference = channels[0].difference;
  const uint32_t next_second = channels[1].second, next_difference = channels[1].difference;
  const uint32_t zeros = map->zero_points;
  const int32_t offset = map->offset;
  uint32_t steps = describe_steps(map->stride, map->pixels / 2 - 1);
  if (map->pixels % 2 != 0) {
    const uint32_t word = load_two_pairs(input, at(input, partner));
    store(input, next_output,
          fuse_2(next_second, next_difference, micronet_sxtab16_ror8(zeros, word), offset));
    input = next_pixel(input, steps);
    store(input, output, fuse_2(second, difference, micronet_sxtab16(zeros, word), offset));
    if (map->pixels == 1) return;
  }
  do {
    uint32_t word = load_two_pairs(input, at(input, partner));
    store(input, next_output,
          fuse_2(next_second, next_difference, micronet_sxtab16_ror8(zeros, word), offset));
    input = next_pixel(input, steps);
    const int32_t result = fuse_2(second, difference, micronet_sxtab16(zeros, word), offset);
    word = load_two_pairs(input, at(input, partner));
    store(input, output, result);
    store(input, next_output,
          fuse_2(next_second, next_difference, micronet_sxtab16_ror8(zeros, word), offset));
    input = next_pixel(input, steps);
    store(input, output, fuse_2(second, difference, micronet_sxtab16(zeros, word), offset));
  } while (is_pass_left(&steps));
}

/* Whatever the other loops cannot do: other shifts and limits, coefficients far apart. */
static void fuse_channel_any(const fused_map *map, const fused_channel *channel, int32_t shift,
                             int32_t lowest, int32_t highest) {
  const int8_t *input = channel->input, *partner = channel->partner;
  int8_t *output = channel->output;
  const uint32_t first = channel->first, second = channel->second;
  const int32_t start = without_zero_point(first, map->zero_point) + map->offset;
  const int32_t second_start = without_zero_point(second, map->zero_point) + map->offset;
  const int32_t stride = map->stride;
  for (int32_t i = (map->pixels - 1) * stride; i >= 0; i -= stride) {
    const uint32_t pair = load_pair(input + i, partner + i);
    const int32_t sum = micronet_smlad(first, pair, start);
    const int32_t second_sum = micronet_smlad(second, pair, second_start);
    const int32_t largest = sum > second_sum ? sum : second_sum;
    output[i] = (int8_t)micronet_clamp(largest >> shift, lowest, highest);
  }
}

static fused_map describe_map(const shift_max_params *params, const uint32_t *coefficients,
                              const int8_t *input, int8_t *output, int32_t pixels) {
  const int32_t shift = params->coefficient_shift;
  const int32_t fusion_size = micronet_dynamic_shift_max_s8_rounded_up(params->channels);
  const uint32_t zero_point = (uint32_t)-params->input_zero_point;
  return (fused_map){
      .input = input,
      .output = output,
      .shift = params->shift,
      .output_positions = params->output_positions,
      .first = coefficients,
      .second = coefficients + (params->fusions - 1) * fusion_size,
      .stride = params->channels,
      .pixels = pixels,
      .zero_point = params->input_zero_point,
      .zero_points = micronet_pack_low(zero_point, zero_point),
      .offset = params->output_zero_point * (1 << shift) + (1 << (shift - 1)),
  };
}

static inline fused_channel describe_channel(const fused_map *map, int32_t index) {
  const uint32_t first = map->first[index], second = map->second[index];
  const uint32_t difference = micronet_ssub16(first, second);
  return (fused_channel){
      .input = map->input + index,
      .partner = map->input + map->shift[index],
      .output = map->output + map->output_positions[index],
      .first = first,
      .second = second,
      .difference = difference,
      .is_difference_exact = difference == micronet_qsub16(first, second),
  };
}

/* Fuses channel `index`, or two from there on. Returns how many. */
static int32_t fuse_next(const fused_map *map, int32_t index, int32_t channels, int32_t fusions) {
  fused_channel both[2];
  both[0] = describe_channel(map, index);
  if (index + 1 < channels && map->shift[index + 1] == map->shift[index] + 1) {
    both[1] = describe_channel(map, index + 1);
    if (both[0].is_difference_exact && both[1].is_difference_exact) {
      (fusions == 1 ? fuse_two_channels_1 : fuse_two_channels_2)(map, both);
      return 2;
    }
  }
  if (both[0].is_difference_exact) {
    (fusions == 1 ? fuse_channel_1 : fuse_channel_2)(map, &both[0]);
  } else {
    fuse_channel_any(map, &both[0], FAST_SHIFT, INT8_MIN, INT8_MAX);
  }
  return 1;
}

MICRONET_SHARED void micronet_dynamic_shift_max_s8_fuse_dsp(
    const micronet_dynamic_shift_max_s8_params *params, const void *coefficients,
    const int8_t *input, int8_t *output, int32_t pixels) {
  const fused_map map = describe_map(params, coefficients, input, output, pixels);
  const int32_t channels = params->channels;
  if (params->coefficient_shift == FAST_SHIFT && params->lowest == INT8_MIN &&
      params->highest == INT8_MAX) {
    for (int32_t i = 0; i < channels;) i += fuse_next(&map, i, channels, params->fusions);
  } else {
    for (int32_t i = 0; i < channels; ++i) {
      const fused_channel channel = describe_channel(&map, i);
      fuse_channel_any(&map, &channel, params->coefficient_shift, params->lowest, params->highest);
    }
  }
}

#endif
