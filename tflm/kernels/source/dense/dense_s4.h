/* SPDX-License-Identifier: Apache-2.0 */
/* Fully connected layer with 4-bit weights; see dense.h. */
#ifndef MICRONET_DENSE_S4_H
#define MICRONET_DENSE_S4_H

#include "dense.h"

#define MICRONET_DENSE_S4_VERSION 1

typedef micronet_dense_params micronet_dense_s4_params;

/* Constant 0, weights: int16 [(outputs + 3) / 4][(inputs + 7) / 8][8].
 *
 * Each int16 holds a weight (-7 to 7) of each of the outputs 4 i to 4 i + 3. From the lowest bits
 * on: three times weight + 8 in 4 bits, and at the top the fourth weight in two's complement. The
 * eight of a row are for the inputs 8 j + 0, 2, 1, 3, 4, 6, 5, 7. Behind the last input and the
 * last output stand weights of zero. */

/* Reads and checks operands: the options are the first six members in their order.
 *
 * Returns MICRONET_OK, or what is wrong with the operands. */
micronet_status micronet_dense_s4_bind(const micronet_operands *operands,
                                       micronet_dense_s4_params *params);

/* Bytes of the buffer that the kernel needs: 2 * inputs, rounded up to a multiple of 16. */
int32_t micronet_dense_s4_get_buffer_size(const micronet_dense_s4_params *params);

/* Computes the layer.
 *
 * input: int8 [inputs], any alignment.
 * output: int8 [outputs], any alignment; must not overlap the input.
 * buffer: of `get_buffer_size` bytes, at a multiple of 4; its content is of no importance.
 * Returns MICRONET_OK or MICRONET_NULL_POINTER. */
micronet_status micronet_dense_s4(const micronet_dense_s4_params *params, const int8_t *input,
                                  int8_t *output, void *buffer);

#endif
