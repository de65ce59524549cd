/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "dynamic_shift_max_s8_internal.h"

MICRONET_SHARED micronet_status
micronet_dynamic_shift_max_s8(const micronet_dynamic_shift_max_s8_params *params,
                              const int8_t *input, int8_t *output, void *buffer) {
  if (params == 0 || input == 0 || output == 0 || buffer == 0) return MICRONET_NULL_POINTER;
  const micronet_dynamic_shift_max_s8_buffer parts =
      micronet_dynamic_shift_max_s8_divide_buffer(params, buffer);
  micronet_dynamic_shift_max_s8_coefficients(params, input, &parts);
  micronet_dynamic_shift_max_s8_fuse(params, parts.coefficients, input, output, params->pixels);
  return MICRONET_OK;
}
