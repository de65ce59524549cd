# SPDX-License-Identifier: Apache-2.0
"""`.pth` files of PyTorch, read without it.

`torch.save` writes an uncompressed zip archive: `data.pkl`, the structure, is a pickle in which
each tensor refers to a storage by a key, and `data/KEY` are the storage's raw bytes. Before PyTorch
1.6 the file was a series of pickles (a magic number, the protocol, the writer's sizes, the
structure, the storages' keys) and then the storages, each behind its number of elements.
"""

import dataclasses
import io
import math
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_micronet.weights.pickles import read_pickle
from keras_micronet.weights.stored_array import StoredArray, check_shape
from keras_micronet.weights.zip_files import open_zip

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_BFLOAT16 = "bfloat16"
_BYTE_ORDER = b"little"
_STRUCTURE = "/data.pkl"

# What the storages of each type hold.
_ELEMENTS = {
    "torch FloatStorage": np.dtype("<f4"),
    "torch DoubleStorage": np.dtype("<f8"),
    "torch HalfStorage": np.dtype("<f2"),
    "torch BFloat16Storage": _BFLOAT16,
    "torch LongStorage": np.dtype("<i8"),
    "torch IntStorage": np.dtype("<i4"),
    "torch ShortStorage": np.dtype("<i2"),
    "torch CharStorage": np.dtype("i1"),
    "torch ByteStorage": np.dtype("u1"),
    "torch BoolStorage": np.dtype("?"),
}


def read_torch_file(content: bytes) -> Any:
    """The content of a `.pth` file, tensors as `StoredArray`.

    Args:
        content: the file's bytes.

    Returns:
        What was given to `torch.save`: as a rule a mapping.

    Raises:
        ValueError: if it is damaged or holds anything but plain data and dense, contiguous tensors.
    """
    if zipfile.is_zipfile(io.BytesIO(content)):
        return _read_archive(content)
    if not content.startswith(b"\x80"):
        raise ValueError("it is no file of torch.save")
    return _read_series(content)


def _read_archive(content):
    archive = open_zip(content)
    members = {info.filename: info for info in archive.infolist()}
    structures = [name for name in members if name.endswith(_STRUCTURE)]
    if len(structures) != 1:
        raise ValueError("it is no file of torch.save")
    folder = structures[0].removesuffix(_STRUCTURE)

    def read_member(name):
        info = members[f"{folder}/{name}"]
        # PyTorch compresses nothing: a member is no larger than the file.
        if info.compress_type != zipfile.ZIP_STORED or info.file_size > len(content):
            raise ValueError(f"its {name} is compressed or larger than the file")
        return archive.read(info)

    def read_storage(storage):
        name = f"data/{storage.key}"
        info = members.get(f"{folder}/{name}")
        if info is None or info.file_size != storage.byte_count:
            raise ValueError(f"its storage {storage.key} is missing or of another size")
        return read_member(name)

    if f"{folder}/byteorder" in members and read_member("byteorder") != _BYTE_ORDER:
        raise ValueError("its bytes are not in little-endian order")
    return read_pickle(read_member("data.pkl"), _NAMES, _storages(read_storage))


def _read_series(content):
    file = io.BytesIO(content)
    magic_number, protocol = (read_pickle(file, {}) for _ in range(2))
    if magic_number != _MAGIC_NUMBER or protocol != _PROTOCOL:
        raise ValueError("it is no file of torch.save")
    sizes = read_pickle(file, {})
    if type(sizes) is not dict or sizes.get("little_endian") is not True:
        raise ValueError("its bytes are not in little-endian order")
    found, places = {}, {}

    def read_storage(storage):
        start = places.get(storage.key)
        if start is None or len(content) - start < storage.byte_count:
            raise ValueError(f"its storage {storage.key} is missing or of another size")
        return content[start : start + storage.byte_count]

    def remember(storage):
        found[storage.key] = storage
        return storage

    make_storage = _storages(read_storage)
    value = read_pickle(file, _NAMES, lambda identifier: remember(make_storage(identifier)))
    keys = read_pickle(file, {})
    position = file.tell()
    for key in keys:
        (element_count,) = struct.unpack_from("<q", content, position)
        if element_count != found[key].element_count:
            raise ValueError(f"its storage {key} is missing or of another size")
        places[key] = position + 8
        position += 8 + found[key].byte_count
    return value


@dataclasses.dataclass(frozen=True)
class _Storage:
    """The memory that tensors share.

    Attributes:
        key: its name in the file.
        element: NumPy dtype of an element, or `"bfloat16"`, which NumPy lacks.
        element_count: number of elements.
        read: function from the storage to its bytes.
    """

    key: str
    element: np.dtype | str
    element_count: int
    read: Callable

    @property
    def dtype(self):
        return np.dtype("<u2") if self.element == _BFLOAT16 else self.element

    @property
    def byte_count(self):
        return self.element_count * self.dtype.itemsize

    def values(self, offset, shape):
        count = math.prod(shape)
        values = np.frombuffer(self.read(self), self.dtype)[offset : offset + count]
        if self.element == _BFLOAT16:  # the upper half of a float32
            values = (values.astype("<u4") << 16).view("<f4")
        return values.reshape(shape)


def _storages(read):
    """Function from a pickle's persistent identifier to the storage that it stands for."""

    def make(identifier):
        kind, element, key, _, element_count, *view = identifier
        if kind != "storage" or type(key) is not str or view not in ([], [None]):
            raise ValueError("it refers to something else than a storage")
        if not isinstance(element, np.dtype) and element != _BFLOAT16:
            raise ValueError("it has a storage of an unknown type")
        if type(element_count) is not int or element_count < 0:
            raise ValueError(f"its storage {key} has no size")
        return _Storage(key, element, element_count, read)

    return make


def _tensor(storage, offset, shape, strides, *_):
    check_shape(shape)
    check_shape(strides)
    if not isinstance(storage, _Storage) or type(offset) is not int or offset < 0:
        raise ValueError("a tensor has no storage")
    if offset + math.prod(shape) > storage.element_count:
        raise ValueError(
            f"a tensor of shape {shape} lies outside of its storage: an expanded one must be saved "
            "as `tensor.contiguous()`"
        )
    if not _is_contiguous(shape, strides):
        raise ValueError(
            f"a tensor of shape {shape} with strides {strides} must be saved as "
            "`tensor.contiguous()`"
        )
    return StoredArray(shape, lambda: storage.values(offset, shape))


def _is_contiguous(shape, strides):
    if len(shape) != len(strides):
        return False
    expected = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size != 1 and stride != expected and 0 not in shape:
            return False
        expected *= size
    return True


def _parameter(tensor, *_):
    return tensor


def _dictionary():
    return {}


# Sparse, quantized and meta tensors have names of their own, which are not here.
_NAMES = {
    **_ELEMENTS,
    "collections OrderedDict": _dictionary,
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_parameter": _parameter,
}
