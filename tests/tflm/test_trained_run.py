# SPDX-License-Identifier: Apache-2.0
"""Run folders as anyone may have made them: read whole, or refused in a sentence."""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

from keras_micronet import run_folders
from tests.keras_micronet.files.test_archives import damage
from tests.tflm import grid_pictures, pictures
from tflm import command_line
from tflm.trained_run import TrainedRun

pytestmark = pytest.mark.slow

FILES = ("calibration.npz", "class_names.txt", "model.keras", "run.json", "test.npz")
ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A run of a model that has learned nothing."""
    images, labels = pictures.pictures(6, seed=0)
    folder = tmp_path_factory.mktemp("runs") / "run"
    return pictures.write_run(folder, pictures.small_model(), (images, labels), (images, labels))


@pytest.fixture
def run_copy(written, tmp_path):
    return shutil.copytree(written, tmp_path / "run")


def refusal(run, tmp_path, capsys):
    """What the command says of a run that it does not take; nothing is written."""
    assert command_line.main([str(run), "--output", str(tmp_path / "out")]) == 2
    assert not (tmp_path / "out").exists()
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and len(message) < 1500
    return message


def test_a_complete_run_is_read(written):
    run = TrainedRun.load(written)
    assert run.class_names == pictures.CLASS_NAMES
    assert run.folder == written
    assert run.is_own_model and run.float_run is None and run.validation is None
    np.testing.assert_array_equal(run.test.images, np.load(written / "test.npz")["images"])


def test_validation_images_are_read_if_there_are_some(run_copy, tmp_path, capsys):
    images, labels = pictures.pictures(5, seed=1)
    np.savez(run_copy / "validation.npz", images=images, labels=labels)
    validation = TrainedRun.load(run_copy).validation
    np.testing.assert_array_equal(validation.images, images)
    np.testing.assert_array_equal(validation.labels, labels)
    np.savez(run_copy / "validation.npz", images=images, labels=labels + 1)
    assert "validation.npz: the labels must be" in refusal(run_copy, tmp_path, capsys)


def test_it_is_read_by_who_has_imported_nothing_else(written):
    """Keras knows the layers only after an import of keras_micronet."""
    program = "import sys\nfrom tflm.trained_run import TrainedRun\nTrainedRun.load(sys.argv[1])\n"
    subprocess.run([sys.executable, "-c", program, str(written)], cwd=ROOT, check=True)


@pytest.mark.parametrize(
    ("section", "accuracy"),
    [
        ({"float_run": "float", "float_test_accuracy": 0.75}, 0.75),
        ({"float_run": "../float", "float_test_accuracy": 0.75}, None),
        ({"float_run": "float\x1b[2J", "float_test_accuracy": 0.75}, None),
        ({"float_run": "float", "float_test_accuracy": 7.5}, None),
        ({"float_run": 7, "float_test_accuracy": 0.75}, None),
        ([], None),
    ],
)
def test_float_run_is_remembered_if_it_makes_sense(run_copy, section, accuracy):
    (run_copy / "run.json").write_text(json.dumps({"format": 1, "quantization": section}))
    run = TrainedRun.load(run_copy)
    assert (None if run.float_run is None else run.float_run.test_value) == accuracy


def test_a_run_that_is_not_complete_is_refused(run_copy, tmp_path, capsys):
    """A mix of two runs once was accepted, with the class names of the other one."""
    (run_copy / "run.json").unlink()
    message = refusal(run_copy, tmp_path, capsys)
    assert "must be complete, which its run.json tells" in message
    assert "write_run_folder" in message


def test_a_run_that_changes_while_it_is_read_is_refused(run_copy, monkeypatch):
    read_images = run_folders.read_images

    def read_while_another_training_ends(folder, name, *arguments):
        summary = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(json.dumps(summary | {"seed": 8}))
        return read_images(folder, name, *arguments)

    monkeypatch.setattr(run_folders, "read_images", read_while_another_training_ends)
    with pytest.raises(ValueError, match="must not change while it is read"):
        TrainedRun.load(run_copy)


@pytest.mark.parametrize("name", ["calibration.npz", "class_names.txt", "model.keras", "test.npz"])
def test_missing_file_is_named(run_copy, name, tmp_path, capsys):
    (run_copy / name).unlink()
    assert f"must hold {name}: train again" in refusal(run_copy, tmp_path, capsys)


def test_missing_folder_is_named(tmp_path, capsys):
    assert "must be a folder. Received: " in refusal(tmp_path / "none", tmp_path, capsys)


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_are_read_or_refused_in_a_sentence(run_copy, name):
    content = (run_copy / name).read_bytes()
    refused = 0
    for number in range(20):
        (run_copy / name).write_bytes(damage(content, number))
        try:
            TrainedRun.load(run_copy)
        except ValueError as error:
            assert "\n" not in str(error) and len(str(error)) < 1500
            refused += 1
    assert refused


@pytest.mark.parametrize(
    ("images", "labels", "rule"),
    [
        (np.zeros((3, 24, 20, 3), np.float32), np.zeros(3, int), "must be raw RGB or gray, uint8"),
        (np.zeros((3, 24, 21, 3), np.uint8), np.zeros(3, int), r"input shape \(24, 20, 3\)"),
        (np.zeros((3, 24, 20, 3), np.uint8), np.zeros(2, int), "one integer for each of 3"),
        (np.zeros((3, 24, 20, 3), np.uint8), np.full(3, 3), r"in \[0, 3\). Received: 3 labels"),
        (np.zeros((3, 24, 20, 3), np.uint8), np.zeros(3), "Received: float64"),
        (np.zeros((0, 24, 20, 3), np.uint8), np.zeros(0, int), "Received: 0 labels"),
        (np.array([{}], object), np.zeros(1, int), "allow_pickle=False"),
    ],
)
def test_unfit_images_are_refused(run_copy, tmp_path, capsys, images, labels, rule):
    np.savez(run_copy / "calibration.npz", images=images, labels=labels)
    assert re.search(rule, refusal(run_copy, tmp_path, capsys))


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"a\nb\nc\nd\n", r"Received: 4 names for outputs of shape \(None, 3\)"),
        (b"a\nb\n", "Received: 2 names"),
        (b"a\nb\nb\n", "differ from each other. Received: b twice"),
        (b"a\nb\n\x1b[2J\n", r"printable text .*Received: '\\x1b\[2J'"),
        (b"a\nb\n \n", "printable text .*Received: ' '"),
        (b"a\nb\n" + b"c" * 50_000_000, "more than 16,777,216 bytes"),
    ],
    ids=["more", "fewer", "double", "control", "blank", "large"],
)
def test_class_names_must_fit_the_model_and_a_terminal(run_copy, tmp_path, capsys, content, rule):
    (run_copy / "class_names.txt").write_bytes(content)
    assert re.search(rule, refusal(run_copy, tmp_path, capsys))


def test_byte_order_mark_is_no_part_of_a_name(run_copy):
    (run_copy / "class_names.txt").write_bytes(b"\xef\xbb\xbfa\nb\nc\n")
    assert TrainedRun.load(run_copy).class_names == ("a", "b", "c")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(run_copy, tmp_path, capsys, value):
    model = keras.saving.load_model(run_copy / "model.keras")
    layer = model.get_layer("classifier")
    layer.bias.assign([0.0, value, 0.0])
    model.save(run_copy / "model.keras")
    message = refusal(run_copy, tmp_path, capsys)
    assert "classifier/bias has weights that are infinite or no numbers" in message


@pytest.mark.parametrize("name", ["\x1b[2J", "n" * 5_000_000], ids=["control", "long"])
def test_names_of_layers_fit_a_message(run_copy, tmp_path, capsys, name):
    path = run_copy / "model.keras"
    with zipfile.ZipFile(path) as archive:
        entries = {entry: archive.read(entry) for entry in archive.namelist()}
    config = entries["config.json"].decode()
    entries["config.json"] = config.replace('"classifier"', json.dumps(name)).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, content in entries.items():
            archive.writestr(entry, content)
    assert "names must be printable, of at most 200" in refusal(run_copy, tmp_path, capsys)


@pytest.mark.parametrize("output", [".", "..", "model.keras", "model.keras/out"])
def test_an_export_never_takes_the_place_of_its_run(run_copy, capsys, output):
    before = {path: path.read_bytes() for path in run_copy.iterdir()}
    words = [str(run_copy), "--output", str(run_copy / output), "--overwrite"]
    assert command_line.main(words) == 2
    assert "output must be a" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in run_copy.iterdir()} == before


# Models that answer for the cells of a grid


@pytest.fixture(scope="module")
def written_grid(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grids") / "run"
    model = grid_pictures.small_model("detect")
    return grid_pictures.write_run(folder, "detect", model, tests=4, validation=3)


def test_the_task_and_its_labels_are_read(written_grid):
    run = TrainedRun.load(written_grid)
    assert run.task == "detect" and run.class_names == grid_pictures.CLASS_NAMES
    assert len(run.test) == len(run.test.labels) == 4 and len(run.validation) == 3
    images, labels = grid_pictures.pictures("detect", 4, 1)
    np.testing.assert_array_equal(run.test.images, images)
    np.testing.assert_array_equal(run.test.labels, labels)


@pytest.mark.parametrize(
    ("task", "rule"),
    [
        ("keypoints", "outputs. Received: 2 names"),
        ("classify", "must name the model's outputs, one a line"),
        ("segment", "labels must be uint8"),
        ("count", "task=count in run.json"),
    ],
)
def test_tasks_must_fit_the_model_and_the_labels(written_grid, tmp_path, capsys, task, rule):
    folder = shutil.copytree(written_grid, tmp_path / "run")
    summary = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**summary, "task": task}))
    assert rule in refusal(folder, tmp_path, capsys)


def test_classes_are_not_a_grids(run_copy, tmp_path, capsys):
    summary = json.loads((run_copy / "run.json").read_text())
    (run_copy / "run.json").write_text(json.dumps({**summary, "task": "detect"}))
    assert "must put out a map (rows, columns, answers)" in refusal(run_copy, tmp_path, capsys)


def test_float_run_of_a_grid_is_remembered_by_its_measure(written_grid, tmp_path):
    folder = shutil.copytree(written_grid, tmp_path / "run")
    summary = json.loads((folder / "run.json").read_text())
    section = {"float_run": "float", "float_test_mean_f1": 0.8, "float_test_accuracy": 0.1}
    (folder / "run.json").write_text(json.dumps({**summary, "quantization": section}))
    assert TrainedRun.load(folder).float_test_value == 0.8
