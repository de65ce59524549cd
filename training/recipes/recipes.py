# SPDX-License-Identifier: Apache-2.0
"""Recipes: the named values that decide how a model is trained.

A recipe is plain data, so that it can be compared, saved with a run and changed one value at a
time with `dataclasses.replace`, which checks the values again. `RECIPES` has those that are known
by name; a name and a version stand for the same values for ever.
"""

import dataclasses
import math
from typing import Any, ClassVar

LARGEST_IMAGE_SIDE = 1024
GRAY, RGB = CHANNELS = (1, 3)
ADAMW, SGD = OPTIMIZERS = ("adamw", "sgd")
KERNELS, ALL_WEIGHTS = DECAYED_WEIGHTS = ("kernels", "all")
# As keras_micronet.grid_answers.tasks has them, which takes Keras's seconds to import.
CLASSIFY = "classify"
DETECT, SEGMENT, KEYPOINTS = GRID_TASKS = ("detect", "segment", "keypoints")
TASKS = (CLASSIFY, *GRID_TASKS)
OUTPUT_STRIDES = (8, 16, 32)


def _value(explanation, default=dataclasses.MISSING, separator="x"):
    """A field of a recipe, with the text that a command line's help has for it, and what is between
    its numbers there if they are several."""
    return dataclasses.field(
        default=default, metadata={"help": explanation, "separator": separator}
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is trained; every value is checked when the recipe is made.

    Each field's metadata holds a short text under `"help"`.

    Attributes:
        name: what the recipe is called in files and messages.
        version: grows when a value of the recipe of this name changes.
        task: what the model answers, `"classify"` unless it is a `GridRecipe`.
        image_size: height and width of the model's input, in pixels.
        channels: of the model's input: 3 for RGB, 1 for gray.
        epochs: passes over the training images.
        batch_size: images a step; batch normalization needs at least 2.
        learning_rate: the peak learning rate, reached after the warm-up.
        warmup: fraction of the training during which the learning rate grows linearly from 0 to
            `learning_rate`. A cosine, updated every step, then brings it to 0 at the last step.
        weight_decay: decoupled from the gradient with AdamW, part of it with SGD.
        label_smoothing: probability taken from the true class and spread over all classes.
        rotation: largest random rotation, as a fraction of a full turn, either way.
        translation: largest random shift on each axis, as a fraction of the image's side.
        zoom: largest random change of scale of both axes together, as a fraction.
        horizontal_flip: whether to mirror half of the images. Wrong for digits and letters.
        smallest_crop: smallest part of an image's area that a random crop keeps, above 0; 1 for no
            random crop, and training sees the part that evaluation sees.
        evaluation_crop: part of each side of the largest centred crop that evaluation keeps, above
            0 and at most 1.
        brightness: largest random change of an image's brightness, as a fraction of the range of
            values, either way.
        contrast: each image's differences from its mean are multiplied by a random number from 1
            minus this to 1 plus this.
        saturation: the same for the differences of its colours from grey.
        rand_augment: magnitude from 0 to 1 of RandAugment, see `augmentation.RandAugment`; 0 for
            none.
        mixup: parameter, up to 1, of the beta distribution that MixUp draws the shares of two
            images from; 0 for no MixUp.
        cutmix: the same of CutMix, which draws the share of an image's area. With both, images
            that MixUp has mixed are what CutMix takes pieces from.
        random_erasing: probability, from 0 to 1, that noise covers a part of an image.
        optimizer: `"adamw"` or `"sgd"`, the latter with `momentum`.
        momentum: part of the velocity that each step of SGD keeps, at least 0 and below 1.
        decayed_weights: `"kernels"`, or `"all"` for biases and batch normalization, too.
        learning_rate_batch_size: the batch size that `learning_rate` is for; with another one the
            peak is in proportion to it. `None` to take `learning_rate` as it is.
        average_decay: of the moving average of the weights that is validated and kept instead of
            the weights themselves, see `weight_average`; 0 for none.
        mutual_weight: of the divergences between the network and a full-rank partner that is
            trained along, see `companions.Partner`; 0 for no partner.
        distillation_weight: of the divergence from a teacher, if there is one, see
            `companions.Teacher`.
        distillation_temperature: of the teacher and the network then, at least 1.
    """

    name: str = _value("name of the recipe")
    version: int = _value("version of the recipe of this name, from 1", 1)
    task: str = _value("what the model answers", CLASSIFY)
    image_size: tuple[int, int] = _value(
        "height and width of the model's input, in pixels; smaller pictures are enlarged"
    )
    channels: int = _value("3 for a model of pictures in colour, 1 of gray ones", RGB)
    epochs: int = _value("passes over the training images")
    batch_size: int = _value("images a step, at least 2")
    learning_rate: float = _value("peak learning rate")
    warmup: float = _value("fraction of the training in which the learning rate grows")
    weight_decay: float = _value("decay of the weights, 0 for none")
    label_smoothing: float = _value("probability taken from the true class, 0 for none")
    rotation: float = _value("largest random rotation, as a fraction of a turn, 0 for none")
    translation: float = _value("largest random shift, as a fraction of the side, 0 for none")
    zoom: float = _value("largest random change of scale, as a fraction, 0 for none")
    horizontal_flip: bool = _value("whether to mirror half of the images; wrong for digits")
    smallest_crop: float = _value(
        "smallest part of an image's area that a random crop keeps, 1 for no random crop", 1.0
    )
    evaluation_crop: float = _value(
        "part of each side that evaluation keeps, centred; 1 for the largest crop", 1.0
    )
    brightness: float = _value(
        "largest random change of brightness, as a fraction of the range, 0 for none", 0.0
    )
    contrast: float = _value("largest random change of contrast, as a fraction, 0 for none", 0.0)
    saturation: float = _value(
        "largest random change of saturation, as a fraction, 0 for none", 0.0
    )
    rand_augment: float = _value("magnitude of RandAugment from 0 to 1, 0 for none", 0.0)
    mixup: float = _value("alpha up to 1 of MixUp, which blends images in pairs, 0 for none", 0.0)
    cutmix: float = _value("alpha up to 1 of CutMix, which swaps pieces of images, 0 for none", 0.0)
    random_erasing: float = _value(
        "probability that noise covers a part of an image, 0 for none", 0.0
    )
    optimizer: str = _value("adamw or sgd", ADAMW)
    momentum: float = _value("part of the velocity that a step of SGD keeps, 0 for none", 0.9)
    decayed_weights: str = _value(
        "kernels, or all for biases and batch normalization, too", KERNELS
    )
    learning_rate_batch_size: int | None = _value(
        "batch size that the learning rate is for, none to take the learning rate as it is", None
    )
    average_decay: float = _value(
        "decay of the moving average of the weights that is kept, 0 for none", 0.0
    )
    mutual_weight: float = _value(
        "weight of mutual learning with a full-rank partner, 0 for none", 0.0
    )
    distillation_weight: float = _value(
        "weight from 0 to 1 of what the teacher says, the rest is the labels'", 0.5
    )
    distillation_temperature: float = _value(
        "temperature, at least 1, at which teacher and network are compared", 2.0
    )

    least_epochs: ClassVar[int] = 1
    tasks: ClassVar[tuple[str, ...]] = (CLASSIFY,)  # that recipes of this type are for

    def __post_init__(self):
        _check_choice("task", self.task, self.tasks)
        _check_whole_number("version", self.version, minimum=1)
        _check_image_size(self.image_size)
        _check_channels(self.channels)
        _check_whole_number("epochs", self.epochs, minimum=self.least_epochs)
        _check_whole_number("batch_size", self.batch_size, minimum=2)
        _check_positive_number("learning_rate", self.learning_rate)
        for name in (
            "warmup",
            "weight_decay",
            "label_smoothing",
            "rotation",
            "translation",
            "zoom",
            "momentum",
            "average_decay",
        ):
            _check_fraction(name, getattr(self, name))
        for name in ("smallest_crop", "evaluation_crop"):
            _check_part(name, getattr(self, name))
        for name in (
            "brightness",
            "contrast",
            "saturation",
            "rand_augment",
            "mixup",
            "cutmix",
            "random_erasing",
        ):
            _check_number(name, getattr(self, name), 0, 1)
        _check_number("mutual_weight", self.mutual_weight, 0, 100)
        _check_number("distillation_weight", self.distillation_weight, 0, 1)
        _check_number("distillation_temperature", self.distillation_temperature, 1, 100)
        _check_choice("optimizer", self.optimizer, OPTIMIZERS)
        _check_choice("decayed_weights", self.decayed_weights, DECAYED_WEIGHTS)
        if self.channels == GRAY and self.saturation > 0:
            raise ValueError(
                "saturation must be 0 with channels=1, as gray images have no colours: leave it "
                f"out. Received: saturation={self.saturation}"
            )
        if self.learning_rate_batch_size is not None:
            _check_whole_number("learning_rate_batch_size", self.learning_rate_batch_size, 1)
        if type(self.horizontal_flip) is not bool:
            raise ValueError(
                "horizontal_flip must be true or false. "
                f"Received: horizontal_flip={self.horizontal_flip}"
            )

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the model's input."""
        return (*self.image_size, self.channels)

    def output_shape(self, class_count: int) -> tuple[int, ...]:
        """The shape of what the model gives for an image."""
        return (class_count,)

    @property
    def peak_learning_rate(self) -> float:
        """The learning rate after the warm-up, for this batch size."""
        if self.learning_rate_batch_size is None:
            return self.learning_rate
        return self.learning_rate * self.batch_size / self.learning_rate_batch_size


# What has no meaning where an answer belongs to a place of the picture, and its value without any
# effect.
NOT_OF_GRIDS = {
    "label_smoothing": 0.0,
    "rotation": 0.0,
    "translation": 0.0,
    "zoom": 0.0,
    "evaluation_crop": 1.0,
    "rand_augment": 0.0,
    "mixup": 0.0,
    "cutmix": 0.0,
    "random_erasing": 0.0,
    "mutual_weight": 0.0,
    "distillation_weight": 0.5,
    "distillation_temperature": 2.0,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class GridRecipe(Recipe):
    """How a model is trained that answers for each cell of a grid.

    Crops and flips move the labels along; other random changes are of colours alone.

    Attributes:
        output_stride: side of a cell in pixels, 8, 16 or 32.
        blocks: how many of the variant's blocks are there, from the first on; `None` for all but
            the last.
        shift_max: whether all blocks have Dynamic Shift-Max or none has; or the numbers of those
            that have it, from 1 on.
        head_width: channels of the 1x1 convolution before the one that answers.
        object_weight: how much more a cell with an object, or of a class, counts in the loss than
            one of the background.
        focal_gamma: exponent of the focal loss, see `keras_micronet.grid.losses`; 0 for the plain
            cross-entropy.
        target_spread: of objects and joints over the cells around their own, a standard deviation
            in cells, see `keras_micronet.grid_answers.labels.cell_answers`; 0 for none, which is
            what segmentation has.
    """

    label_smoothing: float = _value("probability taken from the true class, 0 for none", 0.0)
    rotation: float = _value("largest random rotation, as a fraction of a turn, 0 for none", 0.0)
    translation: float = _value("largest random shift, as a fraction of the side, 0 for none", 0.0)
    zoom: float = _value("largest random change of scale, as a fraction, 0 for none", 0.0)
    output_stride: int = _value("side of a cell in pixels, 8, 16 or 32", 8)
    blocks: int | None = _value(
        "how many of the variant's blocks are there, from the first on, none for all but the last",
        None,
    )
    shift_max: bool | tuple[int, ...] = _value(
        "yes or no for Dynamic Shift-Max in all blocks, or the blocks that have it, such as 1,2",
        True,
        separator=",",
    )
    head_width: int = _value("channels of the 1x1 convolution before the one that answers", 32)
    object_weight: float = _value(
        "how much more a cell with an object counts than one of the background", 10.0
    )
    focal_gamma: float = _value("exponent of the focal loss, 0 for the plain cross-entropy", 0.0)
    target_spread: float = _value(
        "of objects and joints over the cells around their own, in cells, 0 for none", 0.0
    )

    tasks: ClassVar[tuple[str, ...]] = GRID_TASKS

    def __post_init__(self):
        super().__post_init__()
        self._check_fitting()
        _check_choice("output_stride", self.output_stride, OUTPUT_STRIDES)
        if self.blocks is not None:
            _check_whole_number("blocks", self.blocks, minimum=1)
        _check_blocks("shift_max", self.shift_max)
        _check_whole_number("head_width", self.head_width, minimum=1)
        _check_number("object_weight", self.object_weight, 0, 1000)
        _check_number("focal_gamma", self.focal_gamma, 0, 10)
        _check_number("target_spread", self.target_spread, 0, 4)
        if self.target_spread and self.task == SEGMENT:
            raise ValueError(
                "target_spread must be 0 to segment, as areas have their cells: leave it out. "
                f"Received: target_spread={self.target_spread}"
            )

    def output_shape(self, class_count: int) -> tuple[int, ...]:
        """Rows, columns and answers of the grid; of joints there is no background."""
        rows, columns = (math.ceil(side / self.output_stride) for side in self.image_size)
        return (rows, columns, class_count + (self.task != KEYPOINTS))

    def _check_fitting(self):
        given = [
            f"{name}={getattr(self, name)}"
            for name, without in NOT_OF_GRIDS.items()
            if getattr(self, name) != without
        ]
        if given:
            raise ValueError(
                f"a recipe to {self.task} must leave out what does not keep answers and places of "
                "a picture together; horizontal_flip, smallest_crop, brightness, contrast and "
                f"saturation do. Received: {', '.join(given)}"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuantizeAwareRecipe(Recipe):
    """How a trained float model is tuned while its quantization is simulated.

    No epochs at all are post-training quantization: only the calibrated ranges decide then.

    Attributes:
        freeze_batch_normalization: fraction of the training, from 0 to 1, after which the
            statistics of batch normalization stay as they are; 1 for never.
        freeze_ranges: fraction of the training, from 0 to 1, after which the ranges of the
            activations stay as they are; 1 for never.
    """

    freeze_batch_normalization: float = _value(
        "fraction of the training after which batch normalization's statistics stay, 1 for never"
    )
    freeze_ranges: float = _value(
        "fraction of the training after which the activations' ranges stay, 1 for never"
    )

    least_epochs: ClassVar[int] = 0

    def __post_init__(self):
        super().__post_init__()
        for name in ("freeze_batch_normalization", "freeze_ranges"):
            _check_number(name, getattr(self, name), 0, 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuantizeAwareGridRecipe(QuantizeAwareRecipe, GridRecipe):
    """The same for a model that answers for each cell of a grid."""


def _check_image_size(size):
    whole = isinstance(size, tuple) and all(type(side) is int for side in size)
    if not whole or len(size) != 2 or not all(1 <= side <= LARGEST_IMAGE_SIDE for side in size):
        raise ValueError(
            "image_size must be a height and a width in whole pixels, each from 1 to "
            f"{LARGEST_IMAGE_SIDE}. Received: image_size={size}"
        )


def _check_channels(channels):
    if type(channels) is not int or channels not in CHANNELS:
        raise ValueError(f"channels must be 3 for RGB or 1 for gray. Received: channels={channels}")


def _check_whole_number(name, value, minimum):
    if type(value) is not int or value < minimum:
        raise ValueError(
            f"{name} must be a whole number of at least {minimum}. Received: {name}={value}"
        )


def _check_choice(name, value, choices):
    if value not in choices:
        named = ", ".join(map(str, choices))
        raise ValueError(f"{name} must be one of {named}. Received: {name}={value}")


def _check_blocks(name, value):
    are_numbers = isinstance(value, tuple) and all(
        type(number) is int and number >= 1 for number in value
    )
    if type(value) is not bool and not are_numbers:
        raise ValueError(
            f"{name} must be true, false, or numbers of blocks from 1 on. Received: {name}={value}"
        )


def _check_number(name, value, lowest, highest):
    if not lowest <= value <= highest:
        raise ValueError(
            f"{name} must be a number from {lowest} to {highest}. Received: {name}={value}"
        )


def _check_positive_number(name, value):
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be a finite number above 0. Received: {name}={value}")


def _check_fraction(name, value):
    if not 0 <= value < 1:
        raise ValueError(
            f"{name} must be a number of at least 0 and below 1. Received: {name}={value}"
        )


def _check_part(name, value):
    if not 0 < value <= 1:
        raise ValueError(f"{name} must be a number above 0 and at most 1. Received: {name}={value}")


# Small pictures (digits, icons, crops of a camera frame) from scratch on a laptop's CPU. No flip:
# it is wrong for digits and letters, and a user with photographs can ask for it.
SMALL_IMAGES = Recipe(
    name="small-images",
    image_size=(32, 32),
    epochs=30,
    batch_size=32,
    learning_rate=4e-3,
    warmup=0.1,
    weight_decay=1e-2,
    label_smoothing=0.1,
    rotation=0.03,
    translation=0.08,
    zoom=0.1,
    horizontal_flip=False,
)


# Photographs from scratch, chosen on CIFAR-10 (benchmarks/photograph_recipes.py), where M0 learns
# too little rather than by heart: in short runs crops cost two points, and so did half the learning
# rate; smoothing of the labels and batches of 128 made no difference. The mild crops are a
# precaution for long trainings, larger variants and small datasets, which has not been measured.
PHOTOGRAPHS = Recipe(
    name="photographs",
    image_size=(64, 64),
    epochs=60,
    batch_size=64,
    learning_rate=4e-3,
    warmup=0.1,
    weight_decay=1e-2,
    label_smoothing=0.1,
    rotation=0.0,
    translation=0.0,
    zoom=0.0,
    horizontal_flip=True,
    smallest_crop=0.8,
)


# Photographs of one's own, from ImageNet weights: a rate that adapts the features without losing
# them. Crops keep at least half, so that what a picture is of stays in it.
FINETUNE = Recipe(
    name="finetune",
    image_size=(224, 224),
    epochs=20,
    batch_size=32,
    learning_rate=5e-4,
    warmup=0.1,
    weight_decay=1e-2,
    label_smoothing=0.1,
    rotation=0.0,
    translation=0.0,
    zoom=0.0,
    horizontal_flip=True,
    smallest_crop=0.5,
)


def _imagenet_recipe(variant, weight_decay=3e-5, warmup_epochs=0):
    """How the authors trained a variant from scratch (arXiv 2108.05894 and its release)."""
    epochs = 600
    return Recipe(
        name=f"imagenet-{variant}",
        image_size=(224, 224),
        epochs=epochs,
        batch_size=512,
        learning_rate=0.2,
        learning_rate_batch_size=512,
        warmup=warmup_epochs / epochs,
        optimizer=SGD,
        momentum=0.9,
        weight_decay=weight_decay,
        decayed_weights=ALL_WEIGHTS,
        label_smoothing=0.0,
        rotation=0.0,
        translation=0.0,
        zoom=0.0,
        horizontal_flip=True,
        smallest_crop=0.08,
        evaluation_crop=0.875,
    )


IMAGENET_M0 = _imagenet_recipe("m0")
IMAGENET_M1 = _imagenet_recipe("m1")
IMAGENET_M2 = _imagenet_recipe("m2")
IMAGENET_M3 = _imagenet_recipe("m3", weight_decay=4e-5, warmup_epochs=5)


def _grid_recipe(task, **values):
    """Values of a first trial on photographs of blood cells, which are few and small."""
    return GridRecipe(
        **{
            "name": task,
            "task": task,
            "image_size": (96, 128),
            "epochs": 80,
            "batch_size": 16,
            "learning_rate": 3e-3,
            "warmup": 0.05,
            "weight_decay": 1e-2,
            "smallest_crop": 0.85,
            **values,
        }
    )


# A recipe of its name for each task of a grid. Joints are told into left and right ones, which a
# mirrored picture has the wrong way round.
DETECTION = _grid_recipe(DETECT, horizontal_flip=True, target_spread=0.6)
SEGMENTATION = _grid_recipe(SEGMENT, horizontal_flip=True, object_weight=1.0)
JOINTS = _grid_recipe(KEYPOINTS, horizontal_flip=False, target_spread=0.6)

RECIPES = {
    recipe.name: recipe
    for recipe in (
        SMALL_IMAGES,
        PHOTOGRAPHS,
        FINETUNE,
        IMAGENET_M0,
        IMAGENET_M1,
        IMAGENET_M2,
        IMAGENET_M3,
        DETECTION,
        SEGMENTATION,
        JOINTS,
    )
}


# What a recipe's values are for a dataset of a grid's task, unless asked for: digits cannot be
# mirrored.
DATASET_VALUES: dict[str, dict[str, Any]] = {"scattered-digits": {"horizontal_flip": False}}


def recipes_for(task: str) -> tuple[str, ...]:
    """Names of the recipes of a task."""
    return tuple(name for name, recipe in RECIPES.items() if recipe.task == task)


def quantize_aware_recipe(float_recipe: Recipe, **changes: Any) -> QuantizeAwareRecipe:
    """The recipe that continues a finished training with quantization simulated.

    Batches, targets, weight decay and random changes of the images are those of the finished
    training. The model is trained already, so the steps are fewer and a tenth as large.

    Args:
        float_recipe: the `Recipe` that the float model was trained by.
        **changes: values of the result that shall be different.

    Returns:
        A `QuantizeAwareRecipe`; of a `GridRecipe` a `QuantizeAwareGridRecipe`.

    Raises:
        ValueError: if a changed value is wrong.
    """
    values = {
        **dataclasses.asdict(float_recipe),
        "name": "quantize-aware",
        "version": 1,
        "epochs": 10,
        "learning_rate": float_recipe.learning_rate / 10,
        "warmup": 0.05,
        "freeze_batch_normalization": 0.5,
        # Both at once: at each freezing TensorFlow traces the training step anew.
        "freeze_ranges": 0.5,
    }
    is_grid = isinstance(float_recipe, GridRecipe)
    of_grids = {field.name for field in dataclasses.fields(GridRecipe)} - {
        field.name for field in dataclasses.fields(Recipe)
    }
    foreign = [] if is_grid else sorted(of_grids & set(changes))
    if foreign:
        raise ValueError(
            "values of a grid's recipe must be given for a run of a grid's task only. "
            f"Received: {', '.join(foreign)} for a run of classes"
        )
    recipe_type = QuantizeAwareGridRecipe if is_grid else QuantizeAwareRecipe
    return recipe_type(**values | changes)


QUANTIZE_AWARE = quantize_aware_recipe(SMALL_IMAGES)
QUANTIZE_AWARE_GRID = quantize_aware_recipe(DETECTION)
