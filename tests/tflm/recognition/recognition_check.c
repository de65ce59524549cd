/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the functions of recognition on data from the host; see test_c_functions.py.
 *
 * Each array ends where its memory does, so that a sanitizer sees what is read behind it. */
#include <stddef.h>

#include "host.h"
#include "micronet_objects.h"
#include "micronet_scores.h"
#include "micronet_smoothing.h"

enum { MOST_CLASSES = 1000, MOST_CELLS = 512, MOST_COLUMNS = 128, MOST_SCORES = 4096 };
enum { END = 0, SCORES = 1, SMOOTHING = 2, OBJECTS = 3, KEYPOINTS = 4, CLASS_MAP = 5 };

static int8_t score_memory[MOST_CLASSES];
static uint32_t exponentials[MICRONET_EXPONENTIALS];
static uint16_t probability_memory[MOST_CLASSES];
static int32_t index_memory[MOST_CLASSES];
static uint32_t average_memory[MOST_CLASSES];
static int8_t cell_memory[MOST_SCORES];
static uint16_t sigmoids[MICRONET_SIGMOIDS];
static uint16_t threshold_memory[MOST_CLASSES];
static uint32_t working_memory[MICRONET_FIND_OBJECTS_BYTES(MOST_COLUMNS) / 4];
static micronet_object object_memory[MOST_CELLS];
static uint8_t class_memory[MOST_CELLS];

static int32_t read_number(void) {
  int32_t number;
  host_read(&number, sizeof(number));
  return number;
}

static void write_number(int32_t number) { host_write(&number, sizeof(number)); }

static void check_scores(void) {
  const int32_t count = read_number();
  const int32_t k = read_number();
  const uint16_t threshold = (uint16_t)read_number();
  int8_t *scores = score_memory + MOST_CLASSES - count;
  uint16_t *probabilities = probability_memory + MOST_CLASSES - count;
  int32_t *indices = index_memory + MOST_CLASSES - (k < 0 ? 0 : k > count ? count : k);
  host_read(scores, (size_t)count);
  host_read(exponentials, sizeof(exponentials));
  uint16_t probability = 0;
  write_number(micronet_argmax(scores, count));
  const int32_t found = micronet_top_k(scores, count, k, indices);
  write_number(found);
  host_write(indices, (size_t)found * sizeof(*indices));
  micronet_probabilities(scores, count, exponentials, probabilities);
  host_write(probabilities, (size_t)count * sizeof(*probabilities));
  write_number(micronet_recognize(scores, count, exponentials, threshold, &probability));
  write_number(probability);
  if (micronet_recognize(scores, count, exponentials, 0, NULL) != micronet_argmax(scores, count)) {
    host_exit(1);
  }
}

static void check_smoothing(void) {
  micronet_smoothing_settings settings;
  micronet_smoothing smoothing;
  settings.count = read_number();
  settings.weight = (uint16_t)read_number();
  settings.threshold = (uint16_t)read_number();
  settings.release = (uint16_t)read_number();
  settings.hold = (uint16_t)read_number();
  uint16_t *probabilities = probability_memory + MOST_CLASSES - settings.count;
  micronet_smoothing_begin(&smoothing, &settings, average_memory + MOST_CLASSES - settings.count);
  for (int32_t frames = read_number(); frames > 0; --frames) {
    host_read(probabilities, (size_t)settings.count * sizeof(*probabilities));
    write_number(micronet_smoothing_update(&smoothing, probabilities));
    write_number(smoothing.answer);
    write_number(smoothing.probability);
  }
}

static micronet_grid read_grid(void) {
  micronet_grid grid;
  host_read(&grid, sizeof(grid));
  return grid;
}

static micronet_view read_view(void) {
  micronet_view view;
  host_read(&view, sizeof(view));
  return view;
}

static int8_t *read_cells(const micronet_grid *grid) {
  const int32_t count = grid->rows * grid->columns * grid->answers;
  int8_t *cells = cell_memory + MOST_SCORES - count;
  host_read(cells, (size_t)count);
  return cells;
}

static uint16_t *read_thresholds(int32_t count) {
  uint16_t *thresholds = threshold_memory + MOST_CLASSES - count;
  host_read(thresholds, (size_t)count * sizeof(*thresholds));
  return thresholds;
}

static void write_objects(const micronet_object *objects, int32_t count) {
  write_number(count);
  for (int32_t i = 0; i < count; ++i) {
    write_number(objects[i].class_index);
    write_number(objects[i].x);
    write_number(objects[i].y);
    write_number(objects[i].width);
    write_number(objects[i].height);
    write_number(objects[i].score);
  }
}

static void check_objects(void) {
  const micronet_grid grid = read_grid();
  const micronet_view view = read_view();
  const int32_t most_objects = read_number();
  const int8_t *cells = read_cells(&grid);
  host_read(exponentials, sizeof(exponentials));
  const uint16_t *thresholds = read_thresholds(grid.answers - 1);
  const int32_t words = MICRONET_FIND_OBJECTS_BYTES(grid.columns) / 4;
  uint32_t *memory = working_memory + sizeof(working_memory) / 4 - words;
  for (int32_t i = 0; i < words; ++i) memory[i] = 0xA5A5A5A5u; /* needs no values */
  micronet_object *objects = object_memory + MOST_CELLS - most_objects;
  write_objects(objects, micronet_find_objects(cells, &grid, exponentials, thresholds, &view,
                                               memory, objects, most_objects));
}

static void check_keypoints(void) {
  const micronet_grid grid = read_grid();
  const micronet_view view = read_view();
  const int8_t *cells = read_cells(&grid);
  host_read(sigmoids, sizeof(sigmoids));
  const uint16_t *thresholds = read_thresholds(grid.answers);
  micronet_object *joints = object_memory + MOST_CELLS - grid.answers;
  write_objects(joints, micronet_find_keypoints(cells, &grid, sigmoids, thresholds, &view, joints));
}

static void check_class_map(void) {
  const micronet_grid grid = read_grid();
  const int8_t *cells = read_cells(&grid);
  const int32_t count = grid.rows * grid.columns;
  uint8_t *classes = class_memory + MOST_CELLS - count;
  int32_t *counts = index_memory + MOST_CLASSES - grid.answers;
  micronet_class_map(cells, &grid, classes, counts);
  host_write(classes, (size_t)count);
  host_write(counts, (size_t)grid.answers * sizeof(*counts));
}

int main(void) {
  for (;;) {
    switch (read_number()) {
      case SCORES:
        check_scores();
        break;
      case SMOOTHING:
        check_smoothing();
        break;
      case OBJECTS:
        check_objects();
        break;
      case KEYPOINTS:
        check_keypoints();
        break;
      case CLASS_MAP:
        check_class_map();
        break;
      case END:
        return 0;
      default:
        host_exit(1);
    }
  }
}
