import csv
import os

import keras
import numpy as np
import pytest
from PIL import Image

from training.plots import learning_curve
from training.run_folder import RunFolder, atomic_path
from training.trainer import EpochRecord, TrainingResult

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
    return sorted(path.name for path in folder.path.iterdir())


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
    for name, count in (("calibration.npz", 5), ("test.npz", 2)):
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


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    destination = tmp_path / "file.txt"
    destination.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(destination) as path:
        path.write_text("half")
        raise RuntimeError
    assert destination.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_a_write_appears_at_once_under_its_name(tmp_path):
    destination = tmp_path / "file.weights.h5"
    destination.write_text("old")
    with atomic_path(destination) as path:
        assert path.parent == tmp_path
        assert path.name.endswith(".weights.h5")
        path.write_text("new")
        assert destination.read_text() == "old"
    assert destination.read_text() == "new"
    assert os.listdir(tmp_path) == ["file.weights.h5"]


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


def test_refuses_a_folder_with_content(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(ValueError, match="new or empty folder.*--overwrite.*Received: out"):
        RunFolder(tmp_path)


def test_overwriting_marks_the_old_run_as_incomplete_and_keeps_other_files(tmp_path):
    # No run without epochs would replace the curve.
    for name in ("run.json", "learning_curve.png", "notes.txt"):
        (tmp_path / name).write_text("old")
    RunFolder(tmp_path, overwrite=True).begin()
    assert os.listdir(tmp_path) == ["notes.txt"]


def test_an_empty_folder_may_be_used(tmp_path):
    RunFolder(tmp_path).begin()
    assert os.listdir(tmp_path) == []


def test_refuses_a_path_that_cannot_be_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"can be written to. Received: output=.*file.*\("):
        RunFolder(tmp_path / "file" / "run").begin()


@pytest.fixture
def unfinished(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "epoch-000001.npz").write_bytes(b"")
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
    RunFolder(tmp_path, resume=True).begin()
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    with pytest.raises(ValueError, match="that of an unfinished"):
        RunFolder(tmp_path)


def test_logs_beside_other_files_are_no_unfinished_run(tmp_path):
    (tmp_path / "tensorboard").mkdir()
    (tmp_path / "thesis.txt").write_text("")
    with pytest.raises(ValueError, match="that of an unfinished"):
        RunFolder(tmp_path, resume=True)


def test_overwriting_removes_logs_history_and_plots(tmp_path):
    for name in ("checkpoints", "tensorboard"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("")
    for name in ("history.csv", "learning_curve.png", "confusion_matrix.png", "run.json"):
        (tmp_path / name).write_text("")
    (tmp_path / "thesis.txt").write_text("")
    RunFolder(tmp_path, overwrite=True).begin()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
