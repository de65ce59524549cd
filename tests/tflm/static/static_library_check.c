/* SPDX-License-Identifier: Apache-2.0 */
/* Runs libraries of static_c on data from the host, for tests.
 *
 * A file that includes this one has included their headers for rows and defined
 * LIBRARIES(ENTRY): ENTRY(name, CAPITALS) for each, the prefixes of its functions and constants.
 *
 * The input is a number of runs, and for each the index of a library and an image. The output is
 * for each library, for whole images and again for rows, its arena's size and what it answers to
 * arenas that it has to refuse (NULL, at each of the 15 wrong alignments, one byte too small) and
 * to a right one, 19 int32 in all; then for each run, for whole images and for rows, two words, the
 * instructions (low first), and the model's output. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "instruction_counter.h"

typedef enum { IMAGE, ROWS, WAY_COUNT } way;

typedef struct {
  int32_t (*arena_size)(void);
  micronet_status (*init)(void *arena, int32_t arena_bytes);
  const int8_t *(*output)(const void *arena);
  int32_t arena_bytes;
} arena_functions;

typedef struct {
  arena_functions arenas[WAY_COUNT];
  int8_t *(*input)(void *arena);
  micronet_status (*run)(void *arena);
  micronet_status (*rows_begin)(void *arena);
  micronet_status (*rows_push)(void *arena, const int8_t *row);
  micronet_status (*rows_run)(void *arena);
  int32_t height;
  int32_t input_bytes;
  int32_t output_bytes;
} library;

#define ENTRY(name, CAPITALS)                                                                     \
  {{{name##_arena_size, name##_init, name##_output, CAPITALS##_ARENA_BYTES},                      \
    {name##_rows_arena_size, name##_rows_init, name##_rows_output, CAPITALS##_ROWS_ARENA_BYTES}}, \
   name##_input,                                                                                  \
   name##_run,                                                                                    \
   name##_rows_begin,                                                                             \
   name##_rows_push,                                                                              \
   name##_rows_run,                                                                               \
   CAPITALS##_INPUT_HEIGHT,                                                                       \
   CAPITALS##_INPUT_BYTES,                                                                        \
   CAPITALS##_OUTPUT_BYTES},
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
static int8_t *make_image(int32_t bytes) {
  static int8_t image[1 << 18] __attribute__((section(".bulk"), aligned(16)));
  if ((size_t)bytes > sizeof(image)) host_exit(1);
  return image;
}

static void end_image(int8_t *image) { (void)image; }
#else
/* A block of its own, so that the sanitizer sees every access outside it. */
static int8_t *make_image(int32_t bytes) { return malloc((size_t)bytes); }

static void end_image(int8_t *image) { free(image); }

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

static void offer_arenas(const arena_functions *arenas) {
  const int32_t bytes = arenas->arena_size();
  if (bytes != arenas->arena_bytes) host_exit(1);
  write_int32(bytes);
  uint8_t *arena = make_arena(bytes + ALIGNMENT);
  write_int32((int32_t)arenas->init(NULL, bytes));
  for (int32_t i = 1; i < ALIGNMENT; ++i) write_int32((int32_t)arenas->init(arena + i, bytes));
  write_int32((int32_t)arenas->init(arena, bytes - 1));
  write_int32((int32_t)arenas->init(arena, bytes));
  end_arena(arena, 0); /* none of this writes */
}

typedef struct {
  const library *model;
  void *arena;
  const int8_t *image;
  micronet_status status;
} model_run;

static void run_image(void *argument) {
  model_run *run = argument;
  run->status = run->model->run(run->arena);
}

static micronet_status push_rows(const model_run *run, int32_t count) {
  const library *model = run->model;
  const int32_t row_bytes = model->input_bytes / model->height;
  micronet_status status = MICRONET_OK;
  for (int32_t y = 0; y < count && status == MICRONET_OK; ++y) {
    status = model->rows_push(run->arena, run->image + y * row_bytes);
  }
  return status;
}

static void run_rows(void *argument) {
  model_run *run = argument;
  run->status = run->model->rows_begin(run->arena);
  if (run->status == MICRONET_OK) run->status = push_rows(run, run->model->height);
  if (run->status == MICRONET_OK) run->status = run->model->rows_run(run->arena);
}

static void require(int is_right) {
  if (!is_right) host_exit(1);
}

/* What is refused, before an image or after one. */
static void check_refusals(const model_run *run) {
  const library *model = run->model;
  require(model->run(NULL) == MICRONET_NULL_POINTER);
  require(model->rows_begin(NULL) == MICRONET_NULL_POINTER);
  require(model->rows_push(NULL, run->image) == MICRONET_NULL_POINTER);
  require(model->rows_push(run->arena, NULL) == MICRONET_NULL_POINTER);
  require(model->rows_run(NULL) == MICRONET_NULL_POINTER);
}

static void check_order(const model_run *run) {
  const library *model = run->model;
  require(model->rows_run(run->arena) == MICRONET_CALL_ORDER); /* not begun */
  require(model->rows_begin(run->arena) == MICRONET_OK);
  require(push_rows(run, model->height - 1) == MICRONET_OK);
  require(model->rows_run(run->arena) == MICRONET_CALL_ORDER); /* a row is missing */
  require(push_rows(run, 1) == MICRONET_OK);
  require(model->rows_push(run->arena, run->image) == MICRONET_CALL_ORDER); /* one too many */
}

static void run_once(const library *model, way way, const int8_t *image, int fill) {
  const arena_functions *arenas = &model->arenas[way];
  uint8_t *arena = make_arena(arenas->arena_bytes);
  model_run run = {.model = model, .arena = arena, .image = image};
  require(arenas->init(arena, arenas->arena_bytes) == MICRONET_OK);
  memset(arena, fill, (size_t)arenas->arena_bytes); /* must not matter */
  check_refusals(&run);
  if (way == IMAGE) memcpy(model->input(arena), image, (size_t)model->input_bytes);
  if (way == ROWS) check_order(&run);
  const uint64_t instructions =
      instruction_counter_measure(way == IMAGE ? run_image : run_rows, &run);
  require(run.status == MICRONET_OK);
  host_write(&instructions, sizeof(instructions));
  host_write(arenas->output(arena), (size_t)model->output_bytes);
  if (way == ROWS) require(model->rows_run(arena) == MICRONET_CALL_ORDER);
  end_arena(arena, arenas->arena_bytes);
}

int main(void) {
  for (int32_t i = 0; i < LIBRARY_COUNT; ++i) {
    for (int j = 0; j < WAY_COUNT; ++j) offer_arenas(&libraries[i].arenas[j]);
  }
  const int32_t runs = read_int32();
  for (int32_t i = 0; i < runs; ++i) {
    const int32_t index = read_int32();
    require(index >= 0 && index < LIBRARY_COUNT);
    const library *model = &libraries[index];
    int8_t *image = make_image(model->input_bytes);
    host_read(image, (size_t)model->input_bytes);
    run_once(model, IMAGE, image, 61 * i);
    run_once(model, ROWS, image, 61 * i);
    end_image(image);
  }
  return 0;
}
