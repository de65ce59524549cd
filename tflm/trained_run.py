"""What an export starts from: a folder with a trained model and images.

| file | content |
|---|---|
| `model.keras` | the model, of this library's layers; its input takes raw RGB in [0, 255] |
| `class_names.txt` | UTF-8, one name a line, in the order of the model's outputs |
| `calibration.npz` | `images` uint8 `(count, height, width, 3)` and `labels` `(count,)` |
| `test.npz` | the same with images that the training never saw |

`python -m training` writes such a folder, among other files.
"""

import dataclasses
import pathlib
import zipfile

import keras
import numpy as np

from tflm.verification import LEAST_IMAGES


@dataclasses.dataclass(frozen=True)
class LabelledImages:
    """Raw RGB images, uint8 `(count, height, width, 3)`, and their classes `(count,)`."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self):
        return len(self.labels)


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """A trained model with what its export needs.

    Attributes:
        model: the Keras model.
        class_names: one name for each of its outputs.
        calibration: `LabelledImages` that the ranges are observed on.
        test: held-out `LabelledImages`.
    """

    model: keras.Model
    class_names: tuple
    calibration: LabelledImages
    test: LabelledImages

    @classmethod
    def load(cls, folder):
        """Reads a folder.

        Args:
            folder: path of a folder with the files above.

        Raises:
            ValueError: if a file is missing, damaged, or does not fit the model.
        """
        folder = pathlib.Path(folder)
        model = _read_model(_existing(folder, "model.keras"))
        names = tuple(_existing(folder, "class_names.txt").read_text("utf-8").splitlines())
        run = cls(
            model,
            names,
            _read_images(_existing(folder, "calibration.npz"), model, len(names)),
            _read_images(_existing(folder, "test.npz"), model, len(names)),
        )
        classes = model.output_shape[-1]
        if len(names) != classes:
            raise ValueError(
                f"class_names.txt must name the model's {classes} outputs, one a line. "
                f"Received: {len(names)} names"
            )
        count = len(run.calibration) + len(run.test)
        if count < LEAST_IMAGES:
            raise ValueError(
                f"calibration.npz and test.npz must hold at least {LEAST_IMAGES} images together: "
                f"an export is verified on them. Received: {count}"
            )
        return run


def _existing(folder, name):
    path = folder / name
    if not path.is_file():
        raise ValueError(
            f"A run folder must hold {name}; `python -m training` writes one. "
            f"Received: {folder}"
        )
    return path


def _read_model(path):
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras raises many types for damaged files
        raise ValueError(
            f"{path.name} must be a whole Keras model without code of its own. "
            f"Received: {path} ({error})"
        ) from error


def _read_images(path, model, class_count):
    try:
        with np.load(path, allow_pickle=False) as archive:
            images, labels = archive["images"], archive["labels"]
    except (KeyError, ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path.name} must hold the arrays `images` and `labels`. Received: {path} ({error})"
        ) from error
    expected = tuple(model.input_shape[1:])
    if images.dtype != np.uint8 or images.shape[1:] != expected or expected[-1:] != (3,):
        raise ValueError(
            f"The images of {path.name} must be raw RGB, uint8 of the model's input shape "
            f"{expected}. Received: {images.dtype} of shape {images.shape}"
        )
    if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"The labels of {path.name} must be one integer for each of {len(images)} images. "
            f"Received: {labels.dtype} of shape {labels.shape}"
        )
    if len(labels) == 0 or labels.min() < 0 or labels.max() >= class_count:
        raise ValueError(
            f"The labels of {path.name} must be at least one, in [0, {class_count}). "
            f"Received: {len(labels)} labels"
            + (f" from {labels.min()} to {labels.max()}" if len(labels) else "")
        )
    return LabelledImages(images, labels)
