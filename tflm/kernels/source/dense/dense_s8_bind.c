/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "dense_s8_internal.h"

MICRONET_SHARED micronet_status micronet_dense_s8_bind(const micronet_operands *operands,
                                                       micronet_dense_s8_params *params) {
  return micronet_dense_bind(operands, MICRONET_DENSE_S8_VERSION, 8, params);
}
