/* SPDX-License-Identifier: Apache-2.0 */
/* Counts the instructions of reading a grid's answers, for benchmarks/grid_answers.py.
 *
 * The input is a micronet_grid, the scores, a table of exponentials and one of sigmoids, a
 * threshold for each answer. The output is uint64 instructions of finding objects, keypoints and
 * the class map, and int32 numbers of the objects and keypoints that were found. */
#include "host.h"
#include "instruction_counter.h"
#include "micronet_objects.h"

enum { MOST_SCORES = 8192, MOST_COLUMNS = 64, MOST_OBJECTS = 64, MOST_ANSWERS = 256 };

static micronet_grid grid;
static micronet_view view;
static int8_t scores[MOST_SCORES];
static uint32_t exponentials[MICRONET_EXPONENTIALS];
static uint16_t sigmoids[MICRONET_SIGMOIDS];
static uint16_t thresholds[MOST_ANSWERS];
static uint32_t memory[MICRONET_FIND_OBJECTS_BYTES(MOST_COLUMNS) / 4];
static micronet_object objects[MOST_ANSWERS];
static uint8_t classes[MOST_SCORES];
static int32_t counts[MOST_ANSWERS];
static int32_t found;

static void find_objects(void *unused) {
  (void)unused;
  found = micronet_find_objects(scores, &grid, exponentials, thresholds, &view, memory, objects,
                                MOST_OBJECTS);
}

static void find_keypoints(void *unused) {
  (void)unused;
  found = micronet_find_keypoints(scores, &grid, sigmoids, thresholds, &view, objects);
}

static void map_classes(void *unused) {
  (void)unused;
  micronet_class_map(scores, &grid, classes, counts);
}

static void measure(void (*work)(void *)) {
  const uint64_t instructions = instruction_counter_measure(work, NULL);
  host_write(&instructions, sizeof(instructions));
  host_write(&found, sizeof(found));
}

int main(void) {
  host_read(&grid, sizeof(grid));
  if (grid.columns > MOST_COLUMNS || grid.answers > MOST_ANSWERS) return 1;
  if (grid.rows * grid.columns * grid.answers > MOST_SCORES) return 1;
  host_read(scores, (size_t)(grid.rows * grid.columns * grid.answers));
  host_read(exponentials, sizeof(exponentials));
  host_read(sigmoids, sizeof(sigmoids));
  host_read(thresholds, (size_t)grid.answers * sizeof(*thresholds));
  view.part_width = grid.input_width;
  view.part_height = grid.input_height;
  measure(find_objects);
  measure(find_keypoints);
  measure(map_classes);
  return 0;
}
