/* SPDX-License-Identifier: Apache-2.0 */
/* Fully connected layer with int8 weights; see dense.h. */
#ifndef MICRONET_DENSE_S8_H
#define MICRONET_DENSE_S8_H

#include "dense.h"

#define MICRONET_DENSE_S8_VERSION 2

typedef micronet_dense_params micronet_dense_s8_params;

/* Constant 0, weights: int16 [(outputs + 3) / 4][inputs / 16][2][16], the last inputs of each four
 * outputs, if there are 1 to 8 more, as [2][8].
 *
 * Each int16 is 256 * a + b, of the weights a and b (-127 to 127) of two outputs: 4 i and 4 i + 1
 * in the first row, 4 i + 2 and 4 i + 3 in the second. Each eight of a row are for the inputs 8 j +
 * 0, 2, 1, 3, 4, 6, 5, 7. Behind the last input and the last output stand zeros.
 *
 * The inputs whose weights are 8 places apart in a row of 16 are partners: with weights v, w of the
 * second output and inputs x, y of partners, v x + w y = (v + y) (w + x) - v w - x y, which takes
 * one product less. With V the sum of all products v w, biases in constant 1 are modulo 2^32
 * greater by V / 256, rounded up, for a, and less by V for b. */

/* Reads and checks operands: the options are the first six members in their order.
 *
 * Returns MICRONET_OK, or what is wrong with the operands. */
micronet_status micronet_dense_s8_bind(const micronet_operands *operands,
                                       micronet_dense_s8_params *params);

/* Bytes of the buffer that the kernel needs: 2 * inputs, rounded up to a multiple of 16. */
int32_t micronet_dense_s8_get_buffer_size(const micronet_dense_s8_params *params);

/* Computes the layer.
 *
 * input: int8 [inputs], any alignment.
 * output: int8 [outputs], any alignment; must not overlap the input.
 * buffer: of `get_buffer_size` bytes, at a multiple of 4; its content is of no importance.
 * Returns MICRONET_OK or MICRONET_NULL_POINTER. */
micronet_status micronet_dense_s8(const micronet_dense_s8_params *params, const int8_t *input,
                                  int8_t *output, void *buffer);

#endif
