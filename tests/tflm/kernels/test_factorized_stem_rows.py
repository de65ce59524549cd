# SPDX-License-Identifier: Apache-2.0
"""The stem that takes its image row by row: equal to the reference, and the order of its calls."""

import ctypes
import dataclasses
import subprocess

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from tests.tflm.kernels.test_factorized_conv import (
    EMULATED,
    STEM_SHAPES,
    cases,
    random_images,
    random_limits,
    random_operation,
)
from tflm.kernels import c_files, kernel_runner
from tflm.kernels.factorized_stem import FactorizedStem

OPERATOR = "factorized_stem_rows_s8"
OK, NULL_POINTER, CALL_ORDER = 0, 8, 11
M0 = ((224, 224, 3), (3, 3), (2, 2), (2, 2))
M3 = ((224, 224, 3), (3, 3), (2, 2), (4, 3))
# Beside those of the whole image: rows at odd addresses, windows that end outside, several rows of
# the output at once, rows that no window reads.
SHAPES = [
    M0,
    M3,
    *STEM_SHAPES,
    ((45, 61, 3), (3, 3), (2, 2), (3, 2)),
    ((33, 50, 3), (3, 5), (1, 2), (2, 2)),
    ((9, 15, 3), (7, 3), (1, 1), (2, 2)),
    ((14, 11, 4), (3, 3), (4, 1), (1, 1)),
    ((11, 9, 2), (1, 3), (2, 1), (2, 1)),
]


def case(shape, seed=0, **fields):
    """An operation with random integers, and an image."""
    random = np.random.default_rng(seed)
    operation = random_operation(random, FactorizedStem, *shape, **fields)
    return operation, random_images(random, operation.input_shape)


def run(calls, target, folder):
    return kernel_runner.run(
        [
            (dataclasses.replace(operation.packed(), operator=OPERATOR), (image,))
            for operation, image in calls
        ],
        target,
        folder,
    )


def check_results(calls, target, folder):
    results = run(calls, target, folder)
    for (operation, image), result in zip(calls, results, strict=True):
        assert result.status == OK
        np.testing.assert_array_equal(result.output, operation.reference(image), str(operation))
    return results


@hypothesis.settings(max_examples=25, deadline=None)
@hypothesis.given(strategies.lists(cases(FactorizedStem), min_size=1, max_size=12))
def test_host_equals_reference(kernel_cache, calls):
    check_results(calls, kernel_runner.Target.HOST, kernel_cache)


@pytest.fixture(scope="module")
def fixed_calls():
    calls = [case(shape, seed) for seed, shape in enumerate(SHAPES)]
    for seed in range(40):
        random = np.random.default_rng(seed)
        taps = [3, int(random.choice([3, 5]))] if seed % 4 else random.choice([1, 3, 5, 7], 2)
        shape = (
            (*map(int, random.integers(1, 30, 2)), 3 if seed % 4 else int(random.integers(1, 5))),
            [int(count) for count in taps],
            [int(stride) for stride in random.integers(1, 3 if seed % 4 else 5, 2)],
            [int(multiplier) for multiplier in random.integers(1, 5, 2)],
        )
        limits = random_limits(random) if seed % 5 == 0 else {}
        calls.append(case(shape, seed, is_extreme=seed % 3 == 0, **limits))
    return calls


@pytest.mark.parametrize("target", EMULATED)
def test_processors_equal_reference(kernel_cache, fixed_calls, target):
    results = check_results(fixed_calls, target, kernel_cache)
    for (operation, _), result in zip(fixed_calls, results, strict=True):
        assert result.buffer_bytes == operation.rows_buffer_bytes


@pytest.mark.parametrize("shape", [M0, M3])
def test_buffer_of_the_models(kernel_cache, shape):
    """A 66th of the image."""
    (result,) = run([case(shape)], kernel_runner.Target.HOST, kernel_cache)
    assert result.buffer_bytes == 2260


@pytest.mark.parametrize(
    "target, shape, most",
    [
        ("CORTEX_M4", M0, 1.1),
        ("CORTEX_M4", M3, 1.05),
        ("CORTEX_M7", M0, 1.1),
        ("CORTEX_M55", M0, 1.13),
        ("CORTEX_M55", M3, 1.06),
        ("CORTEX_M4_PORTABLE", M0, 1.03),
    ],
)
def test_instructions(kernel_cache, target, shape, most):
    """Compared with the whole image at once."""
    operation, image = case(shape)
    target = kernel_runner.Target[target]
    (whole,) = kernel_runner.run([(operation.packed(), (image,))], target, kernel_cache)
    (rows,) = run([(operation, image)], target, kernel_cache)
    assert rows.instructions < most * whole.instructions


# Order of the calls


class Constant(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("bytes", ctypes.c_int32)]


class Operands(ctypes.Structure):
    _fields_ = [
        ("options", ctypes.c_char_p),
        ("options_bytes", ctypes.c_int32),
        ("constants", ctypes.POINTER(Constant)),
        ("constant_count", ctypes.c_int32),
    ]


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The kernel's functions for this computer."""
    path = tmp_path_factory.mktemp("rows") / "library.so"
    words = ["gcc", "-std=c99", "-O1", "-shared", "-fPIC", *kernel_runner.sources(OPERATOR)]
    for folder in c_files.include_folders():
        words += ["-I", folder]
    subprocess.run([*words, "-o", path], check=True)
    loaded = ctypes.CDLL(str(path))
    loaded.micronet_status_message.restype = ctypes.c_char_p
    return loaded


