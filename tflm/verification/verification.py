# SPDX-License-Identifier: Apache-2.0
"""Is it right? The device's integers against what they are defined to be.

That is a question of its own: what quantization costs in accuracy is another (`accuracy_cost`),
and no number of images and no margin answers this one. What is not right is refused:

- a model that without rounding is not the user's (`require_model_outputs`);
- an operation that computes something else than its definition (`operation_check`);
- an operation whose definition is another than the model's (`require_model_operations`);
- outputs that are others than the simulation's (`compare_outputs`), so that a device that gives
  one answer to everything is found out, whatever its operations say;
- a model's file that answers otherwise than the same operations with all they compute kept, or a C
  library that does (`require_same_outputs`).
"""

import collections.abc
import dataclasses
import math
import typing

import numpy as np

if typing.TYPE_CHECKING:  # it imports this module
    from tflm.verification import operation_check

# Of the distance between the device's outputs and those of the model without rounding. Measured
# with builtin operators: 0.07 for M0 trained on CIFAR-10, 0.03 on digits; 0.3 for M3 with random
# weights, and 0.65, but only 0.65 steps, for M2. Another arithmetic within Dynamic Shift-Max, that
# of the fused kernels, gives 0.5 to 1.2, and 5 steps on CIFAR-10.
MOST_UNSIMULATED_PART = 0.5
MOST_UNSIMULATED_STEPS = 1.0
# Measured on M0 trained on digits and on CIFAR-10, after training and aware: of 8-bit weights noise
# of 0.5 steps or at least 28 dB below the values, of 4-bit ones 2.4 steps but 20 dB.
MOST_OWN_NOISE_STEPS = 1.0
LEAST_OWN_DECIBELS = 12.0
# Root mean square of a difference beside that of the outputs. A model of bfloat16, which is
# quantized as float32, differs by some hundredths.
MOST_FLOAT_DIFFERENCE = 0.2
_NAMED_OPERATIONS = 3


class OperationNoise(typing.Protocol):
    """What `require_model_operations` reads of a `tensor_noise.TensorNoise`."""

    @property
    def position(self) -> int | None: ...
    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def own_noise_mean_square(self) -> float: ...
    @property
    def own_signal_to_noise_decibels(self) -> float: ...
    @property
    def scale(self) -> float: ...


class VerificationError(RuntimeError):
    """A device does not compute what it is defined to."""


def fault(rule: str, received: str) -> str:
    """The text of a `VerificationError`: the rule, what was received, and what to do."""
    return (
        f"{rule}. Received: {received}. Training on does not help: this is a fault of "
        "keras_micronet, of TensorFlow Lite Micro or of the compiler. Please report it with this "
        "message, the run's model.keras, and what `pip list` and `cc --version` say"
    )


@dataclasses.dataclass(frozen=True)
class OutputCheck:
    """The device's outputs beside those of the simulation.

    Attributes:
        images: number of images.
        values: number of outputs, of all images.
        exact_values: those that are equal.
        most_steps_off: the largest difference, in steps of the output's quantization.
        root_mean_square_steps: root mean square of all differences, in steps.
        float_root_mean_square_steps: the same of the differences from the model without rounding.
        same_class: number of images with the same class.
    """

    images: int
    values: int
    exact_values: int
    most_steps_off: int
    root_mean_square_steps: float
    float_root_mean_square_steps: float
    same_class: int

    @property
    def most_root_mean_square_steps(self) -> float:
        """What `root_mean_square_steps` may be."""
        part = MOST_UNSIMULATED_PART * self.float_root_mean_square_steps
        return max(MOST_UNSIMULATED_STEPS, part)


@dataclasses.dataclass(frozen=True)
class Verification:
    """What was compared before a model was exported.

    Attributes:
        made_up_images: number of images that were made for it.
        operations: `operation_check.OperationCheck`, on made-up images and some of the user's.
        made_up_outputs: `OutputCheck` on the former.
        outputs: `OutputCheck` on more of the user's.
        learned_kernels: "fused" or "builtin" if a training has learned others than the exported
            ones, else `None`.
    """

    made_up_images: int
    operations: "operation_check.OperationCheck"
    made_up_outputs: OutputCheck
    outputs: OutputCheck
    learned_kernels: str | None = None


