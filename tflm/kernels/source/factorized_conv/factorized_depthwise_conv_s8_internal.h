/* SPDX-License-Identifier: Apache-2.0 */
/* Implementations of factorized_depthwise_conv_s8, which picks one: internal. */
#ifndef MICRONET_FACTORIZED_DEPTHWISE_CONV_S8_INTERNAL_H
#define MICRONET_FACTORIZED_DEPTHWISE_CONV_S8_INTERNAL_H

#include "factorized_conv_internal.h"
#include "factorized_depthwise_conv_s8.h"

/* Any operands. */
void micronet_factorized_depthwise_conv_s8_scalar(
    const micronet_factorized_depthwise_conv_s8_params *params, const int8_t *input, int8_t *output,
    int8_t *buffer);

#if defined(MICRONET_DSP)
/* 3 or 5 taps and strides of 1 or 2 in both directions, and a height of at least 2. */
void micronet_factorized_depthwise_conv_s8_dsp(
    const micronet_factorized_depthwise_conv_s8_params *params, const int8_t *input, int8_t *output,
    int16_t *buffer);
#endif

#if defined(MICRONET_MVE)
/* 3 or 5 taps in both directions; a width and an output's height of at least 4. */
void micronet_factorized_depthwise_conv_s8_mve(
    const micronet_factorized_depthwise_conv_s8_params *params, const int8_t *input, int8_t *output,
    int8_t *buffer);
#endif

#endif
