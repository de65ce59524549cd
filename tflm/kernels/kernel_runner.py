# SPDX-License-Identifier: Apache-2.0
"""Runs the C kernels: on this computer with sanitizers, or on an emulated Cortex-M that counts.

For tests and measurements. Each operator is one program; one start of it serves many calls.
"""

import collections.abc
import dataclasses
import enum
import hashlib
import os
import pathlib
import struct
import subprocess

import numpy as np

from tflm.kernels import c_files
from tflm.kernels.c_files import RUNNER_FOLDER
from tflm.kernels.packed_operation import PackedOperation
from tflm.kernels.registry import FORMS, KERNELS
from tflm.toolchains import emulator, host_compiler

_HOST_FLAGS = (
    "-std=c99",
    "-O1",
    "-g",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
)
# A kernel whose output overlaps its input, called with both of them in one array: anything, then
# the input, at least as large as the output.
OVERLAPPING_DEPTHWISE = "factorized_depthwise_conv_s8_overlap"
_OVERLAPPING = {OVERLAPPING_DEPTHWISE: "factorized_depthwise_conv_s8"}
_HEADERS = {
    form.name: form.runner_header for kernel in KERNELS.values() for form in kernel.forms
} | {OVERLAPPING_DEPTHWISE: f"{OVERLAPPING_DEPTHWISE}.h"}
_RESULT = struct.Struct("<iiQ")

Call = tuple[PackedOperation, collections.abc.Sequence[np.ndarray]]


class Target(enum.Enum):
    """Where kernels run. The PORTABLE ones are compiled without special instructions."""

    HOST = None
    CORTEX_M4 = emulator.Core.CORTEX_M4
    CORTEX_M7 = emulator.Core.CORTEX_M7
    CORTEX_M55 = emulator.Core.CORTEX_M55
    CORTEX_M4_PORTABLE = (emulator.Core.CORTEX_M4, "portable")


@dataclasses.dataclass(frozen=True)
class Result:
    """What one call gave.

    Attributes:
        status: 0, or a `micronet_status` of `bind` or of the kernel.
        buffer_bytes: size of the kernel's buffer.
        instructions: of the kernel alone, without `bind`; 0 on the host.
        output: int8 array, or `None` if the status is not 0.
    """

    status: int
    buffer_bytes: int
    instructions: int
    output: np.ndarray | None


class KernelRunnerError(RuntimeError):
    """A kernel ended its process. The message holds the sanitizer's words."""


def run(
    calls: collections.abc.Sequence[Call],
    target: Target,
    cache_folder: os.PathLike[str] | str,
    timeout: float = 120.0,
) -> list[Result]:
    """Runs packed operations of one operator.

    Args:
        calls: list of pairs: `PackedOperation`, tuple of int8 arrays, its inputs. The operator may
            be one of `registry.FORMS` or `OVERLAPPING_DEPTHWISE`.
        target: `Target`.
        cache_folder: folder for programs; created if missing.
        timeout: seconds until the program is stopped.

    Returns:
        A list of `Result`s.

    Raises:
        HostCompilerError: if the kernel does not compile.
        KernelRunnerError: if its process ends early, for instance because a sanitizer found an
            access outside of an array.
        emulator.EmulatorError: the same on an emulated processor.
    """
    operators = {operation.operator for operation, _ in calls}
    if len(operators) != 1:
        raise ValueError(
            f"Calls must be of one operator. Received: {', '.join(sorted(operators)) or 'none'}"
        )
    data = struct.pack("<i", len(calls)) + b"".join(_encoded(*call) for call in calls)
    (operator,) = operators
    if target is Target.HOST:
        answer = _run_on_host(operator, data, pathlib.Path(cache_folder), timeout)
    else:
        answer = _run_emulated(operator, data, target, cache_folder, timeout)
    return _decoded(answer, [operation for operation, _ in calls])


def sources(operator: str) -> list[pathlib.Path]:
    """Paths of an operator's C files, with those that all operators use."""
    return c_files.sources(_OVERLAPPING.get(operator, operator))


def _definitions(operator):
    called = _OVERLAPPING.get(operator, operator)
    return {
        "RUNNER_OPERATOR": called,
        "RUNNER_HEADER": f'"{_HEADERS.get(operator, f"{operator}.h")}"',
        "RUNNER_INPUTS": KERNELS[FORMS.get(called, called)].activations,
    }


def _encoded(operation, inputs):
    blobs = [operation.options]
    blobs += [np.ascontiguousarray(value, np.int8).tobytes() for value in inputs]
    blobs += [np.ascontiguousarray(value).tobytes() for value in operation.constants]
    sizes = [len(blob) for blob in blobs]
    head = [len(inputs), len(operation.constants), sizes[0], int(np.prod(operation.output_shape))]
    head += sizes[1:]
    return struct.pack(f"<{len(head)}i", *head) + b"".join(blobs)


def _decoded(answer, operations):
    results, place = [], 0
    for operation in operations:
        status, buffer_bytes, instructions = _RESULT.unpack_from(answer, place)
        place += _RESULT.size
        output = None
        if status == 0:
            size = int(np.prod(operation.output_shape))
            output = np.frombuffer(answer, np.int8, size, place).reshape(operation.output_shape)
            place += size
        results.append(Result(status, buffer_bytes, instructions, output))
    return results


def _run_emulated(operator, data, target, cache_folder, timeout):
    core, *variant = target.value if isinstance(target.value, tuple) else (target.value,)
    definitions = _definitions(operator)
    if variant:
        definitions["MICRONET_PORTABLE"] = 1
    program = emulator.build(
        core,
        [RUNNER_FOLDER / "kernel_runner.c", *sources(operator)],
        cache_folder,
        [*c_files.include_folders(), RUNNER_FOLDER],
        definitions,
    )
    return emulator.run(program, core, data, timeout)


def _run_on_host(operator, data, cache_folder, timeout):
    program = _host_program(operator, cache_folder)
    finished = subprocess.run([program], input=data, capture_output=True, timeout=timeout)
    if finished.returncode != 0:
        words = finished.stderr.decode("utf-8", errors="replace")
        raise KernelRunnerError(f"{operator} ended with status {finished.returncode}:\n{words}")
    return finished.stdout


def _host_program(operator, cache_folder):
    """Path of the program, compiled if any file of the kernels has changed."""
    flags = [*_HOST_FLAGS, *(f"-D{name}={value}" for name, value in _definitions(operator).items())]
    for folder in (*c_files.include_folders(), RUNNER_FOLDER, emulator.EMULATED_FOLDER):
        flags += ["-I", str(folder)]
    files = [RUNNER_FOLDER / "kernel_runner.c", RUNNER_FOLDER / "host_stdio.c", *sources(operator)]
    digest = hashlib.sha256(repr((flags, files)).encode())
    headers = [*c_files.headers(), *sorted(RUNNER_FOLDER.glob("*.h"))]
    for path in [*files, *headers]:
        digest.update(path.read_bytes())
    target = cache_folder / f"{operator}-{digest.hexdigest()[:32]}"
    if not target.exists():
        host_compiler.build(target, [*flags, *files])
    return target
