# SPDX-License-Identifier: Apache-2.0
import csv
import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from keras_micronet.files.marks import MARK_NAME
from tests.training.fitting.test_checkpoints import largest_file
from tests.training.kill_run_folder import texts, write_run
from training.fitting.epoch_record import EpochRecord
from training.fitting.trainer import TrainingResult
from training.runs.plots import learning_curve
from training.runs.run_folder import RunFolder

pytestmark = pytest.mark.slow

RECORDS = (
    EpochRecord(1, 2.0, 0.25, 2.5, 0.125, 0.01, 3.0),
    EpochRecord(2, 1.0, 0.5, 1.5, 0.375, 0.0, 2.0),
)
COLUMNS = [
    "epoch", "loss", "accuracy", "validation_loss", "validation_accuracy", "learning_rate",
    "seconds",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path / "runs" / "new")
    folder.begin()
    return folder


def names(folder):
    """Of a run's files, without the project's own."""
    found = (path.name for path in folder.path.iterdir())
    return sorted(name for name in found if not name.startswith((".micronet", ".keras")))


def test_nothing_is_made_before_the_run_begins(tmp_path):
    RunFolder(tmp_path / "runs" / "new")
    assert not (tmp_path / "runs").exists()


def test_the_model_and_its_weights_come_back(folder, tiny_model):
    images = np.random.default_rng(0).uniform(0, 255, (4, 8, 12, 3)).astype("float32")
    folder.write_model(tiny_model)
    assert names(folder) == ["model.keras", "model.weights.h5"]
    loaded = keras.saving.load_model(folder.path / "model.keras")
    expected = tiny_model.predict(images, verbose=0)
    assert np.array_equal(loaded.predict(images, verbose=0), expected)
    assert loaded.name == tiny_model.name
    loaded.set_weights([np.zeros_like(weight) for weight in loaded.get_weights()])
    loaded.load_weights(folder.path / "model.weights.h5")
    assert np.array_equal(loaded.predict(images, verbose=0), expected)


def test_images_and_labels_load_without_pickle(folder):
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 12, 3), np.uint8)
    labels = np.arange(5, dtype=np.int32)
    folder.write_calibration(images, labels)
    folder.write_test(images[:2], labels[:2])
    folder.write_validation(images[:3], labels[:3])
    for name, count in (("calibration.npz", 5), ("test.npz", 2), ("validation.npz", 3)):
        with np.load(folder.path / name, allow_pickle=False) as arrays:
            assert sorted(arrays.files) == ["images", "labels"]
            assert np.array_equal(arrays["images"], images[:count])
            assert arrays["images"].dtype == np.uint8
            assert np.array_equal(arrays["labels"], labels[:count])
            assert arrays["labels"].dtype == np.int32


def test_class_names_stand_one_a_line(folder):
    folder.write_class_names(("zero", "数字", "a b"))
    content = (folder.path / "class_names.txt").read_bytes()
    assert content == "zero\n数字\na b\n".encode()


def test_history_has_one_line_an_epoch(folder):
    folder.write_history(EpochRecord, RECORDS)
    with open(folder.path / "history.csv", newline="", encoding="utf-8") as file:
        header, *lines = csv.reader(file)
    assert header == COLUMNS
    assert [list(map(float, line)) for line in lines] == [
        [1, 2.0, 0.25, 2.5, 0.125, 0.01, 3.0],
        [2, 1.0, 0.5, 1.5, 0.375, 0.0, 2.0],
    ]


def test_the_history_of_no_epochs_has_the_columns_alone(folder):
    folder.write_history(EpochRecord, ())
    assert (folder.path / "history.csv").read_text() == ",".join(COLUMNS) + "\n"


@pytest.mark.parametrize("epochs", [1, 2])
def test_the_learning_curve_is_a_picture_of_the_history(folder, epochs):
    figure = learning_curve(TrainingResult(RECORDS[:epochs], 1.5, 0.375, 1.1, 0.4, 5.0))
    loss_axes, accuracy_axes = figure.axes
    drawn = [list(line.get_ydata()) for line in loss_axes.lines + accuracy_axes.lines]
    expected = [[2.0, 1.0], [2.5, 1.5], [0.25, 0.5], [0.125, 0.375]]
    assert drawn == [values[:epochs] for values in expected] + [[0.4, 0.4]]
    folder.write_learning_curve(figure)
    with Image.open(folder.path / "learning_curve.png") as image:
        assert image.format == "PNG"
        assert min(image.size) > 300


def test_the_summary_is_json(folder):
    folder.write_summary({"a": [1, 2.5], "name": "é"})
    text = (folder.path / "run.json").read_text(encoding="utf-8")
    assert text == '{\n  "a": [\n    1,\n    2.5\n  ],\n  "name": "é"\n}\n'


