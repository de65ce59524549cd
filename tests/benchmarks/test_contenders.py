# SPDX-License-Identifier: Apache-2.0
"""What is compared: which networks, and that a training step trains."""

import numpy as np

from benchmarks.contenders import MOBILENET, networks, training_step


def test_stock_copies_take_part_where_asked_for():
    assert list(networks(["M0"], 32, with_stock=True)) == [MOBILENET, "M0", "M0 stock"]
    models = networks(["M0"], 32, with_stock=False)
    assert list(models) == [MOBILENET, "M0"]
    for model in models.values():
        assert (model.input_shape, model.output_shape) == ((None, 32, 32, 3), (None, 1000))


def test_a_training_step_trains(small_classifier):
    before = [weight.numpy() for weight in small_classifier.trainable_weights]
    loss = training_step(small_classifier, batch_size=4)()
    after = [weight.numpy() for weight in small_classifier.trainable_weights]
    assert np.isfinite(loss)
    assert all(np.any(a != b) for a, b in zip(before, after, strict=True))
