# SPDX-License-Identifier: Apache-2.0
"""What a refusal advises: complete commands, the best first."""

import pathlib
import types

import pytest

from keras_micronet.quantization import quantize_aware
from tests.keras_micronet.quantization import chains
from tflm.next_steps import as_text, next_steps
from tflm.trained_run import FloatRun
from tflm.verification.accuracy_cost import AccuracyCost

COST = AccuracyCost(100, 50, 40, 2, 50, 80, 50, (60, 40))  # 38 points


def run_of(model=None, float_run=None, folder="runs/my photos", is_own_model=False):
    return types.SimpleNamespace(
        model=model,
        float_run=float_run,
        folder=pathlib.Path(folder),
        calibration=range(77),
        is_own_model=is_own_model,
    )


def commands(steps):
    return [step.command for step in steps]


def test_float_run_is_trained_on():
    steps = next_steps(run_of(), COST, "builtin", ["fused"], None)
    assert commands(steps) == [
        "python -m training quantize 'runs/my photos'",
        None,
        "python -m tflm 'runs/my photos' --kernels fused",
        "python -m tflm 'runs/my photos' --kernels builtin --most-accuracy-lost 38",
    ]
    assert "runs/my photos-int8" in steps[0].effect
    assert "my photos/calibration.npz, which has 77" in steps[1].effect


def test_runtime_and_folder_are_those_that_were_asked_for():
    steps = next_steps(run_of(), COST, "fused", [], "static", "out")
    assert commands(steps)[-1] == (
        "python -m tflm 'runs/my photos' --runtime static --kernels fused --output out "
        "--most-accuracy-lost 38"
    )


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("int8", "python -m training quantize runs/x --epochs 30 --output runs/q-longer"),
        ("int8_head4", "python -m training quantize runs/x --scheme int8"),
    ],
)
def test_quantize_aware_run_is_trained_again(scheme, expected):
    model = chains.classifier()
    quantized = quantize_aware(model, chains.random_images(model, 4), scheme)
    run = run_of(quantized, FloatRun(pathlib.Path("runs/x"), 0.7), "runs/q")
    assert commands(next_steps(run, COST, "fused", ["builtin"], None))[0] == expected


def test_own_model_is_not_trained_by_a_command_that_refuses_it():
    steps = next_steps(run_of(is_own_model=True), COST, "builtin", [], None)
    assert steps[0].command is None
    assert "write it with keras_micronet.write_run_folder" in steps[0].effect
    assert "calibration.npz, which has 77" in steps[1].effect


def test_accepted_points_are_enough():
    """Rounded up: the interval then no longer lies beyond them."""
    command = commands(next_steps(run_of(), COST, "builtin", [], None))[-1]
    low, _ = COST.points_lost_interval
    assert 2.0 < low <= float(command.split()[-1])


def test_as_text_has_commands_that_can_be_copied():
    lines = as_text(next_steps(run_of(), COST, "builtin", [], None)).splitlines()
    assert lines[0] == "  python -m training quantize 'runs/my photos'"
    assert lines[1].startswith("      trains on with the rounding")
