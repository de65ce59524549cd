# SPDX-License-Identifier: Apache-2.0
"""The handwritten digits bundled with scikit-learn: real images without a download.

1797 greyscale images of 8 x 8 pixels from 13 writers. The split is by image, as is usual for this
dataset, so the test images are new but their writers are not.
"""

import numpy as np
import sklearn.datasets
import tensorflow as tf

from training.datasets.image_dataset import ImageDataset, Split
from training.datasets.resizing import grey_decoders
from training.datasets.stratified_split import (
    TEST_FRACTION,
    VALIDATION_FRACTION,
    stratified_split,
)

NAME = "digits"
_LARGEST_VALUE = 16


def load_digits(
    image_size: tuple[int, int], evaluation_crop: float = 1.0, channels: int = 3
) -> ImageDataset:
    """Loads the handwritten digits, enlarged smoothly to RGB images.

    Args:
        image_size: height and width, in pixels, of the images to produce.
        evaluation_crop: part of each side that is kept, centred, where crops are not random.
        channels: of the images: 1 for gray, 3 for RGB.

    Returns:
        An `ImageDataset` with 10 classes. Its split never changes.
    """
    digits = sklearn.datasets.load_digits()
    images = np.round(digits.images * (255 / _LARGEST_VALUE)).astype(np.uint8)
    labels = digits.target.astype(np.int32)
    train, validation, test = stratified_split(labels, (VALIDATION_FRACTION, TEST_FRACTION))

    decode, decode_crop = grey_decoders(image_size, evaluation_crop, channels)

    def make_split(indices):
        examples = tf.data.Dataset.from_tensor_slices((images[indices], labels[indices]))
        return Split(examples, decode, decode_crop, size=len(indices), shuffle_buffer=len(indices))

    return ImageDataset(
        name=NAME,
        image_size=(image_size[0], image_size[1]),
        class_names=tuple(str(name) for name in digits.target_names),
        train=make_split(train),
        validation=make_split(validation),
        test=make_split(test),
    )
