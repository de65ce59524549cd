# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: whole or not there, and only of the same training."""

import contextlib
import resource

import numpy as np
import pytest

from keras_micronet.files.atomic import temporary_name
from training.fitting.checkpoints import Checkpoint, CheckpointFolder, OtherRunError

SETTINGS = {"seed": 3, "recipe": {"epochs": 5, "image_size": (8, 12)}}


def variables(value=0):
    return [np.full((2, 300), value, np.float32), np.array(value, np.int64)]


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def folder(tmp_path, warnings):
    return CheckpointFolder(tmp_path / "checkpoints", SETTINGS, warnings.append)


def write(folder, *epochs):
    for epoch in epochs:
        state = {"history": [{"loss": 0.1 * epoch}]}
        folder.write(Checkpoint(epoch, tuple(variables(epoch)), state))


def names(folder):
    return sorted(path.name for path in folder.path.iterdir())


def test_the_newest_is_read_as_it_was_written(folder, warnings):
    assert folder.latest(variables()) is None
    write(folder, 1, 2)
    latest = folder.latest(variables())
    assert latest.epoch == 2
    assert latest.state == {"history": [{"loss": 0.2}]}
    for array, expected in zip(latest.arrays, variables(2), strict=True):
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array, expected)
    assert warnings == []


def test_two_are_kept(folder):
    write(folder, 8, 9, 10, 11)
    assert names(folder) == ["epoch-000010.npz", "epoch-000011.npz"]


