/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "factorized_stem_rows_s8_internal.h"

MICRONET_SHARED micronet_status micronet_factorized_stem_rows_s8_begin(
    const micronet_factorized_stem_s8_params *params, void *buffer) {
  if (params == 0 || buffer == 0) return MICRONET_NULL_POINTER;
  factorized_stem_rows_state *state = buffer;
  state->mark = factorized_stem_rows_mark(params);
  state->next_row = 0;
  state->next_output_row = 0;
  return MICRONET_OK;
}
