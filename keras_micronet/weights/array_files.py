# SPDX-License-Identifier: Apache-2.0
"""`.npz` files of NumPy: the shapes first, and never an object."""

import math

import numpy as np

from keras_micronet.weights.stored_array import StoredArray, check_shape
from keras_micronet.weights.zip_files import open_zip

_SUFFIX = ".npy"
_HEADER_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_array_file(content: bytes) -> dict[str, StoredArray]:
    """The arrays of a `.npz` file.

    Args:
        content: the file's bytes.

    Returns:
        Mapping from names to `StoredArray`.

    Raises:
        ValueError: if it is damaged or has an array of something else than numbers.
    """
    archive = open_zip(content)
    return {
        info.filename.removesuffix(_SUFFIX): _stored_array(archive, info)
        for info in archive.infolist()
    }


def _stored_array(archive, info):
    with archive.open(info) as file:
        shape, in_fortran_order, dtype = _read_header(file)
        start = file.tell()
    check_shape(shape)
    if dtype.kind not in "fiu":
        raise ValueError(f"{info.filename} is an array of {dtype}, not of numbers")
    byte_count = math.prod(shape) * dtype.itemsize
    if start + byte_count != info.file_size:
        raise ValueError(f"{info.filename} of shape {shape} has {info.file_size - start} bytes")

    def read():
        with archive.open(info) as file:
            file.read(start)
            values = np.frombuffer(file.read(byte_count + 1), dtype)
        return values.reshape(shape, order="F" if in_fortran_order else "C")

    return StoredArray(shape, read)


def _read_header(file):
    version = np.lib.format.read_magic(file)
    if version not in _HEADER_READERS:
        raise ValueError(f"it has an array in NumPy's format {version}")
    return _HEADER_READERS[version](file)
