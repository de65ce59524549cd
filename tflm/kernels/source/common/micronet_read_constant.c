/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "micronet_operands.h"

MICRONET_SHARED micronet_status micronet_read_constant(const micronet_operands *operands,
                                                       int32_t index, int64_t count,
                                                       int64_t element_bytes, const void **data) {
  if (operands == 0 || operands->constants == 0) return MICRONET_NULL_POINTER;
  if (index >= operands->constant_count) return MICRONET_CONSTANT_COUNT;
  const micronet_constant *constant = &operands->constants[index];
  if (constant->data == 0) return MICRONET_NULL_POINTER;
  if ((uintptr_t)constant->data % 4 != 0) return MICRONET_CONSTANT_ALIGNMENT;
  if (constant->bytes != count * element_bytes) return MICRONET_CONSTANT_SIZE;
  *data = constant->data;
  return MICRONET_OK;
}
