/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "factorized_stem_rows_s8_internal.h"
#include "micronet_copy.h"

/* The place of row `y` of the input. */
static int8_t *place_of(const micronet_factorized_stem_s8_params *params,
                        factorized_stem_rows_state *state, int32_t y) {
  int8_t *places = (int8_t *)(state + 1);
  return places + y % (params->vertical.taps - 1) * factorized_stem_rows_row_pitch(params);
}

/* Computes the next row of the output.
 *
 * row: the last row of its window that is inside the input. */
static void compute_row(const micronet_factorized_stem_s8_params *params, factorized_window window,
                        const int8_t *row, int8_t *output, factorized_stem_rows_state *state) {
  const int32_t row_bytes = factorized_output_width(params) * params->horizontal.channels;
  const int32_t kept_bytes = (params->vertical.taps - 1) * factorized_stem_rows_row_pitch(params);
  factorized_stem_strip strip;
  strip.count = 1;
  strip.first = window.first;
  strip.last = window.last;
  for (int32_t tap = 0; tap < params->vertical.taps; ++tap) strip.rows[tap] = row;
  for (int32_t tap = window.first; tap < window.last - 1; ++tap) {
    strip.rows[tap] = place_of(params, state, window.start + tap);
  }
  micronet_factorized_stem_s8_strip(params, &strip, output + state->next_output_row * row_bytes,
                                    (int8_t *)(state + 1) + kept_bytes);
}

MICRONET_SHARED micronet_status
micronet_factorized_stem_rows_s8_push(const micronet_factorized_stem_s8_params *params,
                                      const int8_t *row, int8_t *output, void *buffer) {
  if (params == 0 || row == 0 || output == 0 || buffer == 0) return MICRONET_NULL_POINTER;
  factorized_stem_rows_state *state = buffer;
  if (state->mark != factorized_stem_rows_mark(params)) return MICRONET_CALL_ORDER;
  const int32_t newest = state->next_row;
  while (state->next_output_row * params->vertical.stride < params->height) {
    const factorized_window window = factorized_vertical_window(params, state->next_output_row);
    if (window.start + window.last - 1 > newest) { /* needs later rows, and perhaps this one */
      if (window.start <= newest) {
        micronet_copy(place_of(params, state, newest), row, params->width * params->channels);
      }
      break;
    }
    compute_row(params, window, row, output, state);
    ++state->next_output_row;
  }
  state->next_row = newest + 1;
  if (state->next_row == params->height) state->mark = ~state->mark;
  return MICRONET_OK;
}