def test_every_file_is_written_under_another_name_first(folder, tiny_model, monkeypatch):
    replaced = []
    replace = os.replace

    def watch(source, destination):
        assert not os.path.exists(destination)
        assert os.path.getsize(source) > 0
        replaced.append(os.path.basename(destination))
        replace(source, destination)

    monkeypatch.setattr(os, "replace", watch)
    images, labels = np.zeros((2, 4, 4, 3), np.uint8), np.zeros(2, np.int32)
    folder.write_model(tiny_model)
    folder.write_class_names(("a", "b"))
    folder.write_calibration(images, labels)
    folder.write_test(images, labels)
    folder.write_history(EpochRecord, RECORDS)
    folder.write_learning_curve(learning_curve(TrainingResult(RECORDS, 1.5, 0.375, 1.1, 0.4, 5.0)))
    folder.write_summary({})
    assert sorted(replaced) == names(folder)
    assert len(replaced) == 8


@pytest.mark.parametrize("size", [1000, 20_000])
def test_a_full_disk_is_an_error_of_python_and_leaves_nothing(folder, tiny_model, size):
    """HDF5 crashed the process."""
    with largest_file(size), pytest.raises(OSError, match="File too large"):
        folder.write_model(tiny_model)
    assert names(folder) in ([], ["model.keras"])
    assert not [name for name in os.listdir(folder.path) if "-model" in name]


def test_refuses_a_folder_with_content(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(ValueError, match="new or empty folder.*--overwrite.*Received: out"):
        RunFolder(tmp_path)


def test_an_empty_folder_may_be_used(tmp_path):
    folder = RunFolder(tmp_path)
    folder.begin()
    folder.release()
    assert os.listdir(tmp_path) == [MARK_NAME]


def test_refuses_a_path_that_cannot_be_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"can be written to: .* Received: output=.*file.*\("):
        RunFolder(tmp_path / "file" / "run")
    with pytest.raises(ValueError, match="must be a folder. Received"):
        RunFolder(tmp_path / "file", overwrite=True)


