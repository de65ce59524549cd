# SPDX-License-Identifier: Apache-2.0
"""Mutual learning and distillation: whose loss is what, and who learns from whom."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training.conftest import TINY_SIZE, build_tiny_model
from training.fitting.companions import Partner, Teacher
from training.fitting.trainer import train
from training.fitting.training_model import TrainingModel

pytestmark = pytest.mark.slow

SMOOTHING = 0.1


def entropy_with_labels(labels, probabilities):
    targets = (1 - SMOOTHING) * labels + SMOOTHING / 2
    return -(targets * np.log(probabilities)).sum(1).mean()


def divergence(given, probabilities):
    return (given * np.log(given / probabilities)).sum(1).mean()


@pytest.fixture
def batch():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (6, *TINY_SIZE, 3)).astype(np.float32)
    return images, np.eye(2, dtype=np.float32)[random.integers(0, 2, 6)]


def build_without_dropout():
    model = build_tiny_model()
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    return model


@pytest.fixture
def networks():
    keras.utils.set_random_seed(0)
    return build_without_dropout(), build_without_dropout()


def cross_entropy():
    return keras.losses.CategoricalCrossentropy(label_smoothing=SMOOTHING)


def loss_of(model, batch):
    images, labels = batch
    model.compile(loss=cross_entropy())
    probabilities = model(images, training=True)
    return model.compute_loss(images, labels, probabilities, training=True), probabilities.numpy()


def test_partners_have_their_own_losses_and_the_divergences(networks, batch):
    network, other = networks
    loss, probabilities = loss_of(
        TrainingModel(network, companion=Partner(other, cross_entropy(), weight=0.7)), batch
    )
    others = other(batch[0], training=True).numpy()
    expected = entropy_with_labels(batch[1], probabilities) + entropy_with_labels(batch[1], others)
    expected += 0.7 * (divergence(others, probabilities) + divergence(probabilities, others))
    assert float(loss) == pytest.approx(expected, rel=1e-4)


def test_each_partner_takes_the_other_as_given(networks, batch):
    """The gradient of the first is that of its own terms alone."""
    network, other = networks
    images, labels = batch
    model = TrainingModel(network, companion=Partner(other, cross_entropy()))
    with tf.GradientTape(persistent=True) as tape:
        loss, _ = loss_of(model, batch)
        probabilities = network(images, training=True)
        others = tf.constant(other(images, training=True).numpy())
        own = cross_entropy()(labels, probabilities)
        own += tf.reduce_mean(tf.reduce_sum(others * tf.math.log(others / probabilities), axis=-1))
    gradients = tape.gradient(loss, network.trainable_variables)
    expected = tape.gradient(own, network.trainable_variables)
    for gradient, expected_gradient in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-3, atol=1e-6)
    assert all(np.any(gradient != 0) for gradient in tape.gradient(loss, other.trainable_variables))


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_a_teacher_is_softened_by_its_logits(networks, batch, temperature):
    network, teacher = networks
    model = TrainingModel(network, companion=Teacher(teacher, 0.3, temperature))
    loss, probabilities = loss_of(model, batch)

    def soften(probabilities):
        logits = np.log(probabilities) / temperature
        powers = np.exp(logits - logits.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)

    taught = soften(teacher(batch[0], training=False).numpy())
    expected = 0.7 * entropy_with_labels(batch[1], probabilities)
    expected += 0.3 * temperature**2 * divergence(taught, soften(probabilities))
    assert float(loss) == pytest.approx(expected, rel=1e-4)


def weights_of(model):
    return [np.array(weight) for weight in model.get_weights()]


@pytest.mark.parametrize(("kind", "learns"), [("partner", True), ("teacher", False)])
def test_only_partners_learn(networks, tiny_dataset, tiny_recipe, kind, learns):
    network, other = networks
    companion = Partner(other, cross_entropy()) if kind == "partner" else Teacher(other)
    before = weights_of(other)
    recipe = dataclasses.replace(tiny_recipe, epochs=1)
    result = train(network, tiny_dataset, recipe, seed=1, companion=companion)
    changed = [not np.array_equal(a, b) for a, b in zip(before, weights_of(other), strict=True)]
    assert all(changed) if learns else not any(changed)
    assert bool(companion.trainable_variables) == learns
    assert len(result.history) == 1


def test_validation_measures_the_network_alone(networks, tiny_dataset, tiny_recipe):
    network, other = networks
    result = train(
        network, tiny_dataset, tiny_recipe, seed=1, companion=Partner(other, cross_entropy())
    )
    images, labels = zip(*tiny_dataset.validation.images().as_numpy_iterator(), strict=True)
    probabilities = network.predict(np.stack(images).astype("float32"), verbose=0)
    expected = entropy_with_labels(np.eye(2)[list(labels)], probabilities)
    assert tiny_recipe.label_smoothing == SMOOTHING
    assert result.validation_loss == pytest.approx(expected, rel=1e-4)
