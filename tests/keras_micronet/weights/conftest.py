# SPDX-License-Identifier: Apache-2.0
"""A model that weights are loaded into."""

import pytest

from tests.keras_micronet import models


@pytest.fixture(scope="module")
def reused_model():
    return models.logits_model("M0")


@pytest.fixture
def blank(reused_model):
    """A model to load weights into; building one for every test would take long."""
    models.randomize(reused_model)
    return reused_model
