/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "micronet_operands.h"

/* Byte by byte: options may begin anywhere in a file. */
static int32_t read_int32(const uint8_t *bytes) {
  const uint32_t value = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
                         (uint32_t)bytes[3] << 24;
  return (int32_t)value;
}

MICRONET_SHARED micronet_status micronet_read_options(const micronet_operands *operands,
                                                      int32_t version, int32_t *values,
                                                      int32_t count) {
  if (operands == 0 || operands->options == 0) return MICRONET_NULL_POINTER;
  if (operands->options_bytes < 4) return MICRONET_OPTIONS_SIZE;
  if (read_int32(operands->options) != version) return MICRONET_OPTIONS_VERSION;
  if (operands->options_bytes != 4 * (count + 1)) return MICRONET_OPTIONS_SIZE;
  for (int32_t i = 0; i < count; ++i) values[i] = read_int32(operands->options + 4 * (i + 1));
  return MICRONET_OK;
}
