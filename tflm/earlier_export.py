# SPDX-License-Identifier: Apache-2.0
"""Exports of versions that did not mark their folders yet: known by what only they hold."""

import collections.abc
import os
import pathlib

from keras_micronet.files.archives import DamagedFileError, read_json
from tflm.kernels import c_files
from tflm.sources.kernel_sources import OUTPUT_FOLDER

_REPORT = "report.json"
_FIGURES = frozenset({"agreement", "int8_accuracy", "keras_model", "model_name", "operations"})
_NAMES = frozenset(
    {
        "micronet_model.c",
        "micronet_model.h",
        "micronet_model_rows.h",
        "model.tflite",
        "model_data.cc",
        "model_data.h",
        "model_settings.h",
        "op_resolver.h",
        "report.md",
        "report_memory.png",
        "report_operations.png",
        "report_predictions.png",
        "test_vectors.cc",
        "test_vectors.h",
        _REPORT,
    }
)


def file_names(folder: os.PathLike[str] | str) -> collections.abc.Set[str]:
    """Names of all files that an export without a mark may hold; none if a folder is no export.

    Others, too, have a `report.json`: it must have an export's own figures.

    Args:
        folder: path of the folder.

    Returns:
        A set of names, with slashes.
    """
    try:
        report = read_json(pathlib.Path(folder) / _REPORT)
    except DamagedFileError:
        return set()
    if not set(report) >= _FIGURES:
        return set()
    kernels = [*c_files.SOURCE_FOLDER.glob("*/*"), *c_files.GLUE_FOLDER.glob("*")]
    return _NAMES | {f"{OUTPUT_FOLDER}/{path.name}" for path in kernels if path.is_file()}
