"""What the user asks for in one run."""

import dataclasses
import pathlib
from collections.abc import Mapping

from training.recipes import QUANTIZE_AWARE, Recipe

ONE_DEVICE = "one-device"
_LARGEST_SEED = 2**32 - 1


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """One training of a model, checked when it is made as far as that needs no files.

    Attributes:
        model: name of the MicroNet variant, such as `"M0"`.
        dataset: `"digits"`, a folder of images or `"tfds:NAME"`.
        recipe: how to train.
        weights: `None`, `"imagenet"` or the path of a weights file to start from.
        seed: decides everything random.
        output: the run folder to write.
        overwrite: whether `output` may hold an earlier run.
        skip_unreadable: whether image files that cannot be decoded are left out.
        resume: whether `output` may hold an unfinished run of the same settings, to continue.
        strategy: name of the devices to train on, see `strategies.make_strategy`.
        teacher: `None`, or the path of a Keras model to learn from.
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

    def __post_init__(self):
        _check_seed(self.seed)
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
    """

    float_run: pathlib.Path
    scheme: str
    dataset: str | None
    recipe_changes: Mapping[str, object]
    seed: int
    output: pathlib.Path
    overwrite: bool
    skip_unreadable: bool
    resume: bool = True

    def __post_init__(self):
        _check_seed(self.seed)
        dataclasses.replace(QUANTIZE_AWARE, **self.recipe_changes)  # checks the changes


def _check_seed(seed):
    if type(seed) is not int or not 0 <= seed <= _LARGEST_SEED:
        raise ValueError(
            f"seed must be a whole number from 0 to {_LARGEST_SEED}. Received: seed={seed}"
        )
