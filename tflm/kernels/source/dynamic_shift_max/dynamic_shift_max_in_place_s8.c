/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "dynamic_shift_max_in_place_s8.h"
#include "dynamic_shift_max_s8_internal.h"
#include "micronet_copy.h"

MICRONET_SHARED micronet_status micronet_dynamic_shift_max_in_place_s8(
    const micronet_dynamic_shift_max_s8_params *params, int8_t *map, void *buffer) {
  if (params == 0 || map == 0 || buffer == 0) return MICRONET_NULL_POINTER;
  const micronet_dynamic_shift_max_s8_buffer parts =
      micronet_dynamic_shift_max_s8_divide_buffer(params, buffer);
  int8_t *block = parts.means;
  micronet_dynamic_shift_max_s8_coefficients(params, map, &parts);
  for (int32_t left = params->pixels; left > 0;) {
    const int32_t pixels = left < MICRONET_DYNAMIC_SHIFT_MAX_IN_PLACE_S8_PIXELS
                               ? left
                               : MICRONET_DYNAMIC_SHIFT_MAX_IN_PLACE_S8_PIXELS;
    const int32_t bytes = pixels * params->channels;
    micronet_copy(block, map, bytes);
    micronet_dynamic_shift_max_s8_fuse(params, parts.coefficients, block, map, pixels);
    map += bytes;
    left -= pixels;
  }
  return MICRONET_OK;
}
