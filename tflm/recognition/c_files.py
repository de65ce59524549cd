# SPDX-License-Identifier: Apache-2.0
"""The C files that turn scores into answers; they are the same for every model."""

import pathlib

from tflm.kernels import c_files

SOURCE_FOLDER = pathlib.Path(__file__).resolve().parent / "source"


def recognition_sources() -> dict[str, str]:
    """All C files and headers: a mapping from file name to text. They need no other files."""
    paths = sorted(SOURCE_FOLDER.glob("*.[ch]"))
    texts = {path.name: path.read_text(encoding="utf-8") for path in paths}
    return {**texts, **c_files.shared_headers()}


def include_folders() -> list[pathlib.Path]:
    """Where their headers are in this repository."""
    return [SOURCE_FOLDER, c_files.SHARED_FOLDER]
