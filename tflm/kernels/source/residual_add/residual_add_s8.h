/* SPDX-License-Identifier: Apache-2.0 */
/* Sum of two maps of the same shape and channel order.
 *
 * output = clamp((first_multiplier * first + second_multiplier * second + offset) >> 12), with one
 * rounding: the zero points and the half that rounds are in `offset`. */
#ifndef MICRONET_RESIDUAL_ADD_S8_H
#define MICRONET_RESIDUAL_ADD_S8_H

#include "micronet_operands.h"

#define MICRONET_RESIDUAL_ADD_S8_VERSION 1
#define MICRONET_RESIDUAL_ADD_S8_SHIFT 12

typedef struct {
  int32_t elements;          /* 1 to 2^24, of each map */
  int32_t first_multiplier;  /* 0 to 32767: its scale / the output's, times 2^12 */
  int32_t second_multiplier; /* 0 to 32767 */
  int32_t offset;            /* -2^29 to 2^29 */
  int32_t lowest;            /* -128 to highest: limits of the output */
  int32_t highest;           /* to 127 */
} micronet_residual_add_s8_params;

/* Reads and checks operands: these options in this order, no constants.
 *
 * Returns MICRONET_OK, or what is wrong with the operands. */
micronet_status micronet_residual_add_s8_bind(const micronet_operands *operands,
                                              micronet_residual_add_s8_params *params);

/* Bytes of the buffer that the kernel needs: 0. */
int32_t micronet_residual_add_s8_get_buffer_size(const micronet_residual_add_s8_params *params);

/* Adds.
 *
 * first, second: `elements` int8 each, any alignment.
 * output: `elements` int8; may be `first` or `second` itself, and no other overlap.
 * Returns MICRONET_OK or MICRONET_NULL_POINTER. */
micronet_status micronet_residual_add_s8(const micronet_residual_add_s8_params *params,
                                         const int8_t *first, const int8_t *second, int8_t *output);

#endif
