/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "residual_add_s8_internal.h"

MICRONET_SHARED micronet_status
micronet_residual_add_s8(const micronet_residual_add_s8_params *params, const int8_t *first,
                         const int8_t *second, int8_t *output) {
  if (params == 0 || first == 0 || second == 0 || output == 0) return MICRONET_NULL_POINTER;
#if defined(MICRONET_MVE)
  micronet_residual_add_s8_mve(params, first, second, output);
#elif defined(MICRONET_DSP)
  if (params->lowest == INT8_MIN && params->highest == INT8_MAX) {
    micronet_residual_add_s8_dsp(params, first, second, output);
  } else {
    micronet_residual_add_s8_scalar(params, first, second, output);
  }
#else
  micronet_residual_add_s8_scalar(params, first, second, output);
#endif
  return MICRONET_OK;
}
