# SPDX-License-Identifier: Apache-2.0
"""The caches in front of a flash, by reads that were counted by hand."""

import ctypes
import pathlib

import pytest

import tflm.cycles
from tflm.toolchains import host_compiler

SOURCE = pathlib.Path(tflm.cycles.__file__).with_name("plugin") / "flash_cache.c"
ROOM = 1 << 14  # bytes, more than a cache takes


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    target = tmp_path_factory.mktemp("flash_cache") / "flash_cache.so"
    host_compiler.build(target, ["-std=c11", "-shared", "-fPIC", SOURCE])
    loaded = ctypes.CDLL(str(target))
    loaded.flash_cache_parse.restype = ctypes.c_bool
    loaded.flash_cache_read.restype = ctypes.c_uint32
    return loaded


@pytest.fixture
def cache(library):
    """A function that makes a cache of a text, and returns one that reads from it."""

    def make(text):
        memory = ctypes.create_string_buffer(ROOM)
        pointer = ctypes.c_char_p(text.encode())
        if not library.flash_cache_parse(memory, ctypes.byref(pointer)):
            return None
        return lambda address, size: library.flash_cache_read(memory, address, size)

    return make


def test_parts_of_a_line_are_filled_one_by_one(cache):
    read = cache("2:2:32:8")
    assert read(0, 8) == 1
    assert read(4, 8) == 1  # its first half is there
    assert read(0, 16) == 0
    assert read(0, 32) == 2


def test_the_least_recently_used_line_is_replaced(cache):
    read = cache("2:2:16:16")
    assert [read(address, 4) for address in (0, 16, 0, 32, 0, 16)] == [1, 1, 0, 1, 0, 1]


def test_sets_are_told_by_the_address(cache):
    read = cache("4:2:16:16")  # two sets: lines of even and of odd number
    assert [read(16 * line, 4) for line in (0, 2, 4, 1, 0)] == [1, 1, 1, 1, 1]
    assert [read(16 * line, 4) for line in (1, 3, 1)] == [0, 1, 0]


def test_without_lines_each_read_goes_to_the_flash(cache):
    read = cache("0:0:16:4")
    assert [read(0, 4), read(0, 4), read(2, 4), read(0, 16)] == [1, 1, 2, 4]


def test_a_read_across_lines(cache):
    assert cache("2:2:16:8")(12, 8) == 2


@pytest.mark.parametrize("text", ["", "1:1:16", "1:1:24:8", "1:1:16:32", "3:2:16:8", "2000:1:8:8"])
def test_what_makes_no_cache_is_refused(cache, text):
    assert cache(text) is None
