# SPDX-License-Identifier: Apache-2.0
"""The reader of finished runs, of either kind."""

import dataclasses

import keras
import numpy as np
import pytest

from keras_micronet import quantization
from training.recipes.recipes import SMALL_IMAGES
from training.runs.saved_run import SavedRun

pytestmark = pytest.mark.slow

CLASSES = ("a", "b")


def be_quantized(summary):
    summary["quantization"] = {"scheme": "int8"}
    summary["recipe"].update(freeze_batch_normalization=0.5, freeze_ranges=0.25)


def test_tells_what_the_run_was_asked_for_and_measured(finished_float_run):
    run = SavedRun.read(finished_float_run)
    assert run == SavedRun(
        folder=finished_float_run,
        variant="M0",
        initial_weights=None,
        dataset=str(finished_float_run.parent / "images"),
        skip_unreadable=False,
        # A fifth and a tenth of 20 images a class.
        part_sizes={"train": 28, "validation": 4, "test": 8},
        class_names=CLASSES,
        recipe=dataclasses.replace(
            SMALL_IMAGES,
            image_size=(24, 32),
            epochs=1,
            batch_size=14,
            learning_rate=0.02,
            horizontal_flip=True,
        ),
        test_score=0.625,
        is_quantized=False,
    )


def test_reads_runs_that_did_not_say_whether_images_were_skipped(float_run_copy, change_summary):
    change_summary(lambda summary: summary["dataset"].pop("skip_unreadable"))
    assert SavedRun.read(float_run_copy).skip_unreadable is False


def test_loads_the_model_and_the_images(finished_float_run):
    run = SavedRun.read(finished_float_run)
    model = run.load_model()
    assert model.input_shape == (None, 24, 32, 3)
    assert not model.compiled
    images, labels = run.test_images()
    assert images.shape == (8, 24, 32, 3)
    assert sorted(labels) == [0] * 4 + [1] * 4
    assert run.calibration_images().shape == (28, 24, 32, 3)


@pytest.mark.parametrize(
    "change",
    [
        lambda summary: summary.pop("format"),
        lambda summary: summary.update(format=2),
        lambda summary: summary.pop("dataset"),
        lambda summary: summary.update(dataset=[]),
        lambda summary: summary["dataset"].update(source=3),
        lambda summary: summary["dataset"].update(skip_unreadable="no"),
        lambda summary: summary["dataset"].update(test_images="8"),
        lambda summary: summary["dataset"].pop("train_images"),
        lambda summary: summary["model"].update(variant=None),
        lambda summary: summary["results"].update(test_accuracy="high"),
        lambda summary: summary.update(recipe=None),
        lambda summary: summary["recipe"].pop("zoom"),
        lambda summary: summary["recipe"].update(cutout=0.5),
        lambda summary: summary["recipe"].update(zoom="none"),
        lambda summary: summary["recipe"].update(image_size=7),
        lambda summary: summary["recipe"].update(batch_size=0),
    ],
)
def test_refuses_a_summary_that_is_not_its_own(float_run_copy, change_summary, change):
    change_summary(change)
    with pytest.raises(ValueError, match="run.json must be whole.*train the model again"):
        SavedRun.read(float_run_copy)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_refuses_a_damaged_summary(float_run_copy, content):
    (float_run_copy / "run.json").write_bytes(content)
    with pytest.raises(ValueError, match="run.json must be whole.*Received: .*copy-M0"):
        SavedRun.read(float_run_copy)


def test_refuses_a_run_that_is_not_complete(float_run_copy):
    (float_run_copy / "run.json").unlink()
    with pytest.raises(ValueError, match="has completed. Received: .* without a readable run.json"):
        SavedRun.read(float_run_copy)


@pytest.mark.parametrize("folder", ["missing", "file"])
def test_refuses_what_is_no_folder(tmp_path, folder):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="must be a folder that `python -m training` has compl"):
        SavedRun.read(tmp_path / folder)


def test_reads_quantize_aware_runs_too(float_run_copy, change_summary):
    change_summary(be_quantized)
    run = SavedRun.read(float_run_copy)
    assert run.is_quantized and run.recipe.freeze_ranges == 0.25


