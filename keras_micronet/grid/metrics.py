# SPDX-License-Identifier: Apache-2.0
"""Metrics of grid models. For segmentation Keras has one: `keras.metrics.MeanIoU(classes + 1,
sparse_y_pred=False)`."""

from typing import Any

import keras

from keras_micronet.grid.cell_labels import cell_labels
from keras_micronet.grid.matching import matched, peaks
from keras_micronet.layers import arguments

_THRESHOLD = 0.5
_MOST_OBJECTS = 64


class _CentreMetric(keras.metrics.Metric):
    """Counts centres that are there, that were found, and that were matched one to one.

    Args:
        threshold: probability from which on a peak of the grid is a centre.
        tolerance: cells that a found centre may be from the one that is there.
        class_id: class from 1 on whose centres count; `None` for those of all.
        most_objects: of a class in an image; what is beyond is left out.
        name, dtype: as for `keras.metrics.Metric`.
    """

    def __init__(
        self,
        threshold: float = _THRESHOLD,
        tolerance: float = 1.0,
        class_id: int | None = None,
        most_objects: int = _MOST_OBJECTS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.threshold, self.tolerance = arguments.finite_numbers(
            "threshold and tolerance", (threshold, tolerance), 2
        )
        self.class_id = (
            None if class_id is None else arguments.positive_integer("class_id", class_id)
        )
        self.most_objects = arguments.positive_integer("most_objects", most_objects)
        self.there = self.add_weight(name="there", initializer="zeros")
        self.found = self.add_weight(name="found", initializer="zeros")
        self.right = self.add_weight(name="right", initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch; `y_true` and `y_pred` as for `GridCrossentropy`. Weights are ignored."""
        there, found = self._centres(y_true, y_pred)
        right = matched(there, found, self.tolerance, self.most_objects)
        for variable, values in (
            (self.there, there),
            (self.found, found > 0),
            (self.right, right),
        ):
            variable.assign_add(keras.ops.sum(keras.ops.cast(values, variable.dtype)))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "threshold": self.threshold,
            "tolerance": self.tolerance,
            "class_id": self.class_id,
            "most_objects": self.most_objects,
        }

    def _centres(self, y_true, y_pred):
        """What is there, 0 or 1, and scores of what was found, for each cell and class."""
        labels = cell_labels(y_true, y_pred)
        classes = y_pred.shape[-1] - 1
        there = keras.ops.one_hot(labels - 1, classes)
        found = peaks(y_pred[..., 1:], self.threshold)
        if self.class_id is None:
            return there, found
        chosen = slice(self.class_id - 1, self.class_id)
        return there[..., chosen], found[..., chosen]


@keras.saving.register_keras_serializable(package="keras_micronet")
class CentrePrecision(_CentreMetric):
    """How many of the centres found are right, 0 to 1; 0 if none was found.

    Args:
        threshold, tolerance, class_id, most_objects: see `CentreF1`.
    """

    def result(self) -> Any:
        return keras.ops.divide_no_nan(self.right, self.found)


@keras.saving.register_keras_serializable(package="keras_micronet")
class CentreRecall(_CentreMetric):
    """How many of the centres that are there were found, 0 to 1; 0 if there was none.

    Args:
        threshold, tolerance, class_id, most_objects: see `CentreF1`.
    """

    def result(self) -> Any:
        return keras.ops.divide_no_nan(self.right, self.there)


@keras.saving.register_keras_serializable(package="keras_micronet")
class CentreF1(_CentreMetric):
    """Harmonic mean of precision and recall of centres that are matched one to one.

    A centre is a cell in which a class has at least `threshold` and no neighbour has more of it. It
    is matched with the nearest cell of that class in `y_true` that no more probable one has.

    Args:
        threshold: probability from which on a peak of the grid is a centre.
        tolerance: cells that a found centre may be from the one that is there.
        class_id: class from 1 on whose centres count; `None` for those of all.
        most_objects: of a class in an image; what is beyond is left out.

    `y_true`: integers `(batch, rows, columns)`, 0 for the background.
    `y_pred`: probabilities `(batch, rows, columns, classes + 1)`, sizes known when the model is
    built.

    Raises:
        ValueError: if an argument is not as described above.
    """

    def result(self) -> Any:
        return keras.ops.divide_no_nan(2 * self.right, self.there + self.found)


@keras.saving.register_keras_serializable(package="keras_micronet")
class CountError(_CentreMetric):
    """By how many objects the count of an image is wrong: the mean absolute error.

    Args:
        threshold, class_id: see `CentreF1`.
    """

    def __init__(
        self, threshold: float = _THRESHOLD, class_id: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(threshold=threshold, class_id=class_id, **kwargs)
        self.errors = self.add_weight(name="errors", initializer="zeros")
        self.images = self.add_weight(name="images", initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch; `y_true` and `y_pred` as for `GridCrossentropy`. Weights are ignored."""
        there, found = self._centres(y_true, y_pred)
        counts = (
            keras.ops.sum(keras.ops.cast(values, self.errors.dtype), axis=(1, 2, 3))
            for values in (there, found > 0)
        )
        difference = keras.ops.abs(keras.ops.subtract(*counts))
        self.errors.assign_add(keras.ops.sum(difference))
        self.images.assign_add(keras.ops.cast(keras.ops.size(difference), self.images.dtype))

    def result(self) -> Any:
        return keras.ops.divide_no_nan(self.errors, self.images)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {name: config[name] for name in config if name not in ("tolerance", "most_objects")}


@keras.saving.register_keras_serializable(package="keras_micronet")
class CorrectKeypoints(keras.metrics.Metric):
    """Part of the joints that are found within a distance (PCK), 0 to 1.

    Args:
        tolerance: cells that the most probable cell may be from the joint, in the direction in
            which they are further.
        name, dtype: as for `keras.metrics.Metric`.

    `y_true`: numbers `(batch, rows, columns, joints)`; a joint is where its heatmap is highest, and
    is not there if that is 0 everywhere.
    `y_pred`: probabilities of the same shape.

    Raises:
        ValueError: if the tolerance is not a finite number.
    """

    def __init__(self, tolerance: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        (self.tolerance,) = arguments.finite_numbers("tolerance", (tolerance,), 1)
        self.right = self.add_weight(name="right", initializer="zeros")
        self.there = self.add_weight(name="there", initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch. Weights are ignored."""
        heights, places = _highest(keras.ops.cast(y_true, y_pred.dtype))
        _, found = _highest(y_pred)
        columns = y_pred.shape[2]
        apart = keras.ops.maximum(
            keras.ops.abs(places // columns - found // columns),
            keras.ops.abs(places % columns - found % columns),
        )
        is_there = heights > 0
        is_right = is_there & (keras.ops.cast(apart, "float32") <= self.tolerance)
        self.right.assign_add(keras.ops.sum(keras.ops.cast(is_right, self.right.dtype)))
        self.there.assign_add(keras.ops.sum(keras.ops.cast(is_there, self.there.dtype)))

    def result(self) -> Any:
        return keras.ops.divide_no_nan(self.right, self.there)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "tolerance": self.tolerance}


def _highest(grid):
    """The highest value of each joint's map, and the index of its cell, `(batch, joints)`."""
    flat = keras.ops.reshape(grid, (-1, grid.shape[1] * grid.shape[2], grid.shape[3]))
    return keras.ops.max(flat, axis=1), keras.ops.argmax(flat, axis=1)
