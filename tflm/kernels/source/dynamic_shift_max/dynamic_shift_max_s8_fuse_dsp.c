/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#if defined(__GNUC__) && !defined(__clang__)
/* Scheduling would take more registers than there are; loops keep the order that they are written
 * in, which takes the fewest branches. */
#pragma GCC optimize("no-schedule-insns,no-reorder-blocks")
#endif

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
  int32_t channels;       /* which is how far a pixel is from the next */
  int32_t pixels;
  int32_t zero_point;   /* of the input */
  uint32_t zero_points; /* less than 0, in both halves */
  int32_t offset;       /* to add to the sums: the output's zero point, and the half that rounds */
  uint32_t steps;       /* see `is_pass_left` */
} fused_map;

/* Two neighbouring channels. */
typedef struct {
  const int8_t *input; /* of the first channel, in the first pixel */
  intptr_t partner, next_partner, output, next_output; /* how far they are from there */
  uint32_t first, next_first, second, next_second;     /* coefficients */
  uint32_t difference, next_difference;                /* the first less the second */
} fused_channels;

/* The loops have one address, that of the input, and how far the others are from it: it is the only
 * one to move on. */

static inline intptr_t distance(const int8_t *from, const int8_t *to) {
  return (intptr_t)((uintptr_t)to - (uintptr_t)from);
}

static inline void store(const int8_t *input, intptr_t distance, int32_t value) {
  *(int8_t *)((uintptr_t)input + (uintptr_t)distance) = (int8_t)value;
}

/* Counts a pass over two pixels. steps: the distance of two pixels and, in the upper half, how many
 * passes follow, at most 2^15 - 1. */
static inline int is_pass_left(uint32_t *steps) {
  *steps -= 1u << 16;
  return (int32_t)*steps >= 0;
}

/* -zero_point times the sum of both coefficients. */
static inline int32_t without_zero_point(uint32_t coefficients, int32_t zero_point) {
  return -zero_point * ((int16_t)coefficients + (int16_t)(coefficients >> 16));
}

/* The elements of two neighbouring channels and of two neighbouring partners, whose word begins one
 * byte before them: that is where it is aligned most often. Returns where the next pixel is. */
static inline const int8_t *load_beside(const int8_t *input, const fused_channels *channels,
                                        const intptr_t *next_partner, uint32_t steps,
                                        uint32_t *word) {
  uint32_t own, partners;
  (void)next_partner;
  input = micronet_load_2_and_4(input, channels->partner, steps, &own, &partners);
  *word = micronet_pack_low_middle(own, partners);
  return input;
}

/* The same, and stores the result of the pixel before. */
static inline const int8_t *store_and_load_beside(const int8_t *input,
                                                  const fused_channels *channels,
                                                  const intptr_t *next_partner, uint32_t steps,
                                                  uint32_t *word, int32_t result) {
  uint32_t own, partners;
  (void)next_partner;
  input = micronet_store_1_load_2_and_4(input, channels->partner, steps, &own, &partners, result,
                                        channels->output);
  *word = micronet_pack_low_middle(own, partners);
  return input;
}

/* If the partners stand anywhere. */
static inline const int8_t *load_apart(const int8_t *input, const fused_channels *channels,
                                       const intptr_t *next_partner, uint32_t steps,
                                       uint32_t *word) {
  return micronet_load_2_1_1(input, channels->partner, next_partner, steps, word);
}

static inline const int8_t *store_and_load_apart(const int8_t *input,
                                                 const fused_channels *channels,
                                                 const intptr_t *next_partner, uint32_t steps,
                                                 uint32_t *word, int32_t result) {
  store(input, channels->output, result);
  return load_apart(input, channels, next_partner, steps, word);
}

static inline int32_t fuse_1(uint32_t first, uint32_t pair, int32_t offset) {
  return micronet_saturate_int8_asr12(micronet_smlad(first, pair, offset));
}

/* The larger of two sums is the second, and what the first is more. */
static inline int32_t fuse_2(uint32_t second, uint32_t difference, uint32_t pair, int32_t offset) {
  const int32_t more = micronet_saturate_positive(micronet_smuad(difference, pair));
  return micronet_saturate_int8_asr12(micronet_smlad(second, pair, more) + offset);
}

#define FUSE_WORD_1()                                                             \
  do {                                                                            \
    const uint32_t next_pair = micronet_sxtab16_ror8(zero_points, word);          \
    store(input, local.next_output, fuse_1(local.next_first, next_pair, offset)); \
    result = fuse_1(local.first, micronet_sxtab16(zero_points, word), offset);    \
  } while (0)

#define FUSE_WORD_2()                                                           \
  do {                                                                          \
    const uint32_t next_pair = micronet_sxtab16_ror8(zero_points, word);        \
    store(input, local.next_output,                                             \
          fuse_2(local.next_second, local.next_difference, next_pair, offset)); \
    const uint32_t pair = micronet_sxtab16(zero_points, word);                  \
    result = fuse_2(local.second, local.difference, pair, offset);              \
  } while (0)