def test_a_quantize_aware_model_comes_back(small_run, change_summary):
    images = np.random.default_rng(0).uniform(0, 255, (8, 24, 32, 3)).astype("float32")
    source = keras.layers.Input((24, 32, 3))
    features = keras.layers.Conv2D(4, 3, strides=4, activation="relu")(source)
    features = keras.layers.GlobalAveragePooling2D()(features)
    answer = keras.layers.Dense(2, activation="softmax")(features)
    model = quantization.quantize_aware(keras.Model(source, answer), images)
    model.save(small_run / "model.keras")
    change_summary(be_quantized)
    loaded = SavedRun.read(small_run).load_model()
    assert isinstance(loaded, quantization.QuantizeAwareModel)
    expected = np.asarray(model(images, training=False))
    np.testing.assert_array_equal(np.asarray(loaded(images, training=False)), expected)


def test_refuses_a_run_that_is_quantized_already(float_run_copy, change_summary):
    change_summary(be_quantized)
    with pytest.raises(ValueError, match="must be a float run.*copy-M0, which is quantized alr"):
        SavedRun.read_float(float_run_copy)


@pytest.mark.parametrize("name", ["model.keras", "class_names.txt", "calibration.npz", "test.npz"])
def test_refuses_a_run_with_a_file_missing(float_run_copy, name):
    (float_run_copy / name).unlink()
    with pytest.raises(ValueError, match=f"a run must hold {name}"):
        run = SavedRun.read(float_run_copy)
        run.load_model()
        run.calibration_images()
        run.test_images()


def test_refuses_names_that_are_not_the_models_outputs(float_run_copy):
    (float_run_copy / "class_names.txt").write_text("a\nb\nc\n")
    with pytest.raises(ValueError, match=r"shapes .*\(None, 3\).*Received: .*\(None, 2\)"):
        SavedRun.read(float_run_copy).load_model()


def test_refuses_class_names_that_are_no_text(float_run_copy):
    (float_run_copy / "class_names.txt").write_bytes(b"\xff")
    with pytest.raises(ValueError, match="UnicodeDecodeError"):
        SavedRun.read(float_run_copy)


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_refuses_a_damaged_model(float_run_copy, content):
    path = float_run_copy / "model.keras"
    path.write_bytes(path.read_bytes()[:-1000] if content is None else content)
    with pytest.raises(ValueError, match="model.keras must be a whole Keras model"):
        SavedRun.read(float_run_copy).load_model()


def test_runs_no_code_of_a_model_file(float_run_copy):
    model = keras.Sequential([keras.Input((24, 32, 3)), keras.layers.Lambda(lambda x: x[:, 0, 0])])
    model.save(float_run_copy / "model.keras")
    with pytest.raises(ValueError, match="without code of its own"):
        SavedRun.read(float_run_copy).load_model()


IMAGES, LABELS = np.zeros((4, 24, 32, 3), np.uint8), np.zeros(4, np.int32)


@pytest.mark.parametrize(
    "arrays",
    [
        {"images": IMAGES},
        {"labels": LABELS},
        {"images": IMAGES.astype(np.float32), "labels": LABELS},
        {"images": IMAGES[:, :8], "labels": LABELS},
        {"images": IMAGES, "labels": LABELS[:3]},
        {"images": IMAGES, "labels": np.zeros((4, 1), np.int32)},
        {"images": IMAGES, "labels": np.int32(4)},
        {"images": IMAGES[:0], "labels": LABELS[:0]},
        {"images": np.array([{"code": "object"}] * 4), "labels": LABELS},
    ],
)
def test_refuses_images_that_the_model_does_not_take(float_run_copy, arrays):
    np.savez(float_run_copy / "calibration.npz", **arrays)
    with pytest.raises(ValueError, match="calibration.npz must hold .*: train the model"):
        SavedRun.read(float_run_copy).calibration_images()


def with_a_changed_middle(content):
    middle = len(content) // 2
    return content[:middle] + bytes(byte ^ 255 for byte in content[middle:-200]) + content[-200:]


@pytest.mark.parametrize(
    "damage",
    [lambda _: b"", lambda _: b"PK", lambda _: b"\x93NUMPY\x01\x00", with_a_changed_middle],
)
def test_refuses_a_damaged_archive(float_run_copy, damage):
    path = float_run_copy / "test.npz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match="test.npz must hold the arrays images and labels"):
        SavedRun.read(float_run_copy).test_images()
