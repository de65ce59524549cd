/* SPDX-License-Identifier: Apache-2.0 */
/* With Helium: the method of dense_s4_dsp.c, eight inputs a vector. */
#include "micronet_optimize.h"

#include "dense_s4_internal.h"

#if defined(MICRONET_MVE)

static inline const uint16_t *sum_block(const int16_t *expanded, const uint16_t *weights,
                                        int32_t steps, int32_t *sums) {
  const uint16x8_t lower_three = vdupq_n_u16(0x0FFF);
  const uint16x8_t lower_two = vdupq_n_u16(0x00FF);
  const uint16x8_t lowest = vdupq_n_u16(0x000F);
  sums[0] = sums[1] = sums[2] = sums[3] = 0;
  do {
    const int32_t piece = steps < MICRONET_DENSE_PIECE_STEPS ? steps : MICRONET_DENSE_PIECE_STEPS;
    int32_t sum_1 = 0, sum_2 = 0, sum_3 = 0, sum_4 = 0;
    for (int32_t left = piece; left > 0; --left) {
      const int16x8_t inputs = vldrhq_s16(expanded);
      const uint16x8_t fours = vldrhq_u16(weights);
      const uint16x8_t threes = vandq_u16(fours, lower_three);
      const uint16x8_t twos = vandq_u16(fours, lower_two);
      const uint16x8_t ones = vandq_u16(fours, lowest);
      sum_4 = vmladavaq_s16(sum_4, inputs, vreinterpretq_s16_u16(fours));
      sum_3 = vmladavaq_s16(sum_3, inputs, vreinterpretq_s16_u16(threes));
      sum_2 = vmladavaq_s16(sum_2, inputs, vreinterpretq_s16_u16(twos));
      sum_1 = vmladavaq_s16(sum_1, inputs, vreinterpretq_s16_u16(ones));
      expanded += MICRONET_DENSE_STEP;
      weights += MICRONET_DENSE_STEP;
    }
    sums[0] += sum_1;
    sums[1] += (sum_2 - sum_1) >> 4;
    sums[2] += (sum_3 - sum_2) >> 8;
    sums[3] += (int32_t)((uint32_t)sum_4 - (uint32_t)sum_3) >> 12;
    steps -= piece;
  } while (steps > 0);
  return weights;
}

/* Eight times the sum of all inputs. */
static int32_t sum_eights(const int16_t *expanded, int32_t steps) {
  int32_t sum = 0;
  for (int32_t i = 0; i < steps; ++i) {
    sum = vaddvaq_s16(sum, vldrhq_s16(expanded + i * MICRONET_DENSE_STEP));
  }
  return 8 * sum;
}

MICRONET_SHARED void micronet_dense_s4_mve(const micronet_dense_s4_params *params,
                                           const int8_t *input, int8_t *output, int16_t *buffer) {
  const int32_t steps = micronet_dense_steps(params);
  const uint16_t *weights = (const uint16_t *)params->weights;
  micronet_dense_expand_vectors(input, params->inputs, buffer);
  const int32_t eights = sum_eights(buffer, steps);
  for (int32_t i = 0; i < params->outputs; i += MICRONET_DENSE_BLOCK) {
    int32_t sums[MICRONET_DENSE_BLOCK];
    weights = sum_block(buffer, weights, steps, sums);
    const uint32_t exact[MICRONET_DENSE_BLOCK] = {(uint32_t)(sums[0] - eights),
                                                  (uint32_t)(sums[1] - eights),
                                                  (uint32_t)(sums[2] - eights), (uint32_t)sums[3]};
    micronet_dense_finish_block(params, i, exact, output);
  }
}

#endif
