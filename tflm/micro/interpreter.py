# SPDX-License-Identifier: Apache-2.0
"""Runs models in the real TensorFlow Lite Micro, from its Python wheel.

Needs the package `tflite-micro`. The interpreter inside is the C++ code that runs
on a device, compiled for this machine, with the portable reference kernels. For
models with operators of `tflm.kernels` it needs a C++ compiler, too.
"""

import collections.abc
import contextlib
import dataclasses
import itertools
import math
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
from ai_edge_litert import interpreter as litert
from ai_edge_litert import schema_py_generated as schema

from tflm.kernels.registry import KERNELS
from tflm.micro import wheel_kernels

try:
    from tflite_micro import runtime
except ImportError:
    runtime = None

_FILE_IDENTIFIER = b"TFL3"
_IDENTIFIER_END = 8
_LEFT_OUT = -1  # index of an optional input that is not there

# What measuring takes place in. It is only reserved, not touched.
_GENEROUS_ARENA_BYTES = 64 * 1024 * 1024
_ARENA_BYTES_FOR_MANY_OUTPUTS = 8 * _GENEROUS_ARENA_BYTES
_ARENA_ALIGNMENT = 16

# Bytes that each of these structures is larger with 64-bit pointers than with 32-bit ones.
_WIDER_EVAL_TENSOR_BYTES = 24 - 12  # two pointers and an enumeration
_WIDER_NODE_BYTES = 64 - 32  # seven pointers and an int

# Sizes to try: each by this factor more than the last, up to a limit.
_TRIAL_GROWTH = 17 / 16
_TRIAL_LIMIT_FACTOR = 4
_TRIAL_LIMIT_BYTES = 64 * 1024

# Allocating in an arena that is too small can crash inside TensorFlow Lite Micro, so that
# sizes are tried in a process of their own.
_TRIAL_PROGRAM = """
import ctypes
import sys
from tflite_micro import runtime
size, library, *names = sys.argv[1:]
if names:
    handle = ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
    handle.micronet_connect(ctypes.c_char_p(runtime._runtime.__file__.encode()))
model = sys.stdin.buffer.read()
runtime.Interpreter.from_bytes(model, custom_op_registerers=names, arena_size=int(size))
"""


class MicroInterpreterError(RuntimeError):
    """TensorFlow Lite Micro refused a model. The message holds its own words."""


@dataclasses.dataclass(frozen=True)
class ArenaUsage:
    """Bytes of RAM that a model takes, as TensorFlow Lite Micro's allocator reports.

    Measured on a host with 64-bit pointers, whose bookkeeping is wider than that
    of a 32-bit device, so that the device takes less with the same (reference)
    kernels. Optimised kernels such as CMSIS-NN's may ask for scratch buffers on top.

    Attributes:
        activation_bytes: the head of the arena: activations and scratch buffers,
            laid over each other by lifetime.
        persistent_bytes: the tail: what the kernels and the interpreter keep.
        wider_bytes: part of `persistent_bytes` that is known not to be needed with
            32-bit pointers: 12 bytes a tensor and 32 an operation. There is more,
            within kernels' own data, which is not counted.
    """

    activation_bytes: int
    persistent_bytes: int
    wider_bytes: int

    @property
    def total_bytes(self) -> int:
        """The whole arena after allocation."""
        return self.activation_bytes + self.persistent_bytes


