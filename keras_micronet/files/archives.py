# SPDX-License-Identifier: Apache-2.0
"""Reading files that anyone may have made: limits before values, one kind of failure.

The decoders of NumPy, zip, JSON and HDF5 raise two dozen types for damaged files, and allocate what
a file of a few bytes claims. Here all failures are a `DamagedFileError` with one line of text.
"""

import contextlib
import io
import json
import math
import os
import pathlib
import zipfile
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

from keras_micronet.files.text import shorten

MOST_BYTES = 4 * 2**30  # of all arrays of an archive together
_MOST_JSON_BYTES = 64 * 2**20
_MOST_ENTRIES = 100_000
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1
_PIECE_BYTES = 2**22
_MOST_DIMENSIONS = 32
_LONGEST_NAME = 200  # characters of a layer's name
_CONFIGURATION, _WEIGHTS = "config.json", "model.weights.h5"


class DamagedFileError(ValueError):
    """A file is missing, damaged, too large, or not what it should be."""


@contextlib.contextmanager
def _one_failure(path):
    """Makes every failure of the block a `DamagedFileError` that names the file."""
    try:
        yield
    except DamagedFileError:
        raise
    except Exception as error:  # see above
        reason = getattr(error, "strerror", None) or str(error) or "no reason given"
        raise DamagedFileError(
            f"{pathlib.Path(path).name}: {type(error).__name__}: {shorten(reason)}"
        ) from error


def read_arrays(
    path: str | os.PathLike[str],
    check: Callable[[dict[str, tuple[tuple[int, ...], np.dtype]]], object] | None = None,
    most_bytes: int = MOST_BYTES,
) -> dict[str, np.ndarray]:
    """Reads a NumPy archive (`.npz`) without running code or trusting the sizes that it claims.

    Args:
        path: the file.
        check: `None`, or a function that takes the formats, a mapping from name to `(shape,
            dtype)`, before any value is read, and raises `ValueError` if they are not wanted.
        most_bytes: how much memory the arrays may take together.

    Returns:
        A dict of arrays by name.

    Raises:
        DamagedFileError: if the file is missing, damaged or too large.
        ValueError: what `check` raises.
    """
    with contextlib.ExitStack() as opened:
        with _one_failure(path):
            archive = opened.enter_context(zipfile.ZipFile(path))
            formats = {name: _read_format(archive, name) for name in _entries(archive, most_bytes)}
        if check is not None:
            check({name.removesuffix(".npy"): format_ for name, format_ in formats.items()})
        with _one_failure(path):
            return {
                name.removesuffix(".npy"): _read_array(archive, name, *formats[name])
                for name in formats
            }


def _entries(archive, most_bytes):
    """Names of an archive's entries, whose claimed sizes are within the limits."""
    entries = archive.infolist()
    if len(entries) > _MOST_ENTRIES:
        raise DamagedFileError(f"{len(entries)} entries where at most {_MOST_ENTRIES} are read")
    names = [entry.filename for entry in entries]
    if len(set(names)) != len(names):
        raise DamagedFileError("an entry is there twice")
    for entry in entries:
        if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _COMPRESSIONS:
            raise DamagedFileError(f"{shorten(entry.filename)} is encrypted or oddly compressed")
    total = sum(entry.file_size for entry in entries)
    if total > most_bytes:
        raise DamagedFileError(f"{total:,} bytes where at most {most_bytes:,} are read")
    return names


def _read_format(archive, name):
    """Shape and dtype of an array, whose values must be all that the entry still has."""
    with archive.open(name) as file:
        shape, _, dtype = _read_header(file)
        values = archive.getinfo(name).file_size - file.tell()
    if dtype.hasobject or dtype.itemsize == 0:
        raise DamagedFileError(
            f"{shorten(name)} holds no plain values: pickles are not read (allow_pickle=False)"
        )
    is_shape = len(shape) <= _MOST_DIMENSIONS and all(0 <= side <= MOST_BYTES for side in shape)
    if not is_shape or math.prod(shape) * dtype.itemsize != values:
        raise DamagedFileError(f"{shorten(name)} has {values} bytes for {shorten(shape)} {dtype}")
    return shape, dtype


def _read_header(file):
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise DamagedFileError(f"version {version} of the format")
    return readers[version](file)


