# SPDX-License-Identifier: Apache-2.0
"""The C that takes a camera's lines to a model, for an export and for firmware."""

import pathlib

from tflm.kernels import c_files

_FOLDER = pathlib.Path(__file__).resolve().parent
SOURCE_FOLDER = _FOLDER / "source"
EXAMPLE_FOLDER = _FOLDER / "example"


def camera_sources() -> dict[str, str]:
    """The pixel formats, the resizer and the lines of a camera; they need nothing else.

    Returns:
        Mapping from file name to text.
    """
    return {**_texts(SOURCE_FOLDER), **c_files.shared_headers()}


def include_folders() -> list[pathlib.Path]:
    """Where their headers are in this repository."""
    return [SOURCE_FOLDER, c_files.SHARED_FOLDER]


def camera_example() -> dict[str, str]:
    """A program's part that recognises what a camera sees, for a static library with rows.

    It includes `model_settings.h`, `micronet_model_rows.h` and headers of `camera_sources`.

    Returns:
        Mapping from file name to text.
    """
    return _texts(EXAMPLE_FOLDER)


def _texts(folder):
    paths = [path for path in sorted(folder.iterdir()) if path.suffix in (".c", ".h")]
    return {path.name: path.read_text(encoding="utf-8") for path in paths}
