"""A folder of images with one sub-folder a class.

Either the classes stand directly in the folder, and the images are split here,

    flowers/daisy/*.jpg
    flowers/tulip/*.jpg

or the folder holds its own `train`, and `validation` (or `val`) or `test` or both, each with one
sub-folder a class; a part that is missing is then split off from `train`.

Hidden files, files that are no JPEG, PNG, BMP or WebP, and symbolic links are left out; the
dataset's notes say how many of the last two there were.
"""

import dataclasses
import functools
import hashlib
import math
import os

import numpy as np
import tensorflow as tf

from keras_micronet.files.text import list_some
from training.datasets.image_dataset import ImageDataset, KeptPictures, Split
from training.datasets.image_files import (
    SUFFIXES,
    check_images,
    read_image,
    read_image_size,
    read_image_sizes,
    resize_image,
    set_most_pixels,
)
from training.datasets.random_crop import narrowest_crop
from training.datasets.resizing import crop_and_resize
from training.datasets.stratified_split import (
    TEST_FRACTION,
    VALIDATION_FRACTION,
    stratified_split,
)
from training.settings import MOST_PIXELS

_TRAIN = "train"
_VALIDATION_NAMES = ("validation", "val")
_TEST = "test"


@dataclasses.dataclass(frozen=True)
class _LabelledFiles:
    paths: list
    labels: list

    def __len__(self):
        return len(self.paths)

    def subset(self, indices):
        return _LabelledFiles(
            [self.paths[index] for index in indices], [self.labels[index] for index in indices]
        )


def load_image_folder(
    folder, image_size, skip_unreadable=False, evaluation_crop=1.0, most_pixels=MOST_PIXELS
):
    """Loads a folder of images; every file is decoded once here, to find the damaged ones.

    Args:
        folder: `pathlib.Path` of the folder.
        image_size: height and width, in pixels, of the images to produce. The largest centred part
            of an image with these proportions is used.
        skip_unreadable: whether images that cannot be decoded are left out, rather than refused.
        evaluation_crop: part of each side that is kept, centred, where crops are not random.
        most_pixels: how many pixels an image may have, as for `image_files.read_image`.

    Returns:
        An `ImageDataset` whose classes are the names of the sub-folders in alphabetical order.

    Raises:
        ValueError: if the folder has no classes or a single one, a class has no images or too few
            to be split, the parts have different classes, or images cannot be decoded.
    """
    part_folders = _part_folders(folder)
    class_names = _class_names(part_folders[_TRAIN])
    notes = []
    parts = {
        part: _labelled_files(part_folder, class_names, notes)
        for part, part_folder in part_folders.items()
    }
    set_most_pixels(most_pixels)
    paths = [path for files in parts.values() for path in files.paths]
    checks = dict(zip(paths, check_images(paths, most_pixels), strict=True))
    unreadable = [(path, check.reason) for path, check in checks.items() if check.reason]
    if unreadable:
        description = _describe_unreadable(folder, unreadable)
        if not skip_unreadable:
            raise ValueError(
                "every image must be readable, unless --skip-unreadable is given. "
                f"Received: {description}"
            )
        notes.append(f"Skipped {description}.")
        refused = {path for path, _ in unreadable}
        parts = {part: _without(files, refused) for part, files in parts.items()}
    for part, files in parts.items():
        _check_no_class_is_empty(part_folders[part], files, class_names)
    _split_off_missing_parts(parts, class_names)
    return ImageDataset(
        name=folder.resolve().name,
        image_size=tuple(image_size),
        class_names=class_names,
        notes=tuple(notes),
        pictures=_digest(folder, parts, checks),
        **{
            part: _make_split(files, image_size, evaluation_crop, most_pixels)
            for part, files in parts.items()
        },
    )


def _digest(folder, parts, checks):
    """What tells these pictures from others: which parts have which files, and their bytes."""
    digest = hashlib.blake2b(digest_size=16)
    for part, files in sorted(parts.items()):
        for path in files.paths:
            name = path.relative_to(folder).as_posix()
            digest.update(f"{part}\0{name}\0".encode("utf-8", "surrogateescape"))
            digest.update(checks[path].digest)
    return digest.hexdigest()


def _part_folders(folder):
    """Maps "train", and "validation" and "test" where they exist, to their folders."""
    children = {child.name: child for child in _visible_folders(folder)}
    if _TRAIN not in children or not set(children) <= {_TRAIN, *_VALIDATION_NAMES, _TEST}:
        return {_TRAIN: folder}
    if all(name in children for name in _VALIDATION_NAMES):
        raise ValueError(
            f"a folder of images must have one validation part. Received: {folder} with both "
            + " and ".join(_VALIDATION_NAMES)
        )
    return {
        "validation" if name in _VALIDATION_NAMES else name: child
        for name, child in children.items()
    }


def _visible_folders(folder):
    return sorted(
        child
        for child in folder.iterdir()
        if child.is_dir() and not child.is_symlink() and not _is_hidden(child)
    )


def _is_hidden(path):
    # macOS leaves __MACOSX beside what it packs.
    return path.name.startswith(".") or path.name == "__MACOSX"


def _class_names(folder):
    names = tuple(child.name for child in _visible_folders(folder))
    if len(names) < 2:
        raise ValueError(
            "a folder of images must have at least 2 sub-folders, one a class. "
            f"Received: {folder} with {list(names) or 'none'} (symbolic links are not followed)"
        )
    return names


