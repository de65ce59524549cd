# SPDX-License-Identifier: Apache-2.0
"""One self-describing folder: every file of an export in its place.

    README.md report.md report.json ...   to be read
    model.tflite                          for tools of a computer
    src/                                  what a program is compiled of
    test/                                 test vectors, self-test
    examples/ samples/ zephyr/ ...        what build systems look for

Build systems find their files at fixed places, and do not disturb each other, as all sources lie in
`src`.
"""

import collections.abc
import dataclasses

import keras_micronet
from tflm.camera import camera_sources
from tflm.package import build_files
from tflm.recognition.c_files import recognition_sources
from tflm.report import milliseconds
from tflm.report.report import ExportReport
from tflm.settings import STATIC
from tflm.sources import c_arrays, generic_names, self_test
from tflm.sources.model_name import title_of
from tflm.tasks.task import TaskFiles

SOURCES, TESTS, CAMERA_EXAMPLE = "src", "test", "examples/Camera"

Files = collections.abc.Mapping[str, str | bytes]


@dataclasses.dataclass(frozen=True)
class Parts:
    """The files of an export by what they are for, contents by name.

    Attributes:
        read: report, plots, model file.
        settings: those of `model_settings.model_settings`.
        task: `TaskFiles`.
    """

    read: Files
    settings: Files
    task: TaskFiles


def package(report: ExportReport, name: str, parts: Parts) -> dict[str, str | bytes]:
    """All files of an export by their places.

    Args:
        report: of the export, whose runtime has the model's sources.
        name: the model's name, "person".
        parts: the other files.

    Returns:
        Mapping from name, with slashes, to contents.
    """
    runtime = report.runtime
    library, is_static = runtime.library, runtime.name == STATIC
    takes_rows = _takes_rows(runtime)
    sources = {
        **runtime.files,
        **parts.settings,
        **generic_names.settings_header(library),
        **recognition_sources(parts.task.task),
        **parts.task.recognition,
    }
    tests = {
        **parts.task.vectors,
        **generic_names.test_vectors_header(library, parts.task.task),
    }
    if is_static:
        sources |= _umbrella_header(library, takes_rows, parts.task.headers)
        tests |= self_test.self_test(library, takes_rows, parts.task.task)
    examples = {}
    if is_static and takes_rows:
        sources |= camera_sources.camera_sources()
        example = camera_sources.camera_example()
        own = {name: generic_names.own_names(text, library) for name, text in example.items()}
        examples = _within(CAMERA_EXAMPLE, own)
    return {
        **parts.read,
        **_within(SOURCES, sources),
        **_within(TESTS, tests),
        **examples,
        **build_files.build_files(runtime.name, _words(report, name, parts), takes_rows),
    }


def _takes_rows(runtime):
    return f"{runtime.library}_rows.h" in runtime.files


def _within(folder, files):
    return {f"{folder}/{name}": contents for name, contents in files.items()}


def _umbrella_header(library, takes_rows, headers):
    """The header by which Arduino finds a library."""
    own = [f"{library}_rows.h" if takes_rows else f"{library}.h", f"{library}_settings.h"]
    own += headers
    headers = [*own, "micronet_camera_lines.h"] if takes_rows else own
    name = f"{title_of(library)}.h"
    return {name: c_arrays.c_umbrella(name, headers)}


def _words(report, name, parts):
    runtime = report.runtime
    height, width, channels = report.input_shape[1:]
    about = report.answers.about
    return {
        "NAME": name,
        "LIBRARY": runtime.library,
        "CAPITALS": runtime.library.upper(),
        "TITLE": title_of(runtime.library),
        "VERSION": keras_micronet.__version__,
        "ABOUT": f"{about[0].upper()}{about[1:]}",
        "MEASURE": report.answers.measure,
        "HEIGHT": f"{height}",
        "WIDTH": f"{width}",
        "CHANNEL_WORDS": "red, green and blue" if channels == 3 else "gray",
        "ACCURACY": report.answers.on_device(),
        "RAM": runtime.ram,
        "FLASH": runtime.flash,
        "MULTIPLY_ADDS": f"{report.multiply_adds:,}",
        "TIME": milliseconds.row(report),
        "FIRMWARE": runtime.firmware(report.frame, report.answers.outputs_note(runtime.library)),
        "ARENA_BYTES": f"{runtime.least_arena_bytes}",
        "TEST_VECTORS": f"{parts.task.test_vectors}",
        "AFTER_THE_SCORES": parts.task.readme.rstrip("\n"),
        "PRINT_ANSWERS": parts.task.arduino.rstrip("\n"),
        "WAY": " row by row" if _takes_rows(runtime) else "",
    }
