# SPDX-License-Identifier: Apache-2.0
"""A folder of images with one sub-folder a class.

Either the classes stand directly in the folder, and the images are split here,

    flowers/daisy/*.jpg
    flowers/tulip/*.jpg

or the folder holds its own `train`, and `validation` (or `val`) or `test` or both, each with one
sub-folder a class; a part that is missing is then split off from `train`.

Hidden files, files that are no JPEG, PNG, BMP or WebP, and symbolic links are left out; the
dataset's notes name them, and say what makes pictures of other formats readable.
"""

import dataclasses
import functools
import hashlib
import math
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from keras_micronet.files.text import list_some, shorten
from keras_micronet.run_folders import check_class_names
from training.datasets.image_dataset import ImageDataset, KeptPictures, Split
from training.datasets.image_files import (
    FileCheck,
    check_images,
    read_image,
    read_image_size,
    read_image_sizes,
    resize_image,
    set_most_pixels,
)
from training.datasets.picture_formats import SUFFIXES, kind_of_file, remedies
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
    paths: list[pathlib.Path]
    labels: list[int]

    def __len__(self):
        return len(self.paths)

    def subset(self, indices):
        return _LabelledFiles(
            [self.paths[index] for index in indices], [self.labels[index] for index in indices]
        )


class ImageFolderError(ValueError):
    """Something is wrong with a folder of images.

    Attributes:
        lines: all that is wrong, one sentence each, and then what was left out, which may be what
            is missed.
    """

    def __init__(
        self, folder: str | os.PathLike[str], complaints: Sequence[str], notes: Sequence[str] = ()
    ) -> None:
        self.lines = (*complaints, *notes)
        if len(complaints) > 1:
            complaints = [f"({number}) {text}" for number, text in enumerate(complaints, start=1)]
            complaints.insert(0, f"{len(complaints)} things must be mended in {folder}:")
        super().__init__(" ".join([*complaints, *notes]))


