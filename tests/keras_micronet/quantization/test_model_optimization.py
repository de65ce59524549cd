# SPDX-License-Identifier: Apache-2.0
"""tensorflow-model-optimization is imported without what importing it does to a process."""

import os
import sys

import keras
import pytest
import tensorflow as tf

from keras_micronet.quantization import model_optimization

VARIABLE = "TF_USE_LEGACY_KERAS"


@pytest.fixture
def fake_package(monkeypatch, tmp_path):
    """Function that puts a package of the given source in place of the real one."""

    def put(source):
        (tmp_path / "tensorflow_model_optimization.py").write_text(source)
        monkeypatch.delitem(sys.modules, "tensorflow_model_optimization", raising=False)
        monkeypatch.syspath_prepend(tmp_path)

    yield put
    sys.modules.pop("tensorflow_model_optimization", None)


SETS_THE_VARIABLE = f"import os; os.environ[{VARIABLE!r}] = '1'\n"
QUANTIZERS = """
class quantization:
    class keras:
        quantizers = "the quantizers"
"""


@pytest.mark.parametrize("value", [None, "0", "1", ""])
def test_variable_is_as_the_user_left_it(fake_package, monkeypatch, value):
    fake_package(SETS_THE_VARIABLE + QUANTIZERS)
    if value is None:
        monkeypatch.delenv(VARIABLE, raising=False)
    else:
        monkeypatch.setenv(VARIABLE, value)
    # Past the cache, which holds the real package.
    assert model_optimization.quantizers.__wrapped__() == "the quantizers"
    assert os.environ.get(VARIABLE) == value


def test_missing_package_is_named(fake_package, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    fake_package(SETS_THE_VARIABLE + "raise ImportError('no such thing')")
    message = r"pip install 'keras_micronet\[quantization\]'. Received: no such thing"
    with pytest.raises(ImportError, match=message):
        model_optimization.quantizers.__wrapped__()
    assert VARIABLE not in os.environ


def test_quantizers_are_the_package_s():
    assert model_optimization.quantizers().MovingAverageQuantizer.__module__.startswith(
        "tensorflow_model_optimization."
    )


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "float64"])
def test_variables_are_the_layer_s(policy):
    """As the quantizers ask for them, with initializers of Keras 2 that Keras 3 does not know."""
    layer = keras.layers.Layer(dtype=policy)
    owner = model_optimization.WeightOwner(layer)
    variable = owner.add_weight("range_min", initializer=object(), trainable=False)
    assert isinstance(variable, tf.Variable)
    assert variable.shape == () and variable.dtype == tf.float32
    (weight,) = layer.weights
    variable.assign(3.5)
    assert float(weight) == 3.5
    assert layer.trainable_weights == []