def compare_outputs(
    simulated: np.ndarray, unrounded: np.ndarray, received: np.ndarray
) -> OutputCheck:
    """Compares outputs by their values.

    Args:
        simulated: int8 array `(images, outputs)`, what the simulation gives.
        unrounded: float array of the same shape, what the model gives without any rounding, in
            steps of the outputs' quantization and beginning at its zero point.
        received: int8 array of the same shape, what the device gives.

    Returns:
        An `OutputCheck`.
    """
    off = np.abs(simulated.astype(np.int32) - received)
    limits = np.iinfo(np.int8)
    float_off = np.clip(unrounded, limits.min, limits.max) - received
    return OutputCheck(
        images=len(received),
        values=received.size,
        exact_values=int(np.count_nonzero(off == 0)),
        most_steps_off=int(off.max()),
        root_mean_square_steps=_root_mean_square(off),
        float_root_mean_square_steps=_root_mean_square(float_off),
        same_class=int(np.count_nonzero(simulated.argmax(axis=-1) == received.argmax(axis=-1))),
    )


def require_simulated_outputs(check: OutputCheck) -> None:
    """Raises `VerificationError` if the device's outputs are others than the simulation's.

    The simulation computes in float32 what the device does in integers, and now and then rounds a
    value in the middle of the model to another integer, which grows on the way to the outputs. How
    much it grows, the rounding itself tells: of the distance between the device and the model
    without rounding, all but a part must be what is simulated.

    Args:
        check: `OutputCheck`.
    """
    if check.root_mean_square_steps <= check.most_root_mean_square_steps:
        return
    raise VerificationError(
        fault(
            "The device's outputs must be those of the model with its rounding simulated, but for "
            f"a root mean square of {check.most_root_mean_square_steps:.1f} steps",
            f"{check.root_mean_square_steps:.1f} steps, at most {check.most_steps_off}, on "
            f"{check.images} images, and {check.float_root_mean_square_steps:.1f} from the model "
            "without rounding",
        )
    )


def require_model_outputs(expected: np.ndarray, received: np.ndarray) -> None:
    """Raises `VerificationError` if what is quantized is another function than the given model.

    Args:
        expected: float array `(images, outputs)` of the model that was given.
        received: the same of the one that is quantized, without rounding.
    """
    size = _root_mean_square(expected)
    difference = _root_mean_square(expected - received)
    if difference <= MOST_FLOAT_DIFFERENCE * size:
        return
    raise VerificationError(
        fault(
            "Without rounding, what is exported must give the outputs of the run's model, but for "
            f"a root mean square of {MOST_FLOAT_DIFFERENCE:g} of theirs",
            f"a difference of {difference:.3g} from outputs of {size:.3g}, on {len(expected)} "
            "images",
        )
    )


def require_model_operations(noise: collections.abc.Iterable[OperationNoise]) -> None:
    """Raises `VerificationError` if an operation is not the model's.

    The float operation, with the model's own weights, computes from the inputs that the device
    has; what the device makes of them may differ by the rounding of weights and values. A wrong
    scale, weight or order of channels differs by much more.

    Args:
        noise: `tensor_noise.TensorNoise` of all activations.
    """
    wrong = [row for row in noise if row.position is not None and _is_another_operation(row)]
    if not wrong:
        return
    wrong.sort(key=lambda row: row.position or 0)
    named = "; ".join(
        f"{row.name} ({row.kind}): {row.own_signal_to_noise_decibels:.1f} dB, "
        f"{_own_steps(row):.1f} steps"
        for row in wrong[:_NAMED_OPERATIONS]
    )
    others = len(wrong) - _NAMED_OPERATIONS
    raise VerificationError(
        fault(
            "Every operation on the device must compute what the model's does from the same "
            f"inputs, but for noise at least {LEAST_OWN_DECIBELS:.0f} dB below it or a root mean "
            f"square of {MOST_OWN_NOISE_STEPS:.0f} step",
            named + (f"; and {others} more operations" if others > 0 else ""),
        )
    )


def require_same_outputs(expected: np.ndarray, received: np.ndarray) -> None:
    """Raises `VerificationError` unless a model's file gives the outputs that its operations do.

    Args:
        expected: int8 array `(images, ...)`, computed with all activations kept.
        received: the same, computed with activations that share memory.
    """
    different = np.any((expected != received).reshape(len(received), -1), axis=-1)
    if different.any():
        raise VerificationError(
            fault(
                "The model's file must give the outputs of its operations, byte for byte",
                f"other outputs for {np.count_nonzero(different)} of {len(received)} images",
            )
        )


def _is_another_operation(row):
    return (
        _own_steps(row) > MOST_OWN_NOISE_STEPS
        and row.own_signal_to_noise_decibels < LEAST_OWN_DECIBELS
    )


def _own_steps(row):
    return math.sqrt(row.own_noise_mean_square) / row.scale


def _root_mean_square(values):
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
