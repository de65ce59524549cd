# SPDX-License-Identifier: Apache-2.0
import dataclasses
import math

import pytest

from keras_micronet.grid_answers.tasks import EVERY_TASK
from training.recipes.recipes import (
    DETECTION,
    NOT_OF_GRIDS,
    QUANTIZE_AWARE,
    RECIPES,
    SMALL_IMAGES,
    TASKS,
    GridRecipe,
    QuantizeAwareGridRecipe,
    QuantizeAwareRecipe,
    Recipe,
    quantize_aware_recipe,
)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"image_size": (0, 32)}, "image_size must be a height and a width"),
        ({"image_size": (32, 1025)}, "each from 1 to 1024"),
        ({"image_size": (32,)}, "image_size must be a height and a width"),
        ({"image_size": (32.0, 32)}, "whole pixels"),
        ({"image_size": 32}, "image_size must be a height and a width"),
        ({"epochs": 0}, "epochs must be a whole number of at least 1"),
        ({"epochs": 1.5}, "epochs must be a whole number"),
        ({"epochs": True}, "epochs must be a whole number"),
        ({"batch_size": 1}, "batch_size must be a whole number of at least 2"),
        ({"learning_rate": 0.0}, "learning_rate must be a finite number above 0"),
        ({"learning_rate": -0.1}, "learning_rate must be a finite number above 0"),
        ({"learning_rate": math.nan}, "learning_rate must be a finite number above 0"),
        ({"learning_rate": math.inf}, "learning_rate must be a finite number above 0"),
        ({"warmup": 1.0}, "warmup must be a number of at least 0 and below 1"),
        ({"warmup": -0.1}, "warmup must be a number of at least 0"),
        ({"weight_decay": -1e-3}, "weight_decay must be a number of at least 0 and below 1"),
        ({"label_smoothing": 1.0}, "label_smoothing must be a number of at least 0 and below 1"),
        ({"rotation": -0.1}, "rotation must be"),
        ({"translation": math.nan}, "translation must be"),
        ({"zoom": 1.5}, "zoom must be"),
        ({"version": 0}, "version must be a whole number of at least 1"),
        ({"smallest_crop": 0.0}, "smallest_crop must be a number above 0 and at most 1"),
        ({"smallest_crop": 1.1}, "smallest_crop must be a number above 0 and at most 1"),
        ({"evaluation_crop": 0.0}, "evaluation_crop must be a number above 0 and at most 1"),
        ({"evaluation_crop": math.nan}, "evaluation_crop must be a number above 0 and at most 1"),
        ({"rand_augment": 1.1}, "rand_augment must be a number from 0 to 1"),
        ({"mixup": -0.1}, "mixup must be a number from 0 to 1"),
        ({"cutmix": 1.5}, "cutmix must be a number from 0 to 1"),
        ({"brightness": 1.1}, "brightness must be a number from 0 to 1"),
        ({"contrast": -0.1}, "contrast must be a number from 0 to 1"),
        ({"saturation": math.nan}, "saturation must be a number from 0 to 1"),
        ({"channels": 2}, "channels must be 3 for RGB or 1 for gray"),
        ({"channels": True}, "channels must be 3 for RGB or 1 for gray"),
        ({"random_erasing": math.nan}, "random_erasing must be a number from 0 to 1"),
        ({"horizontal_flip": "no"}, "horizontal_flip must be true or false"),
    ],
)
def test_refuses_values_that_cannot_be_meant(change, rule):
    ((name, value),) = change.items()
    with pytest.raises(ValueError, match=rf"{rule}.*\. Received: {name}=") as caught:
        dataclasses.replace(SMALL_IMAGES, **change)
    assert str(value) in str(caught.value)


def test_refuses_to_change_the_colours_of_gray_images():
    rule = "saturation must be 0 with channels=1.*leave it out. Received: saturation=0.2"
    with pytest.raises(ValueError, match=rule):
        dataclasses.replace(SMALL_IMAGES, channels=1, saturation=0.2)


@pytest.mark.parametrize("name", ["freeze_batch_normalization", "freeze_ranges"])
@pytest.mark.parametrize("value", [-0.01, 1.01, math.nan])
def test_refuses_freezing_outside_of_the_training(name, value):
    rule = f"{name} must be a number from 0 to 1. Received: {name}={value}"
    with pytest.raises(ValueError, match=rule):
        dataclasses.replace(QUANTIZE_AWARE, **{name: value})


@pytest.mark.parametrize("fraction", [0, 1])
def test_freezing_may_be_from_the_start_or_never(fraction):
    recipe = dataclasses.replace(QUANTIZE_AWARE, freeze_ranges=fraction)
    assert recipe.freeze_ranges == fraction


