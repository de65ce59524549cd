# SPDX-License-Identifier: Apache-2.0
"""A finished run, float or quantize-aware, to be measured or asked.

Its folder may come from anyone: nothing in it is run as code, and what does not fit together is
refused.
"""

import dataclasses
import pathlib

from keras_micronet import run_folders
from keras_micronet.files.archives import DamagedFileError
from keras_micronet.files.text import shorten
from training.recipes.recipes import QuantizeAwareRecipe, Recipe
from training.runs.float_run import QUANTIZATION
from training.settings import PARTS


@dataclasses.dataclass(frozen=True)
class SavedRun:
    """What a run folder tells about its run.

    Attributes:
        folder: the run folder.
        dataset: the dataset as it was named on the command line.
        skip_unreadable: whether images that cannot be decoded were left out.
        part_sizes: number of images in each of `PARTS`.
        class_names: names of the classes, in the order of the model's outputs.
        recipe: the `Recipe` that the model was trained by.
    """

    folder: pathlib.Path
    dataset: str
    skip_unreadable: bool
    part_sizes: dict[str, int]
    class_names: tuple[str, ...]
    recipe: Recipe

    @classmethod
    def read(cls, folder):
        """Reads a folder's `run.json` and class names; the model stays unread.

        Args:
            folder: path of the run folder.

        Returns:
            A `SavedRun`.

        Raises:
            ValueError: if the folder holds no finished run.
        """
        folder = pathlib.Path(folder)
        try:
            run_folders.finish_replacement(folder)
            summary = run_folders.read_summary(folder)
            if run_folders.is_own_model(summary):
                raise ValueError("it was written by write_run_folder, and has no dataset")
            dataset, recipe = summary["dataset"], summary["recipe"]
            if not isinstance(dataset["source"], str):
                raise ValueError(f"source={dataset['source']} in {run_folders.SUMMARY}")
            recipe_type = QuantizeAwareRecipe if QUANTIZATION in summary else Recipe
            names = run_folders.read_class_names(folder)
            return cls(
                folder=folder,
                dataset=dataset["source"],
                skip_unreadable=bool(dataset["skip_unreadable"]),
                part_sizes={part: int(dataset[f"{part}_images"]) for part in PARTS},
                class_names=names,
                recipe=recipe_type(**recipe | {"image_size": tuple(recipe["image_size"])}),
            )
        # Whatever values that somebody made up lead to.
        except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
            raise ValueError(
                "a run must be a folder that `python -m training` has completed. "
                f"Received: {folder} ({type(error).__name__}: {shorten(error)})"
            ) from error

    def load_model(self):
        """Loads the trained model, without running code that its file may contain.

        Returns:
            The Keras model, from float images `(batch, height, width, 3)` in [0, 255] to
            probabilities `(batch, classes)`; not compiled.

        Raises:
            ValueError: if the file is missing or damaged, or its model does not fit the run.
        """
        path = self.folder / run_folders.MODEL
        try:
            model = run_folders.read_model(self.folder)
        except DamagedFileError as error:
            raise ValueError(
                f"{path.name} must be a whole Keras model without code of its own: train it again. "
                f"Received: {path} ({error})"
            ) from error
        shapes = model.input_shape, model.output_shape
        expected = (None, *self.recipe.image_size, 3), (None, len(self.class_names))
        if shapes != expected:
            raise ValueError(
                f"{path.name} must take and give arrays of the shapes {expected}, as "
                f"{run_folders.SUMMARY} and {run_folders.CLASS_NAMES} say. Received: {shapes}"
            )
        return model
