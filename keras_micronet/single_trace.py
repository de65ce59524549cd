# SPDX-License-Identifier: Apache-2.0
"""Training and test steps that TensorFlow traces once.

TensorFlow traces a step twice if the first trace makes variables, those of the optimizer and of the
metrics. A step of MicroNet has ten thousand operations, so that tracing is what the first seconds
of a training are spent on.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf


class SingleTrace:
    """Mixin for Keras models: what `fit` and `evaluate` compute is traced once.

    To be named before `keras.Model` among the bases.
    """

    def make_train_function(self: keras.Model, force: bool = False) -> Callable[..., Any]:
        """Keras's own, with all variables made before its first step."""
        if self.train_function is None or force:
            of_keras: Any = super()  # the mixin itself has no such base
            of_keras.make_train_function(force)
            self.train_function = _with_variables(self, self.train_function)
        return self.train_function

    def make_test_function(self: keras.Model, force: bool = False) -> Callable[..., Any]:
        """Keras's own, with all variables made before its first step."""
        if self.test_function is None or force:
            of_keras: Any = super()
            of_keras.make_test_function(force)
            self.test_function = _with_variables(self, self.test_function)
        return self.test_function


def _with_variables(model, function):
    """A step that makes what variables the model still lacks before its first trace."""
    is_first = True

    def step(iterator):
        nonlocal is_first
        # Within a strategy Keras makes the variables itself, in the strategy's way.
        if is_first and not tf.distribute.has_strategy():
            _make_optimizer_variables(model)
            _make_metric_variables(model, iterator)
        is_first = False
        return function(iterator)

    return step


def _make_optimizer_variables(model):
    if model.optimizer is not None and not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def _make_metric_variables(model, iterator):
    """Lets metrics see one example of zeros, whose labels are shaped like the iterator's."""
    if all(getattr(metric, "built", True) for metric in model.metrics):
        return
    element = getattr(iterator, "element_spec", None)  # `train_on_batch` has a generator
    if not isinstance(element, tuple) or len(element) < 2 or not _is_shape(model.output_shape):
        return
    labels, *weights = element[1:]
    if not all(isinstance(spec, tf.TensorSpec) and spec.shape.rank for spec in element[1:]):
        return
    # Zeros may be no values for somebody's metric: then the trace makes its variables.
    with contextlib.suppress(Exception):
        model.compute_metrics(
            None, _zeros(labels), _zeros(tf.TensorSpec(model.output_shape)), *map(_zeros, weights)
        )
    model.reset_metrics()


def _is_shape(shape):
    """Whether a model's output shape is that of a single output."""
    return isinstance(shape, tuple) and all(size is None or type(size) is int for size in shape)


def _zeros(spec):
    return tf.zeros([size or 1 for size in spec.shape[:]], spec.dtype)
