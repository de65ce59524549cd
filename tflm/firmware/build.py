# SPDX-License-Identifier: Apache-2.0
"""Builds the firmware of an exported model with CMake."""

import collections.abc
import contextlib
import dataclasses
import os
import pathlib
import re
import subprocess

from tflm.firmware.benchmark_tasks import task_of_model
from tflm.firmware.exported_model import grid_task_of
from tflm.settings import RUNTIMES, STATIC, TFLM
from tflm.toolchains import emulator

SOURCES_FOLDER = pathlib.Path(__file__).resolve().parent
APPLICATION_FOLDER = SOURCES_FOLDER / "app"
HOST = "host"
CAMERA, MLPERF_TINY = "camera", "mlperf-tiny"
APPLICATIONS = (CAMERA, MLPERF_TINY)
# What an export for a runtime has, and one for the other has not.
_MODEL_FILES = {STATIC: "src/micronet_model.h", TFLM: "src/model_data.h"}
_SETTINGS_FILE = "src/model_settings.h"
_CMAKE_SOURCE = "CMAKE_HOME_DIRECTORY:INTERNAL="
_MOST_CACHE_BYTES = 1 << 22
_PLATFORM_FILE = "platform.cmake"
_SETTING = re.compile(r"^\s*set\((\w+)\s+([^()]*)\)", re.MULTILINE)
_LOCK_PREFIX = ".micronet-lock"
_HOST_COMPILERS = ("gcc", "g++")
_BOARD_COMPILERS = (emulator.COMPILER, "arm-none-eabi-g++")


@dataclasses.dataclass(frozen=True)
class ProgramSize:
    """What a program takes of a board's memories, in bytes.

    Attributes:
        flash: code, constants and the initial values of variables.
        ram: variables, buffers and the stack.
    """

    flash: int
    ram: int


@dataclasses.dataclass(frozen=True)
class Emulation:
    """How QEMU runs a platform's programs.

    Attributes:
        machine: QEMU's name of the board.
        definitions: mapping from names of CMake variables to the values that a program for the
            emulated board, but not for the real one, is built with.
    """

    machine: str
    definitions: dict[str, str]


def platforms() -> list[str]:
    """Names of the platforms that come with the firmware."""
    return sorted(path.parent.name for path in SOURCES_FOLDER.glob(f"platforms/*/{_PLATFORM_FILE}"))


def emulation(platform: os.PathLike[str] | str) -> Emulation | None:
    """The platform's `Emulation`, as `set(QEMU_MACHINE ...)` and, if there is one,
    `set(QEMU_DEFINITIONS name=value ...)` of its `platform.cmake` say; `None` without.

    Args:
        platform: as for `build`.
    """
    settings = _platform_settings(platform)
    if "QEMU_MACHINE" not in settings:
        return None
    pairs = (word.partition("=") for word in settings.get("QEMU_DEFINITIONS", "").split())
    return Emulation(settings["QEMU_MACHINE"], {name: value for name, _, value in pairs})


def is_for_this_computer(platform: os.PathLike[str] | str) -> bool:
    """Whether this computer runs the platform's programs.

    Args:
        platform: as for `build`.
    """
    return not {"PLATFORM_PROCESSOR", "PLATFORM_TOOLCHAIN_FILE"} & set(_platform_settings(platform))


def _platform_settings(platform):
    folder = SOURCES_FOLDER / "platforms" / platform if platform in platforms() else platform
    text = pathlib.Path(folder, _PLATFORM_FILE).read_text(encoding="utf-8", errors="replace")
    return dict(_SETTING.findall(text))


def check(
    model: os.PathLike[str] | str,
    platform: os.PathLike[str] | str,
    runtime: str,
    tflm_root: os.PathLike[str] | str | None = None,
    application: str = CAMERA,
) -> None:
    """Raises `ValueError` unless there is a firmware of these; builds nothing.

    Args:
        model, platform, runtime, tflm_root: as for `build`.
        application: one of `APPLICATIONS`; for "mlperf-tiny" the model must be for a task of that
            benchmark.
    """
    if runtime not in RUNTIMES:
        raise ValueError(f"runtime must be one of {', '.join(RUNTIMES)}. Received: {runtime!r}")
    if platform not in platforms() and not pathlib.Path(platform, _PLATFORM_FILE).is_file():
        raise ValueError(
            f"platform must be one of {', '.join(platforms())}, or a folder with platform.cmake. "
            f"Received: {platform!r}"
        )
    for name in (_SETTINGS_FILE, _MODEL_FILES[runtime]):
        if not pathlib.Path(model, name).is_file():
            raise ValueError(
                f"model must be a folder that `python -m tflm RUN --runtime {runtime}` has "
                f"written. Received: {model} without {name}"
            )
    if runtime == TFLM and tflm_root is None:
        raise ValueError(
            "The runtime tflm needs a folder with the sources of TensorFlow Lite Micro. "
            "Received: none"
        )
    grid_task_of(model)
    if application == MLPERF_TINY:
        task_of_model(model)


