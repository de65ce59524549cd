# SPDX-License-Identifier: Apache-2.0
"""Models of fused kernels in TensorFlow Lite Micro: right to the byte, and near the float model."""

import numpy as np
import pytest

import keras_micronet
from benchmarks.export_size import settle
from keras_micronet.layer_chain import INPUT, unroll
from keras_micronet.quantization import CalibrationTools, quantize_aware
from keras_micronet.quantization.plan import plan, range_names
from keras_micronet.quantization.schemes import SCHEMES, WeightRounding
from tests.keras_micronet.quantization import chains
from tests.tflm import fused_models
from tests.tflm.micronets import random_micronet
from tflm import exporter
from tflm.graph.graph import Graph
from tflm.micro import flatbuffer
from tflm.micro.interpreter import MicroInterpreter
from tflm.passes import builtin_operations, fused_operations, lowering, quantization, scales
from tflm.report import tensor_noise
from tflm.settings import KERNELS
from tflm.sources import kernel_sources

pytestmark = pytest.mark.slow


def deployments(model, images, scheme="int8"):
    """The same quantized model with builtin and with fused kernels."""
    quantized = quantize_aware(model, images, scheme)
    return [exporter.deploy(quantized, kernels=kernels) for kernels in KERNELS]


def output_noise(deployment, images):
    """Signal-to-noise ratio of the last activation, in decibels."""
    rows = tensor_noise.measure(deployment.float_graph, deployment.graph, images)
    (row,) = [row for row in rows if row.name == deployment.graph.operations[-1].name]
    return row.signal_to_noise_decibels


@pytest.mark.parametrize("make", chains.CHAINS, ids=lambda make: make.__name__)
def test_fused_kernels_are_as_near_to_the_float_model_as_builtin_ones(make):
    model = make()
    images = chains.random_images(model, 16)
    builtin, fused = deployments(model, images)
    if make is chains.nested:  # its first layer normalizes, which the graph leaves to tables
        images = np.asarray(model.layers[1](images))
    builtin_ratio, ratio = (output_noise(each, images) for each in (builtin, fused))
    assert ratio > builtin_ratio - 1.0
    assert ratio > 15.0


@pytest.mark.parametrize("variant", ["M0", "M1", "M2", "M3"])
def test_device_computes_the_kernels_definitions(variant):
    """Every byte of the output, for odd sizes and any ranges."""
    shape = (45, 58, 3)
    model = random_micronet(variant, shape, include_preprocessing=False)
    # Or activations would leave their ranges, and all images have the same output.
    settle(model, np.random.default_rng(0).standard_normal((8, *shape)).astype(np.float32))
    graph = builtin_operations.to_builtin(fused_operations.fuse(lowering.lower(model)))
    ranges = dict.fromkeys(range_names(plan(unroll(model)), INPUT), (-3.0, 5.0))
    graph = quantization.quantize(graph, ranges)
    multiply_adds = sum(each.options["integers"].multiply_adds for each in graph.operations)
    assert multiply_adds == keras_micronet.summarize(model).multiply_adds
    interpreter = MicroInterpreter(flatbuffer.serialize(graph), kernel_sources.operators(graph))
    inputs = np.random.default_rng(0).integers(-128, 128, (3, *shape)).astype(np.int8)
    outputs = interpreter.run(inputs)
    assert len(np.unique(outputs.reshape(3, -1), axis=0)) == 3  # it tells images apart
    for image, output in zip(inputs, outputs, strict=True):
        expected = fused_models.run(graph, image)[graph.outputs[0]]
        np.testing.assert_array_equal(output.reshape(expected.shape), expected)