class _LoadedModel:
    """A model in TensorFlow Lite Micro, with one int8 input and int8 outputs."""

    def __init__(
        self, model: bytes, arena_bytes: int, custom_operators: collections.abc.Sequence[str]
    ) -> None:
        _require_runtime()
        check_model(model)
        registerers = wheel_kernels.load(custom_operators)
        with _native_messages() as messages:
            try:
                self._interpreter = runtime.Interpreter.from_bytes(
                    model, custom_op_registerers=registerers, arena_size=arena_bytes
                )
            except (RuntimeError, ValueError, MemoryError) as error:
                raise _failure("cannot load the model", error, messages()) from error
            self._interpreter.print_allocations()
            self.arena = _parse_arena(messages())
        self.input_shape = _only("input", self._shapes(self._interpreter.get_input_details))
        self._output_shapes: list[tuple[int, ...]] = self._shapes(
            self._interpreter.get_output_details
        )

    def _run_each(self, inputs: np.ndarray) -> list[np.ndarray]:
        """Runs the model on each input in turn.

        Returns:
            A list with an array of shape (number, *shape[1:]) for each output.
        """
        inputs = self._checked(inputs)
        outputs = [np.empty((len(inputs), *shape[1:]), np.int8) for shape in self._output_shapes]
        with _native_messages() as messages:
            for index, value in enumerate(inputs):
                try:
                    self._interpreter.set_input(value[np.newaxis], 0)
                    self._interpreter.invoke()
                except RuntimeError as error:
                    raise _failure(f"failed on input {index}", error, messages()) from error
                for position, output in enumerate(outputs):
                    output[index] = self._interpreter.get_output(position)[0]
        return outputs

    def _checked(self, inputs: np.ndarray) -> np.ndarray:
        inputs = np.asarray(inputs)
        if inputs.dtype != np.int8 or inputs.shape[1:] != self.input_shape[1:]:
            expected = ", ".join(["number", *map(str, self.input_shape[1:])])
            raise ValueError(
                f"Inputs must be int8 of shape ({expected}). "
                f"Received: {inputs.dtype} of shape {inputs.shape}"
            )
        return inputs

    def _shapes(self, details_of):
        """Shapes of all inputs or of all outputs, which must be int8."""
        shapes = []
        with _native_messages():
            for position in itertools.count():
                try:
                    details = details_of(position)
                except IndexError:
                    return shapes
                shapes.append(_int8_shape(details))


class MicroInterpreter(_LoadedModel):
    """A model with one int8 input and one int8 output, ready to run.

    Not thread-safe: while native code runs, its messages are collected by
    redirecting the process's standard error.

    Attributes:
        arena: `ArenaUsage` of the model.
        input_shape: shape of one input, with the batch of 1 in front.
        output_shape: shape of one output.
    """

    def __init__(self, model: bytes, custom_operators: collections.abc.Sequence[str] = ()) -> None:
        """Loads a model and allocates its tensors.

        Args:
            model: bytes of a TensorFlow Lite flatbuffer. They may come from
                anywhere: they are verified before native code runs them.
            custom_operators: operators of `tflm.kernels` that the model may use,
                such as "residual_add_s8"; see `wheel_kernels.operators`.

        Raises:
            ImportError: the tflite-micro wheel is not installed.
            ValueError: `model` is not a valid TensorFlow Lite flatbuffer, or its
                input or output is not one int8 tensor, or there is no such operator.
            MicroInterpreterError: TensorFlow Lite Micro cannot run it.
            host_compiler.HostCompilerError: the operators could not be compiled.
            kernel_library.KernelLibraryError: they do not fit the installed wheel.
        """
        super().__init__(model, _GENEROUS_ARENA_BYTES, custom_operators)
        self.output_shape = _only("output", self._output_shapes)

    def run(self, inputs: np.ndarray) -> np.ndarray:
        """Runs the model on each input in turn.

        Args:
            inputs: int8 array of shape (number, height, width, channels), or more
                generally (number, *input_shape[1:]).

        Returns:
            int8 array of shape (number, *output_shape[1:]).

        Raises:
            ValueError: `inputs` has another dtype or shape.
            MicroInterpreterError: the model failed while it ran.
        """
        return self._run_each(inputs)[0]


