/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "factorized_conv_bind.h"
#include "factorized_depthwise_conv_s8.h"

MICRONET_SHARED micronet_status micronet_factorized_depthwise_conv_s8_bind(
    const micronet_operands *operands, micronet_factorized_depthwise_conv_s8_params *params) {
  const micronet_status status = factorized_read_options(operands, params);
  if (status != MICRONET_OK) return status;
  if (params->vertical.channels % params->channels != 0) return MICRONET_OPTIONS_VALUE;
  return factorized_read_constants(operands, params->vertical.taps, params);
}