class Stem:
    """One operation with a buffer and an output, called as a device does."""

    FILL = 0x5A

    def __init__(self, library, operation):
        self.library = library
        packed = operation.packed()
        self.arrays = [np.ascontiguousarray(constant) for constant in packed.constants]
        constants = [Constant(array.ctypes.data, array.nbytes) for array in self.arrays]
        self.constants = (Constant * len(constants))(*constants)
        operands = Operands(packed.options, len(packed.options), self.constants, len(constants))
        self.params = ctypes.create_string_buffer(256)  # more than the structure's size
        status = library.micronet_factorized_stem_s8_bind(ctypes.byref(operands), self.params)
        assert status == OK
        size = library.micronet_factorized_stem_rows_s8_get_buffer_size(self.params)
        self.buffer = np.full(-(-size // 4), 0x5A5A5A5A, np.uint32)
        self.output = np.full(operation.output_shape, self.FILL, np.int8)
        self.row = np.zeros(operation.input_shape[1:], np.int8)

    def begin(self):
        return self.library.micronet_factorized_stem_rows_s8_begin(
            self.params, ctypes.c_void_p(self.buffer.ctypes.data)
        )

    def push(self, row):
        """Through memory that holds something else before and afterwards."""
        self.row[:] = row
        pointers = [ctypes.c_void_p(x.ctypes.data) for x in (self.row, self.output, self.buffer)]
        status = self.library.micronet_factorized_stem_rows_s8_push(self.params, *pointers)
        self.row[:] = 77
        return status

    def finish(self):
        return self.library.micronet_factorized_stem_rows_s8_finish(
            self.params, ctypes.c_void_p(self.buffer.ctypes.data)
        )

    def push_refused(self):
        """Checks that a push has no effect."""
        output, buffer = self.output.copy(), self.buffer.copy()
        assert self.push(0) == CALL_ORDER
        np.testing.assert_array_equal(self.output, output)
        np.testing.assert_array_equal(self.buffer, buffer)


SMALL = ((9, 7, 3), (3, 3), (2, 1), (2, 2))


@pytest.mark.parametrize("taps", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("height", [1, 2, 8, 11])
def test_rows_are_written_as_soon_as_they_can_be(library, height, stride, taps):
    operation, image = case(((height, 6, 3), (taps, 3), (stride, 1), (2, 2)))
    stem, reference = Stem(library, operation), operation.reference(image)
    output_rows = np.arange(len(reference))
    last_read = np.minimum(stride * output_rows + taps // 2, height - 1)
    assert stem.begin() == OK
    for y, row in enumerate(image):
        assert stem.push(row) == OK
        expected = np.where((last_read <= y)[:, None, None], reference, stem.FILL)
        np.testing.assert_array_equal(stem.output, expected)


def test_images_follow_each_other_in_the_same_buffer(library):
    operation, _ = case(SMALL)
    stem = Stem(library, operation)
    for seed in range(3):
        image = random_images(np.random.default_rng(seed), operation.input_shape)
        calls = [stem.begin(), *map(stem.push, image), stem.finish()]
        assert calls == [OK] * (2 + len(image))
        np.testing.assert_array_equal(stem.output, operation.reference(image))


def test_finish_refuses_until_all_rows_are_there_and_after_it(library):
    operation, image = case(SMALL)
    stem = Stem(library, operation)
    assert stem.finish() == CALL_ORDER
    assert stem.begin() == OK
    for row in image:
        buffer = stem.buffer.copy()
        assert stem.finish() == CALL_ORDER
        np.testing.assert_array_equal(stem.buffer, buffer)
        assert stem.push(row) == OK
    assert [stem.finish(), stem.finish()] == [OK, CALL_ORDER]
    stem.push_refused()


@pytest.mark.parametrize("pushed", range(10))
def test_begin_forgets_an_unfinished_image(library, pushed):
    operation, image = case(SMALL)
    stem = Stem(library, operation)
    stem.begin()
    for row in image[:pushed]:
        stem.push(~row)
    assert [stem.begin(), *map(stem.push, image)] == [OK] * (1 + len(image))
    np.testing.assert_array_equal(stem.output, operation.reference(image))


def test_a_row_too_many_is_refused(library):
    operation, image = case(SMALL)
    stem = Stem(library, operation)
    stem.begin()
    for row in image:
        assert stem.push(row) == OK
    for _ in range(2):
        stem.push_refused()
    np.testing.assert_array_equal(stem.output, operation.reference(image))


@pytest.mark.parametrize("content", [0, 0x5A5A5A5A, 0xFFFFFFFF, None])
def test_a_buffer_that_begin_has_not_prepared_is_refused(library, content):
    stem = Stem(library, case(SMALL)[0])
    random = np.random.default_rng(0)
    stem.buffer[:] = random.integers(0, 2**32, stem.buffer.shape) if content is None else content
    stem.push_refused()


def test_a_buffer_of_other_params_is_refused(library):
    """Theirs may be smaller."""
    first, second = Stem(library, case(SMALL)[0]), Stem(library, case(SMALL)[0])
    first.begin()
    second.buffer = first.buffer
    second.push_refused()
    assert first.push(0) == OK


@pytest.mark.parametrize("missing", range(4))
def test_null_is_refused(library, missing):
    stem = Stem(library, case(SMALL)[0])
    stem.begin()
    arrays = (stem.row, stem.output, stem.buffer)
    pointers = [stem.params, *(ctypes.c_void_p(array.ctypes.data) for array in arrays)]
    pointers[missing] = None
    assert library.micronet_factorized_stem_rows_s8_push(*pointers) == NULL_POINTER
    if missing in (0, 3):
        for name in ("begin", "finish"):
            function = getattr(library, f"micronet_factorized_stem_rows_s8_{name}")
            assert function(pointers[0], pointers[3]) == NULL_POINTER


def test_the_order_has_a_message(library):
    message = library.micronet_status_message(CALL_ORDER)
    assert message == b"a function was called before the one that begins the work, or after its end"
