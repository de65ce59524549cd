# SPDX-License-Identifier: Apache-2.0
import dataclasses
import pathlib
import zipfile

import keras
import numpy as np
import pytest

from tests.keras_micronet.golden import golden
from training.models import build_grid_model, build_model, load_teacher
from training.recipes.recipes import DETECTION

pytestmark = pytest.mark.slow

SIZE = (32, 48)


def weights_by_layer(model):
    return {layer.name: layer.get_weights() for layer in model.layers}


def differing_layers(first, second):
    first, second = weights_by_layer(first), weights_by_layer(second)
    assert first.keys() == second.keys()
    return {
        name
        for name in first
        if not all(np.array_equal(a, b) for a, b in zip(first[name], second[name], strict=True))
    }


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return build_model("M0", SIZE, 10)


def test_takes_raw_images_and_gives_probabilities(model):
    assert model.input_shape == (None, *SIZE, 3)
    images = np.random.default_rng(0).integers(0, 256, (2, *SIZE, 3)).astype("float32")
    probabilities = model.predict(images, verbose=0)
    assert probabilities.shape == (2, 10)
    assert probabilities.sum(1) == pytest.approx([1, 1], abs=1e-5)
    assert any(layer.name == "preprocessing" for layer in model.layers)


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_starts_from_a_saved_model(model, tmp_path, suffix):
    path = str(tmp_path / f"saved{suffix}")
    model.save(path) if suffix == ".keras" else model.save_weights(path)
    assert differing_layers(build_model("M0", SIZE, 10, path), model) == set()


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_a_saved_model_serves_other_classes_with_a_new_classifier(model, tmp_path, suffix):
    """The same rule as for the authors' weights."""
    path = str(tmp_path / f"saved{suffix}")
    model.save(path) if suffix == ".keras" else model.save_weights(path)
    keras.utils.set_random_seed(5)
    fresh = build_model("M0", SIZE, 5)
    keras.utils.set_random_seed(5)
    started = build_model("M0", SIZE, 5, path)
    changed = differing_layers(started, fresh)
    assert not changed & {"classifier_dense", "classifier_normalization"}
    for layer in model.layers:
        if not layer.name.startswith("classifier_"):
            for got, wanted in zip(
                started.get_layer(layer.name).get_weights(), layer.get_weights(), strict=True
            ):
                np.testing.assert_array_equal(got, wanted)
    assert {"stem", "block_1", "head_dense"} <= changed


@pytest.fixture
def imagenet_checkpoint(tmp_path, monkeypatch):
    """Weights in the authors' layout, where the library looks for its cached ImageNet weights."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    path = tmp_path / "models" / "micronet-m0-imagenet.npz"
    path.parent.mkdir()
    np.savez(path, **golden.state_dict("M0"))
    return str(path)


@pytest.mark.parametrize("by_name", [True, False])
def test_imagenet_weights_serve_other_classes_with_a_new_classifier(imagenet_checkpoint, by_name):
    weights = "imagenet" if by_name else imagenet_checkpoint
    keras.utils.set_random_seed(5)
    fresh = build_model("M0", SIZE, 10)
    keras.utils.set_random_seed(5)
    pretrained = build_model("M0", SIZE, 10, weights)
    whole = build_model("M0", SIZE, 1000, weights)
    layers = {layer.name for layer in whole.layers if layer.get_weights()}
    kept = {
        name
        for name in layers
        if all(
            a.shape == b.shape and np.array_equal(a, b)
            for a, b in zip(
                pretrained.get_layer(name).get_weights(),
                whole.get_layer(name).get_weights(),
                strict=True,
            )
        )
    }
    assert layers - kept == {"classifier_dense", "classifier_normalization"}
    changed = differing_layers(pretrained, fresh)
    assert not changed & {"classifier_dense", "classifier_normalization"}
    assert {"stem", "block_1", "head_dense"} <= changed


def test_refuses_an_unknown_variant():
    with pytest.raises(ValueError, match="one of M0, M1, M2, M3. Received: model=M9"):
        build_model("M9", SIZE, 10)


@pytest.mark.parametrize("weights", ["missing.keras", "missing.pth", "model.txt"])
def test_refuses_weights_that_are_not_there(tmp_path, weights):
    with pytest.raises((ValueError, OSError), match=weights):
        build_model("M0", SIZE, 10, str(tmp_path / weights))


def test_imagenet_weights_serve_gray_images(imagenet_checkpoint):
    colour = build_model("M0", SIZE, 10, imagenet_checkpoint)
    gray = build_model("M0", SIZE, 10, "imagenet", 1)
    assert gray.input_shape == (None, *SIZE, 1)
    new = {"classifier_dense", "classifier_normalization"}
    for layer in colour.layers:
        if layer.weights and layer.name not in {"stem", "preprocessing", *new}:
            for weight, expected in zip(
                gray.get_layer(layer.name).get_weights(), layer.get_weights(), strict=True
            ):
                np.testing.assert_array_equal(weight, expected)
    kernel = colour.get_layer("stem").convolutions[0].kernel.numpy()
    gray_kernel = gray.get_layer("stem").convolutions[0].kernel.numpy()[:, :, 0]
    np.testing.assert_allclose(gray_kernel, kernel.sum(axis=2), atol=0.03 * np.abs(kernel).max())


def test_without_imagenet_weights_there_is_another_way(tmp_path, monkeypatch):
    """Nothing of this must wait for a network."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    failure = OSError("nobody answers")
    monkeypatch.setattr("training.models.load_weights", raiser(failure))
    with pytest.raises(OSError, match="nobody answers. Without them: --recipe photographs, or "):
        build_model("M0", SIZE, 10, "imagenet")


