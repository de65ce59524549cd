# SPDX-License-Identifier: Apache-2.0
"""`python -m training predict`: what a finished run takes image files for."""

import dataclasses
import math
import os
from collections.abc import Callable

import keras
import tensorflow as tf

from training.datasets.image_files import (
    read_image,
    read_image_size,
    reason_of,
    set_most_pixels,
)
from training.datasets.picture_formats import SUFFIXES, kind_of_file, remedies
from training.datasets.resizing import centred_part, crop_and_resize
from training.runs.saved_run import SavedRun
from training.settings import MOST_PIXELS, PredictSettings
from training.tasks import TASKS
from training.tasks.task import View


@dataclasses.dataclass(frozen=True)
class PreparedPrediction:
    """A prediction whose run has been read.

    Attributes:
        settings: what to do.
        run: the finished run.
        model: its model.
    """

    settings: PredictSettings
    run: SavedRun
    model: keras.Model


def prepare(settings: PredictSettings) -> PreparedPrediction:
    """Loads the run.

    Args:
        settings: a `PredictSettings`.

    Returns:
        A `PreparedPrediction` for `execute`.

    Raises:
        ValueError: if there is no such finished run; the message is one for the user.
    """
    run = SavedRun.read(settings.run)
    return PreparedPrediction(settings, run, run.load_model())


def execute(
    prepared: PreparedPrediction,
    report: Callable[[str], object] = print,
    complain: Callable[[str], object] = print,
) -> int:
    """Tells what each image shows: the most probable classes in one line, or what is where in a
    line for each object or joint.

    Args:
        prepared: a `PreparedPrediction`.
        report: function that takes a line of text for the user.
        complain: function that takes a sentence about a file that is no readable image.

    Returns:
        Number of files that could not be read, and of folders without images.
    """
    run = prepared.run
    task = TASKS[run.recipe.task]
    set_most_pixels(prepared.settings.most_pixels)
    predict = tf.function(lambda image: prepared.model(image, training=False))
    unreadable = 0
    for path in _image_files(prepared.settings.images):
        try:
            if path.is_dir():
                raise ValueError("a folder without such files")
            image = load_image(
                path,
                run.recipe.image_size,
                run.recipe.evaluation_crop,
                prepared.settings.most_pixels,
                run.recipe.channels,
            )
            view = load_view(
                path,
                run.recipe.image_size,
                run.recipe.evaluation_crop,
                prepared.settings.most_pixels,
            )
        except Exception as error:  # a decoder may raise anything for bytes somebody made up
            advice = remedies([_kind(path)])
            complain(
                "an image must be a whole JPEG, PNG, BMP or WebP file"
                f"{f' ({advice})' if advice else ''}. Received: {_printable(path)} "
                f"({reason_of(error)})"
            )
            unreadable += 1
            continue
        probabilities = predict(tf.cast(image[None], tf.float32))[0].numpy()
        for line in task.describe(probabilities, run, view, prepared.settings.top):
            report(f"{_printable(path)}: {line}")
    return unreadable


def _image_files(paths):
    """The files that are named, and those that folders hold, at any depth and in order.

    A folder without an image comes itself.
    """
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = sorted(
            each
            for each in path.rglob("*")
            if each.suffix.lower() in SUFFIXES
            and each.is_file()
            and not any(part.startswith(".") for part in each.relative_to(path).parts)
        )
        yield from found or [path]


def _kind(path):
    """What a file is that is no image to be read, if it tells."""
    kind = kind_of_file(path)
    return None if kind is None or kind.is_read else kind


def load_image(
    path: str | os.PathLike[str],
    image_size: tuple[int, int],
    evaluation_crop: float = 1.0,
    most_pixels: int = MOST_PIXELS,
    channels: int = 3,
) -> tf.Tensor:
    """Reads an image file as training reads those of a folder that it validates with.

    Args:
        path: a JPEG, PNG, BMP or WebP file.
        image_size: height and width of the result, in pixels.
        evaluation_crop: part of each side of the largest centred crop that is kept.
        most_pixels: how many pixels the image may have.
        channels: 1 for gray, 3 for RGB.

    Returns:
        uint8 tensor `(height, width, channels)`, values in [0, 255].

    Raises:
        Exception: whatever Pillow raises for a file that is damaged or no image.
    """
    # As for training: a JPEG decoded at no less than twice the size loses nothing visible.
    side = math.ceil(2 * max(image_size) / evaluation_crop)
    image = read_image(path, side, most_pixels=most_pixels, channels=channels)
    return crop_and_resize(image, image_size, evaluation_crop)


def load_view(
    path: str | os.PathLike[str],
    image_size: tuple[int, int],
    evaluation_crop: float = 1.0,
    most_pixels: int = MOST_PIXELS,
) -> View:
    """The part of a picture that `load_image` shows, in pixels of the whole upright picture.

    Args:
        path, image_size, evaluation_crop, most_pixels: as for `load_image`.
    """
    height, width = read_image_size(path, most_pixels=most_pixels)
    part = centred_part(height, width, image_size, evaluation_crop)
    top, left, part_height, part_width = part.numpy().tolist()
    return View(top, left, part_height, part_width, image_size)


def _printable(path):
    """A path in one line, whatever characters its name has."""
    text = str(path)
    return text if text.isprintable() else repr(text)
