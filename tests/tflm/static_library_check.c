/* Runs libraries of static_c on data from the host, for tests.
 *
 * A file that includes this one has included their headers and defined LIBRARIES(ENTRY):
 * ENTRY(name, CAPITALS) for each, the prefixes of its functions and of its constants.
 *
 * The input is a number of runs, and for each the index of a library and an image. The output is
 * for each library its arena's size and what it answers to arenas that it has to refuse (NULL, at
 * each of the 15 wrong alignments, one byte too small) and to a right one, 19 int32 in all; then
 * for each run two words, the instructions (low first), and the model's output. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "instruction_counter.h"

typedef struct {
  int32_t (*arena_size)(void);
  micronet_status (*init)(void *arena, int32_t arena_bytes);
  micronet_status (*run)(void *arena);
  int8_t *(*input)(void *arena);
  const int8_t *(*output)(const void *arena);
  int32_t arena_bytes;
  int32_t input_bytes;
  int32_t output_bytes;
} library;

#define ENTRY(name, CAPITALS)                                                                  \
  {name##_arena_size,    name##_init,           name##_run,          name##_input, name##_output, \
   CAPITALS##_ARENA_BYTES, CAPITALS##_INPUT_BYTES, CAPITALS##_OUTPUT_BYTES},
static const library libraries[] = {LIBRARIES(ENTRY)};
enum { LIBRARY_COUNT = sizeof(libraries) / sizeof(libraries[0]), GUARD = 0x5A, ALIGNMENT = 16 };

#if defined(__arm__)
/* An arena within bytes that nobody may change. */
static uint8_t memory[1 << 20] __attribute__((section(".bulk"), aligned(16)));
static const int32_t guard_bytes = 4096;

static uint8_t *make_arena(int32_t bytes) {
  memset(memory, GUARD, sizeof(memory));
  if ((size_t)bytes + 2 * (size_t)guard_bytes > sizeof(memory)) host_exit(1);
  return memory + guard_bytes;
}

static void end_arena(uint8_t *arena, int32_t bytes) {
  for (const uint8_t *byte = memory; byte < memory + sizeof(memory); ++byte) {
    if (*byte != GUARD && (byte < arena || byte >= arena + bytes)) {
      host_print("a library wrote outside its arena\n");
      host_exit(1);
    }
  }
}
#else
/* A block of its own, so that the sanitizer sees every access outside it. */
static uint8_t *make_arena(int32_t bytes) { return malloc((size_t)bytes); }

static void end_arena(uint8_t *arena, int32_t bytes) {
  (void)bytes;
  free(arena);
}
#endif

static void write_int32(int32_t value) { host_write(&value, sizeof(value)); }

static int32_t read_int32(void) {
  int32_t value;
  host_read(&value, sizeof(value));
  return value;
}

static void offer_arenas(const library *model) {
  const int32_t bytes = model->arena_size();
  if (bytes != model->arena_bytes) host_exit(1);
  write_int32(bytes);
  uint8_t *arena = make_arena(bytes + ALIGNMENT);
  write_int32((int32_t)model->init(NULL, bytes));
  for (int32_t i = 1; i < ALIGNMENT; ++i) write_int32((int32_t)model->init(arena + i, bytes));
  write_int32((int32_t)model->init(arena, bytes - 1));
  write_int32((int32_t)model->init(arena, bytes));
  end_arena(arena, 0); /* none of this writes */
}

typedef struct {
  const library *model;
  void *arena;
  micronet_status status;
} model_run;

static void run_model(void *argument) {
  model_run *run = argument;
  run->status = run->model->run(run->arena);
}

/* fill: what is in the arena before; it must not matter. */
static void run_once(const library *model, int fill) {
  uint8_t *arena = make_arena(model->arena_bytes);
  model_run run = {.model = model, .arena = arena};
  if (model->init(arena, model->arena_bytes) != MICRONET_OK) host_exit(1);
  memset(arena, fill, (size_t)model->arena_bytes);
  host_read(model->input(arena), (size_t)model->input_bytes);
  const uint64_t instructions = instruction_counter_measure(run_model, &run);
  if (run.status != MICRONET_OK || model->run(NULL) != MICRONET_NULL_POINTER) host_exit(1);
  host_write(&instructions, sizeof(instructions));
  host_write(model->output(arena), (size_t)model->output_bytes);
  end_arena(arena, model->arena_bytes);
}

int main(void) {
  for (int32_t i = 0; i < LIBRARY_COUNT; ++i) offer_arenas(&libraries[i]);
  const int32_t runs = read_int32();
  for (int32_t i = 0; i < runs; ++i) {
    const int32_t index = read_int32();
    if (index < 0 || index >= LIBRARY_COUNT) host_exit(1);
    run_once(&libraries[index], 61 * i);
  }
  return 0;
}
