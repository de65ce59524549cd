/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "factorized_conv_internal.h"
#include "factorized_depthwise_conv_s8.h"

MICRONET_SHARED int32_t micronet_factorized_depthwise_conv_s8_get_buffer_size(
    const micronet_factorized_depthwise_conv_s8_params *params) {
  return factorized_column_pairs(params) * 64;
}