/* All pixels; the first pass has one only, if their number is odd. */
#define DEFINE_FUSE(name, FUSE_WORD, place)                                               \
  static __attribute__((noinline)) void name(const fused_map *map,                        \
                                             const fused_channels *channels) {            \
    const fused_channels local = *channels;                                               \
    const intptr_t next_partner = local.next_partner;                                     \
    const uint32_t zero_points = map->zero_points;                                        \
    const int32_t offset = map->offset;                                                   \
    uint32_t steps = map->steps, word;                                                    \
    int32_t result;                                                                       \
    const int8_t *input = load_##place(local.input, &local, &next_partner, steps, &word); \
    if (map->pixels % 2 != 0) goto second;                                                \
    goto first;                                                                           \
    do {                                                                                  \
      input = store_and_load_##place(input, &local, &next_partner, steps, &word, result); \
    first:                                                                                \
      FUSE_WORD();                                                                        \
      input = store_and_load_##place(input, &local, &next_partner, steps, &word, result); \
    second:                                                                               \
      FUSE_WORD();                                                                        \
    } while (is_pass_left(&steps));                                                       \
    store(input, local.output, result);                                                   \
  }

DEFINE_FUSE(fuse_beside_1, FUSE_WORD_1, beside)
DEFINE_FUSE(fuse_apart_1, FUSE_WORD_1, apart)
DEFINE_FUSE(fuse_beside_2, FUSE_WORD_2, beside)
DEFINE_FUSE(fuse_apart_2, FUSE_WORD_2, apart)

/* One channel, whatever the other loops cannot do: other shifts and limits, coefficients far apart,
 * the last one of an odd number. */
static void fuse_any(const fused_map *map, int32_t index, int32_t shift, int32_t lowest,
                     int32_t highest) {
  const int8_t *input = map->input + index, *partner = map->input + map->shift[index];
  int8_t *output = map->output + map->output_positions[index];
  const uint32_t first = map->first[index], second = map->second[index];
  const int32_t start = without_zero_point(first, map->zero_point) + map->offset;
  const int32_t second_start = without_zero_point(second, map->zero_point) + map->offset;
  const int32_t stride = map->channels;
  for (int32_t i = (map->pixels - 1) * stride; i >= 0; i -= stride) {
    const uint32_t pair =
        micronet_pack_low((uint32_t)(int32_t)input[i], (uint32_t)(int32_t)partner[i]);
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
      .channels = params->channels,
      .pixels = pixels,
      .zero_point = params->input_zero_point,
      .zero_points = micronet_pack_low(zero_point, zero_point),
      .offset = params->output_zero_point * (1 << shift) + (1 << (shift - 1)),
      .steps = (uint32_t)params->channels | (uint32_t)((pixels - 1) / 2) << 16,
  };
}

static inline void fuse_fast(const fused_map *map, int32_t index) {
  fuse_any(map, index, FAST_SHIFT, INT8_MIN, INT8_MAX);
}

/* Fuses the channels `index` and the next one. */
static inline void fuse_two(const fused_map *map, int32_t index, int32_t fusions) {
  const int32_t partner = map->shift[index], next_partner = map->shift[index + 1];
  const uint32_t first = map->first[index], next_first = map->first[index + 1];
  const uint32_t second = map->second[index], next_second = map->second[index + 1];
  const int8_t *input = map->input + index;
  const intptr_t output = distance(map->input, map->output) - map->channels;
  fused_channels both = {
      .input = input,
      .partner = partner - index,
      .next_partner = next_partner - index,
      .output = output + map->output_positions[index] - index,
      .next_output = output + map->output_positions[index + 1] - index,
      .first = first,
      .next_first = next_first,
      .second = second,
      .next_second = next_second,
      .difference = micronet_ssub16(first, second),
      .next_difference = micronet_ssub16(next_first, next_second),
  };
  const int is_beside =
      next_partner == partner + 1 && partner > 0 && next_partner + 1 < map->channels;
  if (is_beside) both.partner -= 1;
  if (fusions == 1) {
    (is_beside ? fuse_beside_1 : fuse_apart_1)(map, &both);
  } else if (both.difference == micronet_qsub16(first, second) &&
             both.next_difference == micronet_qsub16(next_first, next_second)) {
    (is_beside ? fuse_beside_2 : fuse_apart_2)(map, &both);
  } else {
    fuse_fast(map, index);
    fuse_fast(map, index + 1);
  }
}

MICRONET_SHARED void micronet_dynamic_shift_max_s8_fuse_dsp(
    const micronet_dynamic_shift_max_s8_params *params, const void *coefficients,
    const int8_t *input, int8_t *output, int32_t pixels) {
  const fused_map map = describe_map(params, coefficients, input, output, pixels);
  const int32_t channels = params->channels;
  int32_t i = 0;
  if (params->coefficient_shift == FAST_SHIFT && params->lowest == INT8_MIN &&
      params->highest == INT8_MAX) {
    for (; i + 1 < channels; i += 2) fuse_two(&map, i, params->fusions);
  }
  for (; i < channels; ++i) {
    fuse_any(&map, i, params->coefficient_shift, params->lowest, params->highest);
  }
}

#endif
