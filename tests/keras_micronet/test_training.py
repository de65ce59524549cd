# SPDX-License-Identifier: Apache-2.0
"""The models learn: in half precision, on frozen features, with oneDNN and without, on two
devices.
"""

import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_micronet
from tests.keras_micronet import models
from tests.keras_micronet.golden import golden

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(keras_micronet.__file__).parents[1]


def fit(model, epochs, learning_rate=0.1, size=32, **options):
    """Losses of all epochs on a problem that colours solve."""
    images, labels = models.red_or_blue_images(32, size)
    model.compile(
        keras.optimizers.SGD(learning_rate, momentum=0.9),
        "sparse_categorical_crossentropy",
        **options,
    )
    history = model.fit(images, labels, batch_size=16, epochs=epochs, verbose=0)
    losses = history.history["loss"]
    assert np.all(np.isfinite(losses))
    return losses


def test_half_precision():
    keras.config.set_dtype_policy("mixed_float16")
    model = keras_micronet.MicroNetM0(input_shape=(32, 32, 3), classes=2, weights=None)
    assert model.get_layer("block_2").compute_dtype == "float16"
    losses = fit(model, epochs=8)
    assert losses[-1] < 0.5 * losses[0]
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}


def test_transfer_learning(released_state_dict, tmp_path):
    np.savez(tmp_path / "m0.npz", **released_state_dict("M0"))
    base = keras_micronet.MicroNetM0(
        include_top=False, pooling="avg", weights=str(tmp_path / "m0.npz")
    )
    base.trainable = False
    inputs = keras.Input((32, 32, 3))
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(base(inputs)))
    frozen = models.weight_values(base)
    losses = fit(model, epochs=12, learning_rate=0.05)
    assert losses[-1] < 0.6 * losses[0]
    models.assert_same_weights(base, frozen)
    assert len(model.trainable_weights) == 2


@pytest.mark.parametrize(
    ("variant", "full_rank"), [*((variant, False) for variant in golden.VARIANTS), ("M3", True)]
)
def test_one_step_reaches_every_weight(variant, full_rank):
    model = models.logits_model(variant, full_rank=full_rank, classes=3, input_shape=(32, 32, 3))
    models.randomize(model)
    images = tf.random.stateless_normal((4, 32, 32, 3), (1, 2))
    before = [np.array(weight) for weight in model.non_trainable_weights]
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(images, training=True) - 1.0))
    gradients = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
    for weight, gradient in zip(model.trainable_weights, gradients, strict=True):
        assert np.all(np.isfinite(gradient)), weight.path
        assert np.any(gradient), weight.path
    for weight, value in zip(model.non_trainable_weights, before, strict=True):
        assert not np.array_equal(np.array(weight), value), weight.path


def test_the_full_rank_partner_learns():
    model = keras_micronet.MicroNetM0(
        input_shape=(32, 32, 3), classes=2, weights=None, full_rank=True
    )
    losses = fit(model, epochs=3, run_eagerly=True)
    assert losses[-1] < 0.7 * losses[0]


def test_seeds_make_training_repeatable():
    losses = []
    for seed in (3, 3, 4):
        keras.utils.set_random_seed(seed)
        losses.append(fit(models.small_classifier(), epochs=1, size=16, run_eagerly=True))
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    assert not np.allclose(losses[0], losses[2], rtol=1e-3)


@pytest.mark.parametrize("onednn", ["0", "1"], ids=["without_onednn", "with_onednn"])
def test_one_device_and_two_with_and_without_onednn(onednn):
    result = subprocess.run(
        [sys.executable, "-m", "tests.keras_micronet.subprocess_training"],
        cwd=ROOT,
        env=os.environ | {"TF_ENABLE_ONEDNN_OPTS": onednn},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    lines = [line.split() for line in result.stdout.splitlines()]
    losses = {name: [float(loss) for loss in values] for name, *values in lines}
    assert set(losses) == {"one_device", "full_rank", "two_devices"}
    for first, last, *evaluated in losses.values():
        assert np.isfinite(first) and last < 0.6 * first
        if evaluated:
            by_graph, without_graph = evaluated
            assert by_graph == pytest.approx(without_graph, rel=1e-4)
