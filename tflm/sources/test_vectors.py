# SPDX-License-Identifier: Apache-2.0
"""`..._model_test_vectors`: images with the scores that a device must give for them."""

import numpy as np

from tflm.sources import c_arrays


def test_vectors(
    frames: np.ndarray, outputs: np.ndarray, labels: np.ndarray, library: str
) -> dict[str, str]:
    """Frames with the outputs that a device must give for them, to the last bit.

    Args:
        frames: raw images, uint8 array of shape (number, height, width, channels).
        outputs: int8 array of shape (number, classes): what the interpreter gave.
        labels: the images' true classes, integers of shape (number,).
        library: prefix of files, arrays and, in capitals, of constants: "person_model".

    Returns:
        Mapping from file name to text: `<library>_test_vectors.h`, `<library>_test_vectors.c`.

    Raises:
        ValueError: another dtype or shape, or a label that is no class.
    """
    frames, outputs, labels = np.asarray(frames), np.asarray(outputs), np.asarray(labels)
    _check(frames, outputs, labels)
    capitals, number = library.upper(), len(frames)
    input_size, output_size = frames[0].size, outputs[0].size
    frame_array = f"{library}_test_frames[{capitals}_TEST_VECTORS][{capitals}_TEST_FRAME_BYTES]"
    output_array = f"{library}_test_outputs[{capitals}_TEST_VECTORS][{capitals}_TEST_OUTPUT_BYTES]"
    label_array = f"{library}_test_labels[{capitals}_TEST_VECTORS]"
    declarations = f"""#define {capitals}_TEST_VECTORS {number}
#define {capitals}_TEST_FRAME_BYTES {input_size}
#define {capitals}_TEST_OUTPUT_BYTES {output_size}

/* Raw frames, as {library}_convert_frame takes them; their rows as {library}_convert_row does. */
extern const uint8_t {frame_array};

/* What the model's output must then be, byte for byte with TensorFlow Lite Micro's own kernels or
 * with those that are exported. */
extern const int8_t {output_array};

/* The class that each image shows, whatever the model makes of it. */
extern const int16_t {label_array};
"""
    definitions = f"""const uint8_t {frame_array} =
{c_arrays.array(frames.reshape(number, input_size))};

const int8_t {output_array} =
{c_arrays.array(outputs.reshape(number, output_size))};

const int16_t {label_array} = {c_arrays.array(labels)};
"""
    name = f"{library}_test_vectors"
    return {
        f"{name}.h": c_arrays.c_header(f"{name}.h", declarations),
        f"{name}.c": c_arrays.c_source(f"{name}.h", definitions),
    }


def _check(frames: np.ndarray, outputs: np.ndarray, labels: np.ndarray) -> None:
    for name, values, dtype, rank in (
        ("frames", frames, np.uint8, 4),
        ("outputs", outputs, np.int8, 2),
    ):
        if values.dtype != dtype or values.ndim != rank or values.size == 0:
            raise ValueError(
                f"Test vectors' {name} must be a non-empty {dtype.__name__} array of rank {rank}. "
                f"Received: {values.dtype} of shape {values.shape}"
            )
    if labels.shape != frames.shape[:1] or outputs.shape[:1] != frames.shape[:1]:
        raise ValueError(
            "Test vectors must have as many outputs and labels as frames. Received: "
            f"{len(frames)} frames, {len(outputs)} outputs, labels of shape {labels.shape}"
        )
    classes = outputs.shape[1]
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"Labels must be integers in [0, {classes}). Received: {labels}")
