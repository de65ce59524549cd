/* SPDX-License-Identifier: Apache-2.0 */
/* With SMLAD: two products of 16 bits an instruction.
 *
 * The inputs are expanded to 16 bits in the buffer; then four outputs at a time pass over them.
 * The products with 256 * a + b add up to 256 * A + B in 32 bits, those with b to B, and A is what
 * is left of the first. B comes with the products of partners, see dense_s8.h. */
#include "micronet_optimize.h"

#include "dense_s8_internal.h"

#if defined(MICRONET_DSP)

enum { STEP_WORDS = MICRONET_DENSE_STEP / 2 };

/* The sums of two outputs over a piece of the inputs; `second` over all of them. */
typedef struct {
  int32_t both, second;
} two_sums;

/* Two inputs and their partners for two outputs. */
static inline two_sums add_partners(const uint32_t *inputs, const uint32_t *pairs, two_sums sums) {
  sums.both = micronet_smlad(inputs[0], pairs[0], sums.both);
  sums.both = micronet_smlad(inputs[1], pairs[1], sums.both);
  sums.second = micronet_smlad(micronet_sxtab16(inputs[1], pairs[0]),
                               micronet_sxtab16(inputs[0], pairs[1]), sums.second);
  return sums;
}

/* Two inputs without partners for two outputs. */
static inline two_sums add_inputs(uint32_t inputs, uint32_t pairs, two_sums sums) {
  sums.both = micronet_smlad(inputs, pairs, sums.both);
  sums.second = micronet_smlad(inputs, micronet_sxtb16(pairs), sums.second);
  return sums;
}

/* The sums of four outputs; returns where the next four's weights are. */
static inline const uint32_t *sum_block(const uint32_t *expanded, const uint32_t *weights,
                                        int32_t steps, int32_t partners,
                                        micronet_dense_s8_sums *sums) {
  two_sums first = {0, 0}, next = {0, 0};
  while (steps > 0) {
    const int32_t piece = steps < MICRONET_DENSE_S8_PIECE ? steps : MICRONET_DENSE_S8_PIECE;
    const uint32_t *end = expanded + piece / 2 * (2 * STEP_WORDS);
    first.both = 0;
    next.both = 0;
    while (expanded != end) {
      uint32_t words[6];
      micronet_load_next_partners(&expanded, &weights, words);
      first = add_partners(words, words + 2, first);
      next = add_partners(words, words + 4, next);
#pragma GCC unroll 3
      for (int i = 1; i < STEP_WORDS; ++i) {
        micronet_load_partners(expanded - 2 * STEP_WORDS + i, weights - 4 * STEP_WORDS + i, words);
        first = add_partners(words, words + 2, first);
        next = add_partners(words, words + 4, next);
      }
      /* The comparison, a short instruction, stays here: else it misplaces the loads. */
      __asm__ volatile("");
    }
    if (piece % 2 != 0) {
      for (int i = 0; i < STEP_WORDS; ++i) {
        first = add_inputs(expanded[i], weights[i], first);
        next = add_inputs(expanded[i], weights[i + STEP_WORDS], next);
      }
      weights += 2 * STEP_WORDS;
    }
    micronet_dense_s8_add_piece(&sums[0], first.both);
    micronet_dense_s8_add_piece(&sums[1], next.both);
    steps -= piece;
  }
  sums[0].second = (uint32_t)first.second - (uint32_t)partners;
  sums[1].second = (uint32_t)next.second - (uint32_t)partners;
  return weights;
}

/* The products of all inputs and their partners. */
static int32_t multiply_partners(const uint32_t *expanded, int32_t steps) {
  int32_t sum = 0;
  for (; steps >= 2; steps -= 2, expanded += 2 * STEP_WORDS) {
    for (int i = 0; i < STEP_WORDS; ++i) {
      sum = micronet_smlad(expanded[i], expanded[i + STEP_WORDS], sum);
    }
  }
  return sum;
}

MICRONET_SHARED void micronet_dense_s8_dsp(const micronet_dense_s8_params *params,
                                           const int8_t *input, int8_t *output, uint32_t *buffer) {
  const int32_t steps = micronet_dense_steps(params);
  const uint32_t *weights = (const uint32_t *)params->weights;
  micronet_dense_expand_words(input, params->inputs, buffer);
  const int32_t partners = multiply_partners(buffer, steps);
  for (int32_t i = 0; i < params->outputs; i += MICRONET_DENSE_BLOCK) {
    micronet_dense_s8_sums sums[MICRONET_DENSE_BLOCK / 2] = {{0}, {0}};
    weights = sum_block(buffer, weights, steps, partners, sums);
    micronet_dense_s8_finish_block(params, i, sums, output);
  }
}

#endif
