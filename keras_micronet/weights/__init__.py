# SPDX-License-Identifier: Apache-2.0
"""Weights: files of several frameworks, the ImageNet cache and downloads for it.

`loading` is what others call. A file's bytes become a state dict (`files`, with a reader for each
format), whose keys `release_layout` knows the variables of; `cache` finds the ImageNet weights,
with `download`.
"""

from keras_micronet.weights.loading import (
    check_weights_argument,
    count_classes,
    load_checkpoint,
    load_torch_checkpoint,
    load_weights,
)

__all__ = [
    "check_weights_argument",
    "count_classes",
    "load_checkpoint",
    "load_torch_checkpoint",
    "load_weights",
]
