# SPDX-License-Identifier: Apache-2.0
"""Outputs of the authors' MicroNet, and the weights and images that gave them.

The numbers in this folder were measured on the authors' released PyTorch code
(repository liyunsheng13/micronet, ICCV 2021 release; evaluation mode, float32),
not on this project's. Its state dict was filled by `weight`, its input by
`images`; no trained checkpoint is involved. Batch normalization's running
statistics were collected from a few such batches, so that activations stay in
range, and are stored with the outputs.

Files: `micronet_m0.npz` ... `micronet_m3.npz` hold the running statistics under
their state-dict keys, `features_<i>_64` (output of the stem, i = 0, and of each
block at 64 x 64, channels-last) and `logits_64`, `logits_128`, `logits_224`.
`state_dict_layout.json` holds the state-dict keys of each variant with their
PyTorch shapes.

`paddle_m0.npz` holds `logits_64` and, one behind the other in the order of their
sorted keys, the running `statistics` of the same kind of measurement on
PaddleClas's MicroNet (PaddlePaddle 3.3.1), with seed 5 of all weights and
images, and `PADDLE_LAYOUTS` what that implementation's state dicts are known by.
"""

import hashlib
import json
import pathlib
import zlib

import numpy as np

FOLDER = pathlib.Path(__file__).parent
VARIANTS = ("M0", "M1", "M2", "M3")
SIZES = (64, 128, 224)
BATCH = 2
PADDLE_SEED = 5

# SHA-256 of the sorted JSON list of [key, shape] of each variant's state dict in PaddleClas.
PADDLE_LAYOUTS = {
    "M0": "c7542ca7bc691cce9edae53bbbfa26c081ac65c3d9c9c6412da523b9c02536a0",
    "M1": "508fe5014b4c4ba77ca31b91d1cd825f8df349af485c2b614d412fc54a34d79c",
    "M2": "86e8d76014534ca969b7742e858d886f8db5bd8befdc255b62a95ac74292a80e",
    "M3": "c79512c67f678ee3bb42d16913979f023f27650d6f9de1cc4b4504715566f189",
}


def weight(key, shape, seed=0):
    """Value of a state-dict entry that is not a running statistic.

    Args:
        key: the entry's key, which seeds the values.
        shape: its shape in PyTorch's layout.
        seed: of the set of weights.

    Returns:
        A float32 array: normal values scaled by the fan-in for kernels, around
        1 for the scales of batch normalization, around 0 for biases.
    """
    values = _random(key, seed).standard_normal(shape)
    if len(shape) == 4:
        values = values * np.sqrt(2.0 / np.prod(shape[1:]))
    elif len(shape) == 2:
        values = values * np.sqrt(1.0 / shape[1])
    elif key.endswith("weight"):
        values = 1.0 + 0.2 * values
    else:
        values = 0.2 * values
    return values.astype(np.float32)


def images(size, seed=0):
    """The normalized input images, float32 `(2, size, size, 3)`."""
    values = _random(f"image-{size}", seed).standard_normal((BATCH, size, size, 3))
    return values.astype(np.float32)


def layout(variant):
    """Mapping from the state-dict keys of a variant to shapes."""
    layouts = json.loads((FOLDER / "state_dict_layout.json").read_text())
    return {key: tuple(shape) for key, shape in layouts[variant].items()}


def measured(variant):
    """The arrays of a variant's file."""
    with np.load(FOLDER / f"micronet_{variant.lower()}.npz") as archive:
        return {name: archive[name] for name in archive.files}


def state_dict(variant):
    """The whole state dict of a variant, arrays in PyTorch's layout."""
    statistics = measured(variant)
    return {
        key: statistics[key] if key in statistics else weight(key, shape)
        for key, shape in layout(variant).items()
    }


def in_paddle_layout(state):
    """A state dict as PaddleClas has it: other names of the statistics, matrices transposed."""
    names = {"running_mean": "_mean", "running_var": "_variance"}
    converted = {}
    for key, value in state.items():
        prefix, _, name = key.rpartition(".")
        converted[f"{prefix}.{names.get(name, name)}"] = value.T if value.ndim == 2 else value
    return converted


def paddle_layout_digest(state):
    """What `PADDLE_LAYOUTS` has of a state dict in PaddleClas's layout."""
    layout = sorted((key, value.shape) for key, value in state.items())
    return hashlib.sha256(json.dumps(layout).encode()).hexdigest()


def paddle_state_dict():
    """M0's state dict that gave `paddle_logits`, in PaddleClas's layout."""
    with np.load(FOLDER / "paddle_m0.npz") as archive:
        statistics = archive["statistics"]
    empty = {key: np.zeros(shape, np.float32) for key, shape in layout("M0").items()}
    state = in_paddle_layout(empty)
    for key in sorted(key for key in state if key.endswith(("._mean", "._variance"))):
        state[key], statistics = np.split(statistics, [len(state[key])])
    for key in state.keys() - {key for key in state if key.endswith(("._mean", "._variance"))}:
        shape = state[key].shape
        state[key] = weight(key, shape, PADDLE_SEED)
        if len(shape) == 2:  # scaled by the inputs, which are the first axis here
            state[key] = (state[key] * np.sqrt(shape[1] / shape[0])).astype(np.float32)
    return state


def paddle_logits():
    """PaddleClas's logits for `images(64, PADDLE_SEED)`."""
    with np.load(FOLDER / "paddle_m0.npz") as archive:
        return archive["logits_64"]


def _random(text, seed=0):
    return np.random.Generator(np.random.PCG64(zlib.crc32(text.encode()) + (seed << 32)))
