/* SPDX-License-Identifier: Apache-2.0 */
/* With Helium: the method of dense_s8_dsp.c, eight inputs a vector. */
#include "micronet_optimize.h"

#include "dense_s8_internal.h"

#if defined(MICRONET_MVE)

enum { STEP = MICRONET_DENSE_STEP };

/* Moves a pointer behind the vector that it returns. The compiler does not see that, and takes one
 * register and no instruction. */
static inline int16x8_t load_next(const int16_t **source) {
  const int16x8_t vector = vldrhq_s16(*source);
  *source += STEP;
  __asm__("" : "+r"(*source));
  return vector;
}

/* Adds eight inputs and their partners to 256 A + B and to B of two outputs. */
static inline void add_partners(const int16x8_t *inputs, const int16_t **weights, int32_t *both,
                                int32_t *second) {
  const int16x8_t pairs_0 = load_next(weights), pairs_1 = load_next(weights);
  *both = vmladavaq_s16(*both, inputs[0], pairs_0);
  *both = vmladavaq_s16(*both, inputs[1], pairs_1);
  const int16x8_t seconds_0 = vmovlbq_s8(vreinterpretq_s8_s16(pairs_0));
  const int16x8_t seconds_1 = vmovlbq_s8(vreinterpretq_s8_s16(pairs_1));
  *second =
      vmladavaq_s16(*second, vaddq_s16(inputs[1], seconds_0), vaddq_s16(inputs[0], seconds_1));
}

/* The same for inputs without partners. */
static inline void add_inputs(int16x8_t inputs, const int16_t **weights, int32_t *both,
                              int32_t *second) {
  const int16x8_t pairs = load_next(weights);
  *both = vmladavaq_s16(*both, inputs, pairs);
  *second = vmladavaq_s16(*second, inputs, vmovlbq_s8(vreinterpretq_s8_s16(pairs)));
}

/* The sums of four outputs; returns where the next four's weights are. */
static inline const int16_t *sum_block(const int16_t *expanded, const int16_t *weights,
                                       int32_t steps, int32_t partners,
                                       micronet_dense_s8_sums *sums) {
  int32_t second_0 = 0, second_1 = 0;
  while (steps > 0) {
    const int32_t piece = steps < MICRONET_DENSE_S8_PIECE ? steps : MICRONET_DENSE_S8_PIECE;
    int32_t both_0 = 0, both_1 = 0;
    for (int32_t left = piece / 2; left > 0; --left) {
      const int16x8_t input = load_next(&expanded), partner = load_next(&expanded);
      const int16x8_t inputs[2] = {input, partner};
      add_partners(inputs, &weights, &both_0, &second_0);
      add_partners(inputs, &weights, &both_1, &second_1);
    }
    if (piece % 2 != 0) {
      const int16x8_t inputs = load_next(&expanded);
      add_inputs(inputs, &weights, &both_0, &second_0);
      add_inputs(inputs, &weights, &both_1, &second_1);
    }
    micronet_dense_s8_add_piece(&sums[0], both_0);
    micronet_dense_s8_add_piece(&sums[1], both_1);
    steps -= piece;
  }
  sums[0].second = (uint32_t)second_0 - (uint32_t)partners;
  sums[1].second = (uint32_t)second_1 - (uint32_t)partners;
  return weights;
}

/* The products of all inputs and their partners. */
static int32_t multiply_partners(const int16_t *expanded, int32_t steps) {
  int32_t sum = 0;
  for (int32_t left = steps / 2; left > 0; --left) {
    const int16x8_t inputs = load_next(&expanded);
    sum = vmladavaq_s16(sum, inputs, load_next(&expanded));
  }
  return sum;
}

MICRONET_SHARED void micronet_dense_s8_mve(const micronet_dense_s8_params *params,
                                           const int8_t *input, int8_t *output, int16_t *buffer) {
  const int32_t steps = micronet_dense_steps(params);
  const int16_t *weights = params->weights;
  micronet_dense_expand_vectors(input, params->inputs, buffer);
  const int32_t partners = multiply_partners(buffer, steps);
  for (int32_t i = 0; i < params->outputs; i += MICRONET_DENSE_BLOCK) {
    micronet_dense_s8_sums sums[MICRONET_DENSE_BLOCK / 2] = {{0}, {0}};
    weights = sum_block(buffer, weights, steps, partners, sums);
    micronet_dense_s8_finish_block(params, i, sums, output);
  }
}

#endif
