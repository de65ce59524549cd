/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "dense_s8_internal.h"

/* Adds the products of one input for a pair of outputs. */
static void add_pair(int32_t pair, int32_t input, uint32_t *sums) {
  const int32_t second = (int8_t)(pair & 0xFF);
  sums[0] += (uint32_t)(((pair - second) >> 8) * input);
  sums[1] += (uint32_t)(second * input);
}

MICRONET_SHARED void micronet_dense_s8_scalar(const micronet_dense_s8_params *params,
                                              const int8_t *input, int8_t *output) {
  enum { STEP = MICRONET_DENSE_STEP };
  const int16_t *weights = params->weights;
  for (int32_t i = 0; i < params->outputs; i += MICRONET_DENSE_BLOCK) {
    uint32_t sums[MICRONET_DENSE_BLOCK] = {0};
    for (int32_t j = 0; j < params->inputs; ++j) {
      const int16_t *pairs = weights + micronet_dense_place(j % STEP);
      add_pair(pairs[0], input[j], sums);
      add_pair(pairs[STEP], input[j], sums + 2);
      if (j % STEP == STEP - 1 || j + 1 == params->inputs) weights += 2 * STEP;
    }
    micronet_dense_finish_block(params, i, sums, output);
  }
}
