/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "dense_s8_internal.h"

MICRONET_SHARED micronet_status micronet_dense_s8(const micronet_dense_s8_params *params,
                                                  const int8_t *input, int8_t *output,
                                                  void *buffer) {
  if (params == 0 || input == 0 || output == 0 || buffer == 0) return MICRONET_NULL_POINTER;
#if defined(MICRONET_MVE)
  micronet_dense_s8_mve(params, input, output, buffer);
#elif defined(MICRONET_DSP)
  micronet_dense_s8_dsp(params, input, output, buffer);
#else
  micronet_dense_s8_scalar(params, input, output);
#endif
  return MICRONET_OK;
}
