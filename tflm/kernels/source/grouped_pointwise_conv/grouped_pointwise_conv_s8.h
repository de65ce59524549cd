/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution 1 x 1 in groups of channels; the output's channels may stand in any order.
 *
 * Group g reads the input's channels from g * inputs on and makes the outputs from g * outputs on.
 * output = clamp(round((sum of weight * input + bias) * multiplier / 2^32) + output_zero_point),
 * the rounding once and halves up. Bias: without the input's zero point, which is folded into it:
 * bias - input_zero_point * sum of the output's weights. */
#ifndef MICRONET_GROUPED_POINTWISE_CONV_S8_H
#define MICRONET_GROUPED_POINTWISE_CONV_S8_H

#include "micronet_operands.h"

#define MICRONET_GROUPED_POINTWISE_CONV_S8_VERSION 1

typedef struct {
  int32_t pixels;            /* 1 to 2^24: height * width */
  int32_t inputs;            /* 1 to 4096: channels that a group reads */
  int32_t outputs;           /* 1 to 4096: channels that a group makes */
  int32_t groups;            /* 1 to 4096; groups * inputs and groups * outputs at most 4096 each,
                                and times pixels at most 2^24 */
  int32_t output_zero_point; /* -128 to 127 */
  int32_t lowest;            /* -128 to highest: limits of the output */
  int32_t highest;           /* to 127 */
  const int16_t *weights;    /* constant 0, see below */
  const int32_t *channels;   /* constant 1: [groups * outputs][2], bias and multiplier (0 to
                                2^31 - 1) of each output */
  const int16_t *positions;  /* constant 2: where each output goes in a pixel, a permutation of 0 to
                                groups * outputs - 1 */
} micronet_grouped_pointwise_conv_s8_params;

/* Constant 0, weights: int16 [groups][(outputs + 1) / 2][(inputs + 3) / 4][4].
 *
 * Each int16 is 256 * a + b, of the weights a and b (-127 to 127) of the outputs 2 i and 2 i + 1 of
 * a group. The four of a step are for the inputs 4 j, 4 j + 2, 4 j + 1, 4 j + 3. Behind the last
 * input and the last output of a group stand zeros. */

/* Reads and checks operands: the options are the first seven members in their order.
 *
 * Returns MICRONET_OK, or what is wrong with the operands. */
micronet_status micronet_grouped_pointwise_conv_s8_bind(
    const micronet_operands *operands, micronet_grouped_pointwise_conv_s8_params *params);

/* Bytes of the buffer that the kernel needs. With k = inputs rounded up to a multiple of four: 2 *
 * k for each of up to 128 pixels, if that many fit in 4096 bytes (one always does), and 4 * k more
 * if k > 8; at least four times the inputs rounded up to a multiple of 16. */
int32_t micronet_grouped_pointwise_conv_s8_get_buffer_size(
    const micronet_grouped_pointwise_conv_s8_params *params);

/* Convolves.
 *
 * input: int8 [pixels][groups * inputs], any alignment.
 * output: int8 [pixels][groups * outputs], any alignment; must not overlap the input.
 * buffer: of `get_buffer_size` bytes, at a multiple of 4; its content is of no importance.
 * Returns MICRONET_OK or MICRONET_NULL_POINTER. */
micronet_status micronet_grouped_pointwise_conv_s8(
    const micronet_grouped_pointwise_conv_s8_params *params, const int8_t *input, int8_t *output,
    void *buffer);

#endif
