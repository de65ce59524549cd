/* SPDX-License-Identifier: Apache-2.0 */
/* k x 1 convolution over all channels of an image, then depthwise 1 x k convolution.
 *
 * Horizontal channel i reads vertical channel i / (horizontal.channels / vertical.channels). */
#ifndef MICRONET_FACTORIZED_STEM_S8_H
#define MICRONET_FACTORIZED_STEM_S8_H

#include "factorized_conv.h"

#define MICRONET_FACTORIZED_STEM_S8_MOST_CHANNELS 4

/* vertical.weights: (vertical.channels, vertical.taps, channels). */
typedef micronet_factorized_conv_params micronet_factorized_stem_s8_params;

/* Reads and checks operands: options and constants as factorized_conv.h lists them.
 *
 * Returns MICRONET_OK, or what is wrong with the operands. */
micronet_status micronet_factorized_stem_s8_bind(const micronet_operands *operands,
                                                 micronet_factorized_stem_s8_params *params);

/* Bytes of the buffer that the kernel needs, the same on all processors: 8 for each two columns of
 * the padded input. */
int32_t micronet_factorized_stem_s8_get_buffer_size(
    const micronet_factorized_stem_s8_params *params);

/* Computes both convolutions, one output row after the other.
 *
 * input: (height, width, channels) int8, any alignment.
 * output: int8 (height, width, horizontal.channels) of the horizontal results, any alignment. It
 *     must not overlap the input.
 * buffer: get_buffer_size bytes, at a multiple of 4; its content does not matter.
 * Returns MICRONET_OK or MICRONET_NULL_POINTER. */
micronet_status micronet_factorized_stem_s8(const micronet_factorized_stem_s8_params *params,
                                            const int8_t *input, int8_t *output, void *buffer);

#endif
