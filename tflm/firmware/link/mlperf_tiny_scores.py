# SPDX-License-Identifier: Apache-2.0
"""What the benchmark makes of a device's results: top-1 accuracy and the area under the curve."""

import types

import numpy as np


def top_1(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Share of inputs whose class has the highest probability; of equal ones, the first has it.

    Args:
        probabilities: float `(count, classes)`.
        labels: integers `(count,)`.
    """
    return float(np.mean(np.argmax(probabilities, axis=1) == labels))


def area_under_curve(probabilities: np.ndarray, labels: np.ndarray) -> float | None:
    """Area under the ROC curve, as scikit-learn computes it, which the benchmark's rules name.

    Of two classes that of the second one; of more, the mean of each against the rest.

    Args:
        probabilities: float `(count, classes)`, none negative; each row is divided by its sum.
        labels: integers `(count,)`.

    Returns:
        A value from 0 to 1, or `None` if a class has no inputs.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    metrics = require_scikit_learn()
    count = probabilities.shape[1]
    if len(np.unique(labels)) < count:
        return None
    # Three decimals make ties, which the last bit of a sum breaks: added up as the runner does it.
    sums = [sum(row) for row in probabilities.tolist()]
    shares = probabilities / np.array(sums)[:, np.newaxis]
    if count == 2:
        return float(metrics.roc_auc_score(labels, shares[:, 1]))
    return float(metrics.roc_auc_score(labels, shares, multi_class="ovr"))


def require_scikit_learn() -> types.ModuleType:
    """Module `sklearn.metrics`.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    try:
        from sklearn import metrics
    except ImportError as error:
        raise ImportError(
            "scikit-learn must be installed for the area under the curve. "
            "Received: no module `sklearn`. python -m pip install scikit-learn"
        ) from error
    return metrics
