# SPDX-License-Identifier: Apache-2.0
"""Operations that are as they are defined pass; one that is not is named, and no other."""

import dataclasses

import numpy as np
import pytest

from keras_micronet.quantization import quantize_aware
from tests.keras_micronet.quantization import chains
from tests.tflm.hand_made_graphs import chain_of_two_convolutions, random_inputs
from tflm import exporter
from tflm.kernels.dynamic_shift_max import DynamicShiftMax
from tflm.micro import flatbuffer
from tflm.settings import KERNELS
from tflm.verification import operation_check
from tflm.verification.operation_check import check_operations
from tflm.verification.verification import VerificationError


def images_for(graph, count=5):
    shape = graph.tensors[graph.inputs[0]].shape
    return np.random.default_rng(0).integers(-128, 128, (count, *shape[1:])).astype(np.int8)


@pytest.fixture(scope="module", params=KERNELS)
def block_graph(request):
    model = chains.block_a()
    quantized = quantize_aware(model, chains.random_images(model, 16))
    return exporter.deploy(quantized, kernels=request.param).graph


def test_every_operation_of_a_block_is_as_defined(block_graph):
    images = images_for(block_graph)
    check = check_operations(block_graph, images)
    assert check.images == 5
    assert check.operations == len(block_graph.operations)
    tensors = block_graph.tensors
    shapes = [tensors[operation.outputs[0]].shape for operation in block_graph.operations]
    assert check.values == 5 * sum(int(np.prod(shape)) for shape in shapes)
    is_fused = "integers" in block_graph.operations[-1].options
    assert check.exact_values == check.values if is_fused else check.exact_values < check.values
    model = exporter.MicroInterpreter(
        flatbuffer.serialize(block_graph), exporter.kernel_sources.operators(block_graph)
    )
    np.testing.assert_array_equal(check.outputs, model.run(images))


def test_corrupted_constant_of_a_fused_kernel_is_named(monkeypatch):
    """One number of what is packed for one of the block's two Dynamic Shift-Maxes."""
    model = chains.block_a()
    quantized = quantize_aware(model, chains.random_images(model, 16))
    original = DynamicShiftMax.packed

    def packed(self):
        operation = original(self)
        if self.fusions == 2:
            constants = [np.array(constant) for constant in operation.constants]
            constants[3][0] *= -1  # the bias of one coefficient
            operation = dataclasses.replace(operation, constants=tuple(constants))
        return operation

    monkeypatch.setattr(DynamicShiftMax, "packed", packed)
    graph = exporter.deploy(quantized, kernels="fused").graph
    with pytest.raises(VerificationError) as raised:
        check_operations(graph, images_for(graph))
    message = str(raised.value)
    assert "Every operation on the device must compute what it is defined to" in message
    named = [op for op in graph.operations if op.name + " (" in message]
    assert [op.kind for op in named] == ["MICRONET_DYNAMIC_SHIFT_MAX_S8"]
    assert named[0].options["integers"].fusions == 2
    assert "Please report it" in message


def test_wrong_bias_in_the_file_of_a_builtin_operator_is_named(monkeypatch):
    """The file has another bias than the graph: the operator computes something else."""
    graph = chain_of_two_convolutions()
    wrong = chain_of_two_convolutions()
    wrong.tensors["b1"].data = wrong.tensors["b1"].data + 500
    serialize = flatbuffer.serialize

    def serialize_wrong(written):
        return serialize(dataclasses.replace(wrong, outputs=written.outputs))

    check_operations(graph, random_inputs(graph)[0])
    monkeypatch.setattr(flatbuffer, "serialize", serialize_wrong)
    with pytest.raises(VerificationError, match=r"Received: y \(CONV_2D\): \d+ of 96 values, "):
        check_operations(graph, random_inputs(graph)[0])


def test_one_step_beside_a_real_result_is_no_fault_two_are(monkeypatch):
    """The device is replaced by one that adds steps to what it should compute."""
    graph = chain_of_two_convolutions()
    images = images_for(graph)

    class Device(operation_check.DeviceActivations):
        steps = 0

        def run(self, integers):
            values = super().run(integers)
            moved = values["y"].astype(int) + self.steps
            return {**values, "y": np.clip(moved, -128, 127).astype(np.int8)}

    monkeypatch.setattr(operation_check, "DeviceActivations", Device)
    exact = check_operations(graph, images).exact_values
    assert exact > 0.9 * check_operations(graph, images).values
    Device.steps = 3
    with pytest.raises(VerificationError, match=r"y \(CONV_2D\)"):
        check_operations(graph, images)


def test_messages_name_three_operations_and_count_the_rest():
    comparisons = []
    graph = chain_of_two_convolutions()
    for _ in range(5):
        comparison = operation_check._Comparison(graph.operations[0])
        comparison.add(np.array([5, 7]), np.array([5, 17]))
        comparisons.append(comparison)
    with pytest.raises(VerificationError, match="17 instead of 7; .*and 2 more operations"):
        operation_check._require_none_wrong(comparisons)
