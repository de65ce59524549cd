# SPDX-License-Identifier: Apache-2.0
import io

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from training.datasets import load_dataset
from training.datasets.tensorflow_datasets import load_tensorflow_dataset

pytestmark = pytest.mark.slow

PARTS = ("train", "validation", "test")


class _Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Writes images of one colour each: red is the example's number, green its split's."""

    VERSION = tfds.core.Version("1.0.0")
    SPLITS = {}
    FEATURES = {
        "image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
        "label": tfds.features.ClassLabel(names=["even", "odd"]),
    }
    LABELLED = PARTS
    DISABLE_SHUFFLING = False

    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(self.FEATURES),
            disable_shuffling=self.DISABLE_SHUFFLING,
        )

    def _split_generators(self, download_manager):
        return {name: self._generate_examples(name) for name in self.SPLITS}

    def _generate_examples(self, split):
        channels = self.FEATURES["image"].shape[-1]
        for number in range(self.SPLITS[split]):
            colour = np.array([number, list(self.SPLITS).index(split), 50, 255], np.uint8)
            image = np.broadcast_to(colour[:channels], (9, 12, channels))
            label = number % 2 if split in self.LABELLED else -1
            yield number, {"image": image, "label": label}


class TinyThreeParts(_Builder):
    SPLITS = {"train": 10, "validation": 4, "test": 6}


class TinyTestOnly(_Builder):
    SPLITS = {"train": 20, "test": 6}


class TinyValidationOnly(_Builder):
    SPLITS = {"train": 20, "validation": 6}


class TinyUnlabelledTest(_Builder):
    SPLITS = {"train": 20, "validation": 6, "test": 8}
    LABELLED = ("train", "validation")


class TinySingle(_Builder):
    SPLITS = {"everything": 20}
    LABELLED = ("everything",)


class TinySingleTest(_Builder):
    SPLITS = {"test": 20}


class TinyUnlabelledValidation(_Builder):
    SPLITS = {"train": 20, "validation": 6, "test": 6}
    LABELLED = ("train", "test")


class TinyFew(_Builder):
    SPLITS = {"train": 3}


class TinyPartlyUnlabelled(_Builder):
    SPLITS = {"train": 20, "validation": 6, "test": 6}

    def _generate_examples(self, split):
        for number, example in super()._generate_examples(split):
            yield number, example | {"label": -1 if (split, number) == ("test", 3) else 0}


class TinyUnlabelled(_Builder):
    SPLITS = {"everything": 20}
    LABELLED = ()


class TinyInOrder(_Builder):
    SPLITS = {"train": 20}
    DISABLE_SHUFFLING = True


class TinyNoTrain(_Builder):
    SPLITS = {"left": 5, "right": 5}


class TinyGrey(_Builder):
    SPLITS = {"train": 5, "validation": 2, "test": 2}
    FEATURES = _Builder.FEATURES | {
        "image": tfds.features.Image(shape=(None, None, 1), encoding_format="png")
    }


class TinyTransparent(_Builder):
    SPLITS = {"train": 5, "validation": 2, "test": 2}
    FEATURES = _Builder.FEATURES | {
        "image": tfds.features.Image(shape=(None, None, 4), encoding_format="png")
    }


ROWS, COLUMNS = np.indices((64, 96))
PICTURE = np.stack([4 * ROWS, 2 * COLUMNS, 255 - 2 * ROWS - COLUMNS], axis=-1).astype(np.uint8)


class TinyPhotographs(_Builder):
    """The same picture every time, as JPEG."""

    SPLITS = {"train": 4, "validation": 2, "test": 2}
    FEATURES = _Builder.FEATURES | {
        "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg")
    }
    FORMATS = ("JPEG",)

    def _generate_examples(self, split):
        for number in range(self.SPLITS[split]):
            file = io.BytesIO()
            image_format = self.FORMATS[number % len(self.FORMATS)]
            Image.fromarray(PICTURE).save(file, format=image_format, quality=98, subsampling=0)
            file.seek(0)
            yield number, {"image": file, "label": number % 2}


class TinyMixed(TinyPhotographs):
    """That picture as JPEG and as PNG by turns."""

    FORMATS = ("JPEG", "PNG")


class TinyWithoutImage(_Builder):
    FEATURES = {"text": tfds.features.Text(), "label": tfds.features.ClassLabel(num_classes=2)}


class TinyWithoutLabel(_Builder):
    FEATURES = {"image": tfds.features.Image(), "score": tfds.features.Scalar(np.float32)}


class TinyTwoImages(_Builder):
    FEATURES = _Builder.FEATURES | {"other": tfds.features.Image()}


class TinySequence(_Builder):
    def _info(self):
        return self.dataset_info_from_configs(features=tfds.features.Sequence(self.FEATURES))


class TinyDeep(_Builder):
    FEATURES = _Builder.FEATURES | {
        "image": tfds.features.Image(shape=(8, 8, 3), dtype=np.uint16, encoding_format="png")
    }


class TinyUnreachable(_Builder):
    SPLITS = {"train": 5}

    def _split_generators(self, download_manager):
        raise OSError("no route to host")


def load(tmp_path, builder_class, size=(6, 8)):
    # Defining a builder is what puts it into the catalogue.
    return load_tensorflow_dataset(builder_class.name, size, data_dir=tmp_path)


def examples(split):
    images, labels = zip(*split.images().as_numpy_iterator(), strict=True)
    return np.stack(images), np.asarray(labels)


def test_uses_the_parts_that_exist(tmp_path):
    dataset = load(tmp_path, TinyThreeParts)
    assert dataset.name == "tiny_three_parts"
    assert dataset.class_names == ("even", "odd")
    for number, (part, size) in enumerate(TinyThreeParts.SPLITS.items()):
        split = getattr(dataset, part)
        images, labels = examples(split)
        assert split.size == split.images().cardinality() == size
        assert images.shape == (size, 6, 8, 3)
        assert images.dtype == np.uint8
        assert labels.dtype == np.int32
        assert sorted(images[:, 0, 0, 0]) == list(range(size))
        assert np.all(images[..., 1] == number)
        assert np.array_equal(labels, images[:, 0, 0, 0] % 2)


@pytest.mark.parametrize(
    ("builder_class", "sizes", "test_green"),
    [
        (TinyTestOnly, (18, 2, 6), 1),
        (TinyValidationOnly, (18, 2, 6), 1),
        (TinyUnlabelledTest, (18, 2, 6), 1),
        (TinySingle, (14, 2, 4), 0),
        (TinySingleTest, (14, 2, 4), 0),
        (TinyUnlabelledValidation, (18, 2, 6), 2),
    ],
)
def test_slices_missing_parts_off_the_training_images(tmp_path, builder_class, sizes, test_green):
    dataset = load(tmp_path, builder_class)
    parts = [examples(getattr(dataset, part))[0] for part in PARTS]
    assert tuple(len(part) for part in parts) == sizes
    assert np.all(parts[2][..., 1] == test_green)
    colours = {tuple(image[0, 0]) for part in parts for image in part}
    assert len(colours) == sum(sizes)


def crops(split, crop):
    parts = split.examples.map(
        lambda source, label: split.decode_crop(source, lambda *sides: tf.constant(crop))
    )
    return np.stack(list(parts.as_numpy_iterator()))


@pytest.mark.parametrize("builder_class", [TinyPhotographs, TinyMixed])
def test_a_chosen_part_is_cut_out_of_any_format(tmp_path, builder_class):
    split = load(tmp_path, builder_class, size=(16, 24)).train
    parts = crops(split, [20, 32, 16, 24])
    assert parts.shape == (4, 16, 24, 3) and parts.dtype == np.uint8
    # JPEG is a little off, but no other part of that picture is as close.
    assert np.abs(parts.astype(int) - PICTURE[20:36, 32:56]).max() < 12


def test_a_jpeg_is_decoded_as_far_as_needed(tmp_path, monkeypatch):
    split = load(tmp_path, TinyPhotographs, size=(16, 24)).train
    source, _ = next(iter(split.examples))
    # A constant, so that a graph made of it has the decoder's branch for its format alone.
    monkeypatch.setattr(tf, "cond", lambda is_jpeg, yes, no: yes() if is_jpeg else no())
    monkeypatch.setattr(tf.image, "decode_image", lambda *_, **__: pytest.fail("all decoded"))
    part = split.decode_crop(source, lambda height, width: tf.stack([height // 4, 0, 16, 24]))
    assert part.shape == (16, 24, 3)


@pytest.mark.parametrize(("builder_class", "channels"), [(TinyGrey, 1), (TinyTransparent, 4)])
def test_parts_of_other_images_become_rgb(tmp_path, builder_class, channels):
    parts = crops(load(tmp_path, builder_class).train, [2, 3, 6, 8])
    assert parts.shape == (5, 6, 8, 3)
    assert sorted(parts[:, 0, 0, 0]) == list(range(5))
    # Grey is repeated; the fourth channel, 255, is left out.
    assert np.all(parts[..., 2] == (parts[..., 0] if channels == 1 else 50))


def test_evaluation_keeps_a_centred_part(tmp_path):
    images, _ = examples(
        load_tensorflow_dataset(TinyMixed.name, (16, 24), tmp_path, evaluation_crop=0.25).test
    )
    assert np.abs(images.astype(int) - PICTURE[24:40, 36:60]).max() < 12


def test_reading_twice_gives_the_same_order(tmp_path):
    dataset = load(tmp_path, TinySingle)
    again = load(tmp_path, TinySingle)
    for part in PARTS:
        first, second = examples(getattr(dataset, part)), examples(getattr(again, part))
        assert np.array_equal(first[0], second[0])


def test_grey_images_become_rgb(tmp_path):
    images, _ = examples(load(tmp_path, TinyGrey).train)
    assert images.shape == (5, 6, 8, 3)
    assert np.all(images == images[..., :1])
    assert sorted(images[:, 0, 0, 0]) == [0, 1, 2, 3, 4]


def test_transparency_is_dropped(tmp_path):
    images, _ = examples(load(tmp_path, TinyTransparent).train)
    assert images.shape == (5, 6, 8, 3)
    assert np.all(images[..., 2] == 50)


@pytest.mark.parametrize(
    ("builder_class", "message"),
    [
        (TinyWithoutImage, r"one image and one class label.*features=\['label', 'text'\]"),
        (TinyWithoutLabel, r"one image and one class label.*features=\['image', 'score'\]"),
        (TinyTwoImages, r"one image and one class.*features=\['image', 'label', 'other'\]"),
        (TinySequence, r"one image and one class label.*features=\[\]"),
        (TinyDeep, "must be uint8.*Received: tfds:tiny_deep with .*uint16"),
        (TinyUnreachable, r"be downloadable. Received: .*\(OSError: no route to host\)"),
        (TinyNoTrain, r"train split or a single split.*splits=\['left', 'right'\]"),
        (TinyInOrder, r"mixed order.*splits=\['train'\]"),
        (TinyFew, "at least 10 examples in a split that is sliced into train, validation, test"),
        (TinyPartlyUnlabelled, "label from 0 to 1: .*Received: .* with 1 others in test"),
        (TinyUnlabelled, "label from 0 to 1: .*Received: .* with 14 others in everything"),
    ],
)
def test_refuses_what_cannot_be_trained_on(tmp_path, builder_class, message):
    with pytest.raises(ValueError, match=message):
        load(tmp_path, builder_class)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_dataset_anywhere", "in the catalogue.*Received: tfds:no_such_dataset_anywhere"),
        ("mnist/no_such_configuration", "configuration and version.*Received: tfds:mnist/no_such"),
        ("mnist:9.9.9", "Received: tfds:mnist:9.9.9"),
        ("", "must look like mnist.*Received: tfds:"),
        ("huggingface:mnist", "must look like mnist"),
        ("mnist/a=__import__('os')", "must look like mnist"),
    ],
)
def test_refuses_names_that_are_not_in_the_catalogue(name, message):
    with pytest.raises(ValueError, match=message):
        load_dataset(f"tfds:{name}", (8, 8))
