/* SPDX-License-Identifier: Apache-2.0 */
/* With SMLAD: two products of 16 bits an instruction. A tile of pixels is expanded to 16 bits in
 * the buffer, for all outputs of a group.
 *
 * Up to 8 inputs: each output passes over the tile with its weights in registers. More inputs: the
 * weights of two outputs are expanded in the buffer, too, and pass over four pixels at once. */
#include "micronet_optimize.h"

#if defined(__GNUC__) && !defined(__clang__)
/* Scheduling would take more registers than there are; loops keep the order that they are written
 * in, which takes the fewest branches. */
#pragma GCC optimize("no-schedule-insns,no-reorder-blocks")
#endif

#include "grouped_pointwise_conv_s8_internal.h"

#if defined(MICRONET_DSP)

#define INLINE static inline __attribute__((always_inline))

#define UNROLLED _Pragma("GCC unroll 8")

enum { MOST_RESIDENT_STEPS = MICRONET_POINTWISE_MOST_RESIDENT_STEPS };

/* What all outputs of a group need to know about a tile of pixels. */
typedef struct {
  int32_t pixels;
  const uint32_t *expanded; /* the inputs, pixel after pixel, or see `expand_interleaved` */
  int8_t *output;           /* of the first pixel */
  int32_t stride;           /* from a pixel's output to the next's */
  int32_t zero_point;
} pixel_tile;

INLINE int32_t requantize(int32_t sum, int32_t multiplier, int32_t zero_point) {
  return micronet_saturate_int8(micronet_scale(sum, multiplier, zero_point));
}

/* Four inputs: the even ones and the odd ones. Returns where the next four of the pixel go: behind
 * them or, if pixels are interleaved, behind the four of three more pixels. */
INLINE uint32_t *expand_word(uint32_t word, uint32_t *expanded, int is_interleaved) {
  const uint32_t even = micronet_sxtb16(word), odd = micronet_sxtb16_ror8(word);
  if (!is_interleaved) return micronet_store_2_words(expanded, even, odd);
  expanded[0] = even;
  expanded[4] = odd;
  return expanded + 8;
}

/* The inputs of one pixel; returns where the next go. */
INLINE uint32_t *expand_pixel(const int8_t *input, int32_t inputs, uint32_t *expanded,
                              int is_interleaved) {
  for (; inputs >= 4; inputs -= 4, input += 4) {
    expanded = expand_word(micronet_load_4(input), expanded, is_interleaved);
  }
  if (inputs > 0) {
    uint32_t word = (uint8_t)input[0];
    if (inputs > 1) word |= (uint32_t)(uint8_t)input[1] << 8;
    if (inputs > 2) word |= (uint32_t)(uint8_t)input[2] << 16;
    expanded = expand_word(word, expanded, is_interleaved);
  }
  return expanded;
}

/* Up to 8 inputs of each pixel, pixel after pixel. */
static void expand_tile(const int8_t *input, int32_t pixels, int32_t inputs, int32_t stride,
                        uint32_t *expanded) {
  if (inputs == 8) {
    do {
      const uint32_t first = micronet_load_4(input), second = micronet_load_4(input + 4);
      expanded = expand_word(first, expanded, 0);
      expanded = expand_word(second, expanded, 0);
      input += stride;
    } while (--pixels != 0);
  } else if (inputs == 4) {
    do {
      expanded = expand_word(micronet_load_4(input), expanded, 0);
      input += stride;
    } while (--pixels != 0);
  } else {
    do {
      expanded = expand_pixel(input, inputs, expanded, 0);
      input += stride;
    } while (--pixels != 0);
  }
}

/* Pixels in fours: a step of each of the four, then their next step. Before them the one to three
 * pixels by which their number is not a multiple of four, one after the other. */
static void expand_interleaved(const int8_t *input, int32_t pixels, int32_t inputs, int32_t stride,
                               uint32_t *expanded) {
  for (int32_t left = pixels & 3; left > 0; --left, input += stride) {
    expanded = expand_pixel(input, inputs, expanded, 0);
  }
  for (int32_t left = pixels & ~3; left > 0; --left, input += stride) {
    uint32_t *next = expand_pixel(input, inputs, expanded, 1);
    expanded = (left & 3) == 1 ? next - 3 : expanded + 1;
  }
}

/* The weights of one output, from those of a pair; is_second: the pair's b. */
INLINE void unpack_weights(const uint32_t *pairs, int is_second, int steps, uint32_t *weights) {
  UNROLLED
  for (int i = 0; i < 2 * steps; ++i) weights[i] = micronet_sxtb16(pairs[i]);
  if (is_second) return;
  UNROLLED
  for (int i = 0; i < 2 * steps; ++i) {
    weights[i] = micronet_sxtb16_ror8(micronet_ssub16(pairs[i], weights[i]));
  }
}

/* `sum` and the products of a pixel; moves `expanded` on to the next pixel.
 *
 * steps: 1 or 2, a constant: fours of inputs. */