def test_quantizing_may_take_no_epochs_but_not_fewer():
    assert dataclasses.replace(QUANTIZE_AWARE, epochs=0).epochs == 0
    with pytest.raises(ValueError, match="at least 0. Received: epochs=-1"):
        dataclasses.replace(QUANTIZE_AWARE, epochs=-1)


def test_quantize_aware_training_continues_the_float_training():
    float_recipe = dataclasses.replace(
        SMALL_IMAGES,
        image_size=(48, 64),
        batch_size=8,
        learning_rate=0.02,
        weight_decay=0.3,
        label_smoothing=0.2,
        rotation=0.5,
        translation=0.6,
        zoom=0.7,
        horizontal_flip=True,
    )
    recipe = quantize_aware_recipe(float_recipe)
    assert recipe.name == "quantize-aware"
    assert recipe.learning_rate == pytest.approx(0.002)
    assert recipe.epochs < float_recipe.epochs
    own = {"name", "version", "epochs", "learning_rate", "warmup"}
    for field in dataclasses.fields(float_recipe):
        if field.name not in own:
            assert getattr(recipe, field.name) == getattr(float_recipe, field.name)


def test_the_user_changes_single_values_of_the_quantize_aware_recipe():
    changed = quantize_aware_recipe(SMALL_IMAGES, epochs=3, learning_rate=0.5)
    assert changed == dataclasses.replace(QUANTIZE_AWARE, epochs=3, learning_rate=0.5)


def test_digits_are_never_mirrored_by_default():
    assert not SMALL_IMAGES.horizontal_flip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("optimizer", "adam"),
        ("decayed_weights", "none"),
        ("learning_rate_batch_size", 0),
        ("momentum", 1.0),
        ("average_decay", 1.0),
        ("mutual_weight", -1.0),
        ("distillation_weight", 1.5),
        ("distillation_temperature", 0.5),
    ],
)
def test_values_of_optimizer_and_companions_are_checked(name, value):
    with pytest.raises(ValueError, match=f"{name} must be .*Received: {name}={value}"):
        dataclasses.replace(SMALL_IMAGES, **{name: value})


def test_named_recipes():
    assert set(RECIPES) == {
        "small-images",
        "photographs",
        "finetune",
        "imagenet-m0",
        "imagenet-m1",
        "imagenet-m2",
        "imagenet-m3",
        "detect",
        "segment",
        "keypoints",
    }
    for name, recipe in RECIPES.items():
        assert recipe.name == name
        assert recipe.version == 1


@pytest.mark.parametrize("variant", ["m0", "m1", "m2", "m3"])
def test_imagenet_recipes_are_those_of_the_release(variant):
    recipe = RECIPES[f"imagenet-{variant}"]
    # Every value that is not here is one that the release does not have: off.
    assert dataclasses.asdict(recipe) == {
        "name": f"imagenet-{variant}",
        "task": "classify",
        "version": 1,
        "image_size": (224, 224),
        "channels": 3,
        "epochs": 600,
        "batch_size": 512,
        "learning_rate": 0.2,
        "learning_rate_batch_size": 512,
        "warmup": 5 / 600 if variant == "m3" else 0.0,
        "optimizer": "sgd",
        "momentum": 0.9,
        "weight_decay": 4e-5 if variant == "m3" else 3e-5,
        "decayed_weights": "all",
        "horizontal_flip": True,
        "smallest_crop": 0.08,
        "evaluation_crop": 0.875,
        **dict.fromkeys(("label_smoothing", "rotation", "translation", "zoom"), 0.0),
        **dict.fromkeys(("brightness", "contrast", "saturation"), 0.0),
        **dict.fromkeys(("rand_augment", "mixup", "cutmix", "random_erasing"), 0.0),
        **dict.fromkeys(("average_decay", "mutual_weight"), 0.0),
        # Only used with a teacher.
        "distillation_weight": 0.5,
        "distillation_temperature": 2.0,
    }
    # The authors' script for two GPUs: batches of 256 at a rate of 0.1.
    assert dataclasses.replace(recipe, batch_size=256).peak_learning_rate == pytest.approx(0.1)


def test_the_first_recipe_has_none_of_the_later_changes():
    # As it was before there were any.
    assert SMALL_IMAGES.smallest_crop == SMALL_IMAGES.evaluation_crop == 1.0
    later = ("brightness", "contrast", "saturation")
    for name in (*later, "rand_augment", "mixup", "cutmix", "random_erasing"):
        assert getattr(SMALL_IMAGES, name) == 0.0


