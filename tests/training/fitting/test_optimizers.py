# SPDX-License-Identifier: Apache-2.0
"""Optimizers: those of PyTorch where the release was trained with them."""

import dataclasses
import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

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


DECAYING = [(0.9, 0.0), (0.9, 0.3), (0.0, 0.3)]
ROOT = pathlib.Path(__file__).parents[3]
RATES = [0.1, 0.2, 0.2, 0.05, 0.01, 0.3]  # which change


@pytest.fixture(scope="module")
def steps():
    """A weight, and gradients of one step each, float32 `(5,)`."""
    weight, *gradients = np.random.default_rng(0).standard_normal((7, 5)).astype(np.float32)
    return weight, gradients


@pytest.fixture(scope="module")
def weights_of_pytorch(steps):
    """Where its SGD ends, by momentum and decay."""
    weight, gradients = steps
    lists = {"weight": weight.tolist(), "gradients": [each.tolist() for each in gradients]}
    cases = [lists | {"rates": RATES, "momentum": m, "decay": d} for m, d in DECAYING]
    command = [sys.executable, "-m", "tests.training.fitting.pytorch_sgd"]
    output = subprocess.run(
        command, cwd=ROOT, input=json.dumps(cases), capture_output=True, text=True, check=True
    ).stdout
    return dict(zip(DECAYING, json.loads(output), strict=True))


@pytest.mark.parametrize(("momentum", "decay"), DECAYING)
def test_sgd_takes_the_steps_of_pytorch(steps, weights_of_pytorch, momentum, decay):
    weight, gradients = steps
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([0, 1, 2, 3, 4], RATES)
    optimizer = CoupledDecaySGD(schedule, momentum, decay)
    variable = keras.Variable(weight, name="beta")
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
    expected = weights_of_pytorch[momentum, decay]
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
