/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "dense_s4_internal.h"

MICRONET_SHARED void micronet_dense_s4_scalar(const micronet_dense_s4_params *params,
                                              const int8_t *input, int8_t *output) {
  enum { STEP = MICRONET_DENSE_STEP };
  const int16_t *weights = params->weights;
  for (int32_t i = 0; i < params->outputs; i += MICRONET_DENSE_BLOCK) {
    uint32_t sums[MICRONET_DENSE_BLOCK] = {0};
    for (int32_t j = 0; j < params->inputs; ++j) {
      const int32_t four = weights[micronet_dense_place(j % STEP)];
      sums[0] += (uint32_t)(((four & 0xF) - 8) * input[j]);
      sums[1] += (uint32_t)(((four >> 4 & 0xF) - 8) * input[j]);
      sums[2] += (uint32_t)(((four >> 8 & 0xF) - 8) * input[j]);
      sums[3] += (uint32_t)((four >> 12) * input[j]);
      if (j % STEP == STEP - 1 || j + 1 == params->inputs) weights += STEP;
    }
    micronet_dense_finish_block(params, i, sums, output);
  }
}
