/* SPDX-License-Identifier: Apache-2.0 */
/* With SMLAD: two products of 16 bits an instruction. A tile of pixels is expanded to 16 bits in
 * the buffer, for all outputs of a group.
 *
 * Up to 16 inputs: each output passes over the tile with its weights in registers. More inputs:
 * its weights are expanded in the buffer, too, and each passes over four pixels' inputs at once. */
#include "micronet_optimize.h"

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
  return is_interleaved ? micronet_store_2_of_8_words(expanded, even, odd)
                        : micronet_store_2_words(expanded, even, odd);
}

/* The inputs of one pixel; returns where the next go. */
INLINE uint32_t *expand_pixel(const int8_t *input, int32_t inputs, uint32_t *expanded,
                              int is_interleaved) {
  UNROLLED
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

INLINE void expand_pixels(const int8_t *input, int32_t pixels, int32_t inputs, int32_t stride,
                          uint32_t *expanded) {
  do {
    expanded = expand_pixel(input, inputs, expanded, 0);
    input += stride;
  } while (--pixels > 0);
}

/* Pixel after pixel. */
static void expand_tile(const int8_t *input, int32_t pixels, int32_t inputs, int32_t stride,
                        uint32_t *expanded) {
  switch (inputs) {
    case 4:
      expand_pixels(input, pixels, 4, stride, expanded);
      break;
    case 8:
      expand_pixels(input, pixels, 8, stride, expanded);
      break;
    case 12:
      expand_pixels(input, pixels, 12, stride, expanded);
      break;
    case 16:
      expand_pixels(input, pixels, 16, stride, expanded);
      break;
    default:
      expand_pixels(input, pixels, inputs, stride, expanded);
      break;
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
    expanded = (left & 3) == 1 ? next - 6 : expanded + 2;
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
 * steps: 1 to 4, a constant: fours of inputs. */
INLINE int32_t add_pixel(const uint32_t **expanded, const uint32_t *weights, int steps,
                         int32_t sum) {
  uint32_t even, odd;
  *expanded = micronet_load_2_words(*expanded, &even, &odd);
  sum = micronet_smlad(even, weights[0], sum);
  sum = micronet_smlad(odd, weights[1], sum);
  if (steps > 1) {
    *expanded = micronet_load_2_words(*expanded, &even, &odd);
    sum = micronet_smlad(even, weights[2], sum);
    sum = micronet_smlad(odd, weights[3], sum);
  }
  if (steps > 2) {
    *expanded = micronet_load_2_words(*expanded, &even, &odd);
    sum = micronet_smlad(even, weights[4], sum);
    sum = micronet_smlad(odd, weights[5], sum);
  }
  if (steps > 3) {
    *expanded = micronet_load_2_words(*expanded, &even, &odd);
    sum = micronet_smlad(even, weights[6], sum);
    sum = micronet_smlad(odd, weights[7], sum);
  }
  return sum;
}

#define FINISH_PIXEL(target)                                        \
  do {                                                              \
    const int32_t sum = add_pixel(&expanded, weights, steps, bias); \
    *(target) = (int8_t)requantize(sum, multiplier, zero_point);    \
  } while (0)

/* The empty instruction keeps the compiler from holding multiples of the stride in registers, of
 * which there are none left. */
#define FINISH_TWO_PIXELS()        \
  do {                             \
    FINISH_PIXEL(output);          \
    FINISH_PIXEL(output + stride); \
    output += 2 * stride;          \
    __asm__("" : "+r"(output));    \
  } while (0)

/* One output of a tile, its weights in registers. */
INLINE void convolve_resident(const pixel_tile *tile, const uint32_t *pairs, int is_second,
                              int steps, const int32_t *channel, int8_t *output) {
  uint32_t weights[2 * MOST_RESIDENT_STEPS];
  unpack_weights(pairs, is_second, steps, weights);
  const int32_t bias = channel[0], multiplier = channel[1];
  const int32_t zero_point = tile->zero_point, stride = tile->stride;
  const uint32_t *expanded = tile->expanded;
  const uint32_t *end = expanded + (tile->pixels & 3) * 2 * steps;
  while (expanded != end) {
    FINISH_PIXEL(output);
    output += stride;
  }
  end += (tile->pixels & ~3) * 2 * steps;
  while (expanded != end) {
    FINISH_TWO_PIXELS();
    FINISH_TWO_PIXELS();
  }
}

/* All outputs of a group; returns where the next group's weights are. steps: 1 to 4, a constant. */
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

/* The sum of one output for one pixel, with many inputs; moves `expanded` on to the next pixel. */
INLINE int32_t sum_pixel(const uint32_t **expanded, const uint32_t *weights, const uint32_t *end,
                         int32_t sum) {
  do {
    uint32_t even, odd, even_weights, odd_weights;
    weights = micronet_load_2_words(weights, &even_weights, &odd_weights);
    *expanded = micronet_load_2_words(*expanded, &even, &odd);
    sum = micronet_smlad(even, even_weights, sum);
    sum = micronet_smlad(odd, odd_weights, sum);
  } while (weights != end);
  return sum;
}

/* A step of four pixels: 13 instructions for 16 products. */
#define ADD_STEP()                                                                       \
  do {                                                                                   \
    uint32_t even, odd, even_weights, odd_weights;                                       \
    weights = micronet_load_2_words(weights, &even_weights, &odd_weights);               \
    expanded = micronet_load_2_words(expanded, &even, &odd);                             \
    sum_0 = micronet_smlad(odd, odd_weights, micronet_smlad(even, even_weights, sum_0)); \
    expanded = micronet_load_2_words(expanded, &even, &odd);                             \
    sum_1 = micronet_smlad(odd, odd_weights, micronet_smlad(even, even_weights, sum_1)); \
    expanded = micronet_load_2_words(expanded, &even, &odd);                             \
    sum_2 = micronet_smlad(odd, odd_weights, micronet_smlad(even, even_weights, sum_2)); \
    expanded = micronet_load_2_words(expanded, &even, &odd);                             \
    sum_3 = micronet_smlad(odd, odd_weights, micronet_smlad(even, even_weights, sum_3)); \
  } while (0)

/* One output of a tile, with many inputs. */
static void convolve_interleaved(const pixel_tile *tile, const uint32_t *row, int32_t steps,
                                 const int32_t *channel, int8_t *output) {
  const uint32_t *expanded = tile->expanded, *end = row + 2 * steps;
  const int32_t stride = tile->stride, zero_point = tile->zero_point;
  for (int32_t left = tile->pixels & 3; left > 0; --left, output += stride) {
    const int32_t sum = sum_pixel(&expanded, row, end, channel[0]);
    *output = (int8_t)requantize(sum, channel[1], zero_point);
  }
  for (int32_t left = tile->pixels & ~3; left > 0; left -= 4) {
    const uint32_t *weights = row;
    int32_t sum_0 = channel[0], sum_1 = sum_0, sum_2 = sum_0, sum_3 = sum_0;
    if (steps & 1) ADD_STEP();
    do {
      ADD_STEP();
      ADD_STEP();
    } while (weights != end);
    const int32_t multiplier = channel[1];
    output[0] = (int8_t)requantize(sum_0, multiplier, zero_point);
    output[stride] = (int8_t)requantize(sum_1, multiplier, zero_point);
    output += 2 * stride;
    output[0] = (int8_t)requantize(sum_2, multiplier, zero_point);
    output[stride] = (int8_t)requantize(sum_3, multiplier, zero_point);
    output += 2 * stride;
  }
}

/* The weights of both outputs of a pair, each in its row. */
static void unpack_rows(const uint32_t *pairs, int32_t words, uint32_t *first_row,
                        uint32_t *second_row) {
  const uint32_t *end = pairs + words;
  do {
    uint32_t pair_0, pair_1;
    pairs = micronet_load_2_words(pairs, &pair_0, &pair_1);
    const uint32_t second_0 = micronet_sxtb16(pair_0), second_1 = micronet_sxtb16(pair_1);
    second_row = micronet_store_2_words(second_row, second_0, second_1);
    first_row =
        micronet_store_2_words(first_row, micronet_sxtb16_ror8(micronet_ssub16(pair_0, second_0)),
                               micronet_sxtb16_ror8(micronet_ssub16(pair_1, second_1)));
  } while (pairs != end);
}

/* All outputs of a group; returns where the next group's weights are. rows: of the buffer. */
static const uint32_t *convolve_interleaved_group(
    const micronet_grouped_pointwise_conv_s8_params *params, const pixel_tile *tile,
    const uint32_t *weights, const int32_t *channel, const int16_t *position, uint32_t *rows) {
  const int32_t steps = micronet_pointwise_steps(params), words = 2 * steps;
  for (int32_t left = params->outputs; left > 0; left -= 2, channel += 4, position += 2) {
    unpack_rows(weights, words, rows, rows + words);
    convolve_interleaved(tile, rows, steps, channel, tile->output + position[0]);
    if (left > 1) {
      convolve_interleaved(tile, rows + words, steps, channel + 2, tile->output + position[1]);
    }
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
  switch (steps) {
    case 1:
      return convolve_resident_group(params, tile, weights, channel, position, 1);
    case 2:
      return convolve_resident_group(params, tile, weights, channel, position, 2);
    case 3:
      return convolve_resident_group(params, tile, weights, channel, position, 3);
    default:
      return convolve_resident_group(params, tile, weights, channel, position, 4);
  }
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
