# SPDX-License-Identifier: Apache-2.0
"""Every variant gives the numbers of the authors' code: block by block, and at the logits."""

import keras
import numpy as np
import pytest

from keras_micronet.layers import FactorizedStem, MicroBlock
from tests.keras_micronet.golden import golden

TOLERANCE = 1e-4  # of an output's largest magnitude

every_variant = pytest.mark.parametrize("variant", golden.VARIANTS)


def relative_error(outputs, expected):
    assert outputs.shape == expected.shape
    assert np.abs(expected).max() > 0.1
    return np.abs(outputs - expected).max() / np.abs(expected).max()


@every_variant
@pytest.mark.parametrize("size", golden.SIZES)
def test_logits(variant, size, released_model):
    logits = np.array(released_model(variant)(golden.images(size)))
    expected = golden.measured(variant)[f"logits_{size}"]
    assert relative_error(logits, expected) <= TOLERANCE


@every_variant
def test_stem_and_blocks(variant, released_model):
    model = released_model(variant)
    stages = [layer for layer in model.layers if isinstance(layer, (FactorizedStem, MicroBlock))]
    features = keras.Model(model.input, [stage.output for stage in stages])
    expected = golden.measured(variant)
    names = [f"features_{index}_64" for index in range(len(stages))]
    assert set(names) == {name for name in expected if name.startswith("features_")}
    for name, outputs in zip(names, features(golden.images(64)), strict=True):
        assert relative_error(np.array(outputs), expected[name]) <= TOLERANCE, name


def test_compiled_prediction_too(released_model):
    logits = released_model("M0").predict(golden.images(64), verbose=0)
    expected = golden.measured("M0")["logits_64"]
    assert relative_error(logits, expected) <= TOLERANCE


@every_variant
def test_golden_state_dict_is_whole(variant, released_state_dict):
    state = released_state_dict(variant)
    statistics = {key for key in golden.measured(variant) if "running_" in key}
    assert statistics == {key for key in state if "running_" in key}
    trainable = {"M0": 1_019_590, "M1": 1_777_587, "M2": 2_393_876, "M3": 2_622_960}
    count = sum(value.size for key, value in state.items() if key not in statistics)
    assert count == trainable[variant]
