/* SPDX-License-Identifier: Apache-2.0 */
/* The mean of each channel over all pixels, with an optional table of its function.
 *
 * mean = (sum + pixels / 2) / pixels for positive sums, (sum - pixels / 2) / pixels for others, in
 * C's division: as TensorFlow Lite's AVERAGE_POOL_2D. Scale and zero point stay the input's. */
#ifndef MICRONET_GLOBAL_AVERAGE_POOL_S8_H
#define MICRONET_GLOBAL_AVERAGE_POOL_S8_H

#include "micronet_operands.h"

#define MICRONET_GLOBAL_AVERAGE_POOL_S8_VERSION 1

typedef struct {
  /* The options, in this order. */
  int32_t pixels;    /* 1 to 65536: height times width */
  int32_t channels;  /* 1 to 4096; pixels * channels at most 2^24 */
  int32_t has_table; /* 0 or 1 */

  /* The only constant, which is there if has_table is 1. */
  const int8_t *table; /* (256): mean m becomes table[m + 128]; NULL if has_table is 0 */
} micronet_global_average_pool_s8_params;

/* Reads and checks operands.
 *
 * Returns MICRONET_OK, or what is wrong with the operands. */
micronet_status micronet_global_average_pool_s8_bind(
    const micronet_operands *operands, micronet_global_average_pool_s8_params *params);

/* Bytes of the buffer that the kernel needs: 0. */
int32_t micronet_global_average_pool_s8_get_buffer_size(
    const micronet_global_average_pool_s8_params *params);

/* Averages.
 *
 * input: int8 (pixels, channels), any alignment.
 * output: int8 (channels); no overlap with the input.
 * buffer: not used; may be NULL.
 * Returns MICRONET_OK or MICRONET_NULL_POINTER. */
micronet_status micronet_global_average_pool_s8(
    const micronet_global_average_pool_s8_params *params, const int8_t *input, int8_t *output,
    void *buffer);

#endif
