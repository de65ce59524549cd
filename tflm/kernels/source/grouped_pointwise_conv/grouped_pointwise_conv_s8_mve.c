/* SPDX-License-Identifier: Apache-2.0 */
/* With Helium: 16 products an instruction.
 *
 * Four outputs at a time: their weights are unpacked to int8 rows in the buffer, then they pass
 * over all pixels. Rows end with zeros, so that it does not matter what a vector of inputs holds
 * behind the group's; near the end of the input it must not be read, and those lanes are masked. */
#include "micronet_optimize.h"

#include "grouped_pointwise_conv_s8_internal.h"

#if defined(MICRONET_MVE)

#define INLINE static inline __attribute__((always_inline))

enum { LANES = 16, BLOCK = 4 };

/* What four outputs need. If fewer are left, the last one stands in the other lanes as well. */
typedef struct {
  const int8_t *rows; /* [BLOCK][vectors * LANES] */
  int32_t vectors;
  int32_t inputs;
  int32x4_t biases;
  int32x4_t multipliers;
  uint32x4_t positions;
  int32_t zero_point;
  int32_t input_stride;
  int32_t output_stride;
} output_block;

/* The rows of a pair, with zeros from `inputs` on. */
static void unpack_pair(const int16_t *pairs, int32_t inputs, int32_t row, int8_t *first,
                        int8_t *second) {
  static const uint16_t order[8] = {0, 2, 1, 3, 4, 6, 5, 7};
  const uint16x8_t places = vldrhq_u16(order);
  for (int32_t i = 0; i < row; i += 8) {
    const uint16_t left = (uint16_t)(i < inputs ? inputs - i : 0);
    const mve_pred16_t is_input = vcmphiq_u16(vdupq_n_u16(left), places);
    const int16x8_t pair = vldrhq_z_s16(pairs + i, is_input);
    const int16x8_t b = vmovlbq_s8(vreinterpretq_s8_s16(pair));
    const int16x8_t a = vshrq_n_s16(vsubq_s16(pair, b), 8);
    vstrbq_scatter_offset_s16(first + i, places, a);
    vstrbq_scatter_offset_s16(second + i, places, b);
  }
}

/* The rows of `outputs` outputs; if they are fewer than four, the last one's again for the rest. */
static void unpack_rows(const int16_t *weights, int32_t inputs, int32_t row, int32_t outputs,
                        int8_t *rows) {
  const int32_t length = (inputs + 3) / 4 * 4;
  unpack_pair(weights, inputs, row, rows, rows + row);
  if (outputs > 2) unpack_pair(weights + length, inputs, row, rows + 2 * row, rows + 3 * row);
  for (int32_t i = outputs; i < BLOCK; ++i) {
    memcpy(rows + i * row, rows + (outputs - 1) * row, (size_t)row);
  }
}

INLINE void finish_pixel(const output_block *block, int32_t sum_0, int32_t sum_1, int32_t sum_2,
                         int32_t sum_3, int8_t *output) {
  const int32x4_t sums = micronet_join_odd(micronet_join_even(sum_0, sum_2), sum_1, sum_3);
  const int32x4_t scaled = vrmulhq_s32(vaddq_s32(sums, block->biases), block->multipliers);
  const int32x4_t results = vaddq_n_s32(scaled, block->zero_point);
  const int16x8_t halves = vreinterpretq_s16_s32(micronet_saturate_low_halves(results));
  const int32x4_t bytes = vreinterpretq_s32_s16(micronet_saturate_low_bytes(halves));
  vstrbq_scatter_offset_s32(output, block->positions, bytes);
}

INLINE int8x16_t load_inputs(const int8_t *input, int32_t left, int is_masked) {
  return is_masked ? vldrbq_z_s8(input, vctp8q((uint32_t)left)) : vldrbq_s8(input);
}

INLINE void convolve_one_vector(const output_block *block, const int8_t *input, int8_t *output,
                                int32_t pixels, int is_masked) {
  const output_block local = *block;
  const int8x16_t row_0 = vldrbq_s8(local.rows), row_1 = vldrbq_s8(local.rows + LANES);
  const int8x16_t row_2 = vldrbq_s8(local.rows + 2 * LANES);
  const int8x16_t row_3 = vldrbq_s8(local.rows + 3 * LANES);
  for (; pixels > 0; --pixels) {
    const int8x16_t inputs = load_inputs(input, local.inputs, is_masked);
    finish_pixel(&local, vmladavq_s8(inputs, row_0), vmladavq_s8(inputs, row_1),
                 vmladavq_s8(inputs, row_2), vmladavq_s8(inputs, row_3), output);
    input += local.input_stride;
    output += local.output_stride;
  }
}

