/* SPDX-License-Identifier: Apache-2.0 */
/* Dynamic Shift-Max: the maximum of one or two sums of each channel and a partner channel, with
 * coefficients that two small dense layers make of the map's mean.
 *
 * With x the input minus its zero point, C channels, S squeeze channels, K fusions, all integers:
 *   mean[c]      = floor((64 * sum of x[c] over the pixels + pixels / 2) / pixels)
 *   hidden[s]    = clamp(scale(squeeze_weights[s] . mean + bias, multiplier), 0, 32767)
 *   a[k][c]      = clamp(scale(excite_weights[k][c][0] . hidden + bias, multiplier), limits)
 *   b[k][c]      = the same with excite_weights[k][c][1]
 * where channels have factors i and o:
 *   a[k][c]      = floor((a[k][c] * i[c] * o[c] + 512) / 1024)
 *   b[k][c]      = floor((b[k][c] * i[shift[c]] * o[c] + 512) / 1024)
 *   y[c]         = maximum over k of a[k][c] * x[c] + b[k][c] * x[shift[c]]
 *   output[output_positions[c]] = clamp((y[c] rounded to a multiple of 2^coefficient_shift, halves
 *                                 up) / 2^coefficient_shift + output_zero_point, lowest, highest)
 * `scale` is micronet_scale of processor.h. */
#ifndef MICRONET_DYNAMIC_SHIFT_MAX_S8_H
#define MICRONET_DYNAMIC_SHIFT_MAX_S8_H

#include "micronet_operands.h"

#define MICRONET_DYNAMIC_SHIFT_MAX_S8_VERSION 2

typedef struct {
  /* The options, in this order. */
  int32_t pixels;            /* 1 to 65536: height times width */
  int32_t channels;          /* 1 to 4096, C; pixels * channels at most 2^24 */
  int32_t squeeze_channels;  /* 1 to 4096, S */
  int32_t fusions;           /* 1 or 2, K */
  int32_t coefficient_shift; /* 4 to 14; 12 is the fast one on processors with DSP instructions */
  int32_t input_zero_point;  /* -128 to 127 */
  int32_t output_zero_point; /* -128 to 127 */
  int32_t lowest;            /* -128 to highest: limits of the output */
  int32_t highest;           /* to 127 */

  /* The constants, in this order. C' and S' are C and S rounded up to multiples of 4; what belongs
   * to no channel is 0. Matrices of weights are stored as blocks of 4 rows and 4 columns: within a
   * block row after row, each with its columns 0, 2, 1, 3, then the blocks of the same rows, then
   * those of the next rows. The sums of both dense layers fit in int32 in any order of addition:
   * bind checks that.
   *
   * Columns 0 and 2 of each four are partners, and so are 1 and 3: with weights v, w and values x,
   * y of partners, v x + w y = (v + y) (w + x) - v w - x y, which takes one product less. The
   * biases that are stored are less all products v w of their rows, and those of `excite`, whose
   * values are hidden - 16384, are greater by 16384 times the sum of the row: modulo 2^32. */
  const int8_t *squeeze_weights;     /* (S', C') */
  const int32_t *squeeze_constants;  /* (2, S'): biases, multipliers */
  const int8_t *excite_weights;      /* (K, C', 2, S'): rows of a and b in turn */
  const int32_t *excite_constants;   /* (K, C', 2): biases of a and b in turn; then multipliers: as
                                        many, or for rows of one scale (K, 2, 2): a, b, a, b */
  const int16_t *coefficient_limits; /* (K, 2, 2): lowest, highest of a, then of b */
  const int16_t *shift;              /* (C): each channel's partner; a permutation */
  const int16_t *output_positions;   /* (C): where each channel is written; a permutation */
  const int8_t *channel_factors;     /* (2, C): i, then o, each 1 to 127, in 32nds: the scale of
                                        each input channel, and one over that of each output; the
                                        coefficients times both fit in int16. Or no constant at
                                        all, and NULL, if all scales are one. */

  /* Which of both forms the multipliers of `excite_constants` have: 1 for as many as biases, 0. */
  int32_t excite_multiplier_each;
} micronet_dynamic_shift_max_s8_params;

/* Reads and checks operands.
 *
 * Returns MICRONET_OK, or what is wrong with the operands. */
micronet_status micronet_dynamic_shift_max_s8_bind(const micronet_operands *operands,
                                                   micronet_dynamic_shift_max_s8_params *params);

/* Bytes of the buffer that the kernel needs: (2 + 4 K) C' + 2 S'. */
int32_t micronet_dynamic_shift_max_s8_get_buffer_size(
    const micronet_dynamic_shift_max_s8_params *params);

/* Activates a map.
 *
 * input: int8 (pixels, C), any alignment.
 * output: int8 (pixels, C), any alignment; no overlap with the input.
 * buffer: at a multiple of 4 bytes; nothing in it is kept between calls.
 * Returns MICRONET_OK or MICRONET_NULL_POINTER. */
micronet_status micronet_dynamic_shift_max_s8(const micronet_dynamic_shift_max_s8_params *params,
                                              const int8_t *input, int8_t *output, void *buffer);

#endif