def damage(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("position", [0, 200, 2400, 3000, -30, -1])
def test_a_changed_bit_is_noticed_and_the_one_before_is_used(folder, warnings, position):
    """In the archive's heads, in the arrays, in the state, in the list at the end."""
    write(folder, 1, 2)
    before = folder.latest(variables())
    damage(folder.path / "epoch-000002.npz", position)
    latest = folder.latest(variables())
    if latest.epoch == 2:  # a bit that nothing depends on, such as one of a time
        for array, expected in zip(latest.arrays, before.arrays, strict=True):
            np.testing.assert_array_equal(array, expected)
    else:
        assert latest.epoch == 1
        assert warnings[0].startswith("A damaged checkpoint is left out (epoch-000002.npz: ")


@pytest.mark.parametrize("size", [0, 1, 1000, 3000])
def test_a_cut_file_is_noticed(folder, warnings, size):
    write(folder, 1, 2)
    path = folder.path / "epoch-000002.npz"
    path.write_bytes(path.read_bytes()[:size])
    assert folder.latest(variables()).epoch == 1
    assert len(warnings) == 1


def test_without_a_whole_one_there_is_none(folder, warnings):
    write(folder, 1, 2)
    for path in folder.path.iterdir():
        path.write_bytes(b"")
    assert folder.latest(variables()) is None
    assert len(warnings) == 2


@contextlib.contextmanager
def largest_file(size):
    """Files cannot grow beyond a size, as on a disk that is full."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def test_a_full_disk_is_a_warning_and_leaves_what_was_there(folder, warnings):
    write(folder, 1)
    with largest_file(1000):
        write(folder, 2)
    assert names(folder) == ["epoch-000001.npz"]
    assert warnings[0].startswith("No checkpoint after epoch 2: ")
    assert folder.latest(variables()).epoch == 1
    write(folder, 3)
    assert folder.latest(variables()).epoch == 3


def test_other_settings_are_refused_by_name(folder, warnings):
    write(folder, 1)
    other = CheckpointFolder(folder.path, SETTINGS | {"seed": 4}, warnings.append)
    with pytest.raises(OtherRunError, match="must be resumed.*Received: .*seed=3 instead of 4"):
        other.latest(variables())


def test_of_a_recipe_only_what_differs_is_named(folder, warnings):
    recipe = {f"value_{number}": number for number in range(100)}
    before = CheckpointFolder(folder.path, SETTINGS | {"recipe": recipe}, warnings.append)
    write(before, 1)
    after = SETTINGS | {"recipe": recipe | {"value_77": 0.5}}
    other = CheckpointFolder(folder.path, after, warnings.append)
    with pytest.raises(OtherRunError, match=r"npz with recipe\.value_77=77 instead of 0\.5$"):
        other.latest(variables())


@pytest.mark.parametrize(
    "others", [variables()[:1], [*variables(), *variables()], [variables()[0][:1], variables()[1]]]
)
def test_other_variables_are_refused(folder, others):
    write(folder, 1)
    with pytest.raises(OtherRunError, match="variables must be those of the model. Received"):
        folder.latest(others)


def test_a_pickle_is_not_loaded(folder, warnings):
    write(folder, 1)
    np.savez(folder.path / "epoch-000002.npz", np.array([print], dtype=object))
    assert folder.latest(variables()).epoch == 1
    assert len(warnings) == 1


def test_all_traces_are_removed(folder):
    write(folder, 1, 2)
    (folder.path / temporary_name("epoch-000003.npz")).write_bytes(b"of a killed process")
    folder.remove()
    assert not folder.path.exists()
    folder.remove()


def test_files_of_others_stay(folder):
    write(folder, 1)
    np.savez(folder.path / "thesis.npz", np.zeros(1))
    folder.remove()
    assert names(folder) == ["thesis.npz"]


def test_other_pictures_are_refused_with_the_next_step(folder, warnings):
    begun = CheckpointFolder(folder.path, SETTINGS | {"pictures": "a"}, warnings.append)
    write(begun, 1)
    resumed = CheckpointFolder(folder.path, SETTINGS | {"pictures": "b"}, warnings.append)
    with pytest.raises(OtherRunError, match="pictures that it was begun with.*begin anew with"):
        resumed.latest(variables())


@pytest.mark.parametrize(
    "state",
    [
        b"[]", b"null", b"{}", b"{" * 100_000, b"\xff",
        b'{"epoch": Infinity, "settings": {}, "training": {"history": []}}',
        b'{"epoch": 1e999, "settings": {}, "training": {"history": []}}',
        b'{"epoch": -1, "settings": {}, "training": {"history": []}}',
        b'{"epoch": 1, "settings": {}, "training": {"history": [3]}}',
        b'{"epoch": 1, "settings": [], "training": {"history": []}}',
    ],
)  # fmt: skip
def test_a_made_up_state_is_a_damaged_checkpoint(folder, warnings, state):
    write(folder, 1)
    arrays = {str(index): array for index, array in enumerate(variables())}
    arrays["state.json"] = np.frombuffer(state, np.uint8)
    np.savez(folder.path / "epoch-000002.npz", **arrays)
    assert folder.latest(variables()).epoch == 1
    assert len(warnings) == 1


def test_every_damage_leads_to_the_checkpoint_before(folder):
    """Bytes of all of the file's parts that are replaced by others, and parts that are cut out."""
    write(folder, 1, 2)
    path = folder.path / "epoch-000002.npz"
    content = path.read_bytes()
    random = np.random.default_rng(0)
    heads = [content.index(b"PK\x01\x02"), 0, content.index(b"NUMPY"), len(content) - 200]
    for number in range(300):
        damaged = bytearray(content)
        start = int(random.integers(len(content))) if number % 2 else heads[number // 2 % 4]
        for position in start + random.integers(0, 120, random.integers(1, 6)):
            damaged[min(position, len(content) - 1)] = random.integers(256)
        if number % 5 == 0:
            del damaged[start : start + int(random.integers(1, 100))]
        path.write_bytes(damaged)
        latest = folder.latest(variables())
        if latest.epoch == 2:  # only in what nothing depends on, such as a time
            for array, expected in zip(latest.arrays, variables(2), strict=True):
                np.testing.assert_array_equal(array, expected)
