# SPDX-License-Identifier: Apache-2.0
"""From a dataset's parts to the batches that training and evaluation read."""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from training.datasets.image_dataset import Split
from training.datasets.random_crop import random_crop

# What fits is kept decoded, as uint8, so that only the first epoch decodes it.
LARGEST_CACHE_BYTES = 2**30


@dataclasses.dataclass(frozen=True)
class Share:
    """The part of every batch that one of several workers reads.

    Attributes:
        worker: the worker's position among them, from 0.
        workers: how many there are.
    """

    worker: int = 0
    workers: int = 1


def training_batches(
    split: Split,
    image_size: tuple[int, int],
    class_count: int,
    batch_size: int,
    seed: int,
    first_epoch: int = 0,
    share: Share = Share(),
    smallest_crop: float = 1.0,
    cache_bytes: int = LARGEST_CACHE_BYTES,
) -> tf.data.Dataset:
    """One split, over and over, in an order that every epoch has anew.

    The last images of an epoch that fill no batch are left out of that epoch: batch normalization
    would see too few images in a small batch.

    Args:
        split: a `datasets.Split`.
        image_size: its images' height and width, in pixels.
        class_count: number of classes.
        batch_size: images a batch, at most the split's size.
        seed: non-negative integer. It and the number of the epoch decide the order of its images,
            and with an image's place in that order its crop, so that a training can go on with any
            epoch.
        first_epoch: number of the epoch to begin with, from 0.
        share: `Share` of this worker; all workers together read what one alone would.
        smallest_crop: smallest part of an image's area that a random crop keeps, above 0, see
            `datasets.random_crop`; 1 for no random crops but the part that evaluation sees.
        cache_bytes: how much memory decoded images, or whole pictures to cut random crops from, may
            take; what does not fit is decoded anew in every epoch.

    Returns:
        An endless `tf.data.Dataset` of float32 images `(batch_size / workers, height, width,
        channels)` in [0, 255] and one-hot float32 labels `(batch_size / workers, class_count)`; an
        epoch has `split.size // batch_size` of them.
    """
    source = _image_source(split, smallest_crop, cache_bytes)
    images_used = split.size // batch_size * batch_size

    def read_epoch(epoch):
        seed_of_epoch = epoch_seed(seed, epoch)
        examples = shuffled(source.examples, source.shuffle_buffer, seed_of_epoch)
        mine = share_of_batches(examples.take(images_used).enumerate(), batch_size, share)
        return mine.map(lambda number, example: (*example, tf.stack([seed_of_epoch, number])))

    def finish(example, label, crop_seed):
        def choose_crop(height, width):
            return random_crop(height, width, image_size, smallest_crop, crop_seed)

        return source.finish(example, choose_crop), label

    images = tf.data.Dataset.range(first_epoch, np.iinfo(np.int64).max).flat_map(read_epoch)
    images = images.map(finish, num_parallel_calls=tf.data.AUTOTUNE)
    batches = images.batch(batch_size // share.workers, drop_remainder=True)
    batches = batches.map(_to_model_format(class_count), num_parallel_calls=tf.data.AUTOTUNE)
    return batches.prefetch(tf.data.AUTOTUNE)


@dataclasses.dataclass(frozen=True)
class _ImageSource:
    """What an epoch shuffles, and how that becomes images.

    Attributes:
        examples: `tf.data.Dataset` of pairs of anything and a label.
        shuffle_buffer: how many of them may be in memory at once for shuffling.
        finish: called as `finish(example, choose_crop)`, gives the uint8 image.
    """

    examples: tf.data.Dataset
    shuffle_buffer: int
    finish: Callable


def _image_source(split, smallest_crop, cache_bytes):
    if smallest_crop < 1.0:
        kept = split.keep_pictures and split.keep_pictures(smallest_crop)
        if kept and kept.fit(cache_bytes):
            return _ImageSource(split.decoded(kept.decode).cache(), split.size, kept.crop)
        return _ImageSource(split.examples, split.shuffle_buffer, split.decode_crop)
    images = split.images()
    if _fit(images, split.size, cache_bytes):
        return _ImageSource(images.cache(), split.size, lambda image, _: image)
    return _ImageSource(
        split.examples, split.shuffle_buffer, lambda example, _: split.decode(example)
    )


def _fit(images, count, byte_limit):
    """Whether so many images, of one size and a byte a value, take no more than the limit."""
    return count * images.element_spec[0].shape.num_elements() <= byte_limit


def epoch_seed(seed: int, epoch: tf.Tensor) -> tf.Tensor:
    """One number of two: seeds of neighbouring runs must not be those of neighbouring epochs."""
    pair = tf.stack([tf.cast(seed, tf.int64), epoch])
    return tf.random.stateless_uniform([], pair, 0, 2**62, tf.int64)


def shuffled(examples: tf.data.Dataset, buffer_size: int, seed: tf.Tensor) -> tf.data.Dataset:
    """`examples.shuffle`, whose order depends on the seed, an integer tensor, alone.

    The operation that has no state: with that of `shuffle` within `flat_map`, and kernels that must
    be deterministic, TensorFlow runs nothing behind it in parallel, nor beside the training's step.
    """
    specs = tf.nest.flatten(examples.element_spec)
    variant = tf.raw_ops.ShuffleDataset(
        input_dataset=tf.data.experimental.to_variant(examples),
        buffer_size=buffer_size,
        seed=1,
        seed2=seed,
        reshuffle_each_iteration=False,
        output_types=[spec.dtype for spec in specs],
        output_shapes=[spec.shape for spec in specs],
    )
    return tf.data.experimental.from_variant(variant, examples.element_spec)


def share_of_batches(numbered: tf.data.Dataset, batch_size: int, share: Share) -> tf.data.Dataset:
    """Of numbered examples, those at a worker's places in each batch."""
    if share.workers == 1:
        return numbered
    size = batch_size // share.workers
    return numbered.filter(lambda number, _: number % batch_size // size == share.worker)


def evaluation_batches(
    split: Split, class_count: int, batch_size: int, cache_bytes: int = 0
) -> tf.data.Dataset:
    """One split as it is, every image once, in its fixed order.

    Args:
        split: a `datasets.Split`.
        class_count: number of classes.
        batch_size: images a batch; the last batch may be smaller.
        cache_bytes: how much memory decoded images may take, to be decoded only the first time that
            the batches are read.

    Returns:
        A `tf.data.Dataset` of float32 images `(batch, height, width, channels)` in [0, 255] and
        one-hot float32 labels `(batch, class_count)`.
    """
    images = split.images()
    if _fit(images, split.size, cache_bytes):
        images = images.cache()
    batches = images.batch(batch_size)
    batches = batches.map(_to_model_format(class_count), num_parallel_calls=tf.data.AUTOTUNE)
    return batches.prefetch(tf.data.AUTOTUNE)


def _to_model_format(class_count):
    return lambda images, labels: (tf.cast(images, tf.float32), tf.one_hot(labels, class_count))


def collect_balanced(split: Split, count: int, class_count: int) -> tuple[np.ndarray, np.ndarray]:
    """Takes images so that each class has the same share, as far as its images go.

    Reads no further than needed, in the split's fixed order, so the same images come every time.

    Args:
        split: a `datasets.Split`.
        count: how many images to take.
        class_count: number of classes.

    Returns:
        uint8 images `(taken, height, width, channels)` and int32 labels `(taken,)`, in the split's
        order, where `taken` is `count` or the split's size if that is smaller.
    """
    quotas = np.full(class_count, count // class_count)
    quotas[: count % class_count] += 1
    chosen: list[tuple[int, np.ndarray, int]] = []
    spare: list[tuple[int, np.ndarray, int]] = []
    for position, (image, label) in enumerate(split.images().as_numpy_iterator()):
        if quotas[label] > 0:
            quotas[label] -= 1
            chosen.append((position, image, label))
            if len(chosen) == count:
                break
        elif len(spare) < count:
            spare.append((position, image, label))
    # Classes with too few images leave places for others.
    chosen = sorted(chosen + spare[: count - len(chosen)], key=lambda example: example[0])
    return _stack(image_and_label for _, *image_and_label in chosen)


def collect_evenly(split: Split, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Takes images at even distances, so that their mix of classes is the split's own.

    Args:
        split: a `datasets.Split`.
        count: how many images to take at most.

    Returns:
        uint8 images `(taken, height, width, channels)` and int32 labels `(taken,)`, in the split's
        order, where `taken` is `count` or the split's size if that is smaller.
    """
    taken = min(count, split.size)
    wanted = set((np.arange(taken) * split.size // taken).tolist())
    return _stack(
        example
        for position, example in enumerate(split.images().as_numpy_iterator())
        if position in wanted
    )


def _stack(examples):
    images, labels = zip(*examples, strict=True)
    return np.stack(images), np.asarray(labels, np.int32)