def test_m0_is_within_its_budgets():
    """At 224 with 1000 classes; a 4-bit head has both formats of the library."""
    model = random_micronet("M0", (224, 224, 3), classes=1000, include_preprocessing=False)
    float_graph = fused_operations.fuse(lowering.lower(model))
    ranges = dict.fromkeys(range_names(plan(unroll(model)), INPUT), (-3.0, 5.0))
    graph = quantization.quantize(float_graph, ranges)
    model_bytes = flatbuffer.serialize(graph)
    interpreter = MicroInterpreter(model_bytes, kernel_sources.operators(graph))
    assert interpreter.arena.total_bytes <= 215_000
    assert len(model_bytes) <= 1.08 * model.count_params()
    for scheme in ("int8_head4", "int8_head4_per_channel"):
        head = WeightRounding(SCHEMES[scheme].head)
        roundings = {"head_dense": head, "classifier_dense": head}
        small = flatbuffer.serialize(quantization.quantize(float_graph, ranges, roundings))
        assert len(small) <= 640_000


def test_four_bit_head_with_a_scale_for_each_output():
    """No builtin kernel takes it."""
    model = chains.head()
    images = chains.random_images(model, 16)
    quantized = quantize_aware(model, images, "int8_head4_per_channel")
    with pytest.raises(ValueError):
        exporter.deploy(quantized)
    deployment = exporter.deploy(quantized, kernels="fused")
    operators = {operation.kind for operation in deployment.graph.operations}
    assert "MICRONET_DENSE_S4" in operators
    assert output_noise(deployment, images) > 15.0


def one_pointwise(weight, low, high):
    """A float graph of one pointwise convolution with one weight."""
    graph = Graph()
    source = graph.add_tensor("images", (1, 2, 2, 1))
    weights = graph.add_constant("weights", np.full((1, 1, 1, 1), weight, np.float32))
    bias = graph.add_constant("bias", np.zeros(1, np.float32))
    graph.inputs = [source]
    graph.outputs = [
        graph.add_operation(
            "CONV_2D", [source, weights, bias], "y", (1, 2, 2, 1), strides=(1, 1), padding="SAME"
        )
    ]
    return quantization.quantize(
        fused_operations.fuse(graph), {"images": (-1.0, 1.0), "y": (low, high)}
    )


def test_steps_of_the_output_are_not_finer_than_those_of_its_sums():
    """A weight of 1000 makes each step of a sum 1000 / 127 of the input's; y need not be finer."""
    graph = one_pointwise(1000.0, -0.5, 0.5)
    product = 2.0 / 255 * 1000.0 / 127
    assert graph.tensors["y"].quantization.scale[0] == pytest.approx(2 * product, rel=1e-5)
    fine = one_pointwise(1.0, -0.5, 0.5)
    assert fine.tensors["y"].quantization == scales.affine(-0.5, 0.5)


@pytest.mark.parametrize("narrower", [1e-4, 1e-8])
def test_dynamic_shift_max_that_int16_cannot_hold_has_coarser_steps(narrower):
    """A coefficient of 3 times the ratio of the steps must fit in int16 with 4 fraction bits."""
    model = chains.last_row()
    images = chains.random_images(model, 8)
    quantized = quantize_aware(model, images, tools=CalibrationTools(channel_factors=False))
    (result,) = [name for name in quantized.activation_ranges if name.endswith("/fusion1")]
    low, high = quantized.activation_ranges[result]
    narrow = {result: (narrower * low, narrower * high)}
    quantized.activation_ranges = {**quantized.activation_ranges, **narrow}
    deployment = exporter.deploy(quantized, kernels="fused")
    tensors = deployment.graph.tensors
    (operation,) = [each for each in deployment.graph.operations if "SHIFT_MAX" in each.kind]
    (source, _), (output,) = operation.inputs[:2], operation.outputs
    ratio = tensors[source].quantization.scale[0] / tensors[output].quantization.scale[0]
    kernel = operation.options["integers"]
    assert kernel.coefficient_shift == 4
    assert 0.9 * 32767 < np.abs(kernel.coefficient_limits).max() <= 32767
    assert ratio == pytest.approx(np.abs(kernel.coefficient_limits).max() / 3 / 2**4, rel=1e-3)
    outputs = tensors[output].quantization
    simulated = outputs.quantize(quantized.logits(images)).reshape(8, -1)
    np.testing.assert_array_equal(
        simulated,
        deployment.interpreter.run(deployment.input_quantization.quantize(images)).reshape(8, -1),
    )