def load_image_folder(
    folder: pathlib.Path,
    image_size: tuple[int, int],
    skip_unreadable: bool = False,
    evaluation_crop: float = 1.0,
    most_pixels: int = MOST_PIXELS,
    channels: int = 3,
) -> ImageDataset:
    """Loads a folder of images; every file is decoded once here, to find the damaged ones.

    Args:
        folder: `pathlib.Path` of the folder.
        image_size: height and width, in pixels, of the images to produce. The largest centred part
            of an image with these proportions is used.
        skip_unreadable: whether images that cannot be decoded are left out, rather than refused.
        evaluation_crop: part of each side that is kept, centred, where crops are not random.
        most_pixels: how many pixels an image may have, as for `image_files.read_image`.
        channels: of the images: 1 for gray, 3 for RGB.

    Returns:
        An `ImageDataset` whose classes are the names of the sub-folders in alphabetical order.

    Raises:
        ImageFolderError: if the folder has no classes or a single one, a class has no images or too
            few to be split, the parts have different classes, or images cannot be decoded; all of
            this at once.
    """
    part_folders = _part_folders(folder)
    class_names = _class_names(part_folders[_TRAIN])
    complaints = _name_complaints(class_names)
    notes: list[str] = []
    parts = {
        part: _labelled_files(part_folder, class_names, notes, complaints)
        for part, part_folder in part_folders.items()
    }
    set_most_pixels(most_pixels)
    paths = [path for files in parts.values() for path in files.paths]
    checks = dict(zip(paths, check_images(paths, most_pixels), strict=True))
    unreadable = unreadable_files(folder, checks, skip_unreadable, notes, complaints)
    parts = {part: _without(files, unreadable) for part, files in parts.items()}
    for part, files in parts.items():
        complaints += _empty_classes(part_folders[part], files, class_names)
    complaints += _classes_too_small_to_split(parts, class_names)
    if complaints:
        raise ImageFolderError(folder, complaints, notes)
    _split_off_missing_parts(parts)
    return ImageDataset(
        name=folder.resolve().name,
        image_size=(image_size[0], image_size[1]),
        class_names=class_names,
        notes=tuple(notes),
        pictures=_digest(folder, parts, checks),
        **{
            part: _make_split(files, image_size, evaluation_crop, most_pixels, channels)
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
        both = " and ".join(_VALIDATION_NAMES)
        raise ImageFolderError(
            folder,
            [
                "a folder of images must have one validation part: remove or join them. "
                f"Received: {folder} with both {both}"
            ],
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
        loose = sum(path.suffix.lower() in SUFFIXES for path in folder.iterdir())
        advice = f"; move the {loose} images there into one of each class" if loose else ""
        raise ImageFolderError(
            folder,
            [
                f"a folder of images must have at least 2 sub-folders, one a class{advice}. "
                f"Received: {folder} with {_some_names(names) if names else 'none'} "
                "(symbolic links are not followed)"
            ],
        )
    return names


def _some_names(names):
    return f"[{list_some((shorten(repr(name), 80) for name in names), 10)}]"


def _name_complaints(class_names):
    try:
        check_class_names(class_names)
    except ValueError as error:
        return [f"rename the folders of classes: {error}"]
    return []


def _labelled_files(part_folder, class_names, notes, complaints):
    """Lists one part's images and labels; adds to the notes what was left out."""
    found = tuple(child.name for child in _visible_folders(part_folder))
    if found != class_names:
        missing = sorted(set(class_names) - set(found))
        unknown = sorted(set(found) - set(class_names))
        complaints.append(
            "every part of a dataset must have the same classes: rename or move their folders. "
            f"Received: {part_folder} without {_some_names(missing)} and with the unknown "
            f"{_some_names(unknown)}"
        )
    paths, labels, others, folders = [], [], [], []
    # Beside the classes: what somebody forgot to sort.
    others += [path for path in sorted(part_folder.iterdir()) if _is_plain_file(path)]
    links = [child for child in part_folder.iterdir() if child.is_symlink()]
    for label, class_name in enumerate(class_names):
        if class_name not in found:
            continue
        for path in sorted((part_folder / class_name).iterdir()):
            if _is_hidden(path):
                continue
            if path.is_symlink():
                links.append(path)
            elif path.is_dir():
                folders.append(path)
            elif path.suffix.lower() in SUFFIXES:
                paths.append(path)
                labels.append(label)
            else:
                others.append(path)
    if folders:
        complaints.append(
            "a class folder must hold images and no further folders: move their images up, or, if "
            f"{part_folder} holds parts of a dataset, name those train, validation and test. "
            f"Received: {_listed(part_folder, folders)}"
        )
    if links:
        notes.append(f"Ignored in {part_folder}: {_counted(links, 'symbolic link')}.")
    notes += _notes_on_others(part_folder, others)
    return _LabelledFiles(paths, labels)


def _is_plain_file(path):
    return path.is_file() and not path.is_symlink() and not _is_hidden(path)


def _notes_on_others(part_folder, others):
    """Sentences on files that no name makes an image: pictures that may be missed come apart."""
    kinds = {path: kind_of_file(path) for path in others}
    pictures = [path for path, kind in kinds.items() if kind is not None]
    rest = [path for path, kind in kinds.items() if kind is None]
    if pictures:
        beside = any(path.parent == part_folder and kinds[path].is_read for path in pictures)
        advice = remedies(
            kinds[path]
            for path in pictures
            if not (kinds[path].is_read and path.suffix.lower() in SUFFIXES)
        )
        yield (
            f"Left out in {part_folder}: {_counted(pictures, 'file')} that may be pictures: "
            f"{_listed(part_folder, pictures)}."
            + (" Move what stands beside the class folders into them." if beside else "")
            + (f" To use them: {advice}." if advice else "")
        )
    if rest:
        yield (
            f"Ignored in {part_folder}: {_counted(rest, 'file')} of other formats: "
            f"{_listed(part_folder, rest)}."
        )


def _counted(items, noun):
    return f"{len(items)} {noun}" if len(items) == 1 else f"{len(items)} {noun}s"


def _listed(folder, paths, most=10):
    return list_some((shorten(path.relative_to(folder), 100) for path in paths), most)


def unreadable_files(
    folder: pathlib.Path,
    checks: Mapping[pathlib.Path, FileCheck],
    skip_unreadable: bool,
    notes: list[str],
    complaints: list[str],
) -> set[pathlib.Path]:
    """Paths of what cannot be read, which a sentence tells.

    Args:
        folder: that the files are in.
        checks: of all files, by their paths.
        skip_unreadable: whether the sentence is a note, as they are left out, or a complaint.
        notes, complaints: get that sentence if there are such files.
    """
    unreadable = {path: check for path, check in checks.items() if check.reason}
    if unreadable:
        description, advice = _describe_unreadable(folder, unreadable)
        if skip_unreadable:
            notes.append(f"Skipped {description}{advice}.")
        else:
            complaints.append(
                "every image must be readable, unless --skip-unreadable is given: replace or "
                f"remove what is damaged{advice}. Received: {description}"
            )
    return set(unreadable)


def _describe_unreadable(folder, unreadable):
    """What cannot be read, and the rest of a sentence on what to do about it."""
    named = list_some(
        f"{shorten(path.relative_to(folder), 100)} ({check.reason})"
        for path, check in unreadable.items()
    )
    plural = "image" if len(unreadable) == 1 else "images"
    advice = remedies(
        check.kind for check in unreadable.values() if check.kind and not check.kind.is_read
    )
    return f"{len(unreadable)} unreadable {plural} in {folder}: {named}", advice and f"; {advice}"


def _without(files, refused):
    return files.subset([i for i, path in enumerate(files.paths) if path not in refused])


def _empty_classes(part_folder, files, class_names):
    used = set(files.labels)
    empty = [
        name
        for label, name in enumerate(class_names)
        if label not in used and (part_folder / name).is_dir()
    ]
    if empty:
        yield (
            "every class folder must have at least 1 readable JPEG, PNG, BMP or WebP image: add "
            "some, or remove the folder. "
            f"Received: {part_folder} with empty classes={_some_names(empty)}"
        )


def _missing_parts(parts):
    fractions = {"validation": VALIDATION_FRACTION, "test": TEST_FRACTION}
    return {part: share for part, share in fractions.items() if part not in parts}


def _classes_too_small_to_split(parts, class_names):
    missing = _missing_parts(parts)
    counts = np.bincount(parts["train"].labels, minlength=len(class_names))
    needed = 1 + len(missing)
    scarce = [name for name, count in zip(class_names, counts, strict=True) if 0 < count < needed]
    if scarce:
        yield (
            f"every class must have at least {needed} images, one for each of "
            f"{', '.join(['train', *missing])}: add some. "
            f"Received: too few for classes={_some_names(scarce)}"
        )


def _split_off_missing_parts(parts):
    """Moves some of the training images to the parts that the folder does not have."""
    missing = _missing_parts(parts)
    train = parts["train"]
    indices = stratified_split(train.labels, tuple(missing.values()))
    for part, part_indices in zip(("train", *missing), indices, strict=True):
        parts[part] = train.subset(part_indices)


def _smallest_side(image_size):
    """Half-resolution headroom: a JPEG decoded at twice the size or more loses nothing visible."""
    return 2 * max(image_size)


def _make_split(files, image_size, evaluation_crop, most_pixels, channels):
    smallest_side = _smallest_side(image_size)
    # Read here, once: in every epoch it would take a tenth of the time of reading crops.
    sizes = read_image_sizes(files.paths, most_pixels)

    def read(path):
        side = math.ceil(smallest_side / evaluation_crop)
        return read_image(os.fsdecode(path), side, most_pixels=most_pixels, channels=channels)

    def read_part(path, part):
        return read_image(
            os.fsdecode(path), smallest_side, part.tolist(), image_size, most_pixels, channels
        )

    def decode(source):
        path, _ = source
        image = _call(read, [path], tf.uint8, (None, None, channels))
        return crop_and_resize(image, image_size, evaluation_crop)

    def decode_crop(source, choose_crop):
        path, size = source
        crop = choose_crop(size[0], size[1])
        edges = tf.concat([crop[:2], crop[:2] + crop[2:]], axis=0)
        part = edges / tf.tile(size, [2])
        return _call(read_part, [path, part], tf.uint8, (*image_size, channels))

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
            _keep_pictures, files.paths, sizes, image_size, most_pixels, channels
        ),
    )


def _keep_pictures(paths, sizes, image_size, most_pixels, channels, smallest_part):
    """Photographs are kept at a reduced size of which the smallest crop still has headroom."""

    def reduced_side(size):
        height, width = size.tolist()
        narrowest = narrowest_crop(height, width, image_size, smallest_part)
        return math.ceil(min(height, width) * _smallest_side(image_size) / narrowest)

    def fit(byte_limit):
        byte_count = 0
        for path, size in zip(paths, sizes, strict=True):
            reduced = read_image_size(path, reduced_side(size), most_pixels)
            byte_count += channels * int(np.prod(reduced))
            if byte_count > byte_limit:
                return False
        return True

    def read_whole(path, size):
        return read_image(
            os.fsdecode(path), reduced_side(size), most_pixels=most_pixels, channels=channels
        )

    def crop_and_resize_picture(picture, crop):
        top, left, height, width = crop.tolist()
        return resize_image(picture[top : top + height, left : left + width], image_size)

    def decode(source):
        return _call(read_whole, source, tf.uint8, (None, None, channels))

    def crop(picture, choose_crop):
        shape = tf.shape(picture)
        chosen = choose_crop(shape[0], shape[1])
        return _call(crop_and_resize_picture, [picture, chosen], tf.uint8, (*image_size, channels))

    return KeptPictures(fit, decode, crop)


def _call(function, arguments, dtype, shape):
    """The result of a Python function within `tf.data`."""
    # Marked stateless, or TensorFlow's deterministic mode would decode one image at a time.
    result = tf.numpy_function(function, arguments, dtype, stateful=False)
    result.set_shape(shape)
    return result
