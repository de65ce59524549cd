"""Runs the C kernels: on this computer with sanitizers, or on an emulated Cortex-M that counts.

For tests and measurements. Each operator is one program; one start of it serves many calls.
"""

import dataclasses
import enum
import functools
import hashlib
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile

import numpy as np

from tflm import emulator
from tflm.kernels import c_files
from tflm.kernels.c_files import RUNNER_FOLDER

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
_INPUTS = {"residual_add_s8": 2}  # all others have one
# Another form of an operator, with its own functions and those of the operator.
_FORMS = {"factorized_stem_rows_s8": "factorized_stem_s8"}
_HEADERS = {"factorized_stem_rows_s8": "factorized_stem_rows_s8_image.h"}
_RESULT = struct.Struct("<iiQ")


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
    """A kernel could not be compiled, or ended its process. The message holds the tool's words."""


def run(calls, target, cache_folder, timeout=120.0):
    """Runs packed operations of one operator.

    Args:
        calls: list of pairs: `FusedOperation`, tuple of int8 arrays, its inputs.
        target: `Target`.
        cache_folder: folder for programs; created if missing.
        timeout: seconds until the program is stopped.

    Returns:
        A list of `Result`s.

    Raises:
        KernelRunnerError: if the kernel does not compile or its process ends early, for instance
            because a sanitizer found an access outside of an array.
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


def sources(operator):
    """Paths of an operator's C files, with those that all operators use."""
    own = c_files.operator_sources(operator)
    if operator in _FORMS:
        own += c_files.operator_sources(_FORMS[operator])
    return [*own, *c_files.common_sources()]


def _definitions(operator):
    return {
        "RUNNER_OPERATOR": operator,
        "RUNNER_HEADER": f'"{_HEADERS.get(operator, f"{operator}.h")}"',
        "RUNNER_INPUTS": _INPUTS.get(operator, 1),
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
    for folder in (*c_files.include_folders(), RUNNER_FOLDER, emulator.PLATFORMS_FOLDER):
        flags += ["-I", str(folder)]
    files = [RUNNER_FOLDER / "kernel_runner.c", RUNNER_FOLDER / "host_stdio.c", *sources(operator)]
    digest = hashlib.sha256(repr((flags, files)).encode())
    headers = [*c_files.headers(), *sorted(RUNNER_FOLDER.glob("*.h"))]
    for path in [*files, *headers]:
        digest.update(path.read_bytes())
    target = cache_folder / f"{operator}-{digest.hexdigest()[:32]}"
    if not target.exists():
        cache_folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache_folder, prefix="unfinished_") as folder:
            unfinished = pathlib.Path(folder) / target.name
            _compile([*flags, *map(str, files), "-o", str(unfinished)])
            os.replace(unfinished, target)
    return target


def _compile(arguments):
    compiler = _compiler()
    finished = subprocess.run([compiler, *arguments], capture_output=True, text=True)
    if finished.returncode != 0:
        raise KernelRunnerError(f"{compiler} {' '.join(arguments)}\n{finished.stderr}")


@functools.lru_cache(maxsize=1)
def _compiler():
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise KernelRunnerError("gcc must be installed. On Debian: apt-get install gcc")
    return compiler
