# SPDX-License-Identifier: Apache-2.0
"""Which values a device stores, and by what name."""

import pytest

from keras_micronet import layers
from keras_micronet.layer_chain import INPUT, Step
from keras_micronet.quantization.plan import plan, range_names


def steps(*kinds):
    """Steps named by their kinds; "shift_max_2" is a `DynamicShiftMax` with two fusions."""
    made = []
    for kind in kinds:
        if kind.startswith("shift_max"):
            layer = layers.DynamicShiftMax(2, fusions=int(kind[-1]))
            made.append(Step(kind, "shift_max", layer))
        else:
            made.append(Step(kind, kind, None))
    return made


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        # What computes on multiplied sums computes the activation after it.
        (["convolution", "relu"], ["convolution+relu>convolution"]),
        (["depthwise", "relu6"], ["depthwise+relu6>depthwise"]),
        (["dense", "relu"], ["dense+relu>dense"]),
        (["residual", "relu6"], ["residual+relu6>residual"]),
        (["shift_max_1", "relu6"], ["shift_max_1+relu6>shift_max_1/fusion1"]),
        # A maximum and hard-swish do not.
        (["shift_max_2", "relu6"], ["shift_max_2>shift_max_2/maximum", "relu6"]),
        (["hard_swish", "relu"], ["hard_swish>hard_swish", "relu"]),
        # A shuffle and a dropout let it through, in whatever number.
        (["convolution", "shuffle", "relu6"], ["convolution+relu6>convolution", "shuffle"]),
        (
            ["dense", "dropout", "shuffle", "dropout", "relu"],
            ["dense+relu>dense", "dropout", "shuffle", "dropout"],
        ),
        # A mean does not: the mean of clipped values is another one.
        (["convolution", "pool", "relu"], ["convolution>convolution", "pool", "relu"]),
        # One activation each.
        (["convolution", "relu", "relu6"], ["convolution+relu>convolution", "relu6"]),
        (["relu"], ["relu"]),
        (["normalization", "shuffle", "relu6"], ["normalization", "shuffle", "relu6"]),
        (["dense", "softmax"], ["dense>dense", "softmax"]),
        (["dense", "hard_swish"], ["dense>dense", "hard_swish>hard_swish"]),
    ],
    ids=" ".join,
)
def test_activations_are_computed_by_what_can(kinds, expected):
    described = []
    for item in plan(steps(*kinds)):
        activation = "" if item.activation == "linear" else f"+{item.activation}"
        result = "" if item.result is None else f">{item.result}"
        described.append(f"{item.step.name}{activation}{result}")
    assert described == expected


@pytest.mark.parametrize(
    ("kinds", "shortcut", "expected"),
    [
        (["convolution", "relu6"], "relu6", "convolution"),
        (["convolution", "shuffle", "relu6"], "relu6", "shuffle"),  # the map is shuffled by then
        (["convolution", "shuffle"], "shuffle", "shuffle"),
        (["pool", "relu"], "relu", "relu"),
        (["convolution"], INPUT, INPUT),
    ],
)
def test_shortcut_is_named_by_the_step_that_has_its_value(kinds, shortcut, expected):
    residual = Step("sum", "residual", None, shortcut=shortcut)
    planned = plan([*steps(*kinds), residual])
    assert planned[-1].step.shortcut == expected


def test_what_a_device_writes():
    planned = plan(
        steps(
            "normalization",
            "convolution",
            "shuffle",
            "shift_max_2",
            "relu6",
            "pool",
            "relu",
            "dense",
            "dropout",
            "softmax",
        )
    )
    assert [item.step.name for item in planned if item.stores_something] == [
        "convolution",
        "shift_max_2",
        "relu6",
        "pool",
        "relu",
        "dense",
    ]


def test_names_of_ranges():
    planned = plan(steps("convolution", "shift_max_1", "relu6", "pool", "shift_max_2", "dense"))
    assert range_names(planned, "source") == [
        "source",
        "convolution",
        "shift_max_1/squeeze",
        "shift_max_1/a1",
        "shift_max_1/b1",
        "shift_max_1/a1_times_map",
        "shift_max_1/b1_times_shifted",
        "shift_max_1/fusion1",
        "shift_max_2/squeeze",
        "shift_max_2/a1",
        "shift_max_2/b1",
        "shift_max_2/a2",
        "shift_max_2/b2",
        "shift_max_2/a1_times_map",
        "shift_max_2/b1_times_shifted",
        "shift_max_2/a2_times_map",
        "shift_max_2/b2_times_shifted",
        "shift_max_2/maximum",
        "dense",
    ]
