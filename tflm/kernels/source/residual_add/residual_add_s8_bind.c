/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "residual_add_s8.h"

enum { OPTION_COUNT = 6 };

MICRONET_SHARED micronet_status micronet_residual_add_s8_bind(
    const micronet_operands *operands, micronet_residual_add_s8_params *params) {
  int32_t values[OPTION_COUNT];
  if (params == 0) return MICRONET_NULL_POINTER;
  const micronet_status status =
      micronet_read_options(operands, MICRONET_RESIDUAL_ADD_S8_VERSION, values, OPTION_COUNT);
  if (status != MICRONET_OK) return status;
  if (operands->constant_count != 0) return MICRONET_CONSTANT_COUNT;
  params->elements = values[0];
  params->first_multiplier = values[1];
  params->second_multiplier = values[2];
  params->offset = values[3];
  params->lowest = values[4];
  params->highest = values[5];
  const int is_valid = micronet_is_within(params->elements, 1, 1 << 24) &&
                       micronet_is_within(params->first_multiplier, 0, INT16_MAX) &&
                       micronet_is_within(params->second_multiplier, 0, INT16_MAX) &&
                       micronet_is_within(params->offset, -(1 << 29), 1 << 29) &&
                       micronet_are_limits(params->lowest, params->highest);
  return is_valid ? MICRONET_OK : MICRONET_OPTIONS_VALUE;
}
