/* SPDX-License-Identifier: Apache-2.0 */
/* The buffer of factorized_stem_rows_s8: internal.
 *
 * First the state, then rows of the input: all that a window reads but its last one. Row y is in
 * place y % (vertical.taps - 1). Then the buffer of a strip. */
#ifndef MICRONET_FACTORIZED_STEM_ROWS_S8_INTERNAL_H
#define MICRONET_FACTORIZED_STEM_ROWS_S8_INTERNAL_H

#include "factorized_stem_rows_s8.h"
#include "factorized_stem_s8_internal.h"

typedef struct {
  uint32_t mark;    /* factorized_stem_rows_mark; inverted after the last row */
  int32_t next_row; /* of the input */
  int32_t next_output_row;
} factorized_stem_rows_state;

/* What other memory is unlikely to hold, another one for other params. */
static inline uint32_t factorized_stem_rows_mark(const micronet_factorized_stem_s8_params *params) {
  return 0xB1E5EED5u ^ (uint32_t)(uintptr_t)params;
}

/* From one row of the input to the next, a multiple of 4 bytes. */
static inline int32_t factorized_stem_rows_row_pitch(
    const micronet_factorized_stem_s8_params *params) {
  return (params->width * params->channels + 3) & ~3;
}

#endif
