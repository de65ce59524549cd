# SPDX-License-Identifier: Apache-2.0
"""Datasets of the TensorFlow Datasets catalogue, by name.

They are downloaded once and kept where TensorFlow Datasets keeps them (`~/tensorflow_datasets`, or
the folder that the environment variable TFDS_DATA_DIR names).
"""

import os
import re

import numpy as np
import tensorflow as tf

from keras_micronet.files.text import shorten
from training.datasets.channels import with_channels
from training.datasets.image_dataset import ImageDataset, Split
from training.datasets.resizing import crop_and_resize, crop_decoded, resize

# A plain name with an optional configuration and version. Names with a namespace are left out on
# purpose: TensorFlow Datasets would fetch code for them and run it.
_NAME_PATTERN = re.compile(r"[A-Za-z]\w*(/[\w.-]+)?(:\d+\.\d+\.\d+)?")

# Undecoded images in memory while shuffling: some hundred megabytes for photographs.
_SHUFFLE_BUFFER = 4096

_TRAIN, _TEST = "train", "test"
_VALIDATION_NAMES = ("validation", "val", "valid")

# Parts of a split that has to serve for several.
_TWO_SLICES = {"train": ":90%", "validation": "90%:"}
_THREE_SLICES = {"train": ":70%", "validation": "70%:80%", "test": "80%:"}
_FEWEST_TO_SLICE = 10  # of which a tenth is one


def load_tensorflow_dataset(
    name: str,
    image_size: tuple[int, int],
    data_dir: str | os.PathLike[str] | None = None,
    evaluation_crop: float = 1.0,
    channels: int = 3,
) -> ImageDataset:
    """Loads a dataset for image classification from TensorFlow Datasets.

    The dataset's own `test` and `validation` splits serve as such; those that were published
    without labels are not used. Without a usable `test` split `validation` takes its place, and
    what is still missing is sliced off `train`. A single split is sliced, whatever its name is.

    Args:
        name: for example `"mnist"`, `"cifar10"` or `"name/configuration:1.0.0"`.
        image_size: height and width, in pixels, of the images to produce.
        data_dir: where the prepared dataset is or will be kept; the default is TensorFlow
            Datasets' own.
        evaluation_crop: part of each side that is kept, centred, where crops are not random.
        channels: of the images: 1 for gray, 3 for RGB.

    Returns:
        An `ImageDataset`.

    Raises:
        ValueError: if the name is unknown, the dataset has no single image and class to learn, has
            examples without a label or too few, or can neither be found on this machine nor
            downloaded.
    """
    if not _NAME_PATTERN.fullmatch(name):
        raise ValueError(
            "a TensorFlow Datasets name must look like mnist, name/configuration or name:1.0.0. "
            f"Received: tfds:{name}"
        )
    builder = _find_builder(name, data_dir)
    image_key, label_key = _find_features(builder)
    _prepare(builder)
    parts = _choose_parts(builder, label_key)
    _check_labels(builder, parts, label_key)
    decoders = _make_decoders(
        builder.info.features[image_key], image_size, evaluation_crop, channels
    )
    return ImageDataset(
        name=builder.name,
        image_size=(image_size[0], image_size[1]),
        class_names=tuple(builder.info.features[label_key].names),
        pictures=_describe(builder, parts),
        **{
            part: _make_split(builder, instruction, image_key, label_key, decoders)
            for part, instruction in parts.items()
        },
    )


def _find_builder(name, data_dir):
    # Imported only for who uses it: the package is large.
    import tensorflow_datasets as tfds

    try:
        return tfds.builder(name, data_dir=data_dir)
    except tfds.core.registered.DatasetNotFoundError:
        raise ValueError(
            "a tfds: dataset must be in the catalogue of TensorFlow Datasets "
            f"(https://www.tensorflow.org/datasets/catalog). Received: tfds:{name}"
        ) from None
    except (ValueError, AssertionError) as error:  # An unknown configuration or version.
        raise ValueError(
            "a tfds: dataset must exist in the configuration and version asked for. "
            f"Received: tfds:{name} ({_first_line(error)})"
        ) from error


def _find_features(builder):
    """Finds the names of the one image and the one class label among a dataset's features."""
    import tensorflow_datasets as tfds

    features = builder.info.features
    if not isinstance(features, tfds.features.FeaturesDict):
        features = {}
    # Subclasses of Image are label maps and videos' frames, not pictures to classify.
    images = [name for name, feature in features.items() if type(feature) is tfds.features.Image]
    labels = [
        name for name, feature in features.items() if isinstance(feature, tfds.features.ClassLabel)
    ]
    # Where there are several, the dataset's authors say which pair is meant.
    if len(images) > 1 or len(labels) > 1:
        supervised = builder.info.supervised_keys or ()
        images = [name for name in images if name in supervised]
        labels = [name for name in labels if name in supervised]
    if len(images) != 1 or len(labels) != 1:
        raise ValueError(
            "a tfds: dataset must have one image and one class label for each example. "
            f"Received: tfds:{builder.name} with features={sorted(features)}"
        )
    image = features[images[0]]
    if np.dtype(image.np_dtype) != np.uint8 or image.shape[-1] not in (1, 3, 4):
        raise ValueError(
            "a tfds: dataset's images must be uint8 with 1, 3 or 4 channels. "
            f"Received: tfds:{builder.name} with {image}"
        )
    return images[0], labels[0]