INLINE int32_t add_pixel(const uint32_t **expanded, const uint32_t *weights, int steps,
                         int32_t sum) {
  uint32_t inputs[4];
  if (steps == 1) {
    *expanded = micronet_load_2_words(*expanded, &inputs[0], &inputs[1]);
    sum = micronet_smlad(inputs[0], weights[0], sum);
    return micronet_smlad(inputs[1], weights[1], sum);
  }
  *expanded = micronet_load_4_words(*expanded, inputs);
  sum = micronet_smlad(inputs[0], weights[0], sum);
  sum = micronet_smlad(inputs[1], weights[1], sum);
  sum = micronet_smlad(inputs[2], weights[2], sum);
  return micronet_smlad(inputs[3], weights[3], sum);
}

#define FINISH_PIXEL()                                                                       \
  do {                                                                                       \
    const int32_t sum = add_pixel(&expanded, weights, steps, bias);                          \
    output = micronet_store_1(output, requantize(sum, multiplier, zero_point), stride_left); \
  } while (0)

/* One output of a tile, its weights in registers. */
INLINE void convolve_resident(const pixel_tile *tile, const uint32_t *pairs, int is_second,
                              int steps, const int32_t *channel, int8_t *output) {
  uint32_t weights[2 * MOST_RESIDENT_STEPS];
  unpack_weights(pairs, is_second, steps, weights);
  const int32_t bias = channel[0], multiplier = channel[1], zero_point = tile->zero_point;
  const uint32_t *expanded = tile->expanded;
  /* The stride and, in the upper half, how many fours of pixels follow: a register less. */
  uint32_t stride_left = (uint32_t)tile->stride | (uint32_t)(tile->pixels / 4 - 1) << 16;
  const uint32_t *end = expanded + (tile->pixels & 3) * 2 * steps;
  while (expanded != end) FINISH_PIXEL();
  while ((int32_t)stride_left >= 0) {
    FINISH_PIXEL();
    FINISH_PIXEL();
    FINISH_PIXEL();
    FINISH_PIXEL();
    stride_left -= 1u << 16;
  }
}

/* All outputs of a group; returns where the next group's weights are. steps: 1 or 2, a constant. */
INLINE const uint32_t *convolve_resident_group(
    const micronet_grouped_pointwise_conv_s8_params *params, const pixel_tile *tile,
    const uint32_t *weights, const int32_t *channel, const int16_t *position, int steps) {
  const int32_t outputs = params->outputs;
  for (int32_t i = 0; i < outputs; ++i, channel += 2) {
    convolve_resident(tile, weights, i & 1, steps, channel, tile->output + *position++);
    if (i & 1) weights += 2 * steps;
  }
  return outputs & 1 ? weights + 2 * steps : weights;
}

/* Not inlined, as their loops need all registers. */
#define DEFINE_CONVOLVE_RESIDENT(steps)                                                \
  static __attribute__((noinline)) const uint32_t *convolve_resident_##steps(          \
      const micronet_grouped_pointwise_conv_s8_params *params, const pixel_tile *tile, \
      const uint32_t *weights, const int32_t *channel, const int16_t *position) {      \
    return convolve_resident_group(params, tile, weights, channel, position, steps);   \
  }

DEFINE_CONVOLVE_RESIDENT(1)
DEFINE_CONVOLVE_RESIDENT(2)

/* Half a step of two outputs and four pixels. */
#define ADD_HALF_STEP()                                                        \
  do {                                                                         \
    uint32_t first_weights, second_weights, even, odd;                         \
    weights = micronet_load_2_words(weights, &first_weights, &second_weights); \
    expanded = micronet_load_2_words(expanded, &even, &odd);                   \
    micronet_add_products(&first_0, even, first_weights);                      \
    micronet_add_products(&second_0, even, second_weights);                    \
    micronet_add_products(&first_1, odd, first_weights);                       \
    micronet_add_products(&second_1, odd, second_weights);                     \
    expanded = micronet_load_2_words(expanded, &even, &odd);                   \
    micronet_add_products(&first_2, even, first_weights);                      \
    micronet_add_products(&second_2, even, second_weights);                    \
    micronet_add_products(&first_3, odd, first_weights);                       \
    micronet_add_products(&second_3, odd, second_weights);                     \
  } while (0)

#define FINISH_TWO(first_sum, second_sum)                                                     \
  do {                                                                                        \
    output[second_place] = (int8_t)requantize(second_sum, second_multiplier, zero_point);     \
    output = micronet_store_1(output, requantize(first_sum, multiplier, zero_point), stride); \
  } while (0)

/* Two outputs of a tile, with many inputs.
 *
 * rows, end: the weights of both, see `unpack_rows`; second_place: how far the second output is
 * from the first. */
