"""The run folder: everything a training leaves behind, and what deployment starts from.

The folder is an interface: programs that deploy a model read these files and need none of this
package's code. All images are exactly what the model's input takes: RGB, uint8, values in [0, 255],
channels last, at the model's input size; the model normalizes them inside.

| file | content |
|---|---|
| `model.keras` | the trained model; `import keras_micronet`, then `keras.saving.load_model` |
| `model.weights.h5` | its weights alone, for `model.load_weights` |
| `class_names.txt` | UTF-8, one name a line; line n (from 0) names the model's output n |
| `calibration.npz` | `images` uint8 `(n, height, width, 3)` and `labels` int32 `(n,)`: unchanged \
training images, about equally many of each class |
| `test.npz` | `images` and `labels` likewise: held-out test images in the dataset's own mix |
| `history.csv` | one line an epoch: loss, accuracy, validation loss and accuracy, learning rate |
| `learning_curve.png` | the same as a plot; missing if there were no epochs |
| `confusion_matrix.png` | which classes of the test images are taken for which |
| `tensorboard` | a folder of logs for TensorBoard; missing unless they were asked for |
| `run.json` | every setting, the measurements and the versions; written last, so that a folder \
with it is complete |

A quantize-aware training leaves the same files. Its model is a
`keras_micronet.quantization.QuantizeAwareModel`, its accuracies are those with quantization
simulated, and `run.json` has a section `quantization` with the scheme and the float run.

Labels are indices into the class names. The arrays load with `numpy.load(..., allow_pickle=False)`.
An unfinished run has a folder `checkpoints`, from which it continues, and the history so far.
Every file is written under another name first and then renamed, so none is ever half there.
"""

import contextlib
import csv
import dataclasses
import json
import os
import pathlib
import shutil
import tempfile
import uuid

import numpy as np

MODEL = "model.keras"
WEIGHTS = "model.weights.h5"
CLASS_NAMES = "class_names.txt"
CALIBRATION = "calibration.npz"
TEST = "test.npz"
HISTORY = "history.csv"
LEARNING_CURVE = "learning_curve.png"
CONFUSION_MATRIX = "confusion_matrix.png"
TENSORBOARD = "tensorboard"
SUMMARY = "run.json"
CHECKPOINTS = "checkpoints"

SUMMARY_FORMAT = 1  # what "format" in run.json is; another number for other keys


@contextlib.contextmanager
def atomic_path(destination):
    """Gives a path to write to, which takes its final name only if the block succeeds.

    Args:
        destination: `pathlib.Path` of the file to appear, or to be replaced, at once.

    Yields:
        `pathlib.Path` in the same folder; its name ends like the destination's.
    """
    temporary = destination.with_name(f".{uuid.uuid4().hex}-{destination.name}")
    try:
        yield temporary
        os.replace(temporary, destination)
    finally:
        temporary.unlink(missing_ok=True)


def write_figure(destination, figure):
    """Writes a Matplotlib figure as PNG to a path."""
    with atomic_path(destination) as path:
        figure.savefig(path, format="png", dpi=120)


def write_text(destination, text):
    """Writes text to a path, as UTF-8 with plain line feeds."""
    with atomic_path(destination) as path:
        path.write_text(text, encoding="utf-8", newline="\n")


class RunFolder:
    """Writes the files of one run; makes nothing before `begin`.

    Args:
        path: the folder.
        overwrite: whether the files of an earlier run in it may be replaced.
        resume: whether an unfinished run in it may be continued.

    Raises:
        ValueError: if the folder is not empty and none of this allows it.
    """

    def __init__(self, path, overwrite=False, resume=False):
        self.path = pathlib.Path(path)
        self._overwrite = overwrite
        is_empty = not self.path.is_dir() or not any(self.path.iterdir())
        if not (is_empty or overwrite or resume and self._is_unfinished()):
            raise ValueError(
                "output must be a new or empty folder or, to continue it, that of an unfinished "
                f"run, unless --overwrite is given. Received: output={path}"
            )

    @property
    def checkpoints(self):
        """Path of the folder of checkpoints."""
        return self.path / CHECKPOINTS

    @property
    def tensorboard(self):
        """Path of the folder of logs for TensorBoard."""
        return self.path / TENSORBOARD

    def _is_unfinished(self):
        names = {path.name for path in self.path.iterdir()}
        # Before the first checkpoint there may be logs.
        return SUMMARY not in names and (self.checkpoints.is_dir() or names == {TENSORBOARD})

    def begin(self):
        """Makes the folder, and marks it as incomplete until `write_summary`.

        Checkpoints, logs and history of an earlier run are removed if it is to be overwritten.

        Raises:
            ValueError: if the folder cannot be made or written to.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.path).close()
            (self.path / SUMMARY).unlink(missing_ok=True)
            # Not every run replaces these.
            for name in (LEARNING_CURVE, CONFUSION_MATRIX):
                (self.path / name).unlink(missing_ok=True)
            if self._overwrite:
                (self.path / HISTORY).unlink(missing_ok=True)
                for folder in (self.checkpoints, self.tensorboard):
                    if folder.is_dir():
                        shutil.rmtree(folder)
        except OSError as error:
            raise ValueError(
                "output must be a folder that can be written to. "
                f"Received: output={self.path} ({error.strerror})"
            ) from error

    def write_model(self, model):
        """Writes a Keras model and, in a file of their own, its weights."""
        with atomic_path(self.path / MODEL) as path:
            model.save(path)
        with atomic_path(self.path / WEIGHTS) as path:
            model.save_weights(path)

    def write_class_names(self, names):
        """Writes the class names, one a line."""
        text = "".join(f"{name}\n" for name in names)
        write_text(self.path / CLASS_NAMES, text)

    def write_calibration(self, images, labels):
        """Writes training images, uint8 `(n, height, width, 3)`, and their labels."""
        self._write_images(CALIBRATION, images, labels)

    def write_test(self, images, labels):
        """Writes test images, uint8 `(n, height, width, 3)`, and their labels."""
        self._write_images(TEST, images, labels)

    def write_history(self, record_type, records):
        """Writes one CSV line for each record.

        Args:
            record_type: the records' dataclass; its fields are the columns.
            records: instances of it.
        """
        # newline="" as the csv module asks.
        with (
            atomic_path(self.path / HISTORY) as path,
            open(path, "w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(field.name for field in dataclasses.fields(record_type))
            writer.writerows(dataclasses.astuple(record) for record in records)

    def write_learning_curve(self, figure):
        """Writes a Matplotlib figure as PNG."""
        write_figure(self.path / LEARNING_CURVE, figure)

    def write_confusion_matrix(self, figure):
        """Writes a Matplotlib figure as PNG."""
        write_figure(self.path / CONFUSION_MATRIX, figure)

    def write_summary(self, summary):
        """Writes the run's settings and results, a JSON-compatible mapping; completes the run."""
        text = json.dumps(summary, indent=2, ensure_ascii=False) + "\n"
        write_text(self.path / SUMMARY, text)

    def _write_images(self, name, images, labels):
        with atomic_path(self.path / name) as path:
            np.savez_compressed(path, images=images, labels=labels)
