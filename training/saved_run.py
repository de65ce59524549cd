"""A finished run, float or quantize-aware, to be measured or asked.

Its folder may come from anyone: nothing in it is run as code, and what does not fit together is
refused.
"""

import dataclasses
import json
import pathlib

import keras

# Importing them registers the layers of the saved models.
import keras_micronet  # noqa: F401
from keras_micronet import quantization  # noqa: F401
from training import run_folder
from training.float_run import QUANTIZATION
from training.recipes import QuantizeAwareRecipe, Recipe
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
            summary = json.loads((folder / run_folder.SUMMARY).read_bytes())
            if summary["format"] != run_folder.SUMMARY_FORMAT:
                raise ValueError(f"format={summary['format']} in {run_folder.SUMMARY}")
            dataset, recipe = summary["dataset"], summary["recipe"]
            if not isinstance(dataset["source"], str):
                raise ValueError(f"source={dataset['source']} in {run_folder.SUMMARY}")
            recipe_type = QuantizeAwareRecipe if QUANTIZATION in summary else Recipe
            names = (folder / run_folder.CLASS_NAMES).read_text("utf-8").splitlines()
            return cls(
                folder=folder,
                dataset=dataset["source"],
                skip_unreadable=bool(dataset["skip_unreadable"]),
                part_sizes={part: int(dataset[f"{part}_images"]) for part in PARTS},
                class_names=tuple(names),
                recipe=recipe_type(**recipe | {"image_size": tuple(recipe["image_size"])}),
            )
        # Whatever a file that somebody made up leads to.
        except (
            OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError
        ) as error:  # fmt: skip
            raise ValueError(
                "a run must be a folder that `python -m training` has completed. "
                f"Received: {folder} ({type(error).__name__}: {error})"
            ) from error

    def load_model(self):
        """Loads the trained model, without running code that its file may contain.

        Returns:
            The Keras model, from float images `(batch, height, width, 3)` in [0, 255] to
            probabilities `(batch, classes)`; not compiled.

        Raises:
            ValueError: if the file is missing or damaged, or its model does not fit the run.
        """
        path = self.folder / run_folder.MODEL
        try:
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
            shapes = model.input_shape, model.output_shape
        except Exception as error:  # Keras raises many types for damaged files
            raise ValueError(
                f"{path.name} must be a whole Keras model without code of its own. "
                f"Received: {path} ({error})"
            ) from error
        expected = (None, *self.recipe.image_size, 3), (None, len(self.class_names))
        if shapes != expected:
            raise ValueError(
                f"{path.name} must take and give arrays of the shapes {expected}, as "
                f"{run_folder.SUMMARY} and {run_folder.CLASS_NAMES} say. Received: {shapes}"
            )
        return model
