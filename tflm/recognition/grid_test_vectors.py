# SPDX-License-Identifier: Apache-2.0
"""`..._model_test_vectors` of a grid model: images, the scores that a device must give for them,
and what it must find in them."""

import numpy as np

from keras_micronet.grid_answers.objects import Objects
from keras_micronet.grid_answers.tasks import KEYPOINTS, SEGMENT
from tflm.recognition import objects
from tflm.recognition.grid_constants import GridReading
from tflm.recognition.scores import exponentials
from tflm.sources import c_arrays


def grid_test_vectors(
    frames: np.ndarray, outputs: np.ndarray, reading: GridReading, library: str
) -> dict[str, str]:
    """Frames with the outputs that a device must give for them and what it must find, to the bit.

    Args:
        frames: raw images as large as the model's input, uint8 array of shape (number, height,
            width, channels).
        outputs: int8 array of shape (number, rows, columns, answers): what the interpreter gave.
        reading: how they are read.
        library: prefix of files, arrays and, in capitals, of constants: "person_model".

    Returns:
        Mapping from file name to text: `<library>_test_vectors.h`, `<library>_test_vectors.c`.
        Their header includes `<library>_recognition.h`, which holds what
        `grid_constants.grid_constants` writes.

    Raises:
        ValueError: another dtype or shape.
    """
    frames, outputs = np.asarray(frames), np.asarray(outputs)
    _check(frames, outputs, reading.grid)
    capitals, number = library.upper(), len(frames)
    frame_array = f"{library}_test_frames[{capitals}_TEST_VECTORS][{capitals}_TEST_FRAME_BYTES]"
    output_array = f"{library}_test_outputs[{capitals}_TEST_VECTORS][{capitals}_TEST_OUTPUT_BYTES]"
    write_found = _class_maps if reading.task == SEGMENT else _objects
    found_declarations, found_definitions = write_found(outputs, reading, library)
    declarations = f"""#define {capitals}_TEST_VECTORS {number}
#define {capitals}_TEST_FRAME_BYTES {frames[0].size}
#define {capitals}_TEST_OUTPUT_BYTES {outputs[0].size}

/* Raw frames, as {library}_convert_frame takes them; their rows as {library}_convert_row does. */
extern const uint8_t {frame_array};

/* What the model's output must then be, byte for byte with TensorFlow Lite Micro's own kernels or
 * with those that are exported. */
extern const int8_t {output_array};

{found_declarations}"""
    definitions = f"""const uint8_t {frame_array} =
{c_arrays.array(frames.reshape(number, -1))};

const int8_t {output_array} =
{c_arrays.array(outputs.reshape(number, -1))};

{found_definitions}"""
    name = f"{library}_test_vectors"
    includes = [f'"{library}_recognition.h"']
    return {
        f"{name}.h": c_arrays.c_header(f"{name}.h", declarations, includes),
        f"{name}.c": c_arrays.c_source(f"{name}.h", definitions),
    }


def found_objects(outputs: np.ndarray, reading: GridReading) -> Objects:
    """What a device finds in one image of the input's size, in pixels of the input.

    Args:
        outputs: int8 array of shape (rows, columns, answers).
        reading: how they are read, of detection or keypoints.
    """
    grid, thresholds = reading.grid, np.asarray(reading.thresholds)
    view = grid.view_of_input
    if reading.task == KEYPOINTS:
        table = objects.sigmoids(reading.scale, reading.zero_point)
        return objects.find_keypoints(outputs, grid, table, thresholds, view)
    table = exponentials(reading.scale)
    return objects.find_objects(outputs, grid, table, thresholds, view, reading.most_objects)


def _objects(outputs, reading, library):
    """The declarations and definitions of the objects of all images."""
    found = [found_objects(image, reading) for image in outputs]
    rows = [
        f"{{{', '.join(map(str, row))}}}"
        for each in found
        for row in zip(
            *(each.classes, each.scores, each.x, each.y, each.width, each.height), strict=True
        )
    ]
    counts = f"int32_t {library}_test_object_counts[{library.upper()}_TEST_VECTORS]"
    # At least one, because C has no arrays without any.
    array = f"micronet_object {library}_test_objects[{max(len(rows), 1)}]"
    declarations = f"""\
/* How many objects must be found in each frame, and one frame's after the other's what they are, in
 * pixels of the frame. */
extern const {counts};
extern const {array};
"""
    body = ",\n".join(rows or ["{0, 0, 0, 0, 0, 0}"])
    numbers = c_arrays.array(np.array([len(each) for each in found]))
    return declarations, f"const {counts} = {numbers};\n\nconst {array} = {{\n{body}\n}};\n"


def _class_maps(outputs, reading, library):
    capitals, cells = library.upper(), reading.grid.rows * reading.grid.columns
    array = f"uint8_t {library}_test_class_maps[{capitals}_TEST_VECTORS][{cells}]"
    maps = np.stack([objects.class_map(image).ravel() for image in outputs])
    declarations = (
        f"/* The class that each cell of a frame must have, 0 for none. */\nextern const {array};\n"
    )
    return declarations, f"const {array} =\n{c_arrays.array(maps)};\n"


def _check(frames, outputs, grid):
    sizes = (grid.input_height, grid.input_width)
    if (
        frames.dtype != np.uint8
        or frames.ndim != 4
        or not frames.size
        or frames.shape[1:3] != sizes
    ):
        raise ValueError(
            f"Test vectors' frames must be a non-empty uint8 array (number, {sizes[0]}, "
            f"{sizes[1]}, channels). Received: {frames.dtype} of shape {frames.shape}"
        )
    shape = (len(frames), grid.rows, grid.columns, grid.answers)
    if outputs.dtype != np.int8 or outputs.shape != shape:
        raise ValueError(
            f"Test vectors' outputs must be an int8 array of shape {shape}. "
            f"Received: {outputs.dtype} of shape {outputs.shape}"
        )
