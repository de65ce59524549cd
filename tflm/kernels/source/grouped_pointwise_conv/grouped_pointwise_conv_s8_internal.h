/* SPDX-License-Identifier: Apache-2.0 */
/* What the implementations of `grouped_pointwise_conv_s8` share. */
#ifndef MICRONET_GROUPED_POINTWISE_CONV_S8_INTERNAL_H
#define MICRONET_GROUPED_POINTWISE_CONV_S8_INTERNAL_H

#include "grouped_pointwise_conv_s8.h"
#include "processor.h"

/* Steps of four inputs that make `grouped_pointwise_conv_s8_dsp` hold weights in registers. */
#define MICRONET_POINTWISE_MOST_RESIDENT_STEPS 2
#define MICRONET_POINTWISE_MOST_TILE_PIXELS 128
#define MICRONET_POINTWISE_MOST_TILE_BYTES 4096

/* Numbers of four inputs, with the incomplete one. */
static inline int32_t micronet_pointwise_steps(
    const micronet_grouped_pointwise_conv_s8_params *params) {
  return (params->inputs + 3) / 4;
}

/* Pixels that are worked on together. */
static inline int32_t micronet_pointwise_tile(
    const micronet_grouped_pointwise_conv_s8_params *params) {
  const int32_t fitting =
      MICRONET_POINTWISE_MOST_TILE_BYTES / (8 * micronet_pointwise_steps(params));
  int32_t tile = MICRONET_POINTWISE_MOST_TILE_PIXELS;
  if (tile > fitting) tile = fitting & ~3;
  if (tile == 0) tile = 1;
  return tile < params->pixels ? tile : params->pixels;
}

/* The three implementations: as `micronet_grouped_pointwise_conv_s8`, with arguments that were
 * checked, and limits -128 and 127. */
void micronet_grouped_pointwise_conv_s8_scalar(
    const micronet_grouped_pointwise_conv_s8_params *params, const int8_t *input, int8_t *output);
void micronet_grouped_pointwise_conv_s8_dsp(const micronet_grouped_pointwise_conv_s8_params *params,
                                            const int8_t *input, int8_t *output, uint32_t *buffer);
void micronet_grouped_pointwise_conv_s8_mve(const micronet_grouped_pointwise_conv_s8_params *params,
                                            const int8_t *input, int8_t *output, int8_t *buffer);

#endif
