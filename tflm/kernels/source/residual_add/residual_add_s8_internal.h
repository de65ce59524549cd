/* SPDX-License-Identifier: Apache-2.0 */
/* The implementations of residual_add_s8.h; arguments as there. */
#ifndef MICRONET_RESIDUAL_ADD_S8_INTERNAL_H
#define MICRONET_RESIDUAL_ADD_S8_INTERNAL_H

#include "processor.h"
#include "residual_add_s8.h"

void micronet_residual_add_s8_scalar(const micronet_residual_add_s8_params *params,
                                     const int8_t *first, const int8_t *second, int8_t *output);
void micronet_residual_add_s8_dsp(const micronet_residual_add_s8_params *params,
                                  const int8_t *first, const int8_t *second, int8_t *output);
void micronet_residual_add_s8_mve(const micronet_residual_add_s8_params *params,
                                  const int8_t *first, const int8_t *second, int8_t *output);

#endif
