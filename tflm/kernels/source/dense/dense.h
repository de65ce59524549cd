/* SPDX-License-Identifier: Apache-2.0 */
/* What the fully connected layers with int8 and with 4-bit weights have in common.
 *
 * result = clamp(round((sum of weight * input + bias) * multiplier / 2^32) + output_zero_point),
 * the rounding once and halves up; output = table[result + 128], or the result if there is no
 * table. Bias: without the input's zero point, which is folded into it: bias - input_zero_point *
 * sum of the output's weights. */
#ifndef MICRONET_DENSE_H
#define MICRONET_DENSE_H

#include "micronet_operands.h"

typedef struct {
  int32_t inputs;            /* 1 to 4096 */
  int32_t outputs;           /* 1 to 65536; at most 2^24 weights */
  int32_t output_zero_point; /* -128 to 127 */
  int32_t lowest;            /* -128 to highest: limits of the result */
  int32_t highest;           /* to 127 */
  int32_t has_table;         /* 0 or 1 */
  const int16_t *weights;    /* constant 0, see the operator's header */
  const int32_t *channels;   /* constant 1: [outputs][2], bias and multiplier (0 to 2^31 - 1) of
                                each output */
  const int8_t *table;       /* constant 2, if there is a table: the output of each result, [256] */
} micronet_dense_params;

#endif
