/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "factorized_conv_dsp.h"
#include "factorized_conv_mve.h"
#include "factorized_depthwise_conv_s8_internal.h"

#if defined(MICRONET_MVE)
static int is_for_mve(const micronet_factorized_conv_params *params) {
  return factorized_is_for_mve(params) && factorized_output_height(params) >= FACTORIZED_LANES &&
         (params->vertical.taps == 3 || params->vertical.taps == 5);
}
#endif

MICRONET_SHARED micronet_status
micronet_factorized_depthwise_conv_s8(const micronet_factorized_depthwise_conv_s8_params *params,
                                      const int8_t *input, int8_t *output, void *buffer) {
  if (params == 0 || input == 0 || output == 0 || buffer == 0) return MICRONET_NULL_POINTER;
#if defined(MICRONET_MVE)
  if (is_for_mve(params)) {
    micronet_factorized_depthwise_conv_s8_mve(params, input, output, buffer);
    return MICRONET_OK;
  }
#endif
#if defined(MICRONET_DSP)
  if (params->height > 1 && factorized_is_for_dsp(&params->vertical) &&
      factorized_is_for_dsp(&params->horizontal)) {
    micronet_factorized_depthwise_conv_s8_dsp(params, input, output, buffer);
    return MICRONET_OK;
  }
#endif
  micronet_factorized_depthwise_conv_s8_scalar(params, input, output, buffer);
  return MICRONET_OK;
}
