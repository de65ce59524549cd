/* SPDX-License-Identifier: Apache-2.0 */
/* What the implementations of `dense_s4` share. */
#ifndef MICRONET_DENSE_S4_INTERNAL_H
#define MICRONET_DENSE_S4_INTERNAL_H

#include "dense_internal.h"
#include "dense_s4.h"

/* The three implementations: as `micronet_dense_s4`, with arguments that were checked. */
void micronet_dense_s4_scalar(const micronet_dense_s4_params *params, const int8_t *input,
                              int8_t *output);
void micronet_dense_s4_dsp(const micronet_dense_s4_params *params, const int8_t *input,
                           int8_t *output, uint32_t *buffer);
void micronet_dense_s4_mve(const micronet_dense_s4_params *params, const int8_t *input,
                           int8_t *output, int16_t *buffer);

#endif
