# SPDX-License-Identifier: Apache-2.0
"""The folder of an own model: written whole or not at all, and read as anyone may have made it."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_micronet
from keras_micronet import run_folders
from keras_micronet.files.archives import DamagedFileError
from keras_micronet.files.marks import MARK_NAME
from tests.keras_micronet.files.test_archives import damage

pytestmark = pytest.mark.slow

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (6, 8, 8, 3), np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])
NAMES = ("a", "b", "é c")
FILES = ["calibration.npz", "class_names.txt", "model.keras", "run.json", "test.npz"]


def make_model(classes=3, channels=3):
    return keras.Sequential(
        [
            keras.Input((8, 8, channels)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(classes, activation="softmax"),
        ],
        name="own",
    )


def damaged_model():
    model = make_model()
    model.layers[-1].bias.assign([0, np.nan, 1])
    return model


def write(folder, **changes):
    arguments = {
        "model": make_model(),
        "class_names": NAMES,
        "calibration": (IMAGES, LABELS),
        "test": (IMAGES[::-1], LABELS[::-1]),
    }
    keras_micronet.write_run_folder(folder, **arguments | changes)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own") / "run"
    write(folder)
    return folder


@pytest.fixture
def copy(written, tmp_path):
    return pathlib.Path(shutil.copytree(written, tmp_path / "copy"))


def test_what_was_written_is_read(written):
    assert sorted(os.listdir(written)) == [MARK_NAME, *FILES]
    assert run_folders.is_own_model(run_folders.read_summary(written))
    assert run_folders.read_class_names(written) == NAMES
    model = run_folders.read_model(written)
    assert model.name == "own"
    images, labels = run_folders.read_images(written, "calibration.npz", (8, 8, 3), 3)
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)
    images, _ = run_folders.read_images(written, "test.npz", (8, 8, 3), 3)
    np.testing.assert_array_equal(images, IMAGES[::-1])


def test_it_is_replaced_only_when_asked(copy):
    with pytest.raises(ValueError, match="new or empty folder"):
        write(copy, class_names=("x", "y", "z"))
    assert run_folders.read_class_names(copy) == NAMES
    write(copy, class_names=("x", "y", "z"), overwrite=True)
    assert run_folders.read_class_names(copy) == ("x", "y", "z")


def test_validation_images_are_written_if_there_are_some_and_never_those_of_another_run(tmp_path):
    write(tmp_path / "run", validation=(IMAGES[:2], LABELS[:2]))
    images, labels = run_folders.read_images(tmp_path / "run", "validation.npz", (8, 8, 3), 3)
    np.testing.assert_array_equal(images, IMAGES[:2])
    np.testing.assert_array_equal(labels, LABELS[:2])
    write(tmp_path / "run", overwrite=True)
    assert sorted(os.listdir(tmp_path / "run")) == [MARK_NAME, *FILES]


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"model": make_model(channels=2)}, "one input of images"),
        ({"model": keras.Sequential([keras.layers.Dense(2)])}, "must be a built Keras model"),
        ({"model": "model.keras"}, "must be a built Keras model"),
        ({"class_names": ("a", "b")}, "must name the model's 3 outputs. Received: 2 names"),
        ({"class_names": ("a", "b", "a")}, "must differ from each other. Received: a twice"),
        ({"class_names": ("a", "b", " ")}, "must be printable text.*Received: ' '"),
        ({"class_names": ("a", "b", "c\x07")}, "must be printable text"),
        ({"class_names": ("a", "b", "c" * 201)}, "of at most 200 characters"),
        ({"test": (IMAGES / 255, LABELS)}, "`test` must be.*uint8.*Received: float64 of shape"),
        ({"calibration": (IMAGES[:, :4], LABELS)}, r"`calibration` must be.*\(8, 8, 3\)"),
        ({"test": (IMAGES, LABELS[:5])}, "one integer for each of 6 images"),
        ({"test": (IMAGES, LABELS + 1)}, r"in \[0, 3\). Received: 6 labels from 1 to 3"),
        ({"test": (IMAGES, LABELS - 1)}, r"in \[0, 3\). Received: 6 labels from -1 to 1"),
        ({"test": (IMAGES[:0], LABELS[:0])}, "Received: 0 labels"),
        ({"validation": (IMAGES, LABELS[:5])}, "`validation` must be images and their labels: "),
        ({"validation": IMAGES}, "`validation` must be a pair"),
        ({"test": IMAGES}, "`test` must be a pair of images and their labels. .*type ndarray"),
        ({"model": damaged_model()}, "Every weight must be finite: .*infinity in own.*bias"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path, changes, rule):
    with pytest.raises(ValueError, match=rule):
        write(tmp_path / "run", **changes)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_a_sentence(copy, name):
    (copy / name).unlink()
    with pytest.raises(DamagedFileError, match=f"{name}: FileNotFoundError"):
        read_all(copy)


def read_all(folder):
    run_folders.read_summary(folder)
    names = run_folders.read_class_names(folder)
    model = run_folders.read_model(folder)
    for name in ("calibration.npz", "test.npz"):
        run_folders.read_images(folder, name, model.input_shape[1:], len(names))


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_are_read_or_refused_in_a_sentence(copy, name):
    content = (copy / name).read_bytes()
    for number in range(60):
        (copy / name).write_bytes(damage(content, number))
        try:
            read_all(copy)
        except ValueError as error:
            assert "\n" not in str(error) and len(str(error)) < 700


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"\xef\xbb\xbfa\nb\n", ("a", "b")),
        (b"a\r\nb\r\n", ("a", "b")),
        (b"a\nb", ("a", "b")),
        ("a\N{NO-BREAK SPACE}b\nc\n".encode(), None),
        ("a\N{LINE SEPARATOR}b\nc\n".encode(), None),
        (b"a\x0cb\nc\n", None),
        (b"a\n\nb\n", None),
        (b"a\nb\na\n", None),
        (b"\xff\n", None),
        (b"a\n" + b"x" * 50_000_000, None),
    ],
)
def test_class_names_are_what_a_table_of_labels_can_hold(copy, content, names):
    (copy / "class_names.txt").write_bytes(content)
    if names:
        assert run_folders.read_class_names(copy) == names
    else:
        with pytest.raises(ValueError, match="^[^\n]{10,400}$"):
            run_folders.read_class_names(copy)


def test_another_format_is_refused(copy):
    summary = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps(summary | {"format": 99}))
    with pytest.raises(DamagedFileError, match="format=99 in run.json"):
        run_folders.read_summary(copy)


def test_the_weights_are_those_of_the_model(tmp_path):
    model = make_model()
    content = run_folders.model_bytes(model)
    (tmp_path / "a.weights.h5").write_bytes(run_folders.weight_bytes(content))
    other = make_model()
    other.load_weights(tmp_path / "a.weights.h5")
    for weight, expected in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)


FULL_DISK = """
import resource, sys
import numpy as np
from tests.keras_micronet.test_run_folders import make_model, write
model = make_model()
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
for size in range(500, 12_000, 500):  # as disks of which so much is free
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        write(sys.argv[1], model=model)
    except OSError as error:
        print(error)
