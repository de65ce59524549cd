# SPDX-License-Identifier: Apache-2.0
"""Where the kernels' C files are: a folder for each family of operators, one for what they share.

No two files have the same name, so that a compiler finds headers, and an export puts all of them
into one folder.
"""

import pathlib

from tflm.kernels.registry import FORMS

FOLDER = pathlib.Path(__file__).resolve().parent
SOURCE_FOLDER = FOLDER / "source"
RUNNER_FOLDER = FOLDER / "runner"
GLUE_FOLDER = FOLDER / "glue"
WHEEL_FOLDER = FOLDER / "wheel"
FUZZ_FOLDER = FOLDER / "fuzz"
# What all C includes that several models of a program share, kernels or not.
SHARED_FOLDER = SOURCE_FOLDER / "common"
_SHARED_HEADERS = ("micronet_optimize.h", "micronet_shared.h")


def include_folders() -> list[pathlib.Path]:
    """Folders of the kernels' headers."""
    return sorted(path for path in SOURCE_FOLDER.iterdir() if path.is_dir())


def headers() -> list[pathlib.Path]:
    """Paths of the kernels' headers."""
    return sorted(SOURCE_FOLDER.glob("*/*.h"))


def find(name: str) -> pathlib.Path:
    """Path of a C file or header of the kernels by its name.

    Raises:
        FileNotFoundError: if there is none.
    """
    paths = list(SOURCE_FOLDER.glob(f"*/{name}"))
    if not paths:
        raise FileNotFoundError(f"The kernels must have the file. Received: {name}")
    return paths[0]


def shared_headers() -> dict[str, str]:
    """Texts by name of the headers that other rooms' C includes; they lie in `SHARED_FOLDER`."""
    return {name: find(name).read_text(encoding="utf-8") for name in _SHARED_HEADERS}


def common_sources() -> list[pathlib.Path]:
    """Paths of the C files that every operator's `bind` may use."""
    return sorted((SOURCE_FOLDER / "common").glob("*.c"))


def operator_sources(operator: str) -> list[pathlib.Path]:
    """Paths of the C files of one operator, such as "residual_add_s8".

    Raises:
        ValueError: if there is no such operator.
    """
    paths = [path for name in (operator, f"{operator}_*") for path in _c_files(name)]
    if not paths:
        raise ValueError(f"An operator must have C files. Received: {operator}")
    return paths


def sources(operator: str) -> list[pathlib.Path]:
    """Paths of the C files that an operator or another form of one needs, the common ones too."""
    own = operator_sources(operator)
    if operator in FORMS:
        own += operator_sources(FORMS[operator])
    return [*own, *common_sources()]


def _c_files(pattern):
    return sorted(SOURCE_FOLDER.glob(f"*/{pattern}.c"))
