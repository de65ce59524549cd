# SPDX-License-Identifier: Apache-2.0
"""The quantizers of tensorflow-model-optimization, without the side effects of importing it.

Importing the package sets TF_USE_LEGACY_KERAS for this process and its children
and turns `tf.keras` into Keras 2 where nothing has touched it before. Neither is
ours to decide: `tf.keras` is resolved first and the variable restored.
"""

import functools
import os
import threading
import types
from collections.abc import Sequence

import keras
import tensorflow as tf

_VARIABLE = "TF_USE_LEGACY_KERAS"
_LOCK = threading.Lock()


@functools.cache
def quantizers() -> types.ModuleType:
    """The module `tensorflow_model_optimization.quantization.keras.quantizers`.

    Raises:
        ImportError: if the package is not installed.
    """
    with _LOCK:
        dir(tf.keras)  # resolves the lazy module: from here on it is what the user asked for
        before = os.environ.get(_VARIABLE)
        try:
            import tensorflow_model_optimization
        except ImportError as error:
            raise ImportError(
                "Quantization needs the package tensorflow-model-optimization: "
                f"pip install 'keras_micronet[quantization]'. Received: {error}"
            ) from error
        finally:
            if before is None:
                os.environ.pop(_VARIABLE, None)
            else:
                os.environ[_VARIABLE] = before
    return tensorflow_model_optimization.quantization.keras.quantizers


class WeightOwner:
    """What such a quantizer takes for the layer that holds its variables.

    The quantizers ask for variables with the arguments of Keras 2. Their
    initial values do not matter: ranges are set by calibration.

    Args:
        layer: Keras 3 layer that the variables become part of.
    """

    def __init__(self, layer: keras.layers.Layer) -> None:
        self._layer = layer

    def add_weight(
        self,
        name: str,
        shape: Sequence[int] = (),
        initializer: object = None,
        trainable: bool = False,
    ) -> tf.Variable:
        """Creates a scalar float32 variable on the layer and returns TensorFlow's own of it."""
        variable = self._layer.add_weight(
            name=name,
            shape=tuple(shape or ()),
            initializer="zeros",
            dtype="float32",
            trainable=trainable,
            autocast=False,
        )
        return variable._value  # `value` would be a tensor where Keras casts variables
