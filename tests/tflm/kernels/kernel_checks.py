# SPDX-License-Identifier: Apache-2.0
"""What the tests of several kernels ask of them."""

import dataclasses
import struct

import numpy as np

from tflm.kernels import kernel_runner

EMULATED = [target for target in kernel_runner.Target if target is not kernel_runner.Target.HOST]
STATUS = {
    "OPTIONS_SIZE": 1,
    "OPTIONS_VERSION": 2,
    "OPTIONS_VALUE": 3,
    "CONSTANT_COUNT": 4,
    "CONSTANT_SIZE": 5,
    "CONSTANT_VALUE": 7,
}


def check_results(calls, target, folder):
    """Runs pairs of operation and input; all results must be the references'. Returns them."""
    results = kernel_runner.run(
        [(operation.packed(), (images,)) for operation, images in calls], target, folder
    )
    for (operation, images), result in zip(calls, results, strict=True):
        assert result.status == 0
        np.testing.assert_array_equal(result.output, operation.reference(images), str(operation))
    return results


def refused(kernel_cache, *operations):
    """Statuses of packed operations, which bind must refuse before a kernel runs."""
    calls = [
        (operation, tuple(np.zeros(shape, np.int8) for shape in operation.input_shapes))
        for operation in operations
    ]
    results = kernel_runner.run(calls, kernel_runner.Target.HOST, kernel_cache)
    return [result.status for result in results]


def with_options(packed, values):
    """A packed operation with other options: their values by index; 0 is the version."""
    options = bytearray(packed.options)
    for index, value in values.items():
        struct.pack_into("<i", options, 4 * index, value)
    return dataclasses.replace(packed, options=bytes(options))


def with_option(packed, index, value):
    """A packed operation with one other option."""
    return with_options(packed, {index: value})


def with_constant(packed, index, value):
    """A packed operation with one other constant."""
    constants = list(packed.constants)
    constants[index] = value
    return dataclasses.replace(packed, constants=tuple(constants))
