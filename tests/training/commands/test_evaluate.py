# SPDX-License-Identifier: Apache-2.0
import json
import pathlib
import shutil

import numpy as np
import pytest
from PIL import Image

from keras_micronet.files.atomic import temporary_name
from keras_micronet.files.locks import LOCK_NAME
from tests.training.conftest import write_image_folder
from training.command_line import main
from training.commands import evaluate
from training.runs.saved_run import SavedRun
from training.settings import EvaluateSettings

pytestmark = pytest.mark.slow


@pytest.fixture
def refused(capsys, monkeypatch, tmp_path):
    """Runs the command line, which must refuse the request; returns the message."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluate, "execute", lambda _: pytest.fail("executed"))

    def run_and_read(*arguments):
        before = sorted(tmp_path.rglob("*"))
        assert main(["evaluate", *map(str, arguments)]) == 2
        output = capsys.readouterr()
        assert output.out == ""
        assert output.err.count("\n") == 1
        assert sorted(tmp_path.rglob("*")) == before
        return output.err

    return run_and_read


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_tells_the_accuracies_and_writes_them_when_asked(small_run, tmp_path, capsys, part):
    before = {path: path.stat().st_mtime_ns for path in small_run.iterdir()}
    output = tmp_path / "new" / "evaluation"
    assert main(["evaluate", str(small_run), "--part", part, "--output", str(output)]) == 0
    text = capsys.readouterr().out
    summary = json.loads((output / "evaluation.json").read_text())
    saved = SavedRun.read(small_run)
    assert summary["images"] == saved.part_sizes[part]
    assert f"copy-M0 on {summary['images']} images: images, {part} part." in text
    assert f"Loss {summary['loss']:.4f}\n" in text
    assert f"Top-1 accuracy {summary['top_1_accuracy']:.2%}\n" in text
    assert summary["top_5_accuracy"] is None and "Top-5" not in text
    confusion = np.array(summary["confusion"])
    assert confusion.sum() == summary["images"]
    assert np.trace(confusion) / confusion.sum() == summary["top_1_accuracy"]
    for row, each in enumerate(summary["classes"]):
        assert each["images"] == confusion[row].sum()
        assert each["accuracy"] == confusion[row, row] / each["images"]
        assert f"  {each['name']}: {each['accuracy']:.2%} of {each['images']}\n" in text
    with Image.open(output / "confusion_matrix.png") as image:
        assert image.format == "PNG"
    assert sorted(path.name for path in output.iterdir()) == [
        "confusion_matrix.png", "evaluation.json",
    ]  # fmt: skip
    assert {path: path.stat().st_mtime_ns for path in small_run.iterdir()} == before


def test_measures_what_the_model_answers(small_run):
    """The evaluation of the test part, compared with the model on the run's own test images."""
    lines = []
    result = evaluate.execute(evaluate.prepare(EvaluateSettings(small_run)), lines.append)
    with np.load(small_run / "test.npz") as arrays:
        images, labels = arrays["images"], arrays["labels"]
    model = SavedRun.read(small_run).load_model()
    probabilities = model.predict(images.astype("float32"), verbose=0)
    expected = np.zeros((2, 2), int)
    np.add.at(expected, (labels, probabilities.argmax(1)), 1)
    assert result.confusion.tolist() == expected.tolist()
    targets = 0.9 * np.eye(2)[labels] + 0.1 / 2  # smoothed, as in the training
    assert result.loss == pytest.approx(-(targets * np.log(probabilities)).sum(1).mean(), rel=1e-4)


def test_another_dataset_of_the_same_classes_is_measured_with_a_warning(
    small_run, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    write_image_folder(tmp_path / "others", {"a": 12, "b": 12})
    assert main(["evaluate", str(small_run), "--dataset", "others"]) == 0
    text = capsys.readouterr().out
    assert "others, test part" in text
    assert "the model may have learned from some of these images" in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy-M0", "others"]


def test_the_same_dataset_elsewhere_needs_no_warning(small_run, tmp_path, capsys):
    source = json.loads((small_run / "run.json").read_text())["dataset"]["source"]
    shutil.copytree(source, tmp_path / "moved")
    assert main(["evaluate", str(small_run), "--dataset", str(tmp_path / "moved")]) == 0
    assert "may have learned" not in capsys.readouterr().out


def test_refuses_other_classes(refused, small_run, tmp_path):
    write_image_folder(tmp_path / "others", {"a": 6, "c": 6})
    message = refused(small_run, "--dataset", "others")
    assert "must have the run's classes ['a', 'b'], in this order. Received: ['a', 'c']" in message


def test_refuses_what_is_no_run(refused):
    assert "a run must be a folder" in refused("no-such-run")


def test_refuses_a_dataset_that_is_not_there(refused, small_run):
    assert "Received: dataset=no-such" in refused(small_run, "--dataset", "no-such")


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_never_writes_over_anything(refused, small_run, tmp_path, kind):
    output = tmp_path / "output"
    if kind == "folder":
        output.mkdir()
        (output / "file").write_text("")
    else:
        output.write_text("")
    message = refused(small_run, "--output", output)
    assert f"output must be a new or empty folder. Received: output={output}" in message


def test_refuses_an_output_that_cannot_be_written(refused, small_run):
    message = refused(small_run, "--output", pathlib.Path("/dev/null/output"))
    assert "output must be a folder that can be written to: give another" in message
    assert "Received: output=/dev/null" in message


def test_what_a_killed_evaluation_left_is_cleaned_up(small_run, tmp_path):
    output = tmp_path / "output"
    output.mkdir()
    (output / temporary_name("evaluation.json")).write_text("half")
    (output / LOCK_NAME).write_text("{}")
    assert main(["evaluate", str(small_run), "--output", str(output)]) == 0
    names = sorted(path.name for path in output.iterdir())
    assert names == ["confusion_matrix.png", "evaluation.json"]
