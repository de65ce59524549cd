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
"""

import json
import pathlib
import zlib

import numpy as np

FOLDER = pathlib.Path(__file__).parent
VARIANTS = ("M0", "M1", "M2", "M3")
SIZES = (64, 128, 224)
BATCH = 2


def weight(key, shape):
    """Value of a state-dict entry that is not a running statistic.

    Args:
        key: the entry's key, which seeds the values.
        shape: its shape in PyTorch's layout.

    Returns:
        A float32 array: normal values scaled by the fan-in for kernels, around
        1 for the scales of batch normalization, around 0 for biases.
    """
    values = _random(key).standard_normal(shape)
    if len(shape) == 4:
        values = values * np.sqrt(2.0 / np.prod(shape[1:]))
    elif len(shape) == 2:
        values = values * np.sqrt(1.0 / shape[1])
    elif key.endswith("weight"):
        values = 1.0 + 0.2 * values
    else:
        values = 0.2 * values
    return values.astype(np.float32)


def images(size):
    """The normalized input images, float32 `(2, size, size, 3)`."""
    values = _random(f"image-{size}").standard_normal((BATCH, size, size, 3))
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


def _random(text):
    return np.random.Generator(np.random.PCG64(zlib.crc32(text.encode())))
