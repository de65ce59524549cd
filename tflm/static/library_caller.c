/* SPDX-License-Identifier: Apache-2.0 */
/* What firmware does with an image, as functions of one form: for compiled_library.py.
 *
 * It is compiled for one library: NAME, the same in capitals CAPITALS, HEADER, and ROWS_HEADER if
 * the library has functions for an image that comes row by row. */
#include <string.h>

#include HEADER

#define JOIN_NOW(first, second) first##second
#define JOIN(first, second) JOIN_NOW(first, second)
#define LIBRARY(function) JOIN(NAME, function)
#define CONSTANT(name) JOIN(CAPITALS, name)

int32_t caller_arena_bytes(void) { return CONSTANT(_ARENA_BYTES); }
int32_t caller_input_bytes(void) { return CONSTANT(_INPUT_BYTES); }
int32_t caller_output_bytes(void) { return CONSTANT(_OUTPUT_BYTES); }

int32_t caller_run(void *arena, const int8_t *image, int8_t *output) {
  micronet_status status = LIBRARY(_init)(arena, LIBRARY(_arena_size)());
  if (status != MICRONET_OK) return status;
  memcpy(LIBRARY(_input)(arena), image, CONSTANT(_INPUT_BYTES));
  status = LIBRARY(_run)(arena);
  memcpy(output, LIBRARY(_output)(arena), CONSTANT(_OUTPUT_BYTES));
  return status;
}

#if defined(ROWS_HEADER)
#include ROWS_HEADER

int32_t caller_rows_arena_bytes(void) { return CONSTANT(_ROWS_ARENA_BYTES); }

int32_t caller_rows_run(void *arena, const int8_t *image, int8_t *output) {
  enum { row_bytes = CONSTANT(_INPUT_WIDTH) * CONSTANT(_INPUT_CHANNELS) };
  int8_t row[row_bytes];
  micronet_status status = LIBRARY(_rows_init)(arena, LIBRARY(_rows_arena_size)());
  if (status == MICRONET_OK) status = LIBRARY(_rows_begin)(arena);
  for (int y = 0; y < CONSTANT(_INPUT_HEIGHT) && status == MICRONET_OK; ++y) {
    memcpy(row, image + y * row_bytes, row_bytes);
    status = LIBRARY(_rows_push)(arena, row);
  }
  memset(row, 77, row_bytes); /* the library must be done with it */
  if (status == MICRONET_OK) status = LIBRARY(_rows_run)(arena);
  memcpy(output, LIBRARY(_rows_output)(arena), CONSTANT(_OUTPUT_BYTES));
  return status;
}
#endif
