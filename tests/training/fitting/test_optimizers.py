# SPDX-License-Identifier: Apache-2.0
"""Optimizers: those of PyTorch where the release was trained with them."""

import dataclasses

import keras
import numpy as np
import pytest
import torch

from tests.training.conftest import build_tiny_model
from training.fitting.optimizers import CoupledDecaySGD, learning_rate_schedule, make_optimizer


@pytest.mark.parametrize(
    ("warmup", "steps", "warmup_steps"),
    [(0.0, 12, 0), (0.25, 12, 3), (0.1, 12, 1), (0.9, 2, 1), (0.5, 1, 0)],
)
def test_the_learning_rate_warms_up_and_follows_a_cosine_to_zero(
    tiny_recipe, warmup, steps, warmup_steps
):
    recipe = dataclasses.replace(tiny_recipe, warmup=warmup, learning_rate=0.01)
    schedule = learning_rate_schedule(recipe, steps)
    expected = [
        0.01 * step / warmup_steps
        if step < warmup_steps
        else 0.005 * (1 + np.cos(np.pi * (step - warmup_steps) / (steps - warmup_steps)))
        for step in range(steps + 1)
    ]
    assert [float(schedule(step)) for step in range(steps + 1)] == pytest.approx(expected, abs=1e-7)
    assert expected[-1] == pytest.approx(0)


def test_only_kernels_decay(tiny_recipe):
    recipe = dataclasses.replace(tiny_recipe, weight_decay=0.5)
    optimizer = make_optimizer(recipe, steps=8)
    model = build_tiny_model()
    optimizer.build(model.trainable_variables)
    decayed = {v.name for v in model.trainable_variables if optimizer._use_weight_decay(v)}
    kept = {v.name for v in model.trainable_variables if not optimizer._use_weight_decay(v)}
    assert decayed == {"kernel"}
    assert kept == {"bias", "gamma", "beta"}


def test_the_learning_rate_is_in_proportion_to_the_batch_size(tiny_recipe):
    recipe = dataclasses.replace(
        tiny_recipe, learning_rate=0.2, learning_rate_batch_size=512, batch_size=256, warmup=0.0
    )
    assert float(learning_rate_schedule(recipe, 10)(0)) == pytest.approx(0.1)


def torch_steps(weight, gradients, rates, momentum, decay):
    parameter = torch.nn.Parameter(torch.tensor(weight))
    optimizer = torch.optim.SGD([parameter], lr=1.0, momentum=momentum, weight_decay=decay)
    for gradient, rate in zip(gradients, rates, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
    return parameter.detach().numpy()


@pytest.mark.parametrize(("momentum", "decay"), [(0.9, 0.0), (0.9, 0.3), (0.0, 0.3)])
def test_sgd_takes_the_steps_of_pytorch(momentum, decay):
    """Also while the learning rate changes."""
    generator = np.random.default_rng(0)
    weight, *gradients = generator.standard_normal((7, 5)).astype(np.float32)
    rates = [0.1, 0.2, 0.2, 0.05, 0.01, 0.3]
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([0, 1, 2, 3, 4], rates)
    optimizer = CoupledDecaySGD(schedule, momentum, decay)
    variable = keras.Variable(weight, name="beta")
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
    expected = torch_steps(weight, gradients, rates, momentum, decay)
    np.testing.assert_allclose(variable, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("decayed_weights", "decays"), [("all", True), ("kernels", False)])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_what_decays(tiny_recipe, optimizer, decayed_weights, decays):
    recipe = dataclasses.replace(
        tiny_recipe, optimizer=optimizer, decayed_weights=decayed_weights, weight_decay=0.5
    )
    kernel = keras.Variable(np.ones(3, np.float32), name="kernel")
    gamma = keras.Variable(np.ones(3, np.float32), name="gamma")
    optimizer = make_optimizer(dataclasses.replace(recipe, warmup=0.0), steps=8)
    zeros = keras.ops.zeros(3)
    optimizer.apply([zeros, zeros], [kernel, gamma])
    assert float(kernel[0]) < 1
    assert (float(gamma[0]) < 1) == decays
