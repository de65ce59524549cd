# SPDX-License-Identifier: Apache-2.0
"""The C files that turn scores into answers; they are the same for every model of a task."""

import pathlib

from keras_micronet.grid_answers.tasks import CLASSIFY
from tflm.kernels import c_files

SOURCE_FOLDER = pathlib.Path(__file__).resolve().parent / "source"
_OF_GRIDS = (
    *("micronet_objects.h", "micronet_neighbours.h", "micronet_find_objects.c"),
    *("micronet_find_keypoints.c", "micronet_merge_neighbours.c", "micronet_class_map.c"),
)
# What the functions of grids need of the others.
_OF_BOTH = ("micronet_scores.h", "micronet_softmax.h", "micronet_argmax.c")


def recognition_sources(task: str = CLASSIFY) -> dict[str, str]:
    """The C files and headers that a model needs: a mapping from file name to text.

    They need no other files.

    Args:
        task: one of `keras_micronet.grid_answers.tasks.EVERY_TASK`.
    """
    texts = {
        path.name: path.read_text(encoding="utf-8")
        for path in sorted(SOURCE_FOLDER.glob("*.[ch]"))
        if path.name in _OF_BOTH or (path.name in _OF_GRIDS) == (task != CLASSIFY)
    }
    return {**texts, **c_files.shared_headers()}


def include_folders() -> list[pathlib.Path]:
    """Where their headers are in this repository."""
    return [SOURCE_FOLDER, c_files.SHARED_FOLDER]
