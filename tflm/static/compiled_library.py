# SPDX-License-Identifier: Apache-2.0
"""A library of `c_library`, compiled for this computer and compared with the interpreter.

It runs in this process, where a fault of it ends the process. What a model decides of its text
are numbers that the interpreter's kernels have checked before, and letters in comments; names of
files, functions and constants do not depend on the model. It is compiled in a folder that nobody
else can write to, and sees no libraries but C's.
"""

import collections.abc
import ctypes
import os
import pathlib
import tempfile

import numpy as np

from tflm.sources import c_arrays
from tflm.static.memory_plan import ALIGNMENT
from tflm.toolchains import host_compiler
from tflm.verification.verification import VerificationError, fault

# "symbolic": it calls its own functions, whatever other libraries this process has loaded.
_FLAGS = ("-std=c99", "-O2", "-fPIC", "-shared", "-Wl,-z,defs", "-Wl,-Bsymbolic")
_GUARD_BYTES = 4096  # before and behind the arena
_GUARD_VALUE = 0x5A
_CALLER = pathlib.Path(__file__).with_name("library_caller.c")


class CompiledLibraryError(RuntimeError):
    """A library refused an image, or wrote outside of its arena."""


class CompiledLibrary:
    """A library, ready to run.

    Attributes:
        arena_bytes: RAM that it asks for to run whole images.
        rows_arena_bytes: RAM that it asks for to run images row by row, or `None` if it has no
            functions for that.
    """

    def __init__(
        self, files: collections.abc.Mapping[str, str | bytes], name: str = "micronet_model"
    ) -> None:
        """Compiles and loads a library.

        Args:
            files: what `c_library.static_library` has made.
            name: the name it was made with.

        Raises:
            HostCompilerError: if there is no compiler, or it refuses the library.
        """
        has_rows = f"{name}_rows.h" in files
        definitions = {"NAME": name, "CAPITALS": name.upper(), "HEADER": f'"{name}.h"'}
        if has_rows:
            definitions["ROWS_HEADER"] = f'"{name}_rows.h"'
        self._library = _compiled(files, definitions)
        self._message = self._library.micronet_status_message
        self._message.restype = ctypes.c_char_p
        self.arena_bytes = self._library.caller_arena_bytes()
        self.rows_arena_bytes = self._library.caller_rows_arena_bytes() if has_rows else None
        self._input_bytes = self._library.caller_input_bytes()
        self._output_bytes = self._library.caller_output_bytes()

    def run(self, images: np.ndarray) -> np.ndarray:
        """Runs the model on each image by the functions that take a whole one.

        Args:
            images: int8 array of shape (number, height, width, channels).

        Returns:
            int8 array of shape (number, output bytes).

        Raises:
            ValueError: `images` has another dtype or size.
            CompiledLibraryError: the library refused an image, or wrote outside of its arena.
        """
        return self._run_each(self._library.caller_run, self.arena_bytes, images)

    def run_rows(self, images: np.ndarray) -> np.ndarray:
        """Runs the model on each image by the functions that take row after row.

        Args, Returns: as for `run`.

        Raises:
            ValueError: as for `run`, or the library has no such functions.
            CompiledLibraryError: as for `run`.
        """
        if self.rows_arena_bytes is None:
            raise ValueError(
                "The model must begin with a stem to be run row by row. Received: another one"
            )
        return self._run_each(self._library.caller_rows_run, self.rows_arena_bytes, images)

    def _run_each(self, function, arena_bytes, images):
        images = np.ascontiguousarray(images)
        if images.dtype != np.int8 or images.ndim != 4 or images[:1].size != self._input_bytes:
            raise ValueError(
                f"Images must be int8 of {self._input_bytes} bytes each. "
                f"Received: {images.dtype} of shape {images.shape}"
            )
        arena = _GuardedArena(arena_bytes)
        outputs = np.empty((len(images), self._output_bytes), np.int8)
        for index, (image, output) in enumerate(zip(images, outputs, strict=True)):
            status = function(arena.address, _address(image), _address(output))
            if status != 0:
                words = self._message(status).decode()
                raise CompiledLibraryError(
                    f"The C library must accept every image. Received for image {index}: {words}"
                )
        arena.check()
        return outputs


class _GuardedArena:
    """An arena of exactly so many bytes, between bytes that must stay as they are."""

    def __init__(self, size):
        memory = np.full(size + 2 * _GUARD_BYTES + ALIGNMENT, _GUARD_VALUE, np.uint8)
        start = _GUARD_BYTES + -(memory.ctypes.data + _GUARD_BYTES) % ALIGNMENT
        self._guards = memory[:start], memory[start + size :]
        self.address = _address(memory[start:])

    def check(self):
        """Raises `CompiledLibraryError` if something was written outside."""
        changed = sum(np.count_nonzero(guard != _GUARD_VALUE) for guard in self._guards)
        if changed:
            raise CompiledLibraryError(
                "The C library must write in its arena only. "
                f"Received: {changed} changed bytes around it"
            )


def _address(array):
    return ctypes.c_void_p(array.ctypes.data)


def _compiled(files, definitions):
    """The library, loaded for this module alone; the files are gone when it returns."""
    with tempfile.TemporaryDirectory(prefix="micronet_library_") as name:
        folder = pathlib.Path(name)
        paths = c_arrays.write_files(files, folder)
        sources = [path for path in paths if path.suffix == ".c"]
        library = folder / "library.so"
        words = [f"-D{macro}={value}" for macro, value in definitions.items()]
        host_compiler.build(library, [*_FLAGS, *words, "-I", folder, *sources, _CALLER])
        return ctypes.CDLL(os.fspath(library))


def require_equal_outputs(
    library: CompiledLibrary, parts: collections.abc.Iterable[tuple[np.ndarray, np.ndarray]]
) -> None:
    """Compares a library, both ways that it can be called, with TensorFlow Lite Micro.

    Args:
        library: `CompiledLibrary`.
        parts: pairs of images, int8 (number, height, width, channels), and TensorFlow Lite
            Micro's outputs for them, int8 (number, ...).

    Raises:
        VerificationError: if an output differs in a byte.
        CompiledLibraryError: the library refused an image, or wrote outside of its arena.
    """
    ways = {"as a whole": library.run}
    if library.rows_arena_bytes is not None:
        ways["row by row"] = library.run_rows
    count, different = 0, dict.fromkeys(ways, 0)
    for images, outputs in parts:
        count += len(images)
        for way, run in ways.items():
            flat = outputs.reshape(len(outputs), -1)
            different[way] += int(np.any(run(images) != flat, axis=-1).sum())
    if any(different.values()):
        received = ", ".join(f"{number} images {way}" for way, number in different.items())
        raise VerificationError(
            fault(
                "The C library must give TensorFlow Lite Micro's outputs, byte for byte",
                f"other outputs for {received}, of {count} images",
            )
        )
