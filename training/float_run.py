"""The finished float run that a quantize-aware training starts from.

Its folder may come from anyone: nothing in it is run as code, and what does not fit together is
refused.
"""

import dataclasses
import json
import pathlib

import keras
import numpy as np

import keras_micronet  # noqa: F401  (registers the layers of the saved models)
from training import run_folder
from training.recipes import Recipe

QUANTIZATION = "quantization"  # run.json's section that float runs do not have


@dataclasses.dataclass(frozen=True)
class FloatRun:
    """A run folder with a trained float model, as its `run.json` and `class_names.txt` tell.

    Attributes:
        folder: the run folder.
        variant: name of the MicroNet variant, such as `"M0"`.
        initial_weights: what the training started from: `None`, `"imagenet"` or a path.
        dataset: the dataset as it was named on the command line.
        skip_unreadable: whether images that cannot be decoded were left out.
        part_sizes: number of images in the parts `"train"`, `"validation"` and `"test"`.
        class_names: names of the classes, in the order of the model's outputs.
        recipe: the `Recipe` that the model was trained by.
        test_accuracy: the model's top-1 accuracy on the test images, in [0, 1].
    """

    folder: pathlib.Path
    variant: str
    initial_weights: str | None
    dataset: str
    skip_unreadable: bool
    part_sizes: dict[str, int]
    class_names: tuple[str, ...]
    recipe: Recipe
    test_accuracy: float

    @classmethod
    def read(cls, folder):
        """Reads what a run folder tells about its run; the model and the images stay unread.

        Args:
            folder: path of the run folder.

        Returns:
            A `FloatRun`.

        Raises:
            ValueError: if the folder holds no finished float run.
        """
        folder = pathlib.Path(folder)
        summary = _read_summary(folder)
        if QUANTIZATION in summary:
            raise ValueError(
                "the run to start from must be a float run: give the one that this run was made "
                f"from. Received: {folder}, which is quantized already"
            )
        class_names = _existing(folder, run_folder.CLASS_NAMES)
        try:
            dataset = summary["dataset"]
            recipe = summary["recipe"]
            return cls(
                folder=folder,
                variant=_typed(summary["model"]["variant"], str),
                initial_weights=_typed(summary["model"]["initial_weights"], str | None),
                dataset=_typed(dataset["source"], str),
                # Runs before there was a quantize-aware training did not say.
                skip_unreadable=_typed(dataset.get("skip_unreadable", False), bool),
                part_sizes={
                    part: _typed(dataset[f"{part}_images"], int)
                    for part in ("train", "validation", "test")
                },
                class_names=tuple(class_names.read_text("utf-8").splitlines()),
                recipe=Recipe(**recipe | {"image_size": tuple(recipe["image_size"])}),
                test_accuracy=_typed(summary["results"]["test_accuracy"], float),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise _damaged(folder, f"{type(error).__name__}: {error}") from error

    def load_model(self):
        """Loads the trained model, without running code that its file may contain.

        Returns:
            The Keras model, not compiled.

        Raises:
            ValueError: if the file is damaged, or its model does not fit the run.
        """
        path = _existing(self.folder, run_folder.MODEL)
        try:
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
            shapes = model.input_shape, model.output_shape
        except Exception as error:  # Keras raises many types for damaged files
            raise ValueError(
                f"{path.name} must be a whole Keras model without code of its own: train the float "
                f"model again. Received: {path} ({error})"
            ) from error
        expected = (None, *self.recipe.image_size, 3), (None, len(self.class_names))
        if shapes != expected:
            raise ValueError(
                f"{path.name} must take and give arrays of the shapes {expected}, as "
                f"{run_folder.SUMMARY} and {run_folder.CLASS_NAMES} say: train the float model "
                f"again. Received: {shapes}"
            )
        return model

    def calibration_images(self):
        """The training images that ranges are measured on: uint8 `(n, height, width, 3)`.

        Raises:
            ValueError: if the file is missing, damaged or does not fit the run.
        """
        return self._read_images(run_folder.CALIBRATION)[0]

    def test_images(self):
        """Held-out images, uint8 `(n, height, width, 3)`, and their labels `(n,)`.

        Raises:
            ValueError: if the file is missing, damaged or does not fit the run.
        """
        return self._read_images(run_folder.TEST)

    def _read_images(self, name):
        path = _existing(self.folder, name)
        try:
            with np.load(path, allow_pickle=False) as arrays:
                images, labels = arrays["images"], arrays["labels"]
        except Exception as error:  # NumPy raises many types for damaged files
            raise ValueError(
                f"{name} must hold the arrays images and labels: train the float model again. "
                f"Received: {path} ({error})"
            ) from error
        shape = (len(labels), *self.recipe.image_size, 3) if labels.ndim == 1 else None
        if images.dtype != np.uint8 or images.shape != shape or len(images) == 0:
            raise ValueError(
                f"{name} must hold uint8 images of the model's input size, and a label for each: "
                f"train the float model again. Received: {images.dtype} {images.shape} with labels "
                f"{labels.shape}"
            )
        return images, labels


def _read_summary(folder):
    path = folder / run_folder.SUMMARY
    try:
        summary = json.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(
            "the run to start from must be a folder that `python -m training` has completed. "
            f"Received: {folder} without a readable {run_folder.SUMMARY}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise _damaged(folder, error) from error
    if not isinstance(summary, dict) or summary.get("format") != run_folder.SUMMARY_FORMAT:
        received = summary.get("format") if isinstance(summary, dict) else type(summary).__name__
        raise _damaged(folder, f"format={received}")
    return summary


def _existing(folder, name):
    path = folder / name
    if not path.is_file():
        raise ValueError(
            f"the run to start from must hold {name}: train the float model again. "
            f"Received: {folder}"
        )
    return path


def _typed(value, expected_type):
    if not isinstance(value, expected_type):
        raise TypeError(f"{value!r} where {expected_type} was expected")
    return value


def _damaged(folder, reason):
    return ValueError(
        f"{run_folder.SUMMARY} must be whole and written by this version of `python -m training`: "
        f"train the float model again. Received: {folder} ({reason})"
    )