class MultipleOutputInterpreter(_LoadedModel):
    """A model with one int8 input and any number of int8 outputs, ready to run.

    It serves to look inside a model: TensorFlow Lite Micro keeps a tensor that is
    made an output until the end. Not thread-safe, like `MicroInterpreter`.

    Attributes:
        arena: `ArenaUsage` of the model with all outputs kept.
        input_shape: shape of one input, with the batch of 1 in front.
        output_shapes: shape of each output, in the model's order.
    """

    def __init__(self, model: bytes, custom_operators: collections.abc.Sequence[str] = ()) -> None:
        """Loads a model and allocates its tensors.

        Args, Raises: as for `MicroInterpreter`, save for the number of outputs.
        """
        super().__init__(model, _ARENA_BYTES_FOR_MANY_OUTPUTS, custom_operators)
        self.output_shapes = tuple(self._output_shapes)

    def run(self, inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        """Runs the model on each input in turn.

        Args:
            inputs: int8 array of shape (number, *input_shape[1:]).

        Returns:
            A tuple of int8 arrays, (number, *shape[1:]) for each of `output_shapes`.

        Raises:
            ValueError: `inputs` has another dtype or shape.
            MicroInterpreterError: the model failed while it ran.
        """
        return tuple(self._run_each(inputs))


def _only(role: str, shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape of the only input or output."""
    if len(shapes) != 1:
        received = "more than one" if shapes else "none"
        raise ValueError(
            f"A model must have one {role}, int8 with a batch of 1. Received: {received}"
        )
    return shapes[0]


def _int8_shape(details):
    """The shape that an input's or output's details tell, if it is int8 with a batch of 1."""
    shape = tuple(int(size) for size in details["shape"])
    if details["dtype"] != np.int8 or shape[:1] != (1,):
        raise ValueError(
            "A model's inputs and outputs must be int8 with a batch of 1. "
            f"Received: {np.dtype(details['dtype']).name} of shape {shape}"
        )
    return shape


def check_model(model: bytes) -> None:
    """Checks that bytes are a TensorFlow Lite model that native code may read.

    TensorFlow Lite Micro follows the offsets in a file without looking where they
    point. So the file's ends are checked here, and then all of it by the verifier
    of desktop TensorFlow Lite, which also compares constants with their shapes.

    That keeps broken files out of native code. It is no sandbox: a graph of sound
    structure that makes no sense can still stop the process.

    Args:
        model: the file's bytes.

    Raises:
        TypeError: `model` is not `bytes`.
        ValueError: it is not a valid TensorFlow Lite flatbuffer.
    """
    if not isinstance(model, bytes):
        raise TypeError(f"A model must be bytes. Received: {type(model).__name__}")
    if len(model) < _IDENTIFIER_END or model[4:_IDENTIFIER_END] != _FILE_IDENTIFIER:
        raise ValueError(
            "A model must be a TensorFlow Lite flatbuffer, with the bytes TFL3 at offset 4. "
            f"Received: {len(model)} bytes that begin with {model[:_IDENTIFIER_END]!r}"
        )
    root = int.from_bytes(model[:4], "little")
    if root % 4 or not _IDENTIFIER_END <= root <= len(model) - 4:
        raise ValueError(
            "A model's root must be an offset within the file, divisible by 4. "
            f"Received: offset {root} in {len(model)} bytes"
        )
    with _native_messages():
        try:
            litert.Interpreter(
                model_content=model,
                experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF,
            )
        except (ValueError, RuntimeError) as error:
            raise ValueError(
                f"A model must pass TensorFlow Lite's verifier. Received: {str(error).strip()}"
            ) from error
    _check_indices(schema.Model.GetRootAs(model, 0))


def _check_indices(model):
    """Checks what the verifier leaves out: numbers of tensors and operators."""
    for graph_number in range(model.SubgraphsLength()):
        graph = model.Subgraphs(graph_number)
        indices = [graph.InputsAsNumpy(), graph.OutputsAsNumpy()]
        for number in range(graph.OperatorsLength()):
            operator = graph.Operators(number)
            inputs = np.atleast_1d(operator.InputsAsNumpy())
            indices += [inputs[inputs != _LEFT_OUT], operator.OutputsAsNumpy()]
            _check_range("operator code", operator.OpcodeIndex(), model.OperatorCodesLength())
        for index in np.concatenate([np.atleast_1d(part) for part in indices]):
            _check_range("tensor", index, graph.TensorsLength())


def _check_range(what, index, length):
    if not 0 <= index < length:
        raise ValueError(f"A model's {what} index must be in [0, {length}). Received: {index}")


def required_arena_bytes(
    model: bytes, arena: ArenaUsage, custom_operators: collections.abc.Sequence[str] = ()
) -> int:
    """Size of an arena in which a model can be allocated.

    While tensors are allocated, TensorFlow Lite Micro needs room for temporary
    structures, too. Where activations are large these fit in their place, and the
    total that it reports in the end is enough; a very small model needs more. So
    sizes are tried, from that total upwards.

    Args:
        model: bytes of a model that `MicroInterpreter` has loaded.
        arena: the `ArenaUsage` that it then had.
        custom_operators: those that it was loaded with.

    Returns:
        Bytes, a multiple of 16, in which allocation succeeded on this host.

    Raises:
        ImportError: the tflite-micro wheel is not installed.
        MicroInterpreterError: no size near the reported total suffices.
    """
    _require_runtime()
    size = _round_up(arena.total_bytes)
    limit = _TRIAL_LIMIT_FACTOR * size + _TRIAL_LIMIT_BYTES
    words = ""
    while size <= limit:
        words = _words_of_trial(model, size, custom_operators)
        if words is None:
            return size
        size = _round_up(math.ceil(size * _TRIAL_GROWTH))
    raise MicroInterpreterError(
        f"TensorFlow Lite Micro cannot load the model in an arena of {limit} bytes: {words}"
    )


def _require_runtime():
    if runtime is None:
        raise ImportError(
            "Running a model in TensorFlow Lite Micro needs its Python package: "
            "pip install tflite-micro"
        )


def _round_up(size):
    return -(-size // _ARENA_ALIGNMENT) * _ARENA_ALIGNMENT


def _words_of_trial(model, size, custom_operators=()):
    """What TensorFlow Lite Micro says to an arena of `size`; `None` if it is enough."""
    library, names = "", []
    if custom_operators:
        library = str(wheel_kernels.build(custom_operators))
        names = [KERNELS[operator].kind for operator in custom_operators]
    trial = subprocess.run(
        [sys.executable, "-c", _TRIAL_PROGRAM, str(size), library, *names],
        input=model,
        capture_output=True,
        check=False,
    )
    if trial.returncode == 0:
        return None
    return trial.stderr.decode("utf-8", errors="replace") or f"status {trial.returncode}"


def _parse_arena(printout):
    """Reads the printout of TensorFlow Lite Micro's RecordingMicroAllocator."""

    def number(pattern):
        match = re.search(pattern, printout)
        return int(match.group(1)) if match else None

    head = number(r"Arena allocation head (\d+) bytes")
    tail = number(r"Arena allocation tail (\d+) bytes")
    if head is None or tail is None:
        raise MicroInterpreterError(
            f"TensorFlow Lite Micro did not report its arena. Received: {printout!r}"
        )
    tensors = number(r"'TfLiteEvalTensor data' used .* for (\d+) ") or 0
    nodes = number(r"'NodeAndRegistration struct' used .* for (\d+) ") or 0
    wider = tensors * _WIDER_EVAL_TENSOR_BYTES + nodes * _WIDER_NODE_BYTES
    return ArenaUsage(head, tail, wider)


def _failure(what, error, messages):
    words = " ".join(messages.split()) or "no message"
    return MicroInterpreterError(f"TensorFlow Lite Micro {what}: {error}: {words}")


@contextlib.contextmanager
def _native_messages() -> collections.abc.Iterator[collections.abc.Callable[[], str]]:
    """Collects what native code writes to standard error.

    Yields:
        A function that returns the text written so far.
    """
    with tempfile.TemporaryFile() as log:

        def messages():
            size = os.fstat(log.fileno()).st_size
            return os.pread(log.fileno(), size, 0).decode("utf-8", errors="replace")

        if sys.stderr is not None:
            sys.stderr.flush()
        try:
            saved = os.dup(2)
        except OSError:  # standard error is closed
            saved = None
        os.dup2(log.fileno(), 2)
        try:
            yield messages
        finally:
            if saved is None:
                os.close(2)
            else:
                os.dup2(saved, 2)
                os.close(saved)
