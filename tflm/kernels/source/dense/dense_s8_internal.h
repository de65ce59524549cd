/* SPDX-License-Identifier: Apache-2.0 */
/* What the implementations of `dense_s8` share. */
#ifndef MICRONET_DENSE_S8_INTERNAL_H
#define MICRONET_DENSE_S8_INTERNAL_H

#include "dense_internal.h"
#include "dense_s8.h"

/* Steps whose sums of two outputs are taken apart together: of 62 * 8 inputs, a sum fits in 24
 * bits. */
#define MICRONET_DENSE_S8_PIECE 62

/* The sums of two outputs A and B, unsigned because operands of a damaged file may wrap. */
typedef struct {
  uint32_t high, low; /* add up to 256 * A + B: 256 times the first, and the second */
  uint32_t second;    /* B and the products of partners among its weights */
} micronet_dense_s8_sums;

/* Adds 256 * A + B of a piece of the inputs. */
static inline void micronet_dense_s8_add_piece(micronet_dense_s8_sums *sums, int32_t both) {
  sums->high += (uint32_t)(both >> 8);
  sums->low += (uint32_t)both & 0xFF;
}

/* The outputs of a block, of which there may be fewer than four. */
static inline void micronet_dense_s8_finish_block(const micronet_dense_params *params,
                                                  int32_t first, const micronet_dense_s8_sums *sums,
                                                  int8_t *output) {
  uint32_t each[MICRONET_DENSE_BLOCK];
  for (int32_t i = 0; i < MICRONET_DENSE_BLOCK / 2; ++i, ++sums) {
    each[2 * i] = sums->high + (uint32_t)((int32_t)(sums->low - sums->second) >> 8);
    each[2 * i + 1] = sums->second;
  }
  micronet_dense_finish_block(params, first, each, output);
}

/* The three implementations: as `micronet_dense_s8`, with arguments that were checked. */
void micronet_dense_s8_scalar(const micronet_dense_s8_params *params, const int8_t *input,
                              int8_t *output);
void micronet_dense_s8_dsp(const micronet_dense_s8_params *params, const int8_t *input,
                           int8_t *output, uint32_t *buffer);
void micronet_dense_s8_mve(const micronet_dense_s8_params *params, const int8_t *input,
                           int8_t *output, int16_t *buffer);

#endif
