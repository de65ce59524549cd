/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "dense_s8_internal.h"

MICRONET_SHARED int32_t micronet_dense_s8_get_buffer_size(const micronet_dense_s8_params *params) {
  return 16 * micronet_dense_steps(params);
}