def check_folder(build_folder: os.PathLike[str] | str) -> None:
    """Raises `ValueError` unless a program may be built in a folder: CMake writes over files.

    Args:
        build_folder: its path; a new or empty folder, or one that this firmware was built in.
    """
    folder = pathlib.Path(build_folder)
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise ValueError(f"build must be a folder. Received: build={build_folder}")
    others = [path.name for path in folder.iterdir() if not path.name.startswith(_LOCK_PREFIX)]
    if others and _source_of(folder) != str(SOURCES_FOLDER):
        raise ValueError(
            "build must be a new or empty folder, or one that this firmware was built in before. "
            f"Received: build={build_folder}, which holds {sorted(others)[0]}"
        )


def _source_of(build_folder):
    """The folder that CMake has built there, as its cache says; `None` if it has not."""
    try:
        with open(build_folder / "CMakeCache.txt", encoding="utf-8", errors="replace") as file:
            for line in file.read(_MOST_CACHE_BYTES).splitlines():
                if line.startswith(_CMAKE_SOURCE):
                    return line.removeprefix(_CMAKE_SOURCE)
    except OSError:
        pass
    return None


def reserved_folder(
    build_folder: os.PathLike[str] | str,
) -> contextlib.AbstractContextManager[object]:
    """Makes a folder to build in and keeps other commands out of it.

    For use as a context.

    Args:
        build_folder: its path; `check_folder` has accepted it.

    Returns:
        A context manager.

    Raises:
        FolderInUseError: another command builds there.
        OSError: it cannot be made or written to.
    """
    from keras_micronet.files import locks  # imports TensorFlow, which a build does not need

    folder = pathlib.Path(build_folder)
    folder.mkdir(parents=True, exist_ok=True)
    return locks.acquire(folder / locks.LOCK_NAME, build_folder)


def build(
    model: os.PathLike[str] | str,
    platform: os.PathLike[str] | str,
    runtime: str,
    build_folder: os.PathLike[str] | str,
    tflm_root: os.PathLike[str] | str | None = None,
    definitions: collections.abc.Mapping[str, str] | None = None,
) -> pathlib.Path:
    """Builds a program, or brings an earlier one in the same folder up to date.

    Args:
        model: folder that `python -m tflm` has written.
        platform: one of `platforms()`, or a folder with `platform.cmake`.
        runtime: "static" or "tflm", that which the model was exported for.
        build_folder: folder for all that is made; created if missing.
        tflm_root: folder with the sources of TensorFlow Lite Micro, for the runtime "tflm".
        definitions: mapping from names of CMake variables to their values, such as
            `{"PROVIDER": "test_vectors"}`. `APPLICATION` is one of `APPLICATIONS`.

    Returns:
        `pathlib.Path` of the program.

    Raises:
        ValueError: there is no such model, platform or runtime, or the model is not for the
            application.
        emulator.ToolMissingError: CMake, its tool or the compiler is not installed.
        emulator.BuildError: it cannot be built; the message has the tools' messages.
    """
    definitions = definitions or {}
    check(model, platform, runtime, tflm_root, definitions.get("APPLICATION", CAMERA))
    build_folder = pathlib.Path(build_folder).resolve()
    variables = {
        "MODEL": pathlib.Path(model).resolve(),
        "PLATFORM": platform if platform in platforms() else pathlib.Path(platform).resolve(),
        "RUNTIME": runtime,
        **({} if tflm_root is None else {"TFLM_ROOT": pathlib.Path(tflm_root).resolve()}),
        **definitions,
    }
    cmake = emulator.find_tool("cmake")
    is_here = is_for_this_computer(platform)
    for compiler in _HOST_COMPILERS if is_here else _BOARD_COMPILERS:
        emulator.find_tool(compiler)
    command = [cmake, "-S", SOURCES_FOLDER, "-B", build_folder]
    if not (build_folder / "CMakeCache.txt").exists():  # CMake keeps to its first generator
        command += ["-G", _generator()]
    _run([*command, *(f"-D{name}={value}" for name, value in variables.items())])
    _run([cmake, "--build", build_folder])
    return build_folder / ("firmware" if is_here else "firmware.elf")


def program_size(program: os.PathLike[str] | str) -> ProgramSize:
    """`ProgramSize` of a program for a Cortex-M board.

    Raises:
        emulator.ToolMissingError: the tool that measures is not installed.
    """
    command = [emulator.find_tool(emulator.PROGRAM_SIZE), "--format=berkeley", program]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    code, data, zero = map(int, lines[1].split()[:3])
    return ProgramSize(flash=code + data, ram=data + zero)


def _generator():
    try:
        emulator.find_tool("ninja")
    except emulator.ToolMissingError:
        emulator.find_tool("make")
        return "Unix Makefiles"
    return "Ninja"


def _run(command):
    command = list(map(str, command))
    finished = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if finished.returncode != 0:
        output = finished.stdout.decode("utf-8", errors="replace")
        raise emulator.BuildError(f"{' '.join(command)}\n{output}")