def _read_array(archive, name, shape, dtype):
    with archive.open(name) as file:
        _, is_transposed, _ = _read_header(file)
        values = np.empty(math.prod(shape), dtype)
        content, position = values.view(np.uint8), 0
        # To the end, as that compares the checksum.
        while piece := file.read(_PIECE_BYTES):
            content[position : position + len(piece)] = np.frombuffer(piece, np.uint8)
            position += len(piece)
    return values.reshape(shape[::-1]).T if is_transposed else values.reshape(shape)


def read_json(path: str | os.PathLike[str], most_bytes: int = _MOST_JSON_BYTES) -> dict[str, Any]:
    """Reads a JSON object; numbers in it are finite.

    Args:
        path: the file.
        most_bytes: how large it may be.

    Returns:
        A dict.

    Raises:
        DamagedFileError: if the file is missing, damaged, too large or holds no object.
    """
    with _one_failure(path), open(path, "rb") as file:
        content = file.read(most_bytes + 1)
        if len(content) > most_bytes:
            raise ValueError(f"more than {most_bytes:,} bytes")
        return parse_json(content)


def parse_json(content: bytes | str) -> dict[str, Any]:
    """The JSON object that bytes hold; raises `ValueError` or `RecursionError` otherwise."""
    value = json.loads(content, parse_constant=_finite, parse_float=_finite)
    if not isinstance(value, dict):
        raise ValueError(f"a {type(value).__name__} where an object was expected")
    return value


def _finite(text):
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{shorten(text)} is no finite number")
    return number


def check_model_file(path: str | os.PathLike[str], most_bytes: int = MOST_BYTES) -> None:
    """Raises unless a `.keras` file holds no more than it seems to: for use before Keras reads it.

    Keras would unpack whatever an archive claims, and allocate what its HDF5 file claims.

    Args:
        path: the file.
        most_bytes: how large it may be, unpacked.

    Raises:
        DamagedFileError: if the file is missing, damaged or too large.
    """
    with _one_failure(path), zipfile.ZipFile(path) as archive:
        names = _entries(archive, most_bytes)
        for name in (_CONFIGURATION, _WEIGHTS):
            if name not in names:
                raise ValueError(f"no {name} in it")
        if archive.getinfo(_CONFIGURATION).file_size > _MOST_JSON_BYTES:
            raise ValueError(f"{_CONFIGURATION} of more than {_MOST_JSON_BYTES:,} bytes")
        _check_names(parse_json(archive.read(_CONFIGURATION)))
        _check_hdf5(archive.read(_WEIGHTS))


def check_weights_file(path: str | os.PathLike[str], most_bytes: int = MOST_BYTES) -> None:
    """Raises unless a `.weights.h5` file holds no more than it seems to, before Keras reads it.

    Args:
        path: the file.
        most_bytes: how large it may be.

    Raises:
        DamagedFileError: if the file is missing, damaged or too large.
    """
    with _one_failure(path), open(path, "rb") as file:
        content = file.read(most_bytes + 1)
        if len(content) > most_bytes:
            raise ValueError(f"more than {most_bytes:,} bytes")
        _check_hdf5(content)


def _check_names(configuration):
    """Raises `ValueError` if a layer's name does not fit a message, a report or a C comment."""
    values = [configuration]
    while values:
        value = values.pop()
        if isinstance(value, dict):
            name = value.get("name")
            if isinstance(name, str) and not (name.isprintable() and len(name) <= _LONGEST_NAME):
                raise ValueError(
                    f"names must be printable, of at most {_LONGEST_NAME} characters. "
                    f"Received: {shorten(repr(name), 80)}"
                )
            values += value.values()
        elif isinstance(value, list):
            values += value


def _check_hdf5(content):
    """Raises `ValueError` if a data set claims more bytes than its file has, or another's."""

    def check(name, item):
        if not isinstance(item, h5py.Dataset):
            return
        if item.external is not None or item.is_virtual:
            raise ValueError(f"{shorten(name)} has its values in another file")
        if item.nbytes > len(content):
            raise ValueError(f"{shorten(name)} claims {item.nbytes:,} bytes of {len(content):,}")

    with h5py.File(io.BytesIO(content), "r") as file:
        file.visititems(check)
