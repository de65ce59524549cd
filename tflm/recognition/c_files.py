# SPDX-License-Identifier: Apache-2.0
"""The C files that turn scores into answers; they are the same for every model."""

import pathlib

SOURCE_FOLDER = pathlib.Path(__file__).resolve().parent / "source"


def recognition_sources() -> dict[str, str]:
    """All C files and headers: a mapping from file name to text. They need no other files."""
    paths = sorted(SOURCE_FOLDER.glob("*.[ch]"))
    return {path.name: path.read_text(encoding="utf-8") for path in paths}
