# SPDX-License-Identifier: Apache-2.0
"""Fashion-MNIST: 70,000 real photographs of clothes, 28 x 28 pixels, greyscale, in 10 classes.

Source: Xiao, Rasul and Vollgraf 2017, arXiv 1708.07747; MIT licence, copyright Zalando SE. Not
downloaded: Debian's package dataset-fashion-mnist installs the four files, and they are read from
there, or from the folder that `FOLDER_VARIABLE` names.
"""

import gzip
import hashlib
import os
import pathlib
import zlib

import numpy as np
import tensorflow as tf

from training.datasets.image_dataset import ImageDataset, Split
from training.datasets.resizing import grey_decoders
from training.datasets.stratified_split import stratified_split

NAME = "fashion-mnist"
FOLDER_VARIABLE = "FASHION_MNIST_FOLDER"
CLASS_NAMES = (
    "T-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)

_DEBIAN_FOLDER = "/usr/share/datasets/fashion-mnist"
_VALIDATION_FRACTION = 0.1  # of the 60,000 images that are not for testing
_UINT8 = 8  # the IDX format's number for this type


def load_fashion_mnist(
    image_size: tuple[int, int], evaluation_crop: float = 1.0, channels: int = 3
) -> ImageDataset:
    """Loads Fashion-MNIST, resized smoothly to RGB images.

    Args:
        image_size: height and width, in pixels, of the images to produce.
        evaluation_crop: part of each side that is kept, centred, where crops are not random.
        channels: of the images: 1 for gray, 3 for RGB.

    Returns:
        An `ImageDataset` with 10 classes, the authors' test images and a split of the others that
        never changes.

    Raises:
        ValueError: if the files are missing or damaged.
    """
    folder = pathlib.Path(os.environ.get(FOLDER_VARIABLE) or _DEBIAN_FOLDER)
    images, labels = _read_pair(folder, "train")
    test_images, test_labels = _read_pair(folder, "t10k")
    train, validation = stratified_split(labels, (_VALIDATION_FRACTION,))

    decode, decode_crop = grey_decoders(image_size, evaluation_crop, channels)

    def make_split(images, labels):
        examples = tf.data.Dataset.from_tensor_slices((images, labels))
        return Split(examples, decode, decode_crop, size=len(labels), shuffle_buffer=len(labels))

    return ImageDataset(
        name=NAME,
        image_size=(image_size[0], image_size[1]),
        class_names=CLASS_NAMES,
        pictures=_digest(images, labels, test_images, test_labels),
        train=make_split(images[train], labels[train]),
        validation=make_split(images[validation], labels[validation]),
        test=make_split(test_images, test_labels),
    )


def _digest(*arrays):
    """What tells these files from others of the same names."""
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def _read_pair(folder, part):
    """The images `(count, height, width)` and labels `(count,)` of a part."""
    images = read_idx(folder / f"{part}-images-idx3-ubyte.gz", rank=3)
    labels = read_idx(folder / f"{part}-labels-idx1-ubyte.gz", rank=1)
    if len(images) != len(labels) or labels.max(initial=0) >= len(CLASS_NAMES):
        raise ValueError(
            f"{NAME} must have a label below {len(CLASS_NAMES)} for each image. "
            f"Received: {len(images)} images, {len(labels)} labels up to {labels.max(initial=0)}"
        )
    return images, labels.astype(np.int32)


def read_idx(path: pathlib.Path, rank: int) -> np.ndarray:
    """Reads a compressed file in the IDX format of bytes.

    Args:
        path: `pathlib.Path` of the file.
        rank: number of axes that it must have.

    Returns:
        A uint8 array.

    Raises:
        ValueError: if the file is missing or is no such file.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except FileNotFoundError as error:
        raise ValueError(
            f"{NAME} must be installed (Debian's package dataset-fashion-mnist), or "
            f"{FOLDER_VARIABLE} name the folder of its four files. Received: no file {path}"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path.name} must be a gzip file. Received: {error}") from error
    header = 4 + 4 * rank
    shape = tuple(np.frombuffer(content[4:header], ">u4").astype(int))
    is_complete = len(content) == header + int(np.prod(shape)) and len(shape) == rank
    if content[:4] != bytes([0, 0, _UINT8, rank]) or not is_complete:
        raise ValueError(
            f"{path.name} must be an IDX file of bytes with {rank} axes, whole. "
            f"Received: {len(content)} bytes that begin with {content[:4]!r}"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
