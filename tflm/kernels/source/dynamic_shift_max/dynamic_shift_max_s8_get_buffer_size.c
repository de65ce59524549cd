/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "dynamic_shift_max_s8_internal.h"

MICRONET_SHARED int32_t
micronet_dynamic_shift_max_s8_get_buffer_size(const micronet_dynamic_shift_max_s8_params *params) {
  const int32_t channels = micronet_dynamic_shift_max_s8_rounded_up(params->channels);
  const int32_t squeeze_channels =
      micronet_dynamic_shift_max_s8_rounded_up(params->squeeze_channels);
  return (2 + 4 * params->fusions) * channels + 2 * squeeze_channels;
}
