# SPDX-License-Identifier: Apache-2.0
"""A quantize-aware training: a finished float run in, a `run.PreparedRun` out.

The new run has the float run's dataset, split, image size and variant. It is then executed as every
other run; that its model simulates quantization is the model's own affair.
"""

import os

import numpy as np
import tensorflow as tf

import keras_micronet
from keras_micronet import quantization
from training.commands.train import PreparedRun
from training.fitting.epoch_record import SCORES
from training.fitting.objectives import TEST
from training.fitting.trainer import check_batch_size, make_reproducible
from training.recipes.recipes import quantize_aware_recipe
from training.runs.run_folder import RunFolder
from training.runs.saved_run import QUANTIZATION, SavedRun
from training.settings import QuantizeAwareSettings, RunSettings
from training.tasks import TASKS
from training.tasks.task import Source

# Mean difference of two decodings of one image, in grey levels; other libraries decode JPEG files
# slightly differently. Two images of anything but a still life are further apart.
_SAME_IMAGE = 4.0


def prepare(settings: QuantizeAwareSettings) -> PreparedRun:
    """Loads the float run and its dataset, quantizes the model and makes the run folder.

    Args:
        settings: a `QuantizeAwareSettings`.

    Returns:
        A `PreparedRun` for `run.execute`.

    Raises:
        ValueError, OSError, ImportError: if the settings cannot be met; the message is one for the
            user.
    """
    float_run = SavedRun.read_float(settings.float_run)
    _check_choice("scheme", settings.scheme, quantization.SCHEMES)
    _check_choice("kernels", settings.kernels, quantization.KERNELS)
    folder = _make_folder(settings)
    make_reproducible(settings.seed)
    run_settings = _run_settings(settings, float_run)
    recipe = run_settings.recipe
    float_model = float_run.load_model()
    dataset = _load_dataset(run_settings, is_named_by_user=settings.dataset is not None)
    _check_dataset(dataset, float_run)
    check_batch_size(recipe, dataset)
    model = quantization.quantize_aware(
        float_model, float_run.calibration_images(), settings.scheme, kernels=settings.kernels
    )
    folder.begin()
    name = float_run.folder.resolve().name
    score = SCORES[recipe.task]
    return PreparedRun(
        run_settings,
        dataset,
        model,
        keras_micronet.summarize(model.float_model),
        folder,
        tf.distribute.get_strategy(),
        callbacks=(
            quantization.FreezeSchedule(
                batch_normalization=recipe.freeze_batch_normalization,
                ranges=recipe.freeze_ranges,
            ),
        ),
        notes=(
            f"Quantization {settings.scheme} for {settings.kernels} kernels of the run {name}, "
            f"whose float model has a test {score.title} of {score.text(float_run.test_score)}.",
        ),
        sections={
            QUANTIZATION: {
                "scheme": settings.scheme,
                "kernels": settings.kernels,
                "float_run": name,
                f"float_test_{score.key}": float_run.test_score,
            }
        },
    )


def _check_choice(name, value, choices):
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}. Received: {name}={value}")


def _make_folder(settings):
    if settings.output.is_dir() and os.path.samefile(settings.output, settings.float_run):
        raise ValueError(
            "output must be another folder than the float run, which stays as it is. "
            f"Received: output={settings.output}"
        )
    return RunFolder(settings.output, settings.overwrite, settings.resume)


def _run_settings(settings, float_run):
    return RunSettings(
        model=float_run.variant,
        dataset=float_run.dataset if settings.dataset is None else settings.dataset,
        recipe=quantize_aware_recipe(float_run.recipe, **settings.recipe_changes),
        weights=float_run.initial_weights,
        seed=settings.seed,
        output=settings.output,
        overwrite=settings.overwrite,
        skip_unreadable=settings.skip_unreadable or float_run.skip_unreadable,
        resume=settings.resume,
        most_pixels=settings.most_pixels,
    )


def _load_dataset(run_settings, is_named_by_user):
    try:
        source = Source(
            run_settings.dataset, run_settings.skip_unreadable, run_settings.most_pixels
        )
        return TASKS[run_settings.recipe.task].load_dataset(source, run_settings.recipe)
    except ValueError as error:
        if is_named_by_user:
            raise
        raise ValueError(
            f"{error} (named by the float run; give --dataset if it is elsewhere now)"
        ) from error


def _check_dataset(dataset, float_run):
    """Raises `ValueError` unless the dataset and its split are those of the float run.

    Otherwise the model could be tested on images that it has learned from.
    """
    if dataset.class_names != float_run.class_names:
        raise ValueError(
            f"the dataset must have the float run's classes {list(float_run.class_names)}, in this "
            f"order. Received: {list(dataset.class_names)} in {dataset.name}"
        )
    sizes = {part: getattr(dataset, part).size for part in float_run.part_sizes}
    if sizes != float_run.part_sizes:
        raise ValueError(
            f"the dataset must have as many images as for the float run, {float_run.part_sizes}: "
            "with others it would be split differently, and tested on images already learned. "
            f"Received: {sizes} in {dataset.name}"
        )
    if not _has_test_images(dataset, float_run.recipe.task, *float_run.test_images()):
        raise ValueError(
            "the dataset must have the float run's test images: others may be among those already "
            f"learned. Received: other test images in {dataset.name}"
        )


def _has_test_images(dataset, task, expected_images, expected_labels):
    images, labels = TASKS[task].examples(dataset, TEST, len(expected_labels))
    # Joints that are not there are no numbers.
    return np.array_equal(labels, expected_labels, equal_nan=True) and all(
        np.abs(image.astype(np.int16) - expected).mean() <= _SAME_IMAGE
        for image, expected in zip(images, expected_images, strict=True)
    )
