# SPDX-License-Identifier: Apache-2.0
"""Models that answer for each cell."""

import keras
import numpy as np
import pytest

import keras_micronet
from keras_micronet import grid
from keras_micronet.grid import MicroNetGrid
from keras_micronet.layers import DynamicShiftMax

pytestmark = pytest.mark.slow

SHAPE = (60, 84, 3)  # no multiples of 8


def model_of(**arguments):
    values = {"input_shape": SHAPE, "classes": 3, "weights": None, "blocks": 4, **arguments}
    return MicroNetGrid(**values)


@pytest.mark.parametrize("task, answers", [("detect", 4), ("segment", 4), ("keypoints", 3)])
@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_each_cell_has_its_answers(task, answers, output_stride):
    model = model_of(task=task, output_stride=output_stride, blocks=None)
    rows, columns = (-(-size // output_stride) for size in SHAPE[:2])
    assert model.output_shape == (None, rows, columns, answers)
    assert model.name == f"micronet_m0_{task}"
    images = np.random.default_rng(0).uniform(0, 255, (2, *SHAPE)).astype(np.float32)
    outputs = np.asarray(model(images))
    assert outputs.dtype == np.float32
    assert outputs.min() >= 0 and outputs.max() <= 1
    if task != "keypoints":
        np.testing.assert_allclose(outputs.sum(-1), 1, atol=1e-6)


def test_a_part_of_the_blocks_is_small():
    """M0's stem and four blocks at 160x120: 15.1k parameters and 1.45M multiply-adds were counted
    in an independent trial with a head of 32 and three classes."""
    model = model_of(input_shape=(120, 160, 3))
    summary = keras_micronet.summarize(model)
    assert summary.parameters == pytest.approx(15_100, rel=0.02)
    assert summary.multiply_adds == pytest.approx(1.45e6, rel=0.02)


def test_shift_max_may_be_left_out_of_blocks():
    def blocks_with(model):
        return [
            layer.name
            for layer in model.layers
            if any(isinstance(each, DynamicShiftMax) for each in layer._flatten_layers())
        ]

    assert blocks_with(model_of()) == ["block_1", "block_2", "block_3", "block_4"]
    assert blocks_with(model_of(shift_max=False)) == []
    assert blocks_with(model_of(shift_max=[2, 4])) == ["block_2", "block_4"]
    assert model_of(shift_max=False).count_params() < model_of().count_params() / 2


def test_weights_of_a_backbone_are_taken_where_they_fit(tmp_path):
    backbone = keras_micronet.MicroNetM0(include_top=False, weights=None)
    rng = np.random.default_rng(0)
    backbone.set_weights(
        [rng.uniform(0.5, 1, w.shape).astype(np.float32) for w in backbone.weights]
    )
    path = tmp_path / "backbone.weights.h5"
    backbone.save_weights(path)
    model = model_of(weights=path, shift_max=[1, 2, 3])
    own = {weight.path: np.asarray(weight) for weight in model.weights}
    for weight in backbone.weights:
        if weight.path in own and "preprocessing" not in weight.path:
            np.testing.assert_array_equal(own[weight.path], weight, err_msg=weight.path)
    taken = [path for path in own if path.startswith(("stem", "block"))]
    assert {path.split("/")[0] for path in taken} == {
        "stem",
        "block_1",
        "block_2",
        "block_3",
        "block_4",
    }
    assert set(taken) <= {weight.path for weight in backbone.weights}


def test_trains_by_plain_fit_and_survives_saving(tmp_path):
    """Bright squares of two sizes on dark noise: found after a few steps."""
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 60, (64, 64, 64, 3)).astype(np.float32)
    cells = np.zeros((64, 8, 8), np.int32)
    for image, labels in zip(images, cells, strict=True):
        for _ in range(2):
            row, column = rng.integers(1, 7, 2)
            image[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8] = 230
            labels[row, column] = 1
    model = model_of(input_shape=(64, 64, 3), classes=1, blocks=3)
    model.compile(
        keras.optimizers.Adam(0.01),
        grid.GridCrossentropy(),
        metrics=[grid.CentreF1(), grid.CountError()],
    )
    model.fit(images, cells, batch_size=16, epochs=12, verbose=0)
    loss, f1, _ = model.evaluate(images, cells, verbose=0)
    assert f1 > 0.8
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.evaluate(images, cells, verbose=0)[0], loss, rtol=1e-5)


@pytest.mark.parametrize(
    "arguments, received",
    [
        ({"variant": "M9"}, "variant='M9'"),
        ({"task": "boxes"}, "task='boxes'"),
        ({"output_stride": 4}, "output_stride=4"),
        ({"blocks": 8}, "blocks=8"),
        ({"blocks": 0}, "blocks=0"),
        ({"classes": 0}, "classes=0"),
        ({"head_width": 1.5}, "head_width=1.5"),
        ({"shift_max": [0, 3]}, "shift_max=[0, 3]"),
    ],
)
def test_arguments_are_refused(arguments, received):
    with pytest.raises(ValueError) as refusal:
        model_of(**arguments)
    assert f"Received: {received}" in str(refusal.value)
