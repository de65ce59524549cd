/* SPDX-License-Identifier: Apache-2.0 */
/* With SMLAD: two products of 16 bits an instruction.
 *
 * The inputs are expanded to 16 bits in the buffer; then four outputs at a time pass over them.
 * The int16 of the weights d, c, b, a is 4096 d + 256 (c + 8) + 16 (b + 8) + a + 8, and its
 * products add up in the same way. Without its upper bits come the sums of the lower weights
 * alone, and the differences are the sums of each. In the end the eights are subtracted. */
#include "micronet_optimize.h"

#include "dense_s4_internal.h"

#if defined(MICRONET_DSP)

/* Two inputs for four outputs. */
#define ADD_FOUR(inputs, four)                                  \
  do {                                                          \
    sum_4 = micronet_smlad(inputs, four, sum_4);                \
    sum_3 = micronet_smlad(inputs, (four) & 0x0FFF0FFF, sum_3); \
    sum_2 = micronet_smlad(inputs, (four) & 0x00FF00FF, sum_2); \
    sum_1 = micronet_smlad(inputs, (four) & 0x000F000F, sum_1); \
  } while (0)

/* The sums of four outputs with weight + 8 for weight, but not of the last; returns where the next
 * four's weights are. */
static inline const uint32_t *sum_block(const uint32_t *expanded, const uint32_t *weights,
                                        int32_t steps, int32_t *sums) {
  sums[0] = sums[1] = sums[2] = sums[3] = 0;
  do {
    const int32_t piece = steps < MICRONET_DENSE_PIECE_STEPS ? steps : MICRONET_DENSE_PIECE_STEPS;
    int32_t sum_1 = 0, sum_2 = 0, sum_3 = 0, sum_4 = 0;
    const uint32_t *end = expanded + piece * (MICRONET_DENSE_STEP / 2);
    do {
      uint32_t input_0, input_1, four_0, four_1;
      expanded = micronet_load_2_words(expanded, &input_0, &input_1);
      weights = micronet_load_2_words(weights, &four_0, &four_1);
      ADD_FOUR(input_0, four_0);
      ADD_FOUR(input_1, four_1);
      expanded = micronet_load_2_words(expanded, &input_0, &input_1);
      weights = micronet_load_2_words(weights, &four_0, &four_1);
      ADD_FOUR(input_0, four_0);
      ADD_FOUR(input_1, four_1);
    } while (expanded != end);
    sums[0] += sum_1;
    sums[1] += (sum_2 - sum_1) >> 4;
    sums[2] += (sum_3 - sum_2) >> 8;
    sums[3] += (int32_t)((uint32_t)sum_4 - (uint32_t)sum_3) >> 12;
    steps -= piece;
  } while (steps > 0);
  return weights;
}

/* Eight times the sum of all inputs. */
static int32_t sum_eights(const uint32_t *expanded, int32_t steps) {
  int32_t sum = 0;
  for (int32_t i = 0; i < steps * (MICRONET_DENSE_STEP / 2); ++i) {
    sum = micronet_smlad(expanded[i], 0x00080008, sum);
  }
  return sum;
}

MICRONET_SHARED void micronet_dense_s4_dsp(const micronet_dense_s4_params *params,
                                           const int8_t *input, int8_t *output, uint32_t *buffer) {
  const int32_t steps = micronet_dense_steps(params);
  const uint32_t *weights = (const uint32_t *)params->weights;
  micronet_dense_expand_words(input, params->inputs, buffer);
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
