# SPDX-License-Identifier: Apache-2.0
"""`.pdparams` files of PaddlePaddle, read without it.

`paddle.save` of a state dict pickles a dictionary of NumPy arrays, with protocol 2 (PaddlePaddle
2.0, bytes as text in Latin-1) or 4, and beside them the names that the parameters have in a static
graph.
"""

import numpy as np

from keras_micronet.weights.pickles import read_pickle
from keras_micronet.weights.stored_array import StoredArray, check_shape

_PARAMETER_NAMES = "StructuredToParameterName@@"
_FLOATS = ("f2", "f4", "f8")
_NDARRAY = "numpy.ndarray"  # stands for the class, of which no array is ever made here


def read_paddle_file(content: bytes) -> dict[str, StoredArray]:
    """The arrays of a `.pdparams` file.

    Args:
        content: the file's bytes.

    Returns:
        Mapping from the state dict's keys to `StoredArray`.

    Raises:
        ValueError: if it is damaged or holds anything but a state dict of arrays of floats.
    """
    state = read_pickle(content, _NAMES)
    if type(state) is not dict:
        raise ValueError(f"it holds a {type(state).__name__}")
    state.pop(_PARAMETER_NAMES, None)
    return {
        key: value.stored() if isinstance(value, _PickledArray) else value
        for key, value in state.items()
    }


class _PickledType:
    """A NumPy dtype in a pickle: which float it is; its byte order comes afterwards."""

    def __init__(self, code):
        self.code = code
        self.byte_order = None

    def set_state(self, state):
        if type(state) is not tuple or len(state) < 2 or state[1] not in ("<", ">"):
            raise ValueError("the type of an array has no byte order")
        self.byte_order = state[1]

    def dtype(self):
        if self.byte_order is None:
            raise ValueError("the type of an array has no byte order")
        return np.dtype(self.byte_order + self.code)


class _PickledArray:
    """A NumPy array in a pickle: empty at first, then with its shape, type and bytes."""

    def __init__(self):
        self._state = None

    def set_state(self, state):
        _, shape, element, in_fortran_order, content = state
        check_shape(shape)
        if not isinstance(element, _PickledType) or type(content) is not bytes:
            raise ValueError("an array is not one of floats")
        if in_fortran_order is not False:
            raise ValueError("an array is not in C order")
        self._state = shape, element.dtype(), content

    def stored(self):
        if self._state is None:
            raise ValueError("an array has no values")
        return StoredArray.of_bytes(*self._state)


def _reconstruct(kind, shape, code):
    if kind is not _NDARRAY or shape != (0,):
        raise ValueError("an array is of a class of its own")
    return _PickledArray()


def _dtype(code, *_):
    if code not in _FLOATS:
        raise ValueError("an array is not one of floats")
    return _PickledType(code)


def _encode(text, encoding):
    if type(text) is not str or encoding != "latin1":
        raise ValueError("its pickle is damaged: bytes in an unknown encoding")
    return text.encode("latin-1")


def _empty_bytes():
    return b""


_NAMES = {
    "numpy ndarray": _NDARRAY,
    "numpy dtype": _dtype,
    "numpy.core.multiarray _reconstruct": _reconstruct,
    "numpy._core.multiarray _reconstruct": _reconstruct,
    "_codecs encode": _encode,
    "__builtin__ bytes": _empty_bytes,
}