def test_photographs_are_mirrored_and_hardly_distorted():
    """A small network learns too little of them rather than by heart."""
    recipe = RECIPES["photographs"]
    assert recipe.horizontal_flip
    assert 0.5 <= recipe.smallest_crop < 1.0
    assert recipe.rotation == recipe.translation == recipe.zoom == 0.0
    # A side of 32 pixels would leave a single place of the last map.
    assert min(recipe.image_size) >= 64


def test_finetuning_is_gentle_with_photographs():
    recipe = RECIPES["finetune"]
    assert recipe.horizontal_flip
    assert recipe.learning_rate < SMALL_IMAGES.learning_rate
    assert 0.08 < recipe.smallest_crop < 1.0


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_any_recipe_can_be_continued_by_quantize_aware_training(name):
    recipe = quantize_aware_recipe(RECIPES[name])
    assert isinstance(recipe, QuantizeAwareRecipe)
    assert recipe.name == "quantize-aware"
    assert recipe.peak_learning_rate == pytest.approx(RECIPES[name].peak_learning_rate / 10)
    for kept in ("smallest_crop", "evaluation_crop", "optimizer", "weight_decay"):
        assert getattr(recipe, kept) == getattr(RECIPES[name], kept)


def test_recipes_of_earlier_runs_are_understood():
    later = {"version", "smallest_crop", "evaluation_crop"}
    later |= {"brightness", "contrast", "saturation"}
    later |= {"rand_augment", "mixup", "cutmix", "random_erasing"}
    values = dataclasses.asdict(SMALL_IMAGES)
    earlier = {name: value for name, value in values.items() if name not in later}
    assert Recipe(**earlier) == SMALL_IMAGES


@pytest.mark.parametrize("recipe_class", [Recipe, GridRecipe, QuantizeAwareRecipe])
def test_every_value_has_a_short_explanation(recipe_class):
    for field in dataclasses.fields(recipe_class):
        assert 0 < len(field.metadata["help"]) < 90


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"output_stride": 4}, "output_stride must be one of 8, 16, 32"),
        ({"blocks": 0}, "blocks must be a whole number of at least 1"),
        ({"shift_max": (1, 0)}, "shift_max must be true, false, or numbers of blocks from 1 on"),
        ({"shift_max": 3}, "shift_max must be true, false"),
        ({"head_width": 0}, "head_width must be a whole number"),
        ({"object_weight": -1.0}, "object_weight must be a number from 0"),
        ({"focal_gamma": math.nan}, "focal_gamma must be a number from 0"),
        ({"task": "classify"}, "task must be one of detect, segment, keypoints"),
    ],
)
def test_refuses_values_of_grids_that_cannot_be_meant(change, rule):
    ((name, _),) = change.items()
    with pytest.raises(ValueError, match=rf"{rule}.*\. Received: {name}="):
        dataclasses.replace(DETECTION, **change)


@pytest.mark.parametrize("name", sorted(NOT_OF_GRIDS))
def test_what_would_part_answers_and_places_is_refused(name):
    value = 1.5 if name == "distillation_temperature" else 0.75
    with pytest.raises(ValueError, match=rf"answers and places of.*\. Received: {name}={value}"):
        dataclasses.replace(DETECTION, **{name: value})


def test_all_that_grids_do_not_have_is_complained_about_at_once():
    with pytest.raises(ValueError, match=r"Received: rotation=0\.1, mixup=0\.2$"):
        dataclasses.replace(DETECTION, rotation=0.1, mixup=0.2, brightness=0.1)


def test_a_classifier_has_no_other_task():
    with pytest.raises(ValueError, match="task must be one of classify. Received: task=detect"):
        dataclasses.replace(SMALL_IMAGES, task="detect")


def test_tasks_have_the_names_of_the_library():
    assert TASKS == EVERY_TASK


@pytest.mark.parametrize(
    ("task", "shape"), [("detect", (4, 6, 4)), ("segment", (4, 6, 4)), ("keypoints", (4, 6, 3))]
)
def test_a_grid_has_a_cell_for_every_stride(task, shape):
    recipe = dataclasses.replace(RECIPES[task], image_size=(100, 161), output_stride=32)
    assert recipe.output_shape(3) == shape
    assert SMALL_IMAGES.output_shape(3) == (3,)


def test_a_grid_is_quantized_with_its_own_values():
    recipe = quantize_aware_recipe(dataclasses.replace(DETECTION, blocks=3), focal_gamma=1.0)
    assert isinstance(recipe, QuantizeAwareGridRecipe) and isinstance(recipe, GridRecipe)
    assert (recipe.task, recipe.blocks, recipe.focal_gamma) == ("detect", 3, 1.0)
    with pytest.raises(ValueError, match="Received: focal_gamma for a run of classes"):
        quantize_aware_recipe(SMALL_IMAGES, focal_gamma=1.0)
