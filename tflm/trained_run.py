"""What an export starts from: a complete run folder, `keras_micronet.run_folders`."""

import dataclasses
import pathlib

import keras
import numpy as np

from keras_micronet import run_folders
from keras_micronet.files.archives import DamagedFileError
from tflm.verification import LEAST_IMAGES

_FILES = (
    run_folders.MODEL,
    run_folders.CLASS_NAMES,
    run_folders.CALIBRATION,
    run_folders.TEST,
)


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
            folder: path of a run folder.

        Raises:
            ValueError: if the run is not complete, or a file is missing, damaged, or does not fit
                the model.
        """
        folder = pathlib.Path(folder)
        run_folders.finish_replacement(folder)
        summary = _read_summary(folder)
        for name in _FILES:
            if not (folder / name).is_file():
                raise ValueError(
                    f"A run folder must hold {name}; `python -m training` writes one. "
                    f"Received: {folder}"
                )
        try:
            names = run_folders.read_class_names(folder)
            model = run_folders.read_model(folder)
            images = [
                LabelledImages(
                    *run_folders.read_images(folder, name, model.input_shape[1:], len(names))
                )
                for name in (run_folders.CALIBRATION, run_folders.TEST)
            ]
        except ValueError as error:
            raise ValueError(
                "A run folder must hold whole files that fit together: train again, or see "
                f"keras_micronet.write_run_folder. Received: {folder} ({error})"
            ) from error
        if _read_summary(folder) != summary:
            raise ValueError(
                "A run must not change while it is read: wait until its training has ended. "
                f"Received: {folder}"
            )
        run = cls(model, names, *images)
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


def _read_summary(folder):
    """The content of `run.json`, which says that a run is complete."""
    try:
        return run_folders.read_summary(folder)
    except DamagedFileError as error:
        raise ValueError(
            f"A run folder must be complete, which its {run_folders.SUMMARY} tells: give the "
            "command of its training again, which continues it; keras_micronet.write_run_folder "
            f"writes the folder of a model of your own. Received: {folder} ({error})"
        ) from error
