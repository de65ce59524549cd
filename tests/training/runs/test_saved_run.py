# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np
import pytest

from keras_micronet import quantization
from training.runs.saved_run import SavedRun


def test_reads_what_the_folder_tells(finished_float_run):
    saved = SavedRun.read(finished_float_run)
    assert saved.class_names == ("a", "b")
    assert saved.dataset == str(finished_float_run.parent / "images")
    assert saved.recipe.image_size == (24, 32)
    assert sum(saved.part_sizes.values()) == 40
    assert not saved.skip_unreadable


def test_reads_quantize_aware_runs_too(float_run_copy, change_summary):
    change_summary(
        lambda summary: (
            summary.update(quantization={"scheme": "int8"}),
            summary["recipe"].update(freeze_batch_normalization=0.5, freeze_ranges=0.25),
        )
    )
    assert SavedRun.read(float_run_copy).recipe.freeze_ranges == 0.25


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda summary: summary.update(format=99), "format=99 in run.json"),
        (lambda summary: summary.pop("recipe"), "KeyError: 'recipe'"),
        (lambda summary: summary["recipe"].update(epochs=0), "epochs must be a whole number"),
        (lambda summary: summary["recipe"].update(unknown=0), "unknown"),
        (lambda summary: summary.update(dataset=[]), "TypeError"),
        (lambda summary: summary["dataset"].update(source=5), "source=5 in run.json"),
    ],
)
def test_refuses_what_does_not_fit(float_run_copy, change_summary, change, reason):
    change_summary(change)
    with pytest.raises(ValueError, match="a run must be a folder that") as refusal:
        SavedRun.read(float_run_copy)
    assert f"Received: {float_run_copy}" in str(refusal.value)
    assert reason in str(refusal.value)


@pytest.mark.parametrize("text", ["", "[]", "{" * 100_000, '"text"'])
def test_refuses_what_is_no_summary(float_run_copy, text):
    (float_run_copy / "run.json").write_text(text)
    with pytest.raises(ValueError, match="a run must be a folder that"):
        SavedRun.read(float_run_copy)


@pytest.mark.parametrize("name", ["run.json", "class_names.txt"])
def test_refuses_a_folder_without_its_files(float_run_copy, name):
    (float_run_copy / name).unlink()
    with pytest.raises(ValueError, match=f"{name}: FileNotFoundError"):
        SavedRun.read(float_run_copy)


def test_the_model_comes_back(finished_float_run):
    model = SavedRun.read(finished_float_run).load_model()
    assert model.output_shape == (None, 2)
    assert not model.compiled


def test_a_quantize_aware_model_comes_back(small_run, change_summary):
    images = np.random.default_rng(0).uniform(0, 255, (8, 24, 32, 3)).astype("float32")
    source = keras.layers.Input((24, 32, 3))
    features = keras.layers.Conv2D(4, 3, strides=4, activation="relu")(source)
    features = keras.layers.GlobalAveragePooling2D()(features)
    answer = keras.layers.Dense(2, activation="softmax")(features)
    model = quantization.quantize_aware(keras.Model(source, answer), images)
    model.save(small_run / "model.keras")
    change_summary(
        lambda summary: (
            summary.update(quantization={"scheme": "int8"}),
            summary["recipe"].update(freeze_batch_normalization=0.5, freeze_ranges=0.5),
        )
    )
    loaded = SavedRun.read(small_run).load_model()
    assert isinstance(loaded, quantization.QuantizeAwareModel)
    expected = np.asarray(model(images, training=False))
    np.testing.assert_array_equal(np.asarray(loaded(images, training=False)), expected)


def test_refuses_a_damaged_model(float_run_copy):
    (float_run_copy / "model.keras").write_bytes(b"no model")
    with pytest.raises(ValueError, match="model.keras must be a whole Keras model without code"):
        SavedRun.read(float_run_copy).load_model()


def test_refuses_a_model_with_code_of_its_own(float_run_copy):
    model = keras.Sequential([keras.layers.Input((24, 32, 3)), keras.layers.Lambda(lambda x: x)])
    model.save(float_run_copy / "model.keras")
    with pytest.raises(ValueError, match="without code of its own"):
        SavedRun.read(float_run_copy).load_model()


def test_refuses_a_model_of_other_classes(float_run_copy):
    with open(float_run_copy / "class_names.txt", "a") as file:
        file.write("c\n")
    with pytest.raises(ValueError, match=r"shapes \(\(None, 24, 32, 3\), \(None, 3\)\).*Received"):
        SavedRun.read(float_run_copy).load_model()
