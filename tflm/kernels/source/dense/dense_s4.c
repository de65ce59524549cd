/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "dense_s4_internal.h"

MICRONET_SHARED micronet_status micronet_dense_s4(const micronet_dense_s4_params *params,
                                                  const int8_t *input, int8_t *output,
                                                  void *buffer) {
  if (params == 0 || input == 0 || output == 0 || buffer == 0) return MICRONET_NULL_POINTER;
#if defined(MICRONET_MVE)
  micronet_dense_s4_mve(params, input, output, buffer);
#elif defined(MICRONET_DSP)
  micronet_dense_s4_dsp(params, input, output, buffer);
#else
  micronet_dense_s4_scalar(params, input, output);
#endif
  return MICRONET_OK;
}
