/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "factorized_stem_s8_internal.h"

MICRONET_SHARED int32_t
micronet_factorized_stem_s8_get_buffer_size(const micronet_factorized_stem_s8_params *params) {
  return factorized_stem_strip_buffer_size(params);
}
