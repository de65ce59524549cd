/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "dynamic_shift_max_in_place_s8.h"
#include "dynamic_shift_max_s8_internal.h"

MICRONET_SHARED int32_t micronet_dynamic_shift_max_in_place_s8_get_buffer_size(
    const micronet_dynamic_shift_max_s8_params *params) {
  const int32_t channels = micronet_dynamic_shift_max_s8_rounded_up(params->channels);
  const int32_t squeeze_channels =
      micronet_dynamic_shift_max_s8_rounded_up(params->squeeze_channels);
  const int32_t pixels = params->pixels < MICRONET_DYNAMIC_SHIFT_MAX_IN_PLACE_S8_PIXELS
                             ? params->pixels
                             : MICRONET_DYNAMIC_SHIFT_MAX_IN_PLACE_S8_PIXELS;
  const int32_t layers = 2 * channels + 2 * squeeze_channels;
  const int32_t block = pixels * params->channels;
  return 4 * params->fusions * channels + (layers > block ? layers : block);
}
