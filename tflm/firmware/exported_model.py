# SPDX-License-Identifier: Apache-2.0
"""What the headers of an exported model say. Nothing that takes time is imported."""

import dataclasses
import os
import pathlib
import re

_CONSTANT = re.compile(
    r"^#define \w+_(INPUT_HEIGHT|INPUT_WIDTH|INPUT_CHANNELS|CLASS_COUNT) (\d{1,9})$", re.MULTILINE
)
_ENDS = ("INPUT_HEIGHT", "INPUT_WIDTH", "INPUT_CHANNELS", "CLASS_COUNT")
_TASK_FILE = "src/model_recognition.h"  # of grids alone
_TASK = re.compile(r"^#define MICRONET_MODEL_TASK_([A-Z]+) 1$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class ModelEnds:
    """What a model takes and gives.

    Attributes:
        height, width, channels: of the input.
        classes: how many it knows, or joints; without background.
    """

    height: int
    width: int
    channels: int
    classes: int


def grid_task_of(model: os.PathLike[str] | str) -> str | None:
    """The task of an exported model, one of `keras_micronet.grid_answers.tasks.TASKS`; `None` of a
    model that names a class for each image.

    Args:
        model: folder that `python -m tflm` has written.

    Raises:
        ValueError: its headers name several, or none where there is to be one.
    """
    path = pathlib.Path(model, _TASK_FILE)
    if not path.is_file():
        return None
    named = [word.lower() for word in _TASK.findall(_text(path))]
    if len(named) != 1:
        raise ValueError(
            f"{_TASK_FILE} of an exported model must name one task. "
            f"Received: {path} with {', '.join(named) or 'none'}"
        )
    return named[0]


def ends_of(model: os.PathLike[str] | str) -> ModelEnds:
    """The `ModelEnds` of an exported model.

    Args:
        model: as for `grid_task_of`.

    Raises:
        ValueError: its headers do not say them, or say several.
    """
    folder = pathlib.Path(model) / "src"
    text = "\n".join(map(_text, sorted(folder.glob("*.h"))))
    found = {
        name: {int(value) for key, value in _CONSTANT.findall(text) if key == name}
        for name in _ENDS
    }
    unclear = [name for name, values in found.items() if len(values) != 1]
    if unclear:
        raise ValueError(
            "The headers of an exported model must say what it takes, once. "
            f"Received: {folder} without one {unclear[0]}"
        )
    return ModelEnds(*(found[name].pop() for name in _ENDS))


def _text(path):
    return path.read_text(encoding="utf-8", errors="replace")
