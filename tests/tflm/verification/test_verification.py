# SPDX-License-Identifier: Apache-2.0
"""What is wrong is refused, however few images there are and whatever class they get."""

import numpy as np
import pytest

from tflm.report.tensor_noise import TensorNoise
from tflm.verification.verification import (
    VerificationError,
    compare_outputs,
    require_model_operations,
    require_model_outputs,
    require_same_outputs,
    require_simulated_outputs,
)


def random_outputs(count=20, outputs=4, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(-100, 100, (count, outputs)).astype(np.int8)


def checked(simulated, received, float_distance=4.0):
    """Compares outputs of a device that is so far from the model without rounding."""
    signs = np.where(np.indices(received.shape).sum(axis=0) % 2, 1, -1)
    check = compare_outputs(simulated, received + float_distance * signs, received)
    require_simulated_outputs(check)
    return check


def test_what_is_quantized_must_be_the_given_model():
    expected = np.random.default_rng(0).normal(0, 3, (20, 4)).astype(np.float32)
    require_model_outputs(expected, expected * 1.05)
    require_model_outputs(np.zeros((3, 2)), np.zeros((3, 2)))
    with pytest.raises(VerificationError, match="Received: a difference of .* on 20 images"):
        require_model_outputs(expected, expected[::-1])


def test_outputs_are_compared_by_their_values():
    simulated, received = random_outputs(10, 5), random_outputs(10, 5)
    received[3, 2] += 4
    received[7] -= 1
    check = checked(simulated, received)
    assert (check.images, check.values) == (10, 50)
    assert check.exact_values == 44
    assert check.most_steps_off == 4
    assert check.root_mean_square_steps == pytest.approx(np.sqrt((16 + 5) / 50))
    assert check.float_root_mean_square_steps == pytest.approx(4.0)
    assert check.same_class == np.sum(simulated.argmax(axis=1) == received.argmax(axis=1))


@pytest.mark.parametrize(
    ("steps", "float_distance", "passes"),
    [(1, 0.0, True), (2, 0.0, False), (2, 4.0, True), (3, 4.0, False), (9, 20.0, True)],
)
def test_what_is_not_simulated_may_be_a_part_of_the_rounding(steps, float_distance, passes):
    simulated = random_outputs()
    received = simulated + np.int8(steps)
    if passes:
        checked(simulated, received, float_distance)
        return
    with pytest.raises(VerificationError, match=rf"Received: {steps}\.0 steps, at most {steps}"):
        checked(simulated, received, float_distance)


def test_wrong_model_of_one_output_is_refused():
    """Its class is always the same: only values can tell."""
    simulated = random_outputs(12, 1)
    checked(simulated, simulated.copy())
    with pytest.raises(VerificationError, match="rounding simulated"):
        checked(simulated, -simulated)


def test_one_answer_to_everything_is_refused_unless_it_is_the_models():
    simulated = random_outputs(12)
    constant = np.repeat(simulated[:1], 12, axis=0)
    with pytest.raises(VerificationError, match="must be those of the model"):
        checked(simulated, constant)
    assert checked(constant, constant.copy()).exact_values == constant.size


def test_same_classes_do_not_excuse_other_values():
    simulated = np.tile(np.array([[100, 0, -100]], np.int8), (8, 1))
    received = np.tile(np.array([[60, 0, -60]], np.int8), (8, 1))
    with pytest.raises(VerificationError, match="on 8 images"):
        checked(simulated, received)


def row(name, position, own, signal=4.0, scale=0.1):
    return TensorNoise(position, name, "CONV_2D", signal, own, own, 30.0, -2.0, 2.0, scale, 0.0)


def test_operation_that_is_not_the_models_is_named():
    rows = [
        row("images", None, own=4.0),  # the input is rounded, not computed
        row("fine", 1, own=0.0001),
        row("coarse", 2, own=0.05),  # 2.2 steps, but 19 dB below the values
        row("small", 3, own=0.008, signal=0.002),  # more noise than signal, but within a step
        row("late", 9, own=3.0),
        row("early", 4, own=1.0),
    ]
    require_model_operations(rows[:4])
    with pytest.raises(VerificationError) as raised:
        require_model_operations(rows)
    received = str(raised.value).split("Received: ")[1]
    assert received.startswith(
        "early (CONV_2D): 6.0 dB, 10.0 steps; late (CONV_2D): 1.2 dB, 17.3 steps. Training on"
    )


def test_only_three_wrong_operations_are_named():
    rows = [row(f"tensor_{number}", number, own=4.0) for number in range(5)]
    with pytest.raises(VerificationError, match="tensor_2 .*; and 2 more operations"):
        require_model_operations(rows)


def test_file_must_answer_as_its_operations_do():
    expected = random_outputs(6).reshape(6, 1, 1, 4)
    require_same_outputs(expected, expected.copy())
    received = expected.copy()
    received[4] += 1
    with pytest.raises(VerificationError, match="other outputs for 1 of 6 images"):
        require_same_outputs(expected, received)


def test_message_says_what_to_do():
    with pytest.raises(VerificationError, match="Please report it with .*model.keras, and what"):
        require_same_outputs(np.zeros((1, 2), np.int8), np.ones((1, 2), np.int8))
