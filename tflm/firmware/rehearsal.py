# SPDX-License-Identifier: Apache-2.0
"""MLPerf Tiny on a board: what its runner would measure, and whether it would count."""

import argparse
import typing

from tflm.firmware import build
from tflm.toolchains import emulator

if typing.TYPE_CHECKING:  # what takes seconds to import
    import numpy as np

    from tflm.firmware.link.mlperf_tiny_inputs import Inputs
    from tflm.firmware.link.serial_client import Stream

PERFORMANCE, ACCURACY = "performance", "accuracy"
MODES = (PERFORMANCE, ACCURACY)
DOWNLOADS = 5  # that the benchmark takes the median of
_INPUTS_BETWEEN_LINES = 50
_RULE = "The inputs must be those of the model:"


def read_inputs(
    folder: str | None,
    images: "tuple[np.ndarray, np.ndarray] | None",
    options: argparse.Namespace,
) -> "Inputs":
    """The images to send, before anything is built.

    Args:
        folder: with the benchmark's files, or `None`.
        images: arrays of images and labels without it.
        options: of the command.

    Raises:
        ValueError: they are not as they must be, or not for the model.
        ImportError: the mode needs a package that is missing.
    """
    from tflm.firmware.benchmark_tasks import task_of_model
    from tflm.firmware.link import mlperf_tiny_inputs, mlperf_tiny_scores

    if options.mode == ACCURACY:
        mlperf_tiny_scores.require_scikit_learn()
    if images is not None:
        inputs = mlperf_tiny_inputs.of_arrays(*images, options.first)
    else:
        assert folder is not None
        count = DOWNLOADS if options.mode == PERFORMANCE else None
        inputs = mlperf_tiny_inputs.read_folder(folder, options.first, options.count or count)
    if options.model is not None and (task := task_of_model(options.model)) != inputs.task:
        raise ValueError(f"{_RULE} {task}. Received: {inputs.task}")
    return inputs


def run(stream: "Stream", inputs: "Inputs", options: argparse.Namespace) -> None:
    """Does what the benchmark's runner does, and prints what comes of it.

    Args:
        stream: a board with firmware of this application.
        inputs: what `read_inputs` has returned.
        options: of the command.

    Raises:
        SerialLineError: the board does not do its part, or its model is for another task.
    """
    from tflm.firmware.link.mlperf_tiny_runner import BenchmarkRunner
    from tflm.firmware.link.serial_client import SerialLineError

    runner = BenchmarkRunner(
        stream, options.answer_seconds, options.most_seconds, options.most_bytes
    )
    if options.port is None:
        runner.wait_for_start()
    else:
        runner.synchronize()
    identity = runner.identity()
    print(f"{identity.name}, task {identity.task.name}: {identity.task}", flush=True)
    if identity.task != inputs.task:
        raise SerialLineError(f"{_RULE} {identity.task}. Received: {inputs.task}")
    if options.mode == PERFORMANCE:
        _measure(runner, inputs, options)
    else:
        _classify(runner, inputs)


def clock_of(options: argparse.Namespace) -> str:
    """Whose time a board's timestamps are, in words; "" for a real board."""
    if options.port is not None:
        return ""
    if build.emulation(options.platform) is None:
        return "this computer's"
    return f"the emulator's, {emulator.INSTRUCTION_NS} ns an instruction, and no chip's"


def _measure(runner, inputs, options):
    from tflm.firmware.link import mlperf_tiny_runner

    windows = []
    for sample in inputs.samples:
        runner.load(sample.data)
        window = runner.infer(options.inferences, options.warmups)
        windows.append(window)
        print(
            f"{sample.name}: {window.inferences} inferences in {window.seconds:.6f} s, "
            f"{window.rate:.3f} a second",
            flush=True,
        )
    rate = mlperf_tiny_runner.median_rate(windows)
    print(f"median of {len(windows)} downloads: {rate:.3f} inferences a second")
    clock = clock_of(options)
    if clock:
        print(f"The time is {clock}: this is a rehearsal, not a result.")
        return
    for sentence in mlperf_tiny_runner.complaints(windows):
        print(f"The benchmark would not count it. {sentence}")


def _classify(runner, inputs):
    import numpy as np

    from tflm.firmware.link.mlperf_tiny_scores import area_under_curve, top_1

    results = []
    for number, sample in enumerate(inputs.samples, 1):
        runner.load(sample.data)
        results.append(runner.infer(1, 0).probabilities)
        if number % _INPUTS_BETWEEN_LINES == 0:
            print(f"{number} of {len(inputs.samples)} inputs", flush=True)
    probabilities = np.array(results)
    labels = np.array([sample.label for sample in inputs.samples])
    curve = area_under_curve(probabilities, labels)
    area = "none, for a class has no inputs" if curve is None else f"{curve:.3f}"
    print(f"top-1 {100 * top_1(probabilities, labels):.1f}% of {len(labels)} inputs, AUC {area}")
