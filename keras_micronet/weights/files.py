# SPDX-License-Identifier: Apache-2.0
"""State dicts from files and mappings: one reader for whatever a user or a server has.

Files come from anywhere. Nothing in them is run, nothing is allocated because a file says so, and
whatever is wrong with one becomes a `ValueError` of one sentence.
"""

import collections.abc
import os
from typing import Any

import numpy as np

from keras_micronet.weights.array_files import read_array_file
from keras_micronet.weights.messages import one_line
from keras_micronet.weights.paddle_files import read_paddle_file
from keras_micronet.weights.stored_array import StoredArray
from keras_micronet.weights.torch_files import read_torch_file

LARGEST_FILE = 256 * 2**20
_READERS = {
    ".npz": read_array_file,
    ".pdparams": read_paddle_file,
    ".pth": read_torch_file,
    ".pt": read_torch_file,
    ".pth.tar": read_torch_file,
}
SUFFIXES = tuple(_READERS)


def read_state(
    source: str | os.PathLike[str] | collections.abc.Mapping[str, Any],
) -> dict[str, StoredArray]:
    """The state dict in a file or a mapping.

    Args:
        source: path of a file ending in one of `SUFFIXES`, or a mapping from keys to arrays or
            tensors. A `module.` prefix and an enclosing `state_dict` entry are accepted.

    Returns:
        Mapping from keys to `StoredArray`, without PyTorch's counters of batches. Each one's `read`
        gives float32.

    Raises:
        ValueError: if it is neither or is damaged.
    """
    if isinstance(source, collections.abc.Mapping):
        return _state_of(source, "a mapping")
    if not isinstance(source, (str, os.PathLike)) or not os.path.isfile(source):
        raise ValueError(
            "`source` must be an existing checkpoint file or a mapping from keys to arrays. "
            f"Received: source={source!r}"
        )
    return parse_state(read_bytes(source), source)


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The content of a file that is not larger than any of weights.

    Raises:
        ValueError: if it is larger than `LARGEST_FILE`, or cannot be read.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise _not_a_checkpoint(path, error) from error
    if len(content) > LARGEST_FILE:
        reason = f"it is larger than {LARGEST_FILE:,} bytes: save the model's state dict alone"
        raise _not_a_checkpoint(path, reason)
    return content


def parse_state(content: bytes, path: str | os.PathLike[str]) -> dict[str, StoredArray]:
    """The state dict in the bytes of a file.

    Args:
        content: the bytes.
        path: of the file: its suffix says how to read it, and it is named in messages.

    Returns:
        As `read_state` does.
    """
    name = os.fspath(path)
    reader = _READERS[max((end for end in SUFFIXES if name.endswith(end)), key=len, default=".pth")]
    try:
        state = reader(content)
    except Exception as error:  # a damaged archive makes its reader raise a dozen unrelated types
        raise _not_a_checkpoint(path, error) from error
    if not isinstance(state, collections.abc.Mapping):
        raise _not_a_checkpoint(path, f"it holds a {type(state).__name__}")
    return _state_of(state, path)


def _state_of(mapping, origin):
    if isinstance(mapping.get("state_dict"), collections.abc.Mapping):
        mapping = mapping["state_dict"]
    return {
        str(key).removeprefix("module."): _stored(key, value, origin)
        for key, value in mapping.items()
        if not str(key).endswith(".num_batches_tracked")
    }


def _stored(key, value, origin):
    if isinstance(value, StoredArray):
        return StoredArray(value.shape, lambda: _as_floats(key, value.read, origin))
    if hasattr(value, "detach"):  # a torch tensor, maybe a parameter or of half precision
        return StoredArray(
            tuple(value.shape), lambda: _as_floats(key, lambda: _of_tensor(value), origin)
        )
    try:
        array = _floats(value)
    except (TypeError, ValueError):
        raise ValueError(
            "Every entry of a checkpoint must be an array of numbers. "
            f"Received: {one_line(key, 80)} of type {type(value).__name__}"
        ) from None
    return StoredArray(array.shape, lambda: array)


def _floats(values):
    with np.errstate(over="ignore"):  # infinities are refused later, with all the others
        return np.asarray(values, np.float32)


def _of_tensor(tensor):
    return tensor.detach().cpu().float().numpy()


def _as_floats(key, read, origin):
    try:
        return _floats(read())
    except Exception as error:  # as in `parse_state`, or a tensor without values
        raise _not_a_checkpoint(origin, f"{one_line(key, 80)}: {error}") from error


def _not_a_checkpoint(path, reason):
    text = one_line(reason) or type(reason).__name__
    return ValueError(
        "`source` must be a whole file that holds a state dict of tensors and nothing else. "
        f"Received: source={os.fspath(path)!r} ({text})"
    )
