/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "dense_s8_internal.h"

/* Of the second output of a pair. */
static int32_t second_weight(int32_t pair) { return (int8_t)(pair & 0xFF); }

static void add_input(int32_t pair, int32_t input, micronet_dense_s8_sums *sums) {
  const int32_t second = second_weight(pair);
  sums->high += (uint32_t)(((pair - second) >> 8) * input);
  sums->low += (uint32_t)(second * input);
  sums->second += (uint32_t)(second * input);
}

MICRONET_SHARED void micronet_dense_s8_scalar(const micronet_dense_s8_params *params,
                                              const int8_t *input, int8_t *output) {
  enum { STEP = MICRONET_DENSE_STEP, PAIRS = MICRONET_DENSE_BLOCK / 2 };
  const int32_t steps = micronet_dense_steps(params);
  const int16_t *weights = params->weights;
  for (int32_t i = 0; i < params->outputs; i += MICRONET_DENSE_BLOCK) {
    micronet_dense_s8_sums sums[PAIRS] = {{0}, {0}};
    for (int32_t j = 0; j < params->inputs; ++j) {
      const int32_t step = j / STEP;
      const int has_partner = (step | 1) < steps;
      const int16_t *pairs = weights + step / 2 * (2 * PAIRS * STEP) + step % 2 * STEP;
      pairs += micronet_dense_place(j % STEP);
      for (int32_t k = 0; k < PAIRS; ++k, pairs += has_partner ? 2 * STEP : STEP) {
        add_input(pairs[0], input[j], &sums[k]);
        if (has_partner && step % 2 == 0) {
          sums[k].second += (uint32_t)(second_weight(pairs[0]) * second_weight(pairs[STEP]));
        }
      }
    }
    weights += PAIRS * STEP * steps;
    micronet_dense_s8_finish_block(params, i, sums, output);
  }
}
