/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "micronet_operands.h"

MICRONET_SHARED micronet_status micronet_check_channels(const int32_t *channels, int32_t count) {
  for (int32_t i = 0; i < count; ++i) {
    if (channels[2 * i + 1] < 0) return MICRONET_CONSTANT_VALUE;
  }
  return MICRONET_OK;
}
