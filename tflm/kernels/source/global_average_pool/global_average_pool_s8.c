/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "global_average_pool_s8.h"

#include "channel_sums.h"

/* One implementation: what differs between processors is in channel_sums.h. */

static int32_t mean_of(int32_t sum, int32_t pixels) {
  return (sum > 0 ? sum + pixels / 2 : sum - pixels / 2) / pixels;
}

MICRONET_SHARED micronet_status
micronet_global_average_pool_s8(const micronet_global_average_pool_s8_params *params,
                                const int8_t *input, int8_t *output, void *buffer) {
  (void)buffer;
  if (params == 0 || input == 0 || output == 0) return MICRONET_NULL_POINTER;
  const int32_t pixels = params->pixels, channels = params->channels;
  const int8_t *table = params->table;
  int32_t sums[MICRONET_CHANNEL_SUMS_MOST];
  for (int32_t first = 0; first < channels; first += MICRONET_CHANNEL_SUMS_MOST) {
    const int32_t left = channels - first;
    const int32_t count = left < MICRONET_CHANNEL_SUMS_MOST ? left : MICRONET_CHANNEL_SUMS_MOST;
    micronet_channel_sums(input + first, pixels, channels, count, sums);
    for (int32_t i = 0; i < count; ++i) {
      const int32_t mean = mean_of(sums[i], pixels);
      output[first + i] = table != 0 ? table[mean - INT8_MIN] : (int8_t)mean;
    }
  }
  return MICRONET_OK;
}
