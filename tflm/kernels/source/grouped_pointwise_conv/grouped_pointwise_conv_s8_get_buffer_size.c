/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "grouped_pointwise_conv_s8_internal.h"

MICRONET_SHARED int32_t micronet_grouped_pointwise_conv_s8_get_buffer_size(
    const micronet_grouped_pointwise_conv_s8_params *params) {
  const int32_t steps = micronet_pointwise_steps(params);
  const int32_t tile = micronet_pointwise_tile(params) * 8 * steps;
  const int32_t two_rows = steps > MICRONET_POINTWISE_MOST_RESIDENT_STEPS ? 16 * steps : 0;
  const int32_t four_rows = (params->inputs + 15) / 16 * 64; /* for Helium, without a tile */
  return tile + two_rows > four_rows ? tile + two_rows : four_rows;
}
