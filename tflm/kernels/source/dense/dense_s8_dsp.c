/* SPDX-License-Identifier: Apache-2.0 */
/* With SMLAD: two products of 16 bits an instruction.
 *
 * The inputs are expanded to 16 bits in the buffer; then four outputs at a time pass over them.
 * The products with 256 * a + b add up to 256 * A + B in 32 bits, those with b to B, and A is what
 * is left of the first. */
#include "micronet_optimize.h"

#include "dense_s8_internal.h"

#if defined(MICRONET_DSP)

/* Two inputs for two outputs. */
#define ADD_PAIR(inputs, pair, both, second)                        \
  do {                                                              \
    both = micronet_smlad(inputs, pair, both);                      \
    second = micronet_smlad(inputs, micronet_sxtb16(pair), second); \
  } while (0)

/* The sums of four outputs; returns where the next four's weights are. */
static inline const uint32_t *sum_block(const uint32_t *expanded, const uint32_t *weights,
                                        int32_t steps, uint32_t *sums) {
  int32_t second_0 = 0, second_1 = 0;
  sums[0] = 0;
  sums[2] = 0;
  do {
    const int32_t piece = steps < MICRONET_DENSE_PIECE_STEPS ? steps : MICRONET_DENSE_PIECE_STEPS;
    int32_t both_0 = second_0, both_1 = second_1;
    const uint32_t *end = expanded + piece * (MICRONET_DENSE_STEP / 2);
    do {
      uint32_t input_0, input_1, input_2, input_3, pair_0, pair_1;
      expanded = micronet_load_2_words(expanded, &input_0, &input_1);
      expanded = micronet_load_2_words(expanded, &input_2, &input_3);
      weights = micronet_load_2_words(weights, &pair_0, &pair_1);
      ADD_PAIR(input_0, pair_0, both_0, second_0);
      ADD_PAIR(input_1, pair_1, both_0, second_0);
      weights = micronet_load_2_words(weights, &pair_0, &pair_1);
      ADD_PAIR(input_2, pair_0, both_0, second_0);
      ADD_PAIR(input_3, pair_1, both_0, second_0);
      weights = micronet_load_2_words(weights, &pair_0, &pair_1);
      ADD_PAIR(input_0, pair_0, both_1, second_1);
      ADD_PAIR(input_1, pair_1, both_1, second_1);
      weights = micronet_load_2_words(weights, &pair_0, &pair_1);
      ADD_PAIR(input_2, pair_0, both_1, second_1);
      ADD_PAIR(input_3, pair_1, both_1, second_1);
    } while (expanded != end);
    sums[0] += (uint32_t)((int32_t)((uint32_t)both_0 - (uint32_t)second_0) >> 8);
    sums[2] += (uint32_t)((int32_t)((uint32_t)both_1 - (uint32_t)second_1) >> 8);
    steps -= piece;
  } while (steps > 0);
  sums[1] = (uint32_t)second_0;
  sums[3] = (uint32_t)second_1;
  return weights;
}

MICRONET_SHARED void micronet_dense_s8_dsp(const micronet_dense_s8_params *params,
                                           const int8_t *input, int8_t *output, uint32_t *buffer) {
  const int32_t steps = micronet_dense_steps(params);
  const uint32_t *weights = (const uint32_t *)params->weights;
  micronet_dense_expand_words(input, params->inputs, buffer);
  for (int32_t i = 0; i < params->outputs; i += MICRONET_DENSE_BLOCK) {
    uint32_t sums[MICRONET_DENSE_BLOCK];
    weights = sum_block(buffer, weights, steps, sums);
    micronet_dense_finish_block(params, i, sums, output);
  }
}

#endif
