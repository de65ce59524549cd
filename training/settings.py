# SPDX-License-Identifier: Apache-2.0
"""What the user asks for in one run."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

from training.recipes.recipes import CLASSIFY, QUANTIZE_AWARE, QUANTIZE_AWARE_GRID, Recipe

ONE_DEVICE = "one-device"
FLOAT32, BFLOAT16, FLOAT16 = PRECISIONS = ("float32", "bfloat16", "float16")
PARTS = ("train", "validation", "test")
# A file of a few kilobytes can claim gigabytes of pixels. Few cameras' photographs are refused; the
# limit is below the one from which Pillow warns.
MOST_PIXELS = 80_000_000
_LARGEST_SEED = 2**32 - 1


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """One training of a model, checked when it is made as far as that needs no files.

    Attributes:
        model: name of the MicroNet variant, such as `"M0"`.
        dataset: `"digits"`, a folder of images or `"tfds:NAME"`; for a grid's task
            `"scattered-digits"`, `"shapes"` or a folder of annotated pictures.
        recipe: how to train, and for which task.
        weights: `None`, `"imagenet"` or the path of a weights file to start from.
        seed: decides everything random.
        output: the run folder to write.
        overwrite: whether `output` may hold an earlier run.
        skip_unreadable: whether image files that cannot be decoded are left out.
        resume: whether `output` may hold an unfinished run of the same settings, to continue.
        strategy: name of the devices to train on, see `strategies.make_strategy`.
        teacher: `None`, or the path of a Keras model to learn from.
        patience: epochs without a better validation accuracy, or the figure that the task has in
            its place, after which the training stops and keeps the best epoch's weights; 0 for
            never, and the last epoch's.
        precision: one of `PRECISIONS`, to train in; the finished model is always float32.
        tensorboard: whether to write logs for TensorBoard.
        dry_run: whether only to tell what would be done; writes nothing.
        most_pixels: how many pixels an image of a folder dataset may have.
    """

    model: str
    dataset: str
    recipe: Recipe
    weights: str | None
    seed: int
    output: pathlib.Path
    overwrite: bool
    skip_unreadable: bool
    resume: bool = True
    strategy: str = ONE_DEVICE
    teacher: str | None = None
    patience: int = 0
    precision: str = FLOAT32
    tensorboard: bool = False
    dry_run: bool = False
    most_pixels: int = MOST_PIXELS

    def __post_init__(self) -> None:
        _check_seed(self.seed)
        _check_most_pixels(self.most_pixels)
        if type(self.patience) is not int or self.patience < 0:
            raise ValueError(
                f"patience must be a whole number of at least 0. Received: patience={self.patience}"
            )
        if self.precision not in PRECISIONS:
            raise ValueError(
                f"precision must be one of {', '.join(PRECISIONS)}. "
                f"Received: precision={self.precision}"
            )
        if self.teacher is not None and self.recipe.task != CLASSIFY:
            raise ValueError(
                "a teacher must be one of classes, which a grid's cells cannot learn from: leave "
                f"it out. Received: teacher={self.teacher} with the task {self.recipe.task}"
            )
        if self.teacher is not None and self.recipe.mutual_weight > 0:
            raise ValueError(
                "a training must have a teacher or a partner, not both. "
                f"Received: teacher={self.teacher}, mutual_weight={self.recipe.mutual_weight}"
            )


@dataclasses.dataclass(frozen=True)
class QuantizeAwareSettings:
    """One quantize-aware training of a finished run, checked as far as that needs no files.

    Attributes:
        float_run: the run folder that holds the trained float model; decides all that is not here.
        scheme: name of a quantization scheme, such as `"int8"`.
        dataset: `None` for the float run's; or where that dataset is now.
        recipe_changes: values of the `QuantizeAwareRecipe` that the user wants different.
        seed: decides everything random.
        output: the run folder to write.
        overwrite: whether `output` may hold an earlier run.
        skip_unreadable: whether image files that cannot be decoded are left out, also if the float
            run was not asked to.
        resume: whether `output` may hold an unfinished run of the same settings, to continue.
        kernels: whose arithmetic is simulated, `"fused"` or `"builtin"`.
        most_pixels: how many pixels an image of a folder dataset may have.
    """

    float_run: pathlib.Path
    scheme: str
    dataset: str | None
    recipe_changes: Mapping[str, Any]
    seed: int
    output: pathlib.Path
    overwrite: bool
    skip_unreadable: bool
    resume: bool = True
    kernels: str = "fused"
    most_pixels: int = MOST_PIXELS

    def __post_init__(self) -> None:
        _check_seed(self.seed)
        _check_most_pixels(self.most_pixels)
        known = (QUANTIZE_AWARE, QUANTIZE_AWARE_GRID)
        is_of_grid = not all(hasattr(QUANTIZE_AWARE, name) for name in self.recipe_changes)
        dataclasses.replace(known[is_of_grid], **self.recipe_changes)  # checks the changes


@dataclasses.dataclass(frozen=True)
class EvaluateSettings:
    """One measurement of a finished run.

    Attributes:
        run: the run folder.
        dataset: `None` for the run's; or where that dataset is now, or another of the same classes.
        part: `"train"`, `"validation"` or `"test"`.
        output: `None` to write nothing, or the folder for the results.
        skip_unreadable: whether image files that cannot be decoded are left out, also if the run
            was not asked to.
        most_pixels: how many pixels an image of a folder dataset may have.
    """

    run: pathlib.Path
    dataset: str | None = None
    part: str = "test"
    output: pathlib.Path | None = None
    skip_unreadable: bool = False
    most_pixels: int = MOST_PIXELS

    def __post_init__(self) -> None:
        _check_most_pixels(self.most_pixels)
        if self.part not in PARTS:
            raise ValueError(f"part must be one of {', '.join(PARTS)}. Received: part={self.part}")


@dataclasses.dataclass(frozen=True)
class PredictSettings:
    """A question to a finished run.

    Attributes:
        run: the run folder.
        images: paths of image files.
        top: how many of the most probable classes, or of the objects, to name, at least 1; `None`
            for three classes, and all objects.
        most_pixels: how many pixels an image may have.
    """

    run: pathlib.Path
    images: tuple[pathlib.Path, ...]
    top: int | None = None
    most_pixels: int = MOST_PIXELS

    def __post_init__(self) -> None:
        _check_most_pixels(self.most_pixels)
        if self.top is not None and (type(self.top) is not int or self.top < 1):
            raise ValueError(f"top must be a whole number of at least 1. Received: top={self.top}")


def _check_most_pixels(most_pixels: object) -> None:
    if type(most_pixels) is not int or most_pixels < 1:
        raise ValueError(
            f"most_pixels must be a whole number of at least 1. Received: most_pixels={most_pixels}"
        )


def _check_seed(seed: object) -> None:
    if type(seed) is not int or not 0 <= seed <= _LARGEST_SEED:
        raise ValueError(
            f"seed must be a whole number from 0 to {_LARGEST_SEED}. Received: seed={seed}"
        )


def flat_settings(settings: Mapping[str, object]) -> dict[str, object]:
    """Settings of which some are mappings as one mapping, with names such as "recipe.epochs"."""
    flat: dict[str, object] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{part}": each for part, each in value.items()}
        else:
            flat[name] = value
    return flat
