"""What an export starts from: a folder with a trained model and images.

| file | content |
|---|---|
| `model.keras` | the model, of this library's layers; its input takes raw RGB in [0, 255] |
| `class_names.txt` | UTF-8, one name a line, in the order of the model's outputs |
| `calibration.npz` | `images` uint8 `(count, height, width, 3)` and `labels` `(count,)` |
| `test.npz` | the same with images that the training never saw |

`python -m training` writes such a folder, among other files. Its `run.json` is read for what came
before a quantize-aware training; it may be missing.
"""

import dataclasses
import json
import pathlib
import zipfile

import keras
import numpy as np

_MOST_SUMMARY_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True)
class LabelledImages:
    """Raw RGB images, uint8 `(count, height, width, 3)`, and their classes `(count,)`."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self):
        return len(self.labels)


@dataclasses.dataclass(frozen=True)
class FloatRun:
    """The run that a quantize-aware training has continued.

    Attributes:
        folder: its path, if it is still beside the other one; else its name.
        test_accuracy: of its float model, 0 to 1, on all test images of the dataset.
    """

    folder: pathlib.Path
    test_accuracy: float


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """A trained model with what its export needs.

    Attributes:
        model: the Keras model.
        class_names: one name for each of its outputs.
        calibration: `LabelledImages` that the ranges are observed on.
        test: held-out `LabelledImages`.
        folder: the path that it was read from.
        float_run: `FloatRun` that came before a quantize-aware training, if that is known.
    """

    model: keras.Model
    class_names: tuple
    calibration: LabelledImages
    test: LabelledImages
    folder: pathlib.Path
    float_run: FloatRun | None = None

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
            folder,
            _read_float_run(folder),
        )
        classes = model.output_shape[-1]
        if len(names) != classes:
            raise ValueError(
                f"class_names.txt must name the model's {classes} outputs, one a line. "
                f"Received: {len(names)} names"
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


def _read_float_run(folder):
    """What `run.json` tells of the float run; `None` if it tells nothing, or nonsense."""
    path = folder / "run.json"
    try:
        if path.stat().st_size > _MOST_SUMMARY_BYTES:
            return None
        section = json.loads(path.read_text("utf-8"))["quantization"]
        name, accuracy = section["float_run"], section["float_test_accuracy"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    is_name = isinstance(name, str) and pathlib.PurePath(name).name == name and name.isprintable()
    if not is_name or not isinstance(accuracy, float) or not 0 <= accuracy <= 1:
        return None
    beside = folder.parent / name
    return FloatRun(beside if beside.is_dir() else pathlib.Path(name), accuracy)


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
