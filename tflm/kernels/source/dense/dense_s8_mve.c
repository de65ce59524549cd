/* SPDX-License-Identifier: Apache-2.0 */
/* With Helium: the method of dense_s8_dsp.c, eight inputs a vector. */
#include "micronet_optimize.h"

#include "dense_s8_internal.h"

#if defined(MICRONET_MVE)

static inline const int16_t *sum_block(const int16_t *expanded, const int16_t *weights,
                                       int32_t steps, uint32_t *sums) {
  int32_t second_0 = 0, second_1 = 0;
  sums[0] = 0;
  sums[2] = 0;
  do {
    const int32_t piece = steps < MICRONET_DENSE_PIECE_STEPS ? steps : MICRONET_DENSE_PIECE_STEPS;
    int32_t both_0 = second_0, both_1 = second_1;
    for (int32_t left = piece; left > 0; --left) {
      const int16x8_t inputs = vldrhq_s16(expanded);
      expanded += MICRONET_DENSE_STEP;
      const int16x8_t pairs_0 = vldrhq_s16(weights);
      weights += MICRONET_DENSE_STEP;
      __asm__("" : "+r"(weights)); /* else the two steps become three instructions */
      const int16x8_t pairs_1 = vldrhq_s16(weights);
      weights += MICRONET_DENSE_STEP;
      both_0 = vmladavaq_s16(both_0, inputs, pairs_0);
      both_1 = vmladavaq_s16(both_1, inputs, pairs_1);
      second_0 = vmladavaq_s16(second_0, inputs, vmovlbq_s8(vreinterpretq_s8_s16(pairs_0)));
      second_1 = vmladavaq_s16(second_1, inputs, vmovlbq_s8(vreinterpretq_s8_s16(pairs_1)));
    }
    sums[0] += (uint32_t)((int32_t)((uint32_t)both_0 - (uint32_t)second_0) >> 8);
    sums[2] += (uint32_t)((int32_t)((uint32_t)both_1 - (uint32_t)second_1) >> 8);
    steps -= piece;
  } while (steps > 0);
  sums[1] = (uint32_t)second_0;
  sums[3] = (uint32_t)second_1;
  return weights;
}

MICRONET_SHARED void micronet_dense_s8_mve(const micronet_dense_s8_params *params,
                                           const int8_t *input, int8_t *output, int16_t *buffer) {
  const int32_t steps = micronet_dense_steps(params);
  const int16_t *weights = params->weights;
  micronet_dense_expand_vectors(input, params->inputs, buffer);
  for (int32_t i = 0; i < params->outputs; i += MICRONET_DENSE_BLOCK) {
    uint32_t sums[MICRONET_DENSE_BLOCK];
    weights = sum_block(buffer, weights, steps, sums);
    micronet_dense_finish_block(params, i, sums, output);
  }
}

#endif
