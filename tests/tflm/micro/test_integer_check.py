# SPDX-License-Identifier: Apache-2.0
"""Models of integers only pass; a float tensor or a conversion anywhere in them is named."""

import warnings

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from tests.tflm.hand_made_graphs import chain_of_two_convolutions
from tests.tflm.micro.test_interpreter import change_scale, changed, give_float, take_float
from tests.tflm.operator_cases import CASES
from tflm.micro import flatbuffer
from tflm.micro.integer_check import require_integers_only


def model_of(name):
    return flatbuffer.serialize(CASES[name]()[0])


@pytest.fixture(scope="module")
def chain():
    return flatbuffer.serialize(chain_of_two_convolutions())


def quantized_by_tensorflow():
    """A dense layer, quantized by TensorFlow's converter but for its ends, as is its default."""
    weights = tf.constant(np.random.default_rng(0).standard_normal((4, 3)), tf.float32)

    @tf.function(input_signature=[tf.TensorSpec((1, 4), tf.float32)])
    def dense(x):
        return tf.matmul(x, weights)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # announces another package
        converter = tf.lite.TFLiteConverter.from_concrete_functions([dense.get_concrete_function()])
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        inputs = np.linspace(-1, 1, 4, dtype=np.float32)[np.newaxis]
        converter.representative_dataset = lambda: [[inputs], [-inputs]]
        return converter.convert()


# What passes


@pytest.mark.parametrize("name", CASES)
def test_every_operator_that_is_written_passes(name):
    require_integers_only(model_of(name))


def test_names_and_unused_operator_codes_do_not_matter(chain):
    def add_code(parsed):
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
        code.version = 2
        parsed.operatorCodes.append(code)
        parsed.subgraphs[0].tensors[0].name = b"DEQUANTIZE"

    require_integers_only(changed(chain, add_code))


# What does not


def test_converters_default_is_refused():
    with pytest.raises(ValueError, match=r"Received: operator 0 \(QUANTIZE\)"):
        require_integers_only(quantized_by_tensorflow())


def test_change_of_scale_within_int8_is_refused():
    with pytest.raises(ValueError, match=r"Received: operator 0 \(QUANTIZE\)"):
        require_integers_only(changed(model_of("relu_to_another_scale"), change_scale))


@pytest.mark.parametrize(("change", "kind"), [(take_float, "QUANTIZE"), (give_float, "DEQUANTIZE")])
def test_conversions_at_the_ends_are_refused(change, kind):
    model = changed(model_of("relu_to_another_scale"), change)
    with pytest.raises(ValueError, match=rf"Received: operator 0 \({kind}\)"):
        require_integers_only(model)


def set_type(name, **where):
    """A change of the type of one tensor of a chain of two convolutions.

    Args:
        name: of the new type.
        where: `operator` and its `input`, or `operator` alone for its output.
    """

    def change(parsed):
        operator = parsed.subgraphs[0].operators[where["operator"]]
        index = operator.inputs[where["input"]] if "input" in where else operator.outputs[0]
        tensor = parsed.subgraphs[0].tensors[index]
        tensor.type = getattr(schema.TensorType, name)
        tensor.name = b"culprit"

    return change


@pytest.mark.parametrize("name", ["FLOAT32", "FLOAT16", "UINT8", "INT64", "BOOL"])
def test_tensor_of_another_type_is_refused(chain, name):
    model = changed(chain, set_type(name, operator=0))
    message = rf"must be INT8, INT4, INT16 or INT32. Received: tensor \d+ 'culprit', {name}"
    with pytest.raises(ValueError, match=message):
        require_integers_only(model)


def test_int16_is_for_constants_only(chain):
    """The kernels' tables have it."""
    model = changed(chain, set_type("INT16", operator=0))
    message = r"activation must be INT8. Received: tensor \d+ 'culprit', INT16"
    with pytest.raises(ValueError, match=message):
        require_integers_only(model)


def float_bias(parsed):
    """Elements of a float are as large as those of int32."""
    set_type("FLOAT32", operator=1, input=2)(parsed)


def float_tensor_that_nothing_reads(parsed):
    tensor = schema.TensorT()
    tensor.shape, tensor.type, tensor.buffer = [1, 4], schema.TensorType.FLOAT32, 0
    tensor.name = b"culprit"
    parsed.subgraphs[0].tensors.append(tensor)


@pytest.mark.parametrize("change", [float_bias, float_tensor_that_nothing_reads])
def test_float_anywhere_is_refused(chain, change):
    with pytest.raises(ValueError, match=r"Received: tensor \d+ 'culprit', FLOAT32"):
        require_integers_only(changed(chain, change))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            set_type("INT32", operator=0),
            r"activation must be INT8. .*'culprit', INT32, .* operator [01] \(CONV_2D\)",
        ),
        (set_type("INT4", operator=1), "activation must be INT8. .*INT4, an output of the model"),
        (set_type("INT32", operator=0, input=0), "activation .*INT32, an input of the model"),
    ],
)
def test_integers_of_the_wrong_role_are_refused(chain, change, words):
    with pytest.raises(ValueError, match=words):
        require_integers_only(changed(chain, change))


def test_weights_must_be_constant(chain):
    def empty(parsed):
        index = parsed.subgraphs[0].operators[0].inputs[1]
        parsed.subgraphs[0].tensors[index].buffer = 0

    with pytest.raises(ValueError, match=r"weights must be constant.* input 1 of operator 0"):
        require_integers_only(changed(chain, empty))


def test_operator_of_unknown_arithmetic_is_refused(chain):
    def use_logistic(parsed):
        parsed.operatorCodes[0].builtinCode = schema.BuiltinOperator.LOGISTIC
        parsed.operatorCodes[0].deprecatedBuiltinCode = schema.BuiltinOperator.LOGISTIC

    with pytest.raises(ValueError, match=r"operator 0 \(LOGISTIC\)"):
        require_integers_only(changed(chain, use_logistic))


def test_what_is_no_model_is_refused(chain):
    with pytest.raises(ValueError, match="TFL3"):
        require_integers_only(b"")
    with pytest.raises(ValueError, match="verifier"):
        require_integers_only(chain[: len(chain) // 2])
    with pytest.raises(TypeError, match="bytearray"):
        require_integers_only(bytearray(chain))
