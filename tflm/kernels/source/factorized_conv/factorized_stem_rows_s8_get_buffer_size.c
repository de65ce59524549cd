/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "factorized_stem_rows_s8_internal.h"

MICRONET_SHARED int32_t
micronet_factorized_stem_rows_s8_get_buffer_size(const micronet_factorized_stem_s8_params *params) {
  return (int32_t)sizeof(factorized_stem_rows_state) + factorized_stem_strip_buffer_size(params) +
         (params->vertical.taps - 1) * factorized_stem_rows_row_pitch(params);
}
