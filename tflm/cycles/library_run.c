/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a static library for one image, so that its cycles can be counted; see library_cycles.py.
 *
 * A file that includes this one has included the library's header and defined LIBRARY(name) and
 * LIBRARY_CONSTANT(NAME), which put the library's prefix in front. The image is made up: what the
 * kernels execute hardly depends on it. */
#include <stdint.h>

#include "host.h"

static uint8_t arena[LIBRARY_CONSTANT(ARENA_BYTES)] __attribute__((section(".bulk"), aligned(16)));

/* What is counted. Not inlined, so that it is a function. */
__attribute__((noinline)) micronet_status measured_run(void *memory) {
  return LIBRARY(run)(memory);
}

int main(void) {
  micronet_status status = LIBRARY(init)(arena, LIBRARY_CONSTANT(ARENA_BYTES));
  int8_t *input = LIBRARY(input)(arena);
  for (int32_t i = 0; i < LIBRARY_CONSTANT(INPUT_BYTES); ++i) input[i] = (int8_t)(i * 37 % 251);
  if (status == MICRONET_OK) status = measured_run(arena);
  if (status == MICRONET_OK) return 0;
  host_print(micronet_status_message(status));
  return 1;
}
