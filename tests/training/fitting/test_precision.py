# SPDX-License-Identifier: Apache-2.0
import dataclasses

import keras
import numpy as np
import pytest

from tests.training.conftest import build_tiny_model
from training.fitting.precision import layers_compute_in, scale_losses
from training.fitting.trainer import make_reproducible, train

pytestmark = pytest.mark.slow


def test_only_layers_of_the_block_compute_in_half_precision():
    with layers_compute_in("bfloat16"):
        inside = keras.layers.Dense(2)
    outside = keras.layers.Dense(2)
    assert (inside.compute_dtype, inside.variable_dtype) == ("bfloat16", "float32")
    assert outside.compute_dtype == "float32"


def test_the_policy_is_restored_after_an_error():
    with pytest.raises(RuntimeError), layers_compute_in("float16"):
        raise RuntimeError
    assert keras.config.dtype_policy().name == "float32"


def test_float32_needs_no_mixing():
    with layers_compute_in("float32"):
        assert keras.layers.Dense(2).compute_dtype == "float32"


@pytest.mark.parametrize(
    ("precision", "scales"), [("float32", False), ("bfloat16", False), ("float16", True)]
)
def test_losses_are_scaled_where_exponents_are_few(precision, scales):
    optimizer = scale_losses(keras.optimizers.SGD(), precision)
    assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer) == scales


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_trains_a_float32_model_in_half_precision(tiny_dataset, tiny_recipe, precision):
    recipe = dataclasses.replace(tiny_recipe, epochs=8, learning_rate=0.05)
    make_reproducible(1)
    with layers_compute_in(precision):
        model = build_tiny_model()
    kept = build_tiny_model()
    result = train(model, tiny_dataset, recipe, 1, precision=precision, kept_model=kept)
    assert {layer.compute_dtype for layer in model.layers} == {precision}
    assert {layer.compute_dtype for layer in kept.layers} == {"float32"}
    assert {str(weight.dtype) for weight in kept.weights} == {"float32"}
    for weight, trained in zip(kept.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, trained)
    assert result.history[-1].loss < result.history[0].loss
    assert result.test_score == 1.0
    images, labels = zip(*tiny_dataset.test.images().as_numpy_iterator(), strict=True)
    predictions = kept.predict(np.stack(images).astype("float32"), verbose=0)
    targets = 0.9 * np.eye(2)[list(labels)] + 0.1 / 2
    expected = -(targets * np.log(predictions)).sum(1).mean()
    # Measured on the float32 model: half precision has three digits.
    assert result.test_loss == pytest.approx(expected, rel=1e-5)


def test_half_precision_rounds(tiny_dataset, tiny_recipe):
    def losses(precision):
        make_reproducible(1)
        with layers_compute_in(precision):
            model = build_tiny_model()
        result = train(model, tiny_dataset, tiny_recipe, 1, precision=precision)
        return [record.loss for record in result.history]

    exact, rounded = losses("float32"), losses("bfloat16")
    assert exact != rounded
    assert exact == pytest.approx(rounded, rel=0.05)
