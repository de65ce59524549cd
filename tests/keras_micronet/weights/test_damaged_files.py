# SPDX-License-Identifier: Apache-2.0
"""Damaged files of every format end in one sentence, quickly and in little memory."""

import io
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch

from keras_micronet.weights import pickles
from keras_micronet.weights.files import parse_state
from keras_micronet.weights.release_layout import assign_state

COUNT = 200  # of each format and kind of damage: 1,400 in all
MOST_MEMORY = 32 * 2**20


def small_state():
    generator = np.random.default_rng(1)
    return {
        f"features.{index}.weight": generator.standard_normal(shape).astype(np.float32)
        for index, shape in enumerate([(2, 3, 3, 1), (4,), (), (1, 5)])
    }


def torch_file(zipped):
    state = {key: torch.from_numpy(np.array(value)) for key, value in small_state().items()}
    file = io.BytesIO()
    torch.save({"state_dict": state, "epoch": 3}, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def array_file():
    file = io.BytesIO()
    np.savez_compressed(file, **small_state())
    return file.getvalue()


FILES = {
    "archive.pth": lambda: torch_file(zipped=True),
    "series.pth": lambda: torch_file(zipped=False),
    "two.pdparams": lambda: pickle.dumps(small_state(), 2),
    "four.pdparams": lambda: pickle.dumps(small_state(), 4),
    "arrays.npz": array_file,
}


def damaged(content, generator):
    """One to four bytes changed, and one file in four cut off."""
    content = bytearray(content)
    if generator.random() < 0.25:
        del content[generator.integers(len(content)) :]
    for _ in range(generator.integers(1, 5)):
        if content:
            content[generator.integers(len(content))] = generator.integers(256)
    return bytes(content)


@pytest.mark.parametrize("name", FILES)
def test_whole_files(name):
    expected = small_state()
    state = parse_state(FILES[name](), name)
    assert state.keys() == expected.keys()
    for key, array in state.items():
        np.testing.assert_array_equal(array.read(), expected[key])


def damaged_inside(content, generator):
    """An archive of which one member is damaged, and whose checksums are right all the same."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(file, "w") as target:
        names = source.namelist()
        # Half of the time what has the structure: the first member of PyTorch's archives.
        chosen = names[0] if generator.random() < 0.5 else names[generator.integers(len(names))]
        for name in names:
            member = source.read(name)
            target.writestr(name, damaged(member, generator) if name == chosen else member)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *((name, damaged) for name in FILES),
        ("archive.pth", damaged_inside),
        ("arrays.npz", damaged_inside),
    ],
)
def test_damaged_files(name, damage):
    content, generator = FILES[name](), np.random.default_rng(7)
    refused = 0
    tracemalloc.start()
    try:
        for _ in range(COUNT):
            try:
                for array in parse_state(damage(content, generator), name).values():
                    array.read()
            except ValueError as error:
                refused += 1
                assert str(error).isprintable() and len(str(error)) < 600
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert refused > COUNT // 4  # a changed value of an array is no damage that shows
    assert peak < MOST_MEMORY


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        # A length of 2**62 bytes, and a memo index of 2**31 - 1, for which pickle makes room.
        (b"\x80\x04\x8e\x00\x00\x00\x00\x00\x00\x00\x40.", "expected 4611686018427387904 bytes"),
        (b"\x80\x02]r\xff\xff\xff\x7f.", "holds a list"),
        # A tuple of tuples of tuples: its hash would take 2**60 steps.
        (b"\x80\x02)q\x00" + b"h\x00h\x00\x86q\x00" * 60 + b"}h\x00K\x01s.", "key of type tuple"),
        (b"N0" * pickles.LARGEST_INSTRUCTION_COUNT, "POP"),
        (b"h\x00.", "damaged"),
        (b"\x80\x02N", "exhausted"),
        (b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.", "asks for 'os system'"),
        (b"\x80\x02c" + b"x" * 10_000 + b"\ny\n.", "asks for 'xxx"),
        (b"\x80\x02N}b.", "damaged"),
        (b"\x80\x02K\x01K\x02\x85R.", "stands for a function"),
        (b"\x80\x02.", "damaged|not enough"),
    ],
)
def test_hostile_pickles(content, reason):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=reason) as caught:
            parse_state(content, "hostile.pdparams")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 600
    assert peak < MOST_MEMORY


@pytest.mark.parametrize("key", ["\x1b[31m" * 50, "x" * 100_000, "a\nb"])
@pytest.mark.parametrize("value", [np.zeros(2, np.float32), "text"])
def test_what_a_file_says_is_shown_in_one_short_line(key, value, released_model):
    content = pickle.dumps({key: value}, 4)
    with pytest.raises(ValueError) as caught:
        assign_state(released_model("M0"), parse_state(content, "odd.pdparams"))
    assert str(caught.value).isprintable() and len(str(caught.value)) < 600


def test_a_pickle_that_goes_on_for_ever():
    content = b"\x80\x02" + b"K\x01\x85" * pickles.LARGEST_INSTRUCTION_COUNT
    with pytest.raises(ValueError, match="more than 1,000,000 instructions"):
        parse_state(content, "hostile.pdparams")


@pytest.mark.parametrize("dtype", ["<i4", "<c8", "|b1", "<U3", "|O"])
def test_paddle_arrays_of_something_else(dtype):
    content = pickle.dumps({"a": np.ones(3).astype(dtype)}, 4)
    with pytest.raises(ValueError, match="not one of floats|asks for"):
        parse_state(content, "odd.pdparams")


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_paddle_arrays_of_other_floats(dtype, protocol):
    array = np.array([[1.5, -2.0], [0.25, 3.0]]).astype(dtype)
    (stored,) = parse_state(pickle.dumps({"a": array}, protocol), "a.pdparams").values()
    np.testing.assert_array_equal(stored.read(), array.astype(np.float32))


def test_paddle_array_in_fortran_order():
    content = pickle.dumps({"a": np.asfortranarray(np.ones((2, 3), np.float32))}, 4)
    with pytest.raises(ValueError, match="not in C order"):
        parse_state(content, "a.pdparams")
