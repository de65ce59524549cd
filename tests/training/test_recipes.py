import dataclasses
import math

import pytest

from training.recipes import SMALL_IMAGES


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
    ],
)
def test_refuses_values_that_cannot_be_meant(change, rule):
    ((name, value),) = change.items()
    with pytest.raises(ValueError, match=rf"{rule}.*\. Received: {name}=") as caught:
        dataclasses.replace(SMALL_IMAGES, **change)
    assert str(value) in str(caught.value)


def test_digits_are_never_mirrored_by_default():
    assert not SMALL_IMAGES.horizontal_flip
