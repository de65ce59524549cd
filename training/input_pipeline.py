"""From a dataset's parts to the batches that training and evaluation read."""

import numpy as np
import tensorflow as tf

# Decoded images that fit are kept, as uint8, so that only the first epoch decodes them.
_LARGEST_CACHE_BYTES = 512 * 2**20


def training_batches(split, image_size, class_count, batch_size, seed):
    """One split, shuffled anew in every pass.

    The last images of a pass that fill no batch are left out of that pass: batch normalization
    would see too few images in a small batch.

    Args:
        split: a `datasets.Split`.
        image_size: its images' height and width, in pixels.
        class_count: number of classes.
        batch_size: images a batch, at most the split's size.
        seed: non-negative integer; the order of the images repeats with it.

    Returns:
        A `tf.data.Dataset` of float32 images `(batch_size, height, width, 3)` in [0, 255] and
        one-hot float32 labels `(batch_size, class_count)`; one pass is one epoch.
    """
    if split.size * image_size[0] * image_size[1] * 3 <= _LARGEST_CACHE_BYTES:
        images = split.images().cache().shuffle(split.size, seed=seed)
    else:
        images = split.shuffled_images(seed)
    batches = images.batch(batch_size, drop_remainder=True)
    batches = batches.map(_to_model_format(class_count), num_parallel_calls=tf.data.AUTOTUNE)
    return batches.prefetch(tf.data.AUTOTUNE)


def evaluation_batches(split, class_count, batch_size):
    """One split as it is, every image once, in its fixed order.

    Args:
        split: a `datasets.Split`.
        class_count: number of classes.
        batch_size: images a batch; the last batch may be smaller.

    Returns:
        A `tf.data.Dataset` of float32 images `(batch, height, width, 3)` in [0, 255] and one-hot
        float32 labels `(batch, class_count)`.
    """
    batches = split.images().batch(batch_size)
    batches = batches.map(_to_model_format(class_count), num_parallel_calls=tf.data.AUTOTUNE)
    return batches.prefetch(tf.data.AUTOTUNE)


def _to_model_format(class_count):
    return lambda images, labels: (tf.cast(images, tf.float32), tf.one_hot(labels, class_count))


def collect_balanced(split, count, class_count):
    """Takes images so that each class has the same share, as far as its images go.

    Reads no further than needed, in the split's fixed order, so the same images come every time.

    Args:
        split: a `datasets.Split`.
        count: how many images to take.
        class_count: number of classes.

    Returns:
        uint8 images `(taken, height, width, 3)` and int32 labels `(taken,)`, in the split's order,
        where `taken` is `count` or the split's size if that is smaller.
    """
    quotas = np.full(class_count, count // class_count)
    quotas[: count % class_count] += 1
    chosen, spare = [], []
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


def collect_evenly(split, count):
    """Takes images at even distances, so that their mix of classes is the split's own.

    Args:
        split: a `datasets.Split`.
        count: how many images to take at most.

    Returns:
        uint8 images `(taken, height, width, 3)` and int32 labels `(taken,)`, in the split's order,
        where `taken` is `count` or the split's size if that is smaller.
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