def _labelled_files(part_folder, class_names, notes):
    """Lists one part's images and labels, and adds to the notes what was left out."""
    found = tuple(child.name for child in _visible_folders(part_folder))
    if found != class_names:
        raise ValueError(
            "every part of a dataset must have the same classes. Received: "
            f"{part_folder} without {sorted(set(class_names) - set(found))} and with the unknown "
            f"{sorted(set(found) - set(class_names))}"
        )
    paths, labels, others = [], [], []
    links = [child for child in part_folder.iterdir() if child.is_symlink()]
    for label, class_name in enumerate(class_names):
        for path in sorted((part_folder / class_name).iterdir()):
            if _is_hidden(path):
                continue
            if path.is_symlink():
                links.append(path)
            elif path.is_dir():
                raise ValueError(
                    f"a class folder must hold images and no further folders. Received: {path}"
                )
            elif path.suffix.lower() in SUFFIXES:
                paths.append(path)
                labels.append(label)
            else:
                others.append(path)
    for left_out, kind in ((links, "symbolic links"), (others, "files of other formats")):
        if left_out:
            notes.append(f"Ignored in {part_folder}: {kind}, {len(left_out)} in number.")
    return _LabelledFiles(paths, labels)


def _describe_unreadable(folder, unreadable):
    named = list_some(f"{path.relative_to(folder)} ({reason})" for path, reason in unreadable)
    plural = "image" if len(unreadable) == 1 else "images"
    return f"{len(unreadable)} unreadable {plural} in {folder}: {named}"


def _without(files, refused):
    return files.subset([i for i, path in enumerate(files.paths) if path not in refused])


def _check_no_class_is_empty(part_folder, files, class_names):
    empty = [name for label, name in enumerate(class_names) if label not in set(files.labels)]
    if empty:
        raise ValueError(
            "every class folder must have at least 1 readable JPEG, PNG, BMP or WebP image. "
            f"Received: {part_folder} with empty classes={empty}"
        )


def _split_off_missing_parts(parts, class_names):
    """Moves some of the training images to the parts that the folder does not have."""
    fractions = {"validation": VALIDATION_FRACTION, "test": TEST_FRACTION}
    missing = {part: share for part, share in fractions.items() if part not in parts}
    train = parts["train"]
    counts = np.bincount(train.labels, minlength=len(class_names))
    needed = 1 + len(missing)
    if counts.min() < needed:
        scarce = [name for name, count in zip(class_names, counts) if count < needed]
        raise ValueError(
            f"every class must have at least {needed} images, one for each of "
            f"{', '.join(['train', *missing])}. Received: too few for classes={scarce}"
        )
    indices = stratified_split(train.labels, tuple(missing.values()))
    for part, part_indices in zip(("train", *missing), indices, strict=True):
        parts[part] = train.subset(part_indices)


def _smallest_side(image_size):
    """Half-resolution headroom: a JPEG decoded at twice the size or more loses nothing visible."""
    return 2 * max(image_size)


def _make_split(files, image_size, evaluation_crop, most_pixels):
    smallest_side = _smallest_side(image_size)
    # Read here, once: in every epoch it would take a tenth of the time of reading crops.
    sizes = read_image_sizes(files.paths, most_pixels)

    def read(path):
        side = math.ceil(smallest_side / evaluation_crop)
        return read_image(os.fsdecode(path), side, most_pixels=most_pixels)

    def read_part(path, part):
        return read_image(
            os.fsdecode(path), smallest_side, part.tolist(), image_size, most_pixels
        )

    def decode(source):
        path, _ = source
        image = _call(read, [path], tf.uint8, (None, None, 3))
        return crop_and_resize(image, image_size, evaluation_crop)

    def decode_crop(source, choose_crop):
        path, size = source
        crop = choose_crop(size[0], size[1])
        edges = tf.concat([crop[:2], crop[:2] + crop[2:]], axis=0)
        part = edges / tf.tile(size, [2])
        return _call(read_part, [path, part], tf.uint8, (*image_size, 3))

    paths = [os.fsencode(path) for path in files.paths]
    examples = tf.data.Dataset.from_tensor_slices(
        ((paths, sizes), np.asarray(files.labels, np.int32))
    )
    return Split(
        examples,
        decode,
        decode_crop,
        size=len(files),
        shuffle_buffer=len(files),
        keep_pictures=functools.partial(
            _keep_pictures, files.paths, sizes, image_size, most_pixels
        ),
    )


def _keep_pictures(paths, sizes, image_size, most_pixels, smallest_part):
    """Photographs are kept at a reduced size of which the smallest crop still has headroom."""

    def reduced_side(size):
        height, width = size.tolist()
        narrowest = narrowest_crop(height, width, image_size, smallest_part)
        return math.ceil(min(height, width) * _smallest_side(image_size) / narrowest)

    def fit(byte_limit):
        byte_count = 0
        for path, size in zip(paths, sizes):
            reduced = read_image_size(path, reduced_side(size), most_pixels)
            byte_count += 3 * int(np.prod(reduced))
            if byte_count > byte_limit:
                return False
        return True

    def read_whole(path, size):
        return read_image(os.fsdecode(path), reduced_side(size), most_pixels=most_pixels)

    def crop_and_resize_picture(picture, crop):
        top, left, height, width = crop.tolist()
        return resize_image(picture[top : top + height, left : left + width], image_size)

    def decode(source):
        return _call(read_whole, source, tf.uint8, (None, None, 3))

    def crop(picture, choose_crop):
        shape = tf.shape(picture)
        chosen = choose_crop(shape[0], shape[1])
        return _call(crop_and_resize_picture, [picture, chosen], tf.uint8, (*image_size, 3))

    return KeptPictures(fit, decode, crop)


def _call(function, arguments, dtype, shape):
    """The result of a Python function within `tf.data`."""
    # Marked stateless, or TensorFlow's deterministic mode would decode one image at a time.
    result = tf.numpy_function(function, arguments, dtype, stateful=False)
    result.set_shape(shape)
    return result
