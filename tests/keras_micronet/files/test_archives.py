# SPDX-License-Identifier: Apache-2.0
"""One kind of failure for whatever somebody made up, and limits before values."""

import io
import json
import tracemalloc
import zipfile

import h5py
import keras
import numpy as np
import pytest

from keras_micronet.files.archives import (
    DamagedFileError,
    check_model_file,
    read_arrays,
    read_json,
)

ARRAYS = {
    "images": np.arange(96, dtype=np.uint8).reshape(2, 4, 4, 3),
    "labels": np.array([0, 1], np.int32),
    "scalar": np.float64(0.5),
    "nothing": np.zeros((0, 3), np.int16),
    "transposed": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "arrays.npz"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back_with_their_formats_known_before(path, save):
    save(path, **ARRAYS)
    seen = {}
    found = read_arrays(path, seen.update)
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert seen[name] == (array.shape, array.dtype)
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def npz(**entries):
    """An archive of entries that need not be arrays."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def header(text):
    text = text.encode("latin1").ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


MADE_UP = {
    "nothing": b"",
    "no archive": b"PK",
    "entry that is no array": npz(a=b"text"),
    "shape of 2 terabytes": npz(
        a=header("{'descr': '|u1', 'fortran_order': False, 'shape': (2000000000000,)}")
    ),
    "negative shape": npz(a=header("{'descr': '|u1', 'fortran_order': False, 'shape': (-1,)}")),
    "shape of 100 dimensions": npz(
        a=header("{'descr':'|u1','fortran_order':False,'shape':(" + "1," * 33 + ")}") + b"\0"
    ),
    "values of no size": npz(
        a=header("{'descr': '|V0', 'fortran_order': False, 'shape': (2000000000,)}")
    ),
    "too few values": npz(
        a=header("{'descr': '|u1', 'fortran_order': False, 'shape': (3,)}") + b"12"
    ),
    "too many values": npz(
        a=header("{'descr': '|u1', 'fortran_order': False, 'shape': (3,)}") + b"1234"
    ),
    "header that is no literal": npz(a=header("__import__('os').abort()")),
    "header with open brackets": npz(a=header("(" * 100)),
    "header of another kind": npz(a=header("[1, 2]")),
    "unknown version": npz(a=b"\x93NUMPY\x09\x00" + bytes(200)),
    "objects": npz(a=header("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}") + bytes(8)),
}


@pytest.mark.parametrize("name", list(MADE_UP))
def test_made_up_archives_are_one_kind_of_failure(path, name):
    path.write_bytes(MADE_UP[name])
    with pytest.raises(DamagedFileError, match="^[^\n]{10,400}$"):
        read_arrays(path)


def test_missing_files_and_folders_are_the_same_failure(tmp_path):
    for path in (tmp_path / "missing.npz", tmp_path):
        for read in (read_arrays, read_json, check_model_file):
            with pytest.raises(DamagedFileError):
                read(path)


def test_a_small_file_cannot_claim_much_memory(path):
    """100 MB of zeros, 100 KB as a file."""
    np.savez_compressed(path, a=np.zeros(10**8, np.uint8))
    tracemalloc.start()
    with pytest.raises(DamagedFileError, match="100,000,128 bytes where at most 1,000,000 are"):
        read_arrays(path, most_bytes=10**6)
    with pytest.raises(ValueError, match="not wanted"):
        read_arrays(path, check=lambda formats: (_ for _ in ()).throw(ValueError("not wanted")))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10**7


@pytest.mark.parametrize("change", ["encrypted", "oddly compressed", "twice"])
def test_what_zipfile_stumbles_over_is_the_same_failure(path, change):
    np.savez(path, a=np.zeros(3), b=np.zeros(3))
    content = path.read_bytes()
    position = content.index(b"PK\x01\x02")
    changed = bytearray(content)
    if change == "encrypted":
        changed[position + 8] |= 1
    elif change == "oddly compressed":
        changed[position + 10] = 99
    else:
        changed = content.replace(b"b.npy", b"a.npy")
    path.write_bytes(changed)
    with pytest.raises(DamagedFileError, match=change):
        read_arrays(path)


def damage(content, number):
    """Another damage for each number: bytes replaced, a part cut out, a part there twice."""
    random = np.random.default_rng(number)
    damaged = bytearray(content)
    # Heads and the list at the end are where the structure is.
    near = [0, len(content) - 400, content.find(b"NUMPY"), content.rfind(b"NUMPY")]
    start = near[number % 4] if number % 3 else int(random.integers(len(content)))
    start = max(0, start)
    if number % 7 == 0:
        del damaged[start : start + int(random.integers(1, 200))]
    elif number % 7 == 1:
        damaged[start:start] = damaged[start : start + int(random.integers(1, 200))]
    else:
        for position in start + random.integers(0, 150, random.integers(1, 8)):
            damaged[min(position, len(damaged) - 1)] = random.integers(256)
    return bytes(damaged)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_thousand_damaged_archives_are_read_right_or_refused(path, save):
    save(path, **ARRAYS)
    content = path.read_bytes()
    refused = 0
    for number in range(1000):
        path.write_bytes(damage(content, number))
        try:
            found = read_arrays(path, most_bytes=10**6)
        except DamagedFileError:
            refused += 1
            continue
        for name, array in found.items():
            # A checksum is over an entry's bytes, not over its name.
            assert any(np.array_equal(array, each) for each in ARRAYS.values()), (number, name)
    assert refused > 500


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"1", b'"text"', b"null", b"{", b"\xff\xfe{}", b"[" * 10**6, b'{"a":' * 10**5,
        b'{"a": Infinity}', b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": 1e999}',
        b'{"a": ' + b"9" * 5000 + b"}", b'{"a": "' + b"x" * 1000,
    ],
)  # fmt: skip
def test_made_up_json_is_one_kind_of_failure(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"^run\.json: [^\n]{5,350}$"):
        read_json(tmp_path / "run.json")


def test_json_has_a_limit(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"a": "x" * 1000}))
    assert read_json(tmp_path / "run.json") == {"a": "x" * 1000}
    with pytest.raises(DamagedFileError, match="more than 1,000 bytes"):
        read_json(tmp_path / "run.json", most_bytes=1000)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.keras"
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(path)
    return path


def with_entry(source, path, name, content):
    """A copy of a model file in which an entry is another."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.namelist():
            new.writestr(entry, content if entry == name else old.read(entry))
    return path


def hdf5(**options):
    file = io.BytesIO()
    with h5py.File(file, "w") as weights:
        weights.create_dataset("a", **options)
    return file.getvalue()


def test_a_whole_model_file_passes(model_file):
    check_model_file(model_file)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("config.json", b"{", "JSONDecodeError"),
        ("config.json", b"[" * 10**6, "RecursionError"),
        ("model.weights.h5", b"", "OSError"),
        ("model.weights.h5", hdf5(shape=(10**12,), dtype="f4", chunks=(100,)), "claims 4,000,"),
        (
            "model.weights.h5",
            hdf5(shape=(100,), dtype="u1", external=[("/etc/passwd", 0, 100)]),
            "values in another file",
        ),
    ],
)
def test_made_up_model_files_are_refused_before_keras_reads_them(
    model_file, tmp_path, name, content, reason
):
    path = with_entry(model_file, tmp_path / "model.keras", name, content)
    with pytest.raises(DamagedFileError, match=reason):
        check_model_file(path)


def test_a_model_file_that_unpacks_to_much_is_refused(model_file, tmp_path):
    path = with_entry(model_file, tmp_path / "model.keras", "model.weights.h5", bytes(10**7))
    with pytest.raises(DamagedFileError, match="bytes where at most 1,000,000 are read"):
        check_model_file(path, most_bytes=10**6)


def test_a_hundred_damaged_model_files_pass_or_are_one_kind_of_failure(model_file, tmp_path):
    content = model_file.read_bytes()
    for number in range(100):
        (tmp_path / "model.keras").write_bytes(damage(content, number))
        try:
            check_model_file(tmp_path / "model.keras")
        except DamagedFileError as error:
            assert len(str(error)) < 400
