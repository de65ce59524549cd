"""What the user asks for in one run."""

import dataclasses
import pathlib

from training.recipes import Recipe

_LARGEST_SEED = 2**32 - 1


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """One run, checked when it is made as far as that needs no files.

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
        if type(self.seed) is not int or not 0 <= self.seed <= _LARGEST_SEED:
            raise ValueError(
                f"seed must be a whole number from 0 to {_LARGEST_SEED}. Received: seed={self.seed}"
            )
