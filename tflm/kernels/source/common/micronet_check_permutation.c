/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "micronet_operands.h"

MICRONET_SHARED micronet_status micronet_check_permutation(const int16_t *positions,
                                                           int32_t count) {
  for (int32_t i = 0; i < count; ++i) {
    if (positions[i] < 0 || positions[i] >= count) return MICRONET_CONSTANT_VALUE;
    for (int32_t before = 0; before < i; ++before) {
      if (positions[before] == positions[i]) return MICRONET_CONSTANT_VALUE;
    }
  }
  return MICRONET_OK;
}
