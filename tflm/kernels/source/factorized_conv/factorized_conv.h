/* SPDX-License-Identifier: Apache-2.0 */
/* Two convolutions in a row, vertical (k x 1) and horizontal (1 x k), without the map between them:
 * what factorized_depthwise_conv_s8 and factorized_stem_s8 share.
 *
 * Each convolution reads taps / 2 zero points behind both ends of its axis and has
 * (size - 1) / stride + 1 results along it. The vertical results are rounded to int8 as if they
 * were a map of their own. */
#ifndef MICRONET_FACTORIZED_CONV_H
#define MICRONET_FACTORIZED_CONV_H

#include "micronet_operands.h"

#define MICRONET_FACTORIZED_CONV_VERSION 1

/* One of the two. A result is clamp(scaled sum + zero_point), where the sum is over int8 inputs as
 * they are: the bias contains the input's zero point. */
typedef struct {
  int32_t channels;      /* of the results: 1 to 4096 */
  int32_t taps;          /* 1, 3, 5 or 7 */
  int32_t stride;        /* 1 to 4 */
  int32_t padding;       /* -128 to 127: the input's zero point */
  int32_t zero_point;    /* -128 to 127: of the results */
  int32_t lowest;        /* -128 to highest: limits of the results */
  int32_t highest;       /* to 127 */
  const int8_t *weights; /* see the operators */
  /* (channels, 2): bias and multiplier, which is the factor * 2^32 and 0 to 2^31 - 1. */
  const int32_t *requantization;
} micronet_factorized_half;

typedef struct {
  int32_t height;   /* of the input: 1 to 4096 */
  int32_t width;    /* 1 to 4096 */
  int32_t channels; /* 1 to 4096; for the stem 1 to 4. Input and output: up to 2^24 elements each */
  micronet_factorized_half vertical;
  micronet_factorized_half horizontal; /* weights (channels, taps) */
  /* (horizontal.channels,): where in a pixel each channel is written. */
  const int16_t *output_positions;
} micronet_factorized_conv_params;

/* Options behind the version, in their order: height, width, channels; channels, taps and stride of
 * the vertical convolution; zero points of the input and of the vertical results; lowest and
 * highest vertical result; channels, taps and stride of the horizontal convolution; zero point,
 * lowest and highest result of it.
 *
 * Constants: int8 vertical weights, int32 vertical requantization, int8 horizontal weights, int32
 * horizontal requantization, int16 output positions. */

#endif