@pytest.fixture
def unfinished(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    np.savez(tmp_path / "checkpoints" / "epoch-000001.npz", **{"state.json": np.zeros(1)})
    return tmp_path


def test_an_unfinished_run_can_be_continued(unfinished):
    folder = RunFolder(unfinished, resume=True)
    folder.begin()
    assert [path.name for path in folder.checkpoints.iterdir()] == ["epoch-000001.npz"]


def test_an_unfinished_run_is_not_continued_unasked(unfinished):
    with pytest.raises(ValueError, match="new or empty folder"):
        RunFolder(unfinished)


def test_a_finished_run_is_not_continued(unfinished):
    (unfinished / "run.json").write_text("{}")
    with pytest.raises(ValueError, match="new or empty folder"):
        RunFolder(unfinished, resume=True)


def test_who_overwrites_begins_anew(unfinished):
    folder = RunFolder(unfinished, overwrite=True, resume=True)
    folder.begin()
    assert not folder.checkpoints.exists()


@pytest.mark.parametrize(
    "names", [["tensorboard"], ["checkpoints"], ["checkpoints", "tensorboard"]]
)
def test_an_unfinished_run_with_logs_can_be_continued(tmp_path, names):
    for name in names:
        (tmp_path / name).mkdir()
    folder = RunFolder(tmp_path, resume=True)
    folder.begin()
    folder.release()
    assert sorted(path.name for path in tmp_path.iterdir()) == [MARK_NAME, *names]
    (tmp_path / MARK_NAME).unlink()
    with pytest.raises(ValueError, match="that of an unfinished"):
        RunFolder(tmp_path)


def test_logs_beside_other_files_are_no_unfinished_run(tmp_path):
    (tmp_path / "tensorboard").mkdir()
    (tmp_path / "thesis.txt").write_text("")
    with pytest.raises(ValueError, match="that of an unfinished"):
        RunFolder(tmp_path, resume=True)


def test_a_complete_run_stays_until_its_successor_is_complete(tmp_path):
    path = tmp_path / "run"
    write_run(path, "old")
    (path / "thesis.txt").write_text("precious")
    (path / "tensorboard").mkdir()
    (path / "tensorboard" / "events.out.tfevents.1").write_text("old")
    folder = RunFolder(path, overwrite=True)
    folder.begin()
    folder.write_class_names(("new", "other"))
    folder.write_history(EpochRecord, RECORDS)
    assert texts(path) == ("old", "old")
    assert "The earlier run" in folder.notes[0]
    folder.write_summary({"format": 1, "text": "new"})
    assert texts(path) == ("old", "old")
    folder.complete()
    assert texts(path) == ("new", "new")
    # Neither the old logs and curve stay, which the new run does not have, nor anything hidden.
    expected = [MARK_NAME, "class_names.txt", "history.csv", "run.json", "thesis.txt"]
    assert sorted(os.listdir(path)) == expected


def test_what_a_run_left_that_was_killed_after_its_last_file_goes_with_the_next_command(tmp_path):
    """Which is refused, as the run is complete."""
    path = tmp_path / "run"
    write_run(path, "whole")
    (path / ".micronet-lock").write_text("{}")
    (path / ".micronet-0123456789abcdef0123456789abcdef-model.keras").write_text("half")
    (path / "checkpoints").mkdir()
    for name in ("epoch-000002.npz", "notes.txt"):
        (path / "checkpoints" / name).write_text("content")
    for resume in (False, True):
        with pytest.raises(ValueError, match="unless --overwrite is given"):
            RunFolder(path, resume=resume)
    assert texts(path) == ("whole", "whole")
    assert not [name for name in os.listdir(path) if name.startswith(".micronet")]
    assert os.listdir(path / "checkpoints") == ["notes.txt"]


def test_an_interrupted_successor_is_continued_without_overwrite(tmp_path):
    write_run(tmp_path, "old")
    folder = RunFolder(tmp_path, overwrite=True)
    folder.begin()
    folder.checkpoints.mkdir()
    np.savez(folder.checkpoints / "epoch-000001.npz", **{"state.json": np.zeros(1)})
    folder.release()
    with pytest.raises(ValueError, match="new or empty"):
        RunFolder(tmp_path)
    continued = RunFolder(tmp_path, resume=True)
    continued.begin()
    assert [path.name for path in continued.checkpoints.iterdir()] == ["epoch-000001.npz"]
    continued.release()
    anew = RunFolder(tmp_path, overwrite=True, resume=True)
    anew.begin()
    assert not anew.checkpoints.exists()
    assert texts(tmp_path) == ("old", "old")
    anew.release()


FOREIGN = {
    "run.json": '{"format": 1, "model": "m"}',
    "history.csv": "precious",
    "checkpoints/epoch-000001.npz": "precious",
    "tensorboard/events.out.tfevents.1": "precious",
    "model.keras": "precious",
}


@pytest.mark.parametrize("left_out", [None, "run.json"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_folders_of_others_stay_whatever_their_files_are_called(tmp_path, left_out, overwrite):
    files = {name: text for name, text in FOREIGN.items() if name != left_out}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match="new or empty folder.*Received"):
        RunFolder(tmp_path, overwrite, resume=True)
    for name, text in files.items():
        assert (tmp_path / name).read_text() == text


def test_a_run_of_a_version_without_marks_may_be_overwritten(tmp_path):
    sections = {"model": {}, "dataset": {}, "recipe": {}, "versions": {"keras_micronet": "0.1.0"}}
    (tmp_path / "run.json").write_text(json.dumps({"format": 1, "text": "old", **sections}))
    (tmp_path / "class_names.txt").write_text("old\n")
    (tmp_path / f".{32 * '0'}-model.weights.h5").write_text("left by a kill")
    (tmp_path / f".{32 * '0'}-thesis.txt").write_text("precious")
    write_run(tmp_path, "new", overwrite=True, has_curve=False)
    assert texts(tmp_path) == ("new", "new")
    assert [name for name in os.listdir(tmp_path) if name.startswith(".0")] == [
        f".{32 * '0'}-thesis.txt"
    ]


def test_what_others_keep_in_the_folders_of_a_run_stays(tmp_path):
    write_run(tmp_path, "old")
    (tmp_path / "run.json").unlink()  # unfinished: it is removed, not replaced
    for name in ("checkpoints", "tensorboard"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.txt").write_text("precious")
    (tmp_path / "tensorboard" / "train").mkdir()
    (tmp_path / "tensorboard" / "train" / "events.out.tfevents.1").write_text("old")
    folder = RunFolder(tmp_path, overwrite=True)
    folder.begin()
    folder.release()
    for name in ("checkpoints", "tensorboard"):
        assert os.listdir(tmp_path / name) == ["thesis.txt"]
    assert sorted(os.listdir(tmp_path)) == [MARK_NAME, "checkpoints", "tensorboard"]


@pytest.mark.parametrize("kind", ["new", "overwrite"])
def test_a_kill_at_any_change_loses_no_run(tmp_path, kind):
    finished = subprocess.run(
        [sys.executable, "-m", "tests.training.kill_run_folder", kind, str(tmp_path)],
        cwd=pathlib.Path(__file__).parents[3],
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    assert int(finished.stdout) > 40


HOLDER = """
import sys
from training.runs.run_folder import RunFolder
folder = RunFolder(sys.argv[1])
folder.begin()
print("ready", flush=True)
sys.stdin.read()
"""


def test_two_trainings_never_share_a_folder(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=pathlib.Path(__file__).parents[3],
    )
    try:
        late = RunFolder(tmp_path)
        assert holder.stdout.readline() == b"ready\n"
        rule = f"no other command is writing to.*in use by process {holder.pid} on"
        with pytest.raises(ValueError, match=rule):
            RunFolder(tmp_path, overwrite=True)
        with pytest.raises(ValueError, match=rule):  # it was free when the dataset was read
            late.begin()
    finally:
        holder.kill()
        holder.communicate()
    RunFolder(tmp_path, resume=True).begin()