def _prepare(builder):
    """Downloads the dataset unless it is here already."""
    try:
        builder.download_and_prepare()
    except Exception as error:  # Network, disk, checksum and archive errors share no base class.
        raise ValueError(
            "a tfds: dataset must be prepared on this machine or be downloadable. "
            f"Received: tfds:{builder.name} in {builder.data_dir} "
            f"({type(error).__name__}: {_first_line(error)})"
        ) from error


def _first_line(error):
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")


def _choose_parts(builder, label_key):
    """Maps train, validation and test to the dataset's splits or slices of them."""
    available = [name for name, split in builder.info.splits.items() if split.num_examples]
    if len(available) == 1:
        # Whatever it is called: what a model is tested on must not be what it has learned.
        return _slices(builder, available[0], _THREE_SLICES)
    if _TRAIN not in available:
        raise ValueError(
            "a tfds: dataset must have a train split or a single split. "
            f"Received: tfds:{builder.name} with splits={shorten(available)}"
        )
    labelled = [name for name in available if _is_labelled(builder, name, label_key)]
    validation = next((name for name in _VALIDATION_NAMES if name in labelled), None)
    test = _TEST if _TEST in labelled else None
    if test is None:
        test, validation = validation, None
    if test and validation:
        return {"train": _TRAIN, "validation": validation, "test": test}
    if test:
        return _slices(builder, _TRAIN, _TWO_SLICES) | {"test": test}
    return _slices(builder, _TRAIN, _THREE_SLICES)


def _slices(builder, split, slices):
    """The slices of a split by part, none of them empty."""
    if builder.info.disable_shuffling:
        raise ValueError(
            "a tfds: dataset must have splits for validation and test, or be stored in a mixed "
            f"order so that slices are fair. Received: tfds:{builder.name} with "
            f"splits={shorten(list(builder.info.splits))}"
        )
    size = builder.info.splits[split].num_examples
    if size < _FEWEST_TO_SLICE:
        raise ValueError(
            f"a tfds: dataset must have at least {_FEWEST_TO_SLICE} examples in a split that is "
            f"sliced into {', '.join(slices)}. Received: tfds:{builder.name} with {size} examples "
            f"in {split}"
        )
    return {part: f"{split}[{limits}]" for part, limits in slices.items()}


def _describe(builder, parts):
    """What tells the dataset and its split from others: versions are never changed in place."""
    sizes = {name: split.num_examples for name, split in sorted(builder.info.splits.items())}
    return f"{builder.info.full_name} {sizes} {sorted(parts.items())}"


def _is_labelled(builder, split, label_key):
    """Whether a split has labels: competitions publish test images with -1 for every class."""
    return any(label >= 0 for label in _labels(builder, split, label_key).take(100))


def _labels(builder, split, label_key):
    """A `tf.data.Dataset` of a split's labels; the images are not read."""
    import tensorflow_datasets as tfds

    labels_only = tfds.decode.PartialDecoding({label_key: True})
    return builder.as_dataset(split=split, shuffle_files=False, decoders=labels_only).map(
        lambda example: example[label_key]
    )


def _check_labels(builder, parts, label_key):
    """Raises `ValueError` if an example has no class: -1 stands for an unknown one."""
    class_count = builder.info.features[label_key].num_classes
    for part, instruction in parts.items():
        labels = _labels(builder, instruction, label_key)
        wrong = labels.filter(lambda label: (label < 0) | (label >= class_count))
        count = int(wrong.reduce(np.int64(0), lambda total, _: total + 1))
        if count:
            raise ValueError(
                f"every example of a tfds: dataset must have a label from 0 to {class_count - 1}: "
                "use another configuration or dataset. "
                f"Received: tfds:{builder.name} with {count} others in {instruction}, its {part} "
                "part"
            )


def _make_decoders(image_feature, image_size, evaluation_crop, channels):
    """The functions `decode` and `decode_crop` of a split."""
    stored_channels = image_feature.shape[-1]

    def decode(encoded):
        image = with_channels(image_feature.decode_example(encoded), channels)
        return crop_and_resize(image, image_size, evaluation_crop)

    def decode_crop(encoded, choose_crop):
        def decode_part():
            shape = tf.image.extract_jpeg_shape(encoded)
            crop = choose_crop(shape[0], shape[1])
            part = tf.image.decode_and_crop_jpeg(encoded, crop, channels=min(stored_channels, 3))
            return resize(with_channels(part, channels), image_size)

        def decode_all():
            image = with_channels(image_feature.decode_example(encoded), channels)
            return crop_decoded(image, image_size, choose_crop)

        # Each example's own bytes tell: a dataset may mix formats.
        return tf.cond(tf.io.is_jpeg(encoded), decode_part, decode_all)

    return decode, decode_crop


def _make_split(builder, instruction, image_key, label_key, decoders):
    import tensorflow_datasets as tfds

    size = builder.info.splits[instruction].num_examples
    examples = builder.as_dataset(
        split=instruction,
        shuffle_files=False,
        decoders={image_key: tfds.decode.SkipDecoding()},
    )
    examples = examples.map(
        lambda example: (example[image_key], tf.cast(example[label_key], tf.int32))
    )
    # Without a known number of batches there would be no estimate of the time left.
    examples = examples.apply(tf.data.experimental.assert_cardinality(size))
    return Split(examples, *decoders, size=size, shuffle_buffer=max(1, min(size, _SHUFFLE_BUFFER)))
