/* SPDX-License-Identifier: Apache-2.0 */
/* What the implementations of `dense_s8` share. */
#ifndef MICRONET_DENSE_S8_INTERNAL_H
#define MICRONET_DENSE_S8_INTERNAL_H

#include "dense_internal.h"
#include "dense_s8.h"

/* The three implementations: as `micronet_dense_s8`, with arguments that were checked. */
void micronet_dense_s8_scalar(const micronet_dense_s8_params *params, const int8_t *input,
                              int8_t *output);
void micronet_dense_s8_dsp(const micronet_dense_s8_params *params, const int8_t *input,
                           int8_t *output, uint32_t *buffer);
void micronet_dense_s8_mve(const micronet_dense_s8_params *params, const int8_t *input,
                           int8_t *output, int16_t *buffer);

#endif
