/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "residual_add_s8_internal.h"

static int32_t add(const micronet_residual_add_s8_params *params, int32_t first, int32_t second) {
  const int32_t sum = first * params->first_multiplier + second * params->second_multiplier;
  const int32_t result = (sum + params->offset) >> MICRONET_RESIDUAL_ADD_S8_SHIFT;
  return micronet_clamp(result, params->lowest, params->highest);
}

MICRONET_SHARED void micronet_residual_add_s8_scalar(const micronet_residual_add_s8_params *params,
                                                     const int8_t *first, const int8_t *second,
                                                     int8_t *output) {
  const micronet_residual_add_s8_params values = *params; /* which no store to the output changes */
  for (int32_t i = 0; i < values.elements; ++i) {
    output[i] = (int8_t)add(&values, first[i], second[i]);
  }
}