def raiser(error):
    def fail(*_, **__):
        raise error

    return fail


def with_text(path):
    path.write_text("no archive")


def with_blanks(path):
    """A model that Keras reads, and that unpacks to a hundred times as much."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    entries["config.json"] += b" " * 65 * 2**20
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def test_a_teacher_is_a_model_of_the_same_images_and_classes(model, tmp_path):
    model.save(tmp_path / "teacher.keras")
    teacher = load_teacher(tmp_path / "teacher.keras", SIZE, 10)
    images = np.random.default_rng(0).uniform(0, 255, (2, *SIZE, 3)).astype(np.float32)
    np.testing.assert_array_equal(teacher(images), model(images))
    with pytest.raises(ValueError, match=r"of the shapes .*\(None, 9\)\)\. Received: .*teacher"):
        load_teacher(tmp_path / "teacher.keras", SIZE, 9)


@pytest.mark.parametrize("damage", [pathlib.Path.unlink, with_text, with_blanks])
def test_a_damaged_teacher_is_a_sentence(model, tmp_path, damage):
    path = tmp_path / "teacher.keras"
    model.save(path)
    damage(path)
    with pytest.raises(ValueError, match="teacher must be a whole Keras model") as raised:
        load_teacher(path, SIZE, 10)
    assert len(str(raised.value)) < 800


def test_a_grid_model_has_the_blocks_of_its_recipe_and_the_weights_of_its_backbone(tmp_path):
    recipe = dataclasses.replace(
        DETECTION, image_size=SIZE, blocks=2, shift_max=(1,), head_width=8, channels=1
    )
    classifier = build_model("M0", SIZE, 4, channels=1)
    classifier.save_weights(tmp_path / "classifier.weights.h5")
    grid = build_grid_model("M0", recipe, 5, str(tmp_path / "classifier.weights.h5"))
    assert grid.input_shape == (None, *SIZE, 1)
    assert grid.output_shape == (None, *recipe.output_shape(5)) == (None, 4, 6, 6)
    expected = {weight.path: weight.numpy() for weight in classifier.weights}
    shared = [weight for weight in grid.weights if weight.path in expected]
    assert len(shared) > 10
    for weight in shared:
        np.testing.assert_array_equal(weight.numpy(), expected[weight.path])


@pytest.mark.parametrize("change", [{"blocks": 9}, {"shift_max": (1, 9)}])
def test_refuses_blocks_that_a_variant_does_not_have(change):
    recipe = dataclasses.replace(DETECTION, **change)
    with pytest.raises(ValueError, match=r"up to \d for M0\. Received: blocks="):
        build_grid_model("M0", recipe, 5)
