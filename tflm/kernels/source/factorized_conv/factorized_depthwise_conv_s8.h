/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise k x 1 convolution, then depthwise 1 x k convolution, each with a depth multiplier.
 *
 * Vertical channel i reads input channel i / (vertical.channels / channels); horizontal channel i
 * reads vertical channel i / (horizontal.channels / vertical.channels). */
#ifndef MICRONET_FACTORIZED_DEPTHWISE_CONV_S8_H
#define MICRONET_FACTORIZED_DEPTHWISE_CONV_S8_H

#include "factorized_conv.h"

/* vertical.weights: (vertical.channels, vertical.taps). */
typedef micronet_factorized_conv_params micronet_factorized_depthwise_conv_s8_params;

/* As many rows of the output are computed at a time, at most, if it overlaps the input. */
enum { MICRONET_FACTORIZED_DEPTHWISE_CONV_S8_STRIP_ROWS = 16 };

/* Reads and checks operands: options and constants as factorized_conv.h lists them.
 *
 * Returns MICRONET_OK, or what is wrong with the operands. */
micronet_status micronet_factorized_depthwise_conv_s8_bind(
    const micronet_operands *operands, micronet_factorized_depthwise_conv_s8_params *params);

/* Bytes of the buffer that the kernel needs, the same on all processors: 64 for each two columns of
 * the padded input. */
int32_t micronet_factorized_depthwise_conv_s8_get_buffer_size(
    const micronet_factorized_depthwise_conv_s8_params *params);

/* Computes both convolutions.
 *
 * input: (height, width, channels) int8, any alignment.
 * output: int8 (height, width, horizontal.channels) of the horizontal results, any alignment. It
 *     may overlap the input if it begins far enough before it: each strip of rows is computed from
 *     the input alone, and then nothing reads the rows of the input before the next strip's first
 *     one. So for every row y of the output, with y' = max(0, y + 1 - STRIP_ROWS), row y must end
 *     no later than row max(0, y' * vertical.stride - vertical.taps / 2) of the input begins. What
 *     the output does not overwrite of the input stays as it is.
 * buffer: get_buffer_size bytes, at a multiple of 4; its content does not matter.
 * Returns MICRONET_OK or MICRONET_NULL_POINTER. */
micronet_status micronet_factorized_depthwise_conv_s8(
    const micronet_factorized_depthwise_conv_s8_params *params, const int8_t *input, int8_t *output,
    void *buffer);

#endif