INLINE void convolve_vectors(const output_block *block, const int8_t *input, int8_t *output,
                             int32_t pixels, int is_masked) {
  const output_block local = *block;
  const int32_t row = local.vectors * LANES;
  for (; pixels > 0; --pixels) {
    int32_t sum_0 = 0, sum_1 = 0, sum_2 = 0, sum_3 = 0;
    const int8_t *weights = local.rows;
    for (int32_t i = 0; i < row; i += LANES, weights += LANES) {
      const int8x16_t inputs = load_inputs(input + i, local.inputs - i, is_masked);
      sum_0 = vmladavaq_s8(sum_0, inputs, vldrbq_s8(weights));
      sum_1 = vmladavaq_s8(sum_1, inputs, vldrbq_s8(weights + row));
      sum_2 = vmladavaq_s8(sum_2, inputs, vldrbq_s8(weights + 2 * row));
      sum_3 = vmladavaq_s8(sum_3, inputs, vldrbq_s8(weights + 3 * row));
    }
    finish_pixel(&local, sum_0, sum_1, sum_2, sum_3, output);
    input += local.input_stride;
    output += local.output_stride;
  }
}

INLINE void convolve_block(const output_block *block, const int8_t *input, int8_t *output,
                           int32_t pixels, int is_masked) {
  if (block->vectors == 1) {
    convolve_one_vector(block, input, output, pixels, is_masked);
  } else {
    convolve_vectors(block, input, output, pixels, is_masked);
  }
}

/* Pixels whose vectors, of one group, end within the input.
 *
 * offset: of the group in a pixel; bytes: of a group's vectors. */
static int32_t count_unmasked_pixels(const micronet_grouped_pointwise_conv_s8_params *params,
                                     int32_t offset, int32_t bytes) {
  const int32_t stride = params->groups * params->inputs;
  const int32_t room = params->pixels * stride - offset - bytes;
  return room < 0 ? 0 : room / stride + 1;
}

static void read_channels(const micronet_grouped_pointwise_conv_s8_params *params, int32_t channel,
                          int32_t outputs, output_block *block) {
  const uint32x4_t lanes =
      vminq_u32(vidupq_n_u32(0, 1), vdupq_n_u32((uint32_t)(outputs < BLOCK ? outputs : BLOCK) - 1));
  const int32_t *channels = params->channels + 2 * channel;
  const uint32x4_t places = vshlq_n_u32(lanes, 1);
  block->biases = vldrwq_gather_shifted_offset_s32(channels, places);
  block->multipliers = vldrwq_gather_shifted_offset_s32(channels + 1, places);
  block->positions =
      vreinterpretq_u32_s32(vldrhq_gather_shifted_offset_s32(params->positions + channel, lanes));
}

MICRONET_SHARED void micronet_grouped_pointwise_conv_s8_mve(
    const micronet_grouped_pointwise_conv_s8_params *params, const int8_t *input, int8_t *output,
    int8_t *buffer) {
  const int32_t length = 4 * micronet_pointwise_steps(params);
  const int16_t *weights = params->weights;
  output_block block = {.rows = buffer,
                        .vectors = (params->inputs + LANES - 1) / LANES,
                        .inputs = params->inputs,
                        .zero_point = params->output_zero_point,
                        .input_stride = params->groups * params->inputs,
                        .output_stride = params->groups * params->outputs};
  for (int32_t group = 0; group < params->groups; ++group) {
    const int32_t offset = group * params->inputs;
    const int32_t unmasked = count_unmasked_pixels(params, offset, block.vectors * LANES);
    for (int32_t i = 0; i < params->outputs; i += BLOCK) {
      const int32_t left = params->outputs - i;
      unpack_rows(weights, params->inputs, block.vectors * LANES, left, buffer);
      read_channels(params, group * params->outputs + i, left, &block);
      convolve_block(&block, input + offset, output, unmasked, 0);
      convolve_block(&block, input + offset + unmasked * block.input_stride,
                     output + unmasked * block.output_stride, params->pixels - unmasked, 1);
      weights += left > 2 ? 2 * length : length;
    }
  }
}

#endif
