# SPDX-License-Identifier: Apache-2.0
"""Pixel formats: the C is the NumPy definition for all values, and that is what standards say."""

import ctypes
import pathlib
import struct
import subprocess

import numpy as np
import pytest

from tests.tflm.camera.c_checks import INCLUDES, SANITIZERS, WARNINGS
from tflm.camera import camera_sources
from tflm.camera.camera_sources import SOURCE_FOLDER
from tflm.camera.pixel_rows import FORMATS
from tflm.kernels import c_files
from tflm.toolchains import emulator, host_compiler

CHECK_PROGRAM = pathlib.Path(__file__).with_name("pixel_formats_check.c")
CONVERSIONS = sorted(SOURCE_FOLDER.glob("micronet_pixels_*.c"))
HOST = c_files.RUNNER_FOLDER / "host_stdio.c"
TARGETS = {"to_rgb888": 3, "to_gray": 1}
YUV = ("yuyv", "uyvy", "yuyv_limited", "uyvy_limited")
RGB565 = ("rgb565_high_byte_first", "rgb565_low_byte_first")
BAYER = [name for name in FORMATS if name.startswith("bayer_")]
PARTS = 16  # of all values, which are too many for the memory at once
_NUMBERS = (ctypes.c_int32, ctypes.c_int32, ctypes.c_int32)
_ROW_FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *_NUMBERS, ctypes.c_void_p)


class Format(ctypes.Structure):
    """`micronet_pixel_format`."""

    _fields_ = [
        ("bytes_per_pixel", ctypes.c_int32),
        ("width_multiple", ctypes.c_int32),
        ("channels", ctypes.c_int32),
        ("to_rgb888", _ROW_FUNCTION),
        ("to_gray", _ROW_FUNCTION),
    ]


@pytest.fixture(scope="module")
def formats(camera_library):
    return {name: Format.in_dll(camera_library, f"micronet_pixels_{name}") for name in FORMATS}


def converted(chosen, target, row):
    """A whole row by the C."""
    width = row.size // chosen.bytes_per_pixel
    pixels = np.full((width, TARGETS[target]), 0x5A, np.uint8)
    getattr(chosen, target)(row.ctypes.data, width, 0, width, pixels.ctypes.data)
    return pixels if target == "to_rgb888" else pixels[:, 0]


def require_equal(formats, name, rows):
    """Both conversions of the C must be those of the definition."""
    for target in TARGETS:
        expected = getattr(FORMATS[name], target)(rows)
        np.testing.assert_array_equal(converted(formats[name], target, rows), expected)


def all_bytes(count, part):
    """A part of all values of some bytes: uint8 `(256 ** count / PARTS, count)`."""
    total = 256**count // PARTS
    numbers = np.arange(part * total, (part + 1) * total, dtype=np.uint32)
    return np.stack([numbers >> 8 * place for place in range(count)], axis=-1).astype(np.uint8)


def all_yuv(name, part):
    """A row with a part of all values of Y, U and V; the neighbour has another Y."""
    y, u, v = all_bytes(3, part).T
    order = (y, u, ~y, v) if name.startswith("yuyv") else (u, y, v, ~y)
    return np.stack(order, axis=-1).ravel()


def test_descriptions_are_equal(formats):
    for name, definition in FORMATS.items():
        assert formats[name].bytes_per_pixel == definition.bytes_per_pixel
        assert formats[name].width_multiple == definition.width_multiple
        assert formats[name].channels == definition.channels


@pytest.mark.parametrize("name", RGB565)
def test_all_values_of_rgb565(formats, name):
    rows = np.arange(1 << 16).astype("<u2").view(np.uint8)
    require_equal(formats, name, rows)


@pytest.mark.parametrize("name", YUV)
def test_all_values_of_yuv(formats, name):
    for part in range(PARTS):
        require_equal(formats, name, all_yuv(name, part))


@pytest.mark.parametrize("name", ["rgb888", "bgr888"])
def test_all_colours(formats, name):
    for part in range(PARTS):
        require_equal(formats, name, all_bytes(3, part).ravel())


def test_all_grays(formats):
    require_equal(formats, "gray8", np.arange(256, dtype=np.uint8))


@pytest.mark.parametrize("name", BAYER)
def test_all_pairs_of_values_of_a_cell(formats, name):
    """Each two of the four places of a cell take all pairs of values, the others are random."""
    generator = np.random.default_rng(0)
    for first in range(4):
        for second in range(first):
            cells = generator.integers(0, 256, (1 << 16, 4)).astype(np.uint8)
            pairs = np.arange(1 << 16)
            cells[:, first], cells[:, second] = pairs >> 8, pairs & 255
            lines = [cells[:, :2].ravel(), cells[:, 2:].ravel()]
            require_equal(formats, name, np.concatenate(lines))


# The definitions