"""


def test_a_full_disk_is_an_error_of_python_and_leaves_nothing(tmp_path):
    """In a process of its own: HDF5 crashed it."""
    finished = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "run")],
        cwd=pathlib.Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.splitlines() == ["[Errno 27] File too large"] * 23
    assert os.listdir(tmp_path) == []


def make_grid_model(answers=3, activation="softmax"):
    return keras.Sequential(
        [
            keras.Input((8, 16, 3)),
            keras.layers.AveragePooling2D(8),
            keras.layers.Conv2D(answers, 1, activation=activation),
        ],
        name="grid",
    )


PICTURES = RANDOM.integers(0, 256, (2, 8, 16, 3), np.uint8)
GRID_LABELS = {
    "detect": np.array([[[1, 0, 0, 4, 4], [0, 1, 2, 8, 16]], [[-1, 0, 0, 0, 0]] * 2], np.float32),
    "segment": RANDOM.choice(np.array([0, 1, 2, 255], np.uint8), (2, 8, 16)),
    "keypoints": RANDOM.uniform(0, 8, (2, 2, 2)).astype(np.float32),
}


@pytest.mark.parametrize("task", GRID_LABELS)
def test_runs_of_grid_models_say_their_task_and_have_its_labels(task, tmp_path):
    labels = GRID_LABELS[task]
    pair = PICTURES, labels
    changes = {"class_names": ("a", "b"), "calibration": pair, "test": pair}
    model = make_grid_model(2, "sigmoid") if task == "keypoints" else make_grid_model()
    write(tmp_path / "run", model=model, task=task, **changes)
    assert run_folders.read_task(run_folders.read_summary(tmp_path / "run")) == task
    images, read = run_folders.read_images(tmp_path / "run", "test.npz", (8, 16, 3), 2, task)
    np.testing.assert_array_equal(images, PICTURES)
    np.testing.assert_array_equal(read, labels)
    with pytest.raises(ValueError, match=r"^test.npz: the labels must be"):
        run_folders.read_images(tmp_path / "run", "test.npz", (8, 16, 3), 2)


def test_earlier_runs_classify_and_unknown_tasks_are_damage(written):
    assert run_folders.read_task(run_folders.read_summary(written)) == "classify"
    assert run_folders.read_task({}) == "classify"
    with pytest.raises(DamagedFileError, match="task=count"):
        run_folders.read_task({"task": "count"})


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"task": "count"}, "must be one of classify, detect, segment, keypoints"),
        ({"task": "classify"}, r"one output of probabilities \(classes\) for the task classify"),
        ({"class_names": NAMES}, "3 outputs, besides the first for the background. Received: 3"),
        ({"task": "keypoints"}, "must name the model's 3 outputs. Received: 2 names"),
        (
            {"test": (PICTURES, LABELS[:2])},
            r"of shape \(2, most objects, 5\) for the task detect. Received: .*\(2,\)",
        ),
        ({"test": (PICTURES[:0], GRID_LABELS["detect"][:0])}, "at least one image"),
    ],
)
def test_what_does_not_fit_a_task_is_refused(changes, rule, tmp_path):
    pair = PICTURES, GRID_LABELS["detect"]
    fitting = {"class_names": ("a", "b"), "calibration": pair, "test": pair, "task": "detect"}
    with pytest.raises(ValueError, match=rule):
        write(tmp_path / "run", **{"model": make_grid_model(), **fitting, **changes})
    assert not (tmp_path / "run").exists()