static __attribute__((noinline)) void convolve_interleaved(
    const pixel_tile *tile, const uint32_t *rows, const uint32_t *end, const int32_t *channel,
    const int32_t *second_channel, int8_t *output, int32_t second_place) {
  const uint32_t *expanded = tile->expanded;
  const uint32_t stride = (uint32_t)tile->stride;
  const int32_t zero_point = tile->zero_point;
  for (int32_t left = tile->pixels & 3; left > 0; --left) {
    const uint32_t *weights = rows;
    int32_t first = channel[0], second = second_channel[0];
    do {
      uint32_t words[4], even, odd;
      weights = micronet_load_4_words(weights, words);
      expanded = micronet_load_2_words(expanded, &even, &odd);
      first = micronet_smlad(odd, words[2], micronet_smlad(even, words[0], first));
      second = micronet_smlad(odd, words[3], micronet_smlad(even, words[1], second));
    } while (weights != end);
    const int32_t multiplier = channel[1], second_multiplier = second_channel[1];
    FINISH_TWO(first, second);
  }
  for (int32_t left = tile->pixels & ~3; left > 0; left -= 4) {
    const uint32_t *weights = rows;
    int32_t first_0 = channel[0], first_1 = first_0, first_2 = first_0, first_3 = first_0;
    int32_t second_0 = second_channel[0], second_1 = second_0, second_2 = second_0;
    int32_t second_3 = second_0;
    do {
      ADD_HALF_STEP();
      ADD_HALF_STEP();
    } while (weights != end);
    const int32_t multiplier = channel[1], second_multiplier = second_channel[1];
    FINISH_TWO(first_0, second_0);
    FINISH_TWO(first_1, second_1);
    FINISH_TWO(first_2, second_2);
    FINISH_TWO(first_3, second_3);
  }
}

/* The weights of a pair of outputs: for each step the even ones of both, then the odd ones. Returns
 * the end of the rows. */
static uint32_t *unpack_rows(const uint32_t *pairs, int32_t words, uint32_t *rows) {
  const uint32_t *end = pairs + words;
  do {
    uint32_t pair_0, pair_1;
    pairs = micronet_load_2_words(pairs, &pair_0, &pair_1);
    const uint32_t second_0 = micronet_sxtb16(pair_0), second_1 = micronet_sxtb16(pair_1);
    rows = micronet_store_2_words(rows, micronet_sxtb16_ror8(micronet_ssub16(pair_0, second_0)),
                                  second_0);
    rows = micronet_store_2_words(rows, micronet_sxtb16_ror8(micronet_ssub16(pair_1, second_1)),
                                  second_1);
  } while (pairs != end);
  return rows;
}

/* All outputs of a group; returns where the next group's weights are. rows: of the buffer. If the
 * last output has none beside it, it is made twice, first with weights of 0. */
static const uint32_t *convolve_interleaved_group(
    const micronet_grouped_pointwise_conv_s8_params *params, const pixel_tile *tile,
    const uint32_t *weights, const int32_t *channel, const int16_t *position, uint32_t *rows) {
  const int32_t words = 2 * micronet_pointwise_steps(params);
  for (int32_t left = params->outputs; left > 0; left -= 2, channel += 4, position += 2) {
    const uint32_t *end = unpack_rows(weights, words, rows);
    const int32_t second = left > 1;
    convolve_interleaved(tile, rows, end, channel, channel + 2 * second, tile->output + position[0],
                         position[second] - position[0]);
    weights += words;
  }
  return weights;
}

/* All outputs of a group from its inputs; returns where the next group's weights are. */
static const uint32_t *convolve_group(const micronet_grouped_pointwise_conv_s8_params *params,
                                      const pixel_tile *tile, int32_t group,
                                      const uint32_t *weights, const int8_t *input,
                                      uint32_t *expanded, uint32_t *rows) {
  const int32_t stride = params->groups * params->inputs, steps = micronet_pointwise_steps(params);
  const int32_t *channel = params->channels + 2 * group * params->outputs;
  const int16_t *position = params->positions + group * params->outputs;
  if (steps > MOST_RESIDENT_STEPS) {
    expand_interleaved(input, tile->pixels, params->inputs, stride, expanded);
    return convolve_interleaved_group(params, tile, weights, channel, position, rows);
  }
  expand_tile(input, tile->pixels, params->inputs, stride, expanded);
  return (steps == 1 ? convolve_resident_1 : convolve_resident_2)(params, tile, weights, channel,
                                                                  position);
}

MICRONET_SHARED void micronet_grouped_pointwise_conv_s8_dsp(
    const micronet_grouped_pointwise_conv_s8_params *params, const int8_t *input, int8_t *output,
    uint32_t *buffer) {
  const int32_t most_pixels = micronet_pointwise_tile(params);
  const int32_t input_stride = params->groups * params->inputs;
  uint32_t *rows = buffer + most_pixels * 2 * micronet_pointwise_steps(params);
  for (int32_t left = params->pixels; left > 0; left -= most_pixels) {
    const uint32_t *weights = (const uint32_t *)params->weights;
    const pixel_tile tile = {.pixels = left < most_pixels ? left : most_pixels,
                             .expanded = buffer,
                             .output = output,
                             .stride = params->groups * params->outputs,
                             .zero_point = params->output_zero_point};
    for (int32_t group = 0; group < params->groups; ++group) {
      weights = convolve_group(params, &tile, group, weights, input + group * params->inputs,
                               buffer, rows);
    }
    input += tile.pixels * input_stride;
    output += tile.pixels * tile.stride;
  }
}

#endif
