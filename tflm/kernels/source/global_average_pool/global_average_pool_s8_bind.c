/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "global_average_pool_s8.h"

enum { OPTION_COUNT = 3, MOST_PIXELS = 65536, MOST_CHANNELS = 4096, TABLE_BYTES = 256 };

MICRONET_SHARED micronet_status micronet_global_average_pool_s8_bind(
    const micronet_operands *operands, micronet_global_average_pool_s8_params *params) {
  int32_t values[OPTION_COUNT];
  const void *table = 0;
  if (params == 0) return MICRONET_NULL_POINTER;
  const micronet_status status = micronet_read_options(
      operands, MICRONET_GLOBAL_AVERAGE_POOL_S8_VERSION, values, OPTION_COUNT);
  if (status != MICRONET_OK) return status;
  params->pixels = values[0];
  params->channels = values[1];
  params->has_table = values[2];
  const int is_valid = micronet_is_within(params->pixels, 1, MOST_PIXELS) &&
                       micronet_is_within(params->channels, 1, MOST_CHANNELS) &&
                       (int64_t)params->pixels * params->channels <= 1 << 24 &&
                       micronet_is_within(params->has_table, 0, 1);
  if (!is_valid) return MICRONET_OPTIONS_VALUE;
  if (operands->constant_count != params->has_table) return MICRONET_CONSTANT_COUNT;
  if (params->has_table) {
    const micronet_status table_status =
        micronet_read_constant(operands, 0, TABLE_BYTES, 1, &table);
    if (table_status != MICRONET_OK) return table_status;
  }
  params->table = table;
  return MICRONET_OK;
}
