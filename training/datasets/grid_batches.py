# SPDX-License-Identifier: Apache-2.0
"""From pictures and labels of what is where to the batches that training and evaluation read."""

import threading

import numpy as np
import tensorflow as tf

from keras_micronet.grid_answers.labels import cell_answers
from keras_micronet.grid_answers.tasks import DETECT, KEYPOINTS, SEGMENT
from training.datasets.batches import (
    LARGEST_CACHE_BYTES,
    Share,
    epoch_seed,
    share_of_batches,
    shuffled,
)
from training.datasets.grid_dataset import GridDataset, GridSplit, Read
from training.datasets.grid_labels import cut_label, flip_label, mirrored_joints, padded_labels
from training.datasets.image_files import resize_image
from training.datasets.random_crop import random_crop
from training.datasets.resizing import centred_part

_ALONE = Share()


def grid_training_batches(
    dataset: GridDataset,
    output_stride: int,
    batch_size: int,
    seed: int,
    first_epoch: int = 0,
    share: Share = _ALONE,
    smallest_crop: float = 1.0,
    horizontal_flip: bool = False,
    cache_bytes: int = LARGEST_CACHE_BYTES,
) -> tf.data.Dataset:
    """The training pictures, over and over, in an order that every epoch has anew.

    Labels follow crops and flips as `grid_labels` says. The last pictures of an epoch that fill no
    batch are left out of that epoch.

    Args:
        dataset: a `GridDataset`; if its training part is endless, each epoch has other pictures.
        output_stride: side of a cell in pixels.
        batch_size: pictures a batch, at most the training part's size.
        seed: non-negative integer. It and the number of the epoch decide the order of its pictures,
            and with a picture's place in that order its crop and flip, so that a training can go on
            with any epoch.
        first_epoch: number of the epoch to begin with, from 0.
        share: `Share` of this worker; all workers together read what one alone would.
        smallest_crop: smallest part of a picture's area that a random crop keeps, above 0, see
            `datasets.random_crop`; 1 for no random crops but the part that evaluation sees.
        horizontal_flip: whether every other picture, at random, is flipped.
        cache_bytes: how much memory decoded pictures may take; those for which there is no more
            room are read anew in every epoch.

    Returns:
        An endless `tf.data.Dataset` of float32 images `(batch_size / workers, height, width,
        channels)` in [0, 255] and what their cells are to answer, see
        `keras_micronet.grid_answers.labels.cell_answers`: int32 `(batch_size / workers, rows,
        columns)`, or for keypoints float32 `(batch_size / workers, rows, columns, joints)`. An
        epoch has `dataset.train.size // batch_size` of them.

    Raises:
        ValueError: if joints cannot be flipped, see `grid_labels.mirrored_joints`.
    """
    split, image_size = dataset.train, dataset.image_size
    is_cropped = smallest_crop < 1.0
    joint_order = _joint_order(dataset) if horizontal_flip else ()
    read = _training_reader(dataset, smallest_crop)
    if not split.is_endless:
        read = _keeping(read, cache_bytes)
    pictures_used = split.size // batch_size * batch_size

    def read_epoch(epoch):
        seed_of_epoch = epoch_seed(seed, epoch)
        order = shuffled(tf.data.Dataset.range(split.size), split.size, seed_of_epoch)
        if split.is_endless:
            order = order.map(lambda index: index + epoch * split.size)
        mine = share_of_batches(order.take(pictures_used).enumerate(), batch_size, share)
        return mine.map(lambda number, index: (index, tf.stack([seed_of_epoch, number])))

    def make_image(index, own_seed):
        picture, label = _read(dataset, read, index)
        shape = tf.shape(picture)
        if is_cropped:
            part = random_crop(shape[0], shape[1], image_size, smallest_crop, own_seed)
        else:
            part = tf.stack([0, 0, shape[0], shape[1]])
        is_flipped = tf.constant(False)
        if horizontal_flip:
            # Not of the numbers that decide about the crop.
            is_flipped = tf.random.stateless_uniform([], own_seed + [0, 2**62]) < 0.5
        return _cut(dataset, picture, label, part, is_flipped, joint_order)

    order = tf.data.Dataset.range(first_epoch, np.iinfo(np.int64).max).flat_map(read_epoch)
    images = order.map(make_image, num_parallel_calls=tf.data.AUTOTUNE)
    images = images.map(_to_model_format(dataset, output_stride), tf.data.AUTOTUNE)
    batches = images.batch(batch_size // share.workers, drop_remainder=True)
    return batches.prefetch(tf.data.AUTOTUNE)


def grid_evaluation_batches(
    dataset: GridDataset,
    split: GridSplit,
    output_stride: int,
    batch_size: int,
    cache_bytes: int = 0,
) -> tf.data.Dataset:
    """One part as it is, every picture once, in its fixed order.

    Args:
        dataset: a `GridDataset`.
        split: its part to read. The largest centred part of a picture with the proportions of
            `dataset.image_size` is used.
        output_stride: side of a cell in pixels.
        batch_size: pictures a batch; the last batch may be smaller.
        cache_bytes: how much memory the images may take, to be read only the first time that the
            batches are read.

    Returns:
        A `tf.data.Dataset` of batches as those of `grid_training_batches`, and with each the labels
        of its images in their pixels, as run folders hold them, see
        `keras_micronet.grid_answers.labels`.
    """
    read = _centred_reader(dataset, split.read)
    images = tf.data.Dataset.range(split.size).map(
        lambda index: _read(dataset, read, index, is_fitted=True),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    if split.size * images.element_spec[0].shape.num_elements() <= cache_bytes:
        images = images.cache()
    convert = _to_model_format(dataset, output_stride)
    pad = _padding(dataset)
    images = images.map(lambda image, label: (*convert(image, label), pad(label)), tf.data.AUTOTUNE)
    return images.batch(batch_size).prefetch(tf.data.AUTOTUNE)


def read_grid_example(
    dataset: GridDataset, split: GridSplit, index: int
) -> tuple[np.ndarray, np.ndarray]:
    """One example as evaluation sees it.

    Args:
        dataset: a `GridDataset`.
        split: its part to read.
        index: of the example, from 0.

    Returns:
        The uint8 image `(height, width, channels)` of `dataset.image_size`, and its label in pixels
        of that image, without rows that hold no object.
    """
    return _centred_reader(dataset, split.read)(index)


def collect_grid(
    dataset: GridDataset, split: GridSplit, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Takes examples at even distances, as evaluation sees them.

    Args:
        dataset: a `GridDataset`.
        split: its part to read.
        count: how many to take at most.

    Returns:
        uint8 images `(taken, height, width, channels)` and their labels, in the split's order, as
        run folders hold them, see `keras_micronet.grid_answers.labels`; `taken` is `count` or the
        split's size if that is smaller.
    """
    taken = min(count, split.size)
    indices = np.arange(taken) * split.size // taken
    examples = [read_grid_example(dataset, split, int(index)) for index in indices]
    images, labels = zip(*examples, strict=True)
    return np.stack(images), padded_labels(dataset.task, labels, dataset.most_objects)


def _joint_order(dataset):
    return mirrored_joints(dataset.class_names) if dataset.task == KEYPOINTS else ()


def _training_reader(dataset, smallest_crop):
    """Reads what an epoch begins with: whole pictures to cut, or the images of evaluation."""
    split = dataset.train
    if smallest_crop >= 1.0:
        return _centred_reader(dataset, split.read)
    return split.read_for_crops(smallest_crop) if split.read_for_crops else split.read


def _centred_reader(dataset, read):
    image_size = dataset.image_size

    def read_centred(index):
        picture, label = read(index)
        if picture.shape[:2] == tuple(image_size):
            return picture, label
        part = centred_part(*picture.shape[:2], image_size).numpy()
        return _cut_arrays(dataset.task, picture, label, part, image_size)

    return read_centred


def _keeping(read: Read, byte_limit: int) -> Read:
    """The same function, which keeps what it has read until so many bytes are full."""
    kept: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    lock = threading.Lock()
    free = byte_limit

    def read_or_remember(index):
        nonlocal free
        if index in kept:
            return kept[index]
        example = read(index)
        byte_count = sum(array.nbytes for array in example)
        with lock:
            if index not in kept and byte_count <= free:
                kept[index] = example
                free -= byte_count
        return example

    return read_or_remember


def _cut_arrays(task, picture, label, part, image_size):
    top, left, height, width = (int(each) for each in part)
    image = picture[top : top + height, left : left + width].copy()
    if image.shape[:2] != tuple(image_size):
        image = resize_image(image, image_size)
    return image, cut_label(task, label, part, image_size)


def _read(dataset, read, index, is_fitted=False):
    """A picture and its label as tensors."""

    def read_arrays(index):
        picture, label = read(int(index))
        return np.ascontiguousarray(picture), np.ascontiguousarray(label)

    picture, label = _call(read_arrays, [index], (tf.uint8, _label_type(dataset)))
    size = dataset.image_size if is_fitted else (None, None)
    return _shaped(dataset, picture, label, size)


def _cut(dataset, picture, label, part, is_flipped, joint_order):
    image_size = dataset.image_size

    def cut_and_flip(picture, label, part, is_flipped):
        image, label = _cut_arrays(dataset.task, picture, label, part, image_size)
        if is_flipped:
            image = image[:, ::-1]
            label = flip_label(dataset.task, label, image_size, joint_order)
        return np.ascontiguousarray(image), np.ascontiguousarray(label)

    image, label = _call(
        cut_and_flip, [picture, label, part, is_flipped], (tf.uint8, _label_type(dataset))
    )
    return _shaped(dataset, image, label, image_size)


def _to_model_format(dataset, output_stride):
    """From an image and its label to what models take and what their cells are to answer."""
    class_count = len(dataset.class_names)
    image_size = dataset.image_size

    def answers_of(label):
        return cell_answers(dataset.task, label, image_size, output_stride, class_count)

    # Whatever the label is, the grid is the same.
    grid = [-(-side // output_stride) for side in image_size]
    is_heatmaps = dataset.task == KEYPOINTS
    dtype, shape = (tf.float32, [*grid, class_count]) if is_heatmaps else (tf.int32, grid)

    def convert(image, label):
        answers = _call(answers_of, [label], dtype)
        answers.set_shape(shape)
        return tf.cast(image, tf.float32), answers

    return convert


def _padding(dataset):
    """From a label to one of the shape that all of the dataset have."""

    def pad_array(label):
        return padded_labels(dataset.task, [label], dataset.most_objects)[0]

    def pad(label):
        padded = _call(pad_array, [label], _label_type(dataset))
        shapes = {
            DETECT: (dataset.most_objects, 5),
            SEGMENT: dataset.image_size,
            KEYPOINTS: (len(dataset.class_names), 2),
        }
        padded.set_shape(shapes[dataset.task])
        return padded

    return pad


def _label_type(dataset):
    return tf.uint8 if dataset.task == SEGMENT else tf.float32


def _shaped(dataset, picture, label, size):
    """Tells the shapes that TensorFlow does not know of what Python returns."""
    picture.set_shape((*size, dataset.channels))
    label.set_shape(size if dataset.task == SEGMENT else (None, None))
    return picture, label


def _call(function, arguments, dtypes):
    """The result of a Python function within `tf.data`."""
    # Marked stateless, or TensorFlow's deterministic mode would read one picture at a time.
    return tf.numpy_function(function, arguments, dtypes, stateful=False)