@pytest.mark.parametrize("name", RGB565)
def test_rgb565_is_within_a_level_of_exact_and_has_black_and_white(name):
    colours = FORMATS[name].to_rgb888(np.arange(1 << 16).astype("<u2").view(np.uint8))
    pixels = np.arange(1 << 16).astype("<u2")
    if name == "rgb565_high_byte_first":
        pixels = pixels.byteswap()
    exact = np.stack([(pixels >> 11) / 31, (pixels >> 5 & 63) / 63, (pixels & 31) / 31], axis=-1)
    assert np.abs(colours - 255 * exact).max() < 1
    assert colours[0].tolist() == [0, 0, 0] and colours[-1].tolist() == [255, 255, 255]


@pytest.mark.parametrize("name, nearness", [("yuyv", 0.002), ("yuyv_limited", 0.004)])
def test_colours_of_yuv_are_those_of_bt_601(name, nearness):
    """With Kr = 0.299 and Kb = 0.114; only values as near to a half may be rounded otherwise."""
    for part in (0, 5, 15):
        y, u, v = (values.astype(np.float64) for values in all_bytes(3, part).T)
        if name == "yuyv_limited":
            y, u, v = (y - 16) * 255 / 219, (u - 128) * 255 / 224, (v - 128) * 255 / 224
        else:
            u, v = u - 128, v - 128
        red, blue = y + 2 * (1 - 0.299) * v, y + 2 * (1 - 0.114) * u
        green = (y - 0.299 * red - 0.114 * blue) / 0.587
        exact = np.clip(np.stack([red, green, blue], axis=-1), 0, 255)
        colours = FORMATS[name].to_rgb888(all_yuv(name, part)).reshape(-1, 2, 3)[:, 0]
        error = np.abs(colours - exact)
        assert error.max() < 0.5 + nearness


def test_gray_of_yuv_is_y():
    assert FORMATS["uyvy"].to_gray(np.arange(8, dtype=np.uint8)).tolist() == [1, 3, 5, 7]
    limited = FORMATS["yuyv_limited"].to_gray(np.array([16, 0, 235, 0, 0, 0, 255, 0], np.uint8))
    assert limited.tolist() == [0, 255, 0, 255]


@pytest.mark.parametrize("name", BAYER)
def test_bayer_cells_have_the_colours_of_their_names(name):
    values = {"r": 10, "g": 20, "b": 30}
    cell = [values[letter] for letter in name.removeprefix("bayer_")]
    rows = np.array([cell[:2] * 3, cell[2:] * 3], np.uint8).ravel()
    assert FORMATS[name].to_rgb888(rows).tolist() == [[10, 20, 30]] * 3


# Parts of rows


def question(cases):
    """Cases (format, target, row, row_width, left, width) as the check program reads them."""
    names = list(FORMATS)
    parts = [
        struct.pack("<5i", names.index(name), target == "to_gray", row_width, left, width)
        + row.tobytes()
        for name, target, row, row_width, left, width in cases
    ]
    return struct.pack("<i", len(parts)) + b"".join(parts)


@pytest.fixture(scope="module")
def convert_parts(tmp_path_factory):
    """Function of cases (format, target, row, row_width, left, width) -> bytes of the results."""
    program = tmp_path_factory.mktemp("pixel_formats") / "check"
    flags = ("-std=c99", "-O1", *WARNINGS, *SANITIZERS, *INCLUDES)
    flags += ("-I", emulator.EMULATED_FOLDER)
    host_compiler.build(program, [*flags, HOST, CHECK_PROGRAM, *CONVERSIONS])

    def run(cases):
        finished = subprocess.run(
            [program], input=question(cases), capture_output=True, timeout=120
        )
        assert finished.returncode == 0, finished.stderr.decode()
        return finished.stdout

    return run


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", FORMATS)
def test_any_part_of_a_row_can_be_converted(convert_parts, name, target):
    """Odd beginnings and widths, too, and none of a row's pixels."""
    generator = np.random.default_rng(1)
    cases, expected = [], b""
    for row_width in (2, 4, 10) if FORMATS[name].width_multiple == 2 else (1, 2, 5, 10):
        row = generator.integers(0, 256, row_width * FORMATS[name].bytes_per_pixel, np.uint8)
        whole = getattr(FORMATS[name], target)(row)
        for left in range(row_width):
            for width in range(row_width - left + 1):
                cases.append((name, target, row, row_width, left, width))
                expected += whole[left : left + width].tobytes()
    assert convert_parts(cases) == expected


@pytest.mark.emulator
@pytest.mark.parametrize("core", [emulator.Core.CORTEX_M4, emulator.Core.CORTEX_M55])
def test_processors_give_the_same(core, tmp_path):
    """Some of whose instructions limit values, which the portable C compares."""
    generator = np.random.default_rng(2)
    width = 1 << 12
    cases, expected = [], b""
    for name, definition in FORMATS.items():
        row = generator.integers(0, 256, width * definition.bytes_per_pixel, np.uint8)
        row[::5] = generator.choice([0, 255], row[::5].shape)  # to and beyond the limits
        for target in TARGETS:
            cases.append((name, target, row, width, 1, width - 2))
            expected += getattr(definition, target)(row)[1:-1].tobytes()
    sources, memory = [CHECK_PROGRAM, *CONVERSIONS], {"MEMORY_BYTES": 4 * width}
    program = emulator.build(core, sources, tmp_path, camera_sources.include_folders(), memory)
    assert emulator.run(program, core, question(cases)) == expected
