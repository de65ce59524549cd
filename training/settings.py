"""What the user asks for in one run."""

import dataclasses
import pathlib
from collections.abc import Mapping

from training.recipes import QUANTIZE_AWARE, Recipe

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
    """

    model: str
    dataset: str
    recipe: Recipe
    weights: str | None
    seed: int
    output: pathlib.Path
    overwrite: bool
    skip_unreadable: bool

    def __post_init__(self):
        _check_seed(self.seed)


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
    """

    float_run: pathlib.Path
    scheme: str
    dataset: str | None
    recipe_changes: Mapping[str, object]
    seed: int
    output: pathlib.Path
    overwrite: bool
    skip_unreadable: bool

    def __post_init__(self):
        _check_seed(self.seed)
        dataclasses.replace(QUANTIZE_AWARE, **self.recipe_changes)  # checks the changes


def _check_seed(seed):
    if type(seed) is not int or not 0 <= seed <= _LARGEST_SEED:
        raise ValueError(
            f"seed must be a whole number from 0 to {_LARGEST_SEED}. Received: seed={seed}"
        )
