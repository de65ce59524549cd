/* SPDX-License-Identifier: Apache-2.0 */
/* Measures a library of static_c on an emulated processor, for benchmarks/models.py.
 *
 * A file that includes this one has included the library's header for rows and defined
 * LIBRARY(name) and LIBRARY_CONSTANT(NAME): the library's function or constant of that name, which
 * puts the library's prefix in front.
 *
 * The input is an image. The output is, first for a whole image and then for one that comes row by
 * row: bytes of the arena and of the stack, int32 each; instructions, uint64; the model's own
 * output. */
#include <stdint.h>
#include <string.h>

#include "host.h"
#include "instruction_counter.h"

enum {
  IMAGE_HEIGHT = LIBRARY_CONSTANT(INPUT_HEIGHT),
  IMAGE_BYTES = LIBRARY_CONSTANT(INPUT_BYTES),
  ROW_BYTES = IMAGE_BYTES / IMAGE_HEIGHT,
};

static uint8_t arena[LIBRARY_CONSTANT(ARENA_BYTES)] __attribute__((section(".bulk"), aligned(16)));
static int8_t image[IMAGE_BYTES] __attribute__((section(".bulk"), aligned(16)));

static void require_ok(micronet_status status) {
  if (status == MICRONET_OK) return;
  host_print(micronet_status_message(status));
  host_exit(1);
}

/* The lowest address of the stack; defined by the linker script. */
extern uint32_t linker_stack_start[];
static const uint32_t kPaint = 0xA5C3961Eu;

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* The stack pointer of the function that this is inlined into: what that one calls writes below. */
ALWAYS_INLINE uint32_t *stack_pointer(void) {
  uint32_t *top;
  __asm__ volatile("mov %0, sp" : "=r"(top));
  return top;
}

ALWAYS_INLINE void paint_stack_below(uint32_t *top) {
  for (volatile uint32_t *word = linker_stack_start; word < top; ++word) *word = kPaint;
}

/* Bytes from the deepest word that has another value than the paint up to the top. */
ALWAYS_INLINE int32_t stack_bytes_below(uint32_t *top) {
  const volatile uint32_t *word = linker_stack_start;
  while (word < top && *word == kPaint) ++word;
  return (int32_t)((uintptr_t)top - (uintptr_t)word);
}

/* What is in the arena before must not matter. */
static void prepare_image(void) {
  memset(arena, 0x5A, sizeof(arena));
  require_ok(LIBRARY(init)(arena, LIBRARY(arena_size)()));
  memcpy(LIBRARY(input)(arena), image, IMAGE_BYTES);
}

static void prepare_rows(void) {
  memset(arena, 0x5A, sizeof(arena));
  require_ok(LIBRARY(rows_init)(arena, LIBRARY(rows_arena_size)()));
}

ALWAYS_INLINE micronet_status compute_image(void) { return LIBRARY(run)(arena); }

ALWAYS_INLINE micronet_status compute_rows(void) {
  micronet_status status = LIBRARY(rows_begin)(arena);
  for (int32_t y = 0; y < IMAGE_HEIGHT && status == MICRONET_OK; ++y) {
    status = LIBRARY(rows_push)(arena, image + y * ROW_BYTES);
  }
  return status == MICRONET_OK ? LIBRARY(rows_run)(arena) : status;
}

static void count_image(void *status) { *(micronet_status *)status = compute_image(); }

static void count_rows(void *status) { *(micronet_status *)status = compute_rows(); }

/* Not inlined, so that the stack pointer stays what it is. */
__attribute__((noinline)) static int32_t stack_of_image(void) {
  uint32_t *top = stack_pointer();
  paint_stack_below(top);
  const micronet_status status = compute_image();
  const int32_t bytes = stack_bytes_below(top);
  require_ok(status);
  return bytes;
}

__attribute__((noinline)) static int32_t stack_of_rows(void) {
  uint32_t *top = stack_pointer();
  paint_stack_below(top);
  const micronet_status status = compute_rows();
  const int32_t bytes = stack_bytes_below(top);
  require_ok(status);
  return bytes;
}

static void write_measured(int32_t arena_bytes, int32_t stack_bytes, void (*work)(void *),
                           const int8_t *output) {
  micronet_status status = MICRONET_OK;
  const uint64_t instructions = instruction_counter_measure(work, &status);
  require_ok(status);
  host_write(&arena_bytes, sizeof(arena_bytes));
  host_write(&stack_bytes, sizeof(stack_bytes));
  host_write(&instructions, sizeof(instructions));
  host_write(output, LIBRARY_CONSTANT(OUTPUT_BYTES));
}

int main(void) {
  host_read(image, sizeof(image));
  prepare_image();
  int32_t stack_bytes = stack_of_image();
  prepare_image();
  write_measured(LIBRARY(arena_size)(), stack_bytes, count_image, LIBRARY(output)(arena));
  prepare_rows();
  stack_bytes = stack_of_rows();
  prepare_rows();
  write_measured(LIBRARY(rows_arena_size)(), stack_bytes, count_rows, LIBRARY(rows_output)(arena));
  return 0;
}
