# SPDX-License-Identifier: Apache-2.0
"""What is known of one export: how well the model works on the device, and what it costs there."""

import collections
import dataclasses

from tflm.cycles.library_cycles import LibraryCycles
from tflm.graph.costs import OperationCost
from tflm.graph.graph import Shape
from tflm.next_steps import NextStep
from tflm.report.task_answers import TaskAnswers
from tflm.report.tensor_noise import TensorNoise
from tflm.settings import MOST_POINTS_LOST
from tflm.sources.runtime import Runtime
from tflm.verification.verification import Verification

FLOAT, QUANTIZATION_AWARE = "float", "quantization-aware"


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """Everything known of one export.

    Attributes:
        model_name: what the model calls itself.
        input_shape: shape of the input with the batch of 1 in front.
        answers: `TaskAnswers` of the trained model and of the device.
        keras_model: what the trained model is, `FLOAT` or `QUANTIZATION_AWARE`.
        verification: `Verification` that the export has passed.
        kernels: "builtin" or "fused".
        run_folder: path of the run, as the user has given it.
        runtime: what runs the model on the device, with the memory it takes.
        costs: `OperationCost` of each operation, in order of execution.
        model_multiply_adds: of the trained model, before zeros took the place of
            shuffles and of padding.
        noise: `tensor_noise.TensorNoise` of each activation, worst first; empty if
            it was not measured.
        is_own_model: whether the run's model was trained by other means than `python -m training`.
        most_points_lost: percentage points, as the task counts them, that the device may lose.
        time: `LibraryCycles`, estimated, if they were asked for and could be had.
        no_time: why they could not, a sentence.
        next_steps: `next_steps.NextStep`s, if the export is refused.
    """

    model_name: str
    input_shape: Shape
    answers: TaskAnswers
    keras_model: str
    verification: Verification
    kernels: str
    run_folder: str
    runtime: Runtime
    costs: tuple[OperationCost, ...]
    model_multiply_adds: int
    noise: tuple[TensorNoise, ...] = ()
    is_own_model: bool = False
    most_points_lost: float = MOST_POINTS_LOST
    time: LibraryCycles | None = None
    no_time: str = ""
    next_steps: tuple[NextStep, ...] = ()

    @property
    def is_refused(self) -> bool:
        """Whether significantly more is lost than it may: all of the interval lies beyond."""
        return self.answers.cost.points_lost_interval[0] > self.most_points_lost

    @property
    def frame(self) -> str:
        """Format of a frame, as users know it."""
        return "RGB888" if self.input_shape[-1] == 3 else "8-bit gray"

    @property
    def live_bytes(self) -> tuple[int, ...]:
        """RAM at each operation, as the runtime counts it."""
        return self.runtime.live_bytes

    @property
    def multiply_adds(self) -> int:
        """Of all convolutions and dense layers."""
        return sum(cost.multiply_adds for cost in self.costs)

    @property
    def operations_by_kind(self) -> dict[str, int]:
        """Number of operations of each kind, the commonest first."""
        return dict(collections.Counter(cost.kind for cost in self.costs).most_common())
