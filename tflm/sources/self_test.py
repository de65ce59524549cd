# SPDX-License-Identifier: Apache-2.0
"""`..._model_self_test`: one function that runs the test vectors of a static library."""

from keras_micronet.grid_answers.tasks import CLASSIFY, DETECT, KEYPOINTS, SEGMENT
from tflm.sources import c_arrays


def self_test(library: str, takes_rows: bool, task: str = CLASSIFY) -> dict[str, str]:
    """Writes the function.

    Args:
        library: prefix of files and functions: "person_model".
        takes_rows: whether the library takes images row by row, as the test then does.
        task: one of `keras_micronet.grid_answers.tasks.EVERY_TASK`. With a grid the test compares
            what is found, too.

    Returns:
        Mapping from file name to text: `<library>_self_test.h`, `<library>_self_test.c`.
    """
    capitals = library.upper()
    arena_bytes = f"{capitals}_ROWS_ARENA_BYTES" if takes_rows else f"{capitals}_ARENA_BYTES"
    header = f"{library}_rows.h" if takes_rows else f"{library}.h"
    name = f"{library}_self_test"
    found, scores, reading = _FOUND[task]
    declarations = f"""#define {capitals}_SELF_TEST_ARENA_BYTES {arena_bytes}

/* Computes the test vectors, and compares {found}.
 *
 * arena: memory at a multiple of 16 bytes; what is in it is lost.
 * arena_bytes: its size, at least {capitals}_SELF_TEST_ARENA_BYTES.
 * Returns how many of the {capitals}_TEST_VECTORS images gave the very {scores} that they must, or
 * the status of a refusal, negative: -MICRONET_ARENA_SIZE and the like. */
int32_t {name}(void *arena, int32_t arena_bytes);
"""
    compute = _BY_ROWS if takes_rows else _AS_A_WHOLE
    condition = f"memcmp(scores, {library}_test_outputs[i], {capitals}_TEST_OUTPUT_BYTES) == 0"
    condition = f"{condition}{' && is_found(i, scores)' if reading else ''}"
    definitions = f"""#include <string.h>

#include "{library}_settings.h"

{c_arrays.of_library(compute + reading, library)}
int32_t {name}(void *arena, int32_t arena_bytes) {{
  int32_t right = 0;
  for (int32_t i = 0; i < {capitals}_TEST_VECTORS; ++i) {{
    const int8_t *scores = NULL;
    const micronet_status status = compute(arena, arena_bytes, {library}_test_frames[i], &scores);
    if (status != MICRONET_OK) return -(int32_t)status;
    right += {condition};
  }}
  return right;
}}
"""
    includes = [f'"{header}"', f'"{library}_test_vectors.h"']
    return {
        f"{name}.h": c_arrays.c_header(f"{name}.h", declarations, includes),
        f"{name}.c": c_arrays.c_source(f"{name}.h", definitions),
    }


_BY_ROWS = """\
static micronet_status compute(void *arena, int32_t arena_bytes, const uint8_t *frame,
                               const int8_t **scores) {
  enum { row_bytes = LIBRARY_INPUT_WIDTH * LIBRARY_INPUT_CHANNELS };
  int8_t row[row_bytes];
  micronet_status status = library_rows_init(arena, arena_bytes);
  if (status == MICRONET_OK) status = library_rows_begin(arena);
  for (int32_t y = 0; y < LIBRARY_INPUT_HEIGHT && status == MICRONET_OK; ++y) {
    library_convert_row(frame + y * row_bytes, row);
    status = library_rows_push(arena, row);
  }
  if (status == MICRONET_OK) status = library_rows_run(arena);
  *scores = library_rows_output(arena);
  return status;
}
"""
_AS_A_WHOLE = """\
static micronet_status compute(void *arena, int32_t arena_bytes, const uint8_t *frame,
                               const int8_t **scores) {
  micronet_status status = library_init(arena, arena_bytes);
  if (status != MICRONET_OK) return status;
  library_convert_frame(frame, library_input(arena));
  status = library_run(arena);
  *scores = library_output(arena);
  return status;
}
"""
# What is found in an image of the input's size must be what the test vectors say.
_OBJECTS = """\

static int is_found(int32_t image, const int8_t *scores) {
  static micronet_object objects[MOST_OBJECTS];
  const micronet_view view = {0, 0, LIBRARY_INPUT_WIDTH, LIBRARY_INPUT_HEIGHT};
  const micronet_object *expected = library_test_objects;
  FIND
  for (int32_t i = 0; i < image; ++i) expected += library_test_object_counts[i];
  if (count != library_test_object_counts[image]) return 0;
  return memcmp(objects, expected, (size_t)count * sizeof(*objects)) == 0;
}
"""
_FIND_OBJECTS = """\
static uint32_t memory[MICRONET_FIND_OBJECTS_BYTES(LIBRARY_GRID_COLUMNS) / 4];
  const int32_t count =
      micronet_find_objects(scores, &library_grid, library_exponentials, library_thresholds, &view,
                            memory, objects, LIBRARY_MOST_OBJECTS);"""
_FIND_KEYPOINTS = """\
const int32_t count = micronet_find_keypoints(scores, &library_grid, library_sigmoids,
                                                library_thresholds, &view, objects);"""
_CLASS_MAP = """\

static int is_found(int32_t image, const int8_t *scores) {
  static uint8_t classes[LIBRARY_GRID_ROWS * LIBRARY_GRID_COLUMNS];
  static int32_t counts[LIBRARY_GRID_ANSWERS];
  micronet_class_map(scores, &library_grid, classes, counts);
  return memcmp(classes, library_test_class_maps[image], sizeof(classes)) == 0;
}
"""
# By task: two wordings of what is compared, and the function that compares what is found.
_FOUND = {
    CLASSIFY: ("each score", "scores", ""),
    DETECT: (
        "each score and object",
        "scores and objects",
        _OBJECTS.replace("FIND", _FIND_OBJECTS).replace("MOST_OBJECTS]", "LIBRARY_MOST_OBJECTS]"),
    ),
    SEGMENT: ("each score and the class of each cell", "scores and classes", _CLASS_MAP),
    KEYPOINTS: (
        "each score and joint",
        "scores and joints",
        _OBJECTS.replace("FIND", _FIND_KEYPOINTS).replace("MOST_OBJECTS", "LIBRARY_GRID_ANSWERS"),
    ),
}
