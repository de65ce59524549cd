# SPDX-License-Identifier: Apache-2.0
"""Trainings of the tasks of a grid, from the command line to the run folder and back."""

import csv
import json

import keras
import numpy as np
import pytest
from PIL import Image

from keras_micronet.grid_answers.labels import cell_answers
from keras_micronet.grid_answers.objects import (
    PROBABILITY_ONE,
    find_keypoints,
    find_objects,
    quantized_probabilities,
)
from keras_micronet.grid_answers.quality import cell_counts, detection_counts, joint_counts
from tests.training.tiny_grids import NAMES, SIZE, STRIDE, build_tiny_model, draw, tiny_dataset
from training.command_line import main
from training.fitting import trainer
from training.runs.saved_run import SavedRun
from training.tasks import grids

pytestmark = pytest.mark.slow

TASKS = ("detect", "segment", "keypoints")
SCORES = {"detect": "mean_f1", "segment": "mean_iou", "keypoints": "pck"}
OPTIONS = ["--dataset", "squares", "--image-size", "24x32", "--epochs", "12"]
OPTIONS += ["--batch-size", "8", "--learning-rate", "0.03", "--strategy", "one-device"]
OPTIONS += ["--brightness", "0.05", "--contrast", "0.1", "--saturation", "0.1"]


def patch_dataset_and_model(patch):
    patch.setattr(grids, "load_grid_dataset", lambda task, *_: tiny_dataset(task))
    patch.setattr(
        grids, "build_grid_model", lambda variant, recipe, *_: build_tiny_model(recipe.task)
    )


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    patch_dataset_and_model(monkeypatch)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run folder of each task, and what its training said."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch_dataset_and_model(patch)
        for task in TASKS:
            arguments = ["--task", task, *OPTIONS, "--output", str(folder / task)]
            assert main([*arguments, "--average-decay", "0.5"]) == 0
    return folder


def read_run(folder):
    summary = json.loads((folder / "run.json").read_text())
    with np.load(folder / "test.npz") as arrays:
        images, labels = arrays["images"], arrays["labels"]
    model = keras.saving.load_model(folder / "model.keras")
    return summary, images, labels, model.predict(images.astype("float32"), verbose=0)


@pytest.mark.parametrize("task", TASKS)
def test_a_run_folder_has_what_an_export_needs(runs, task):
    folder = runs / task
    names = {path.name for path in folder.iterdir()} - {".keras_micronet.json"}
    plot = "confusion_matrix.png" if task == "segment" else "precision_recall.png"
    assert names == {
        "model.keras", "model.weights.h5", "class_names.txt", "calibration.npz", "test.npz",
        "validation.npz", "history.csv", "learning_curve.png", "run.json", "found_and_missed.png",
        plot,
    }  # fmt: skip
    for name in names:
        if name.endswith(".png"):
            with Image.open(folder / name) as image:
                assert min(image.size) > 300
    assert (folder / "class_names.txt").read_text() == "red\nblue\n"
    run = SavedRun.read(folder)
    assert run.recipe.task == task
    run.load_model()
    images, labels = run.test_images()
    assert len(images) == len(labels) == 12
    picture, label = draw(task, 3, 5)
    np.testing.assert_array_equal(images[5], picture)
    np.testing.assert_array_equal(labels[5][: len(label)], label)


@pytest.mark.parametrize("task", TASKS)
def test_the_history_names_what_it_measures(runs, task):
    with open(runs / task / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "epoch", "loss", "validation_loss", f"validation_{SCORES[task]}", "learning_rate",
        "seconds",
    ]  # fmt: skip
    results = json.loads((runs / task / "run.json").read_text())["results"]
    assert float(rows[-1][f"validation_{SCORES[task]}"]) == results[f"validation_{SCORES[task]}"]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])


def test_objects_are_found_as_the_definition_finds_them(runs):
    summary, _, labels, probabilities = read_run(runs / "detect")
    thresholds = np.array(summary["thresholds"]["q15"])
    np.testing.assert_allclose(summary["thresholds"]["real"], thresholds / PROBABILITY_ONE)
    quantized = quantized_probabilities(probabilities)
    found = [find_objects(each, thresholds) for each in quantized]
    counts = detection_counts(found, labels, STRIDE, len(NAMES))
    assert summary["results"]["test_mean_f1"] == counts.mean_f1 > 0.8
    for number, each in enumerate(summary["results"]["classes"]):
        assert each["name"] == NAMES[number]
        assert each["f1"] == counts.f1[number]
        assert each["count_error"] == counts.count_error[number]
        assert each["there"] == (labels[..., 0] == number).sum()


def test_cells_are_judged_as_the_definition_judges_them(runs):
    summary, _, labels, probabilities = read_run(runs / "segment")
    there = np.stack([cell_answers("segment", each, SIZE, STRIDE, 2) for each in labels])
    counts = cell_counts(probabilities.argmax(axis=-1), there, 2)
    assert summary["results"]["test_mean_iou"] == counts.mean_iou > 0.5
    classes = summary["results"]["classes"]
    assert [each["name"] for each in classes] == ["background", *NAMES]
    np.testing.assert_allclose([each["iou"] for each in classes], counts.iou)
    assert "thresholds" not in summary


def test_joints_are_found_as_the_definition_finds_them(runs):
    summary, _, labels, probabilities = read_run(runs / "keypoints")
    thresholds = np.array(summary["thresholds"]["q15"])
    found = [find_keypoints(each, thresholds) for each in quantized_probabilities(probabilities)]
    counts = joint_counts(found, labels, SIZE, STRIDE)
    assert summary["results"]["test_pck"] == counts.correct > 0.6
    assert [each["right"] for each in summary["results"]["joints"]] == counts.right.sum(0).tolist()


@pytest.mark.parametrize("task", TASKS)
def test_evaluation_says_what_the_training_said(runs, task, tmp_path, capsys):
    output = tmp_path / "evaluation"
    assert main(["evaluate", str(runs / task), "--output", str(output)]) == 0
    summary = json.loads((runs / task / "run.json").read_text())
    evaluation = json.loads((output / "evaluation.json").read_text())
    assert evaluation[SCORES[task]] == summary["results"][f"test_{SCORES[task]}"]
    assert evaluation["loss"] == pytest.approx(summary["results"]["test_loss"], rel=1e-6)
    assert evaluation.get("thresholds") == summary.get("thresholds")
    names = {path.name for path in output.iterdir()}
    plot = "confusion_matrix.png" if task == "segment" else "precision_recall.png"
    assert names == {"evaluation.json", "found_and_missed.png", plot}
    text = capsys.readouterr().out
    assert f" {evaluation[SCORES[task]]:.3f}\n" in text
    assert "  red: " in text


def test_a_stopped_training_gives_the_same_weights_to_the_bit(runs, tmp_path, monkeypatch):
    write = trainer._CheckpointWriter.on_epoch_end

    def write_and_stop(self, epoch, logs=None):
        write(self, epoch, logs)
        if epoch == 4:
            raise KeyboardInterrupt

    folder = tmp_path / "detect"
    arguments = ["--task", "detect", *OPTIONS, "--average-decay", "0.5", "--output", str(folder)]
    with monkeypatch.context() as patch:
        patch.setattr(trainer._CheckpointWriter, "on_epoch_end", write_and_stop)
        assert main(arguments) == 130
    assert main(arguments) == 0
    expected, continued = (
        keras.saving.load_model(each / "model.keras").get_weights()
        for each in (runs / "detect", folder)
    )
    for weight, expected_weight in zip(continued, expected, strict=True):
        np.testing.assert_array_equal(weight, expected_weight)


def test_patience_is_by_the_score_of_the_task_and_half_precision_is_known(tmp_path, capsys):
    arguments = ["--task", "detect", *OPTIONS, "--output", str(tmp_path / "run"), "--patience", "2"]
    assert main([*arguments, "--precision", "bfloat16"]) == 0
    model = keras.saving.load_model(tmp_path / "run" / "model.keras")
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    text = capsys.readouterr().out
    results = json.loads((tmp_path / "run" / "run.json").read_text())["results"]
    with open(tmp_path / "run" / "history.csv", newline="") as file:
        scores = [float(row["validation_mean_f1"]) for row in csv.DictReader(file)]
    assert results["kept_epoch"] == 1 + int(np.argmax(scores))
    assert results["validation_mean_f1"] == max(scores)
    assert f"Kept the weights of epoch {results['kept_epoch']}, the best of" in text
    assert "by validation mean F1." in text


def test_objects_are_told_in_pixels_of_the_picture(runs, tmp_path, capsys):
    # Twice as large, and with what is not seen at the left and at the right.
    picture, _ = draw("detect", 3, 5)
    large = np.full((2 * SIZE[0], 2 * SIZE[1] + 40, 3), 128, np.uint8)
    large[:, 20:-20] = picture.repeat(2, axis=0).repeat(2, axis=1)
    path = tmp_path / "large.png"
    Image.fromarray(large).save(path)
    assert main(["predict", str(runs / "detect"), str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    summary, images, _, _ = read_run(runs / "detect")
    model = keras.saving.load_model(runs / "detect" / "model.keras")
    seen = model.predict(picture[None].astype("float32"), verbose=0)
    objects = find_objects(quantized_probabilities(seen)[0], np.array(summary["thresholds"]["q15"]))
    assert len(lines) == len(objects) > 0
    for index, line in enumerate(lines):
        name, words = line.split(": ")
        assert name == str(path)
        class_name, *values = words.split()
        assert class_name == NAMES[objects.classes[index]]
        found = dict(value.split("=") for value in values)
        cell = 2 * STRIDE / 256  # resizing changes the picture a little
        assert int(found["x"]) == pytest.approx(20 + objects.x[index] * cell, abs=1)
        assert int(found["y"]) == pytest.approx(objects.y[index] * cell, abs=1)
        assert int(found["width"]) == objects.width[index] * cell
        assert int(found["height"]) == objects.height[index] * cell
        assert found["score"].endswith("%")


def test_joints_and_shares_of_classes_are_told_too(runs, tmp_path, capsys):
    picture, _ = draw("segment", 3, 5)
    path = tmp_path / "picture.png"
    Image.fromarray(picture).save(path)
    assert main(["predict", str(runs / "segment"), str(path)]) == 0
    words = capsys.readouterr().out.strip().removeprefix(f"{path}: ").split(", ")
    assert words[0].startswith("background ")
    shares = [float(word.split()[1].removesuffix("%")) for word in words]
    assert sum(shares) == pytest.approx(100, abs=0.1) and shares == sorted(shares, reverse=True)
    assert main(["predict", str(runs / "keypoints"), str(path), "--top", "1"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    seen = keras.saving.load_model(runs / "keypoints" / "model.keras").predict(
        picture[None].astype("float32"), verbose=0
    )
    thresholds = np.array(read_run(runs / "keypoints")[0]["thresholds"]["q15"])
    first, *_ = find_keypoints(quantized_probabilities(seen)[0], thresholds).classes
    assert line.startswith(f"{path}: {NAMES[first]} x=")


def test_a_picture_that_shows_nothing_has_a_line(runs, tmp_path, capsys):
    path = tmp_path / "empty.png"
    Image.fromarray(np.full((*SIZE, 3), 125, np.uint8)).save(path)
    assert main(["predict", str(runs / "detect"), str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: nothing found\n"


def test_a_dry_run_tells_the_values_of_a_grid_and_no_others(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["--task", "keypoints", *OPTIONS, "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "squares: 2 joints; 48 pictures to train on, 16 to validate" in text
    assert "  object_weight = 10.0\n" in text and "  output_stride = 8\n" in text
    assert "rotation" not in text and "distillation" not in text
    assert list(tmp_path.iterdir()) == []


def test_refuses_a_dataset_with_other_classes(runs, monkeypatch, capsys):
    def others(task, *_):
        dataset = tiny_dataset(task)
        return type(dataset)(**vars(dataset) | {"class_names": ("red", "green")})

    monkeypatch.setattr(grids, "load_grid_dataset", others)
    assert main(["evaluate", str(runs / "detect"), "--dataset", "others"]) == 2
    assert "must have the run's classes ['red', 'blue']" in capsys.readouterr().err


def test_a_run_is_quantized(runs, tmp_path, capsys):
    folder = tmp_path / "int8"
    arguments = ["quantize", str(runs / "detect"), "--epochs", "0", "--output", str(folder)]
    assert main([*arguments, "--object-weight", "5"]) == 0
    before = json.loads((runs / "detect" / "run.json").read_text())
    after = json.loads((folder / "run.json").read_text())
    score = before["results"]["test_mean_f1"]
    assert f"whose float model has a test mean F1 of {score:.3f}." in capsys.readouterr().out
    assert after["quantization"]["float_test_mean_f1"] == score
    assert (after["task"], after["recipe"]["object_weight"]) == ("detect", 5.0)
    assert len(after["thresholds"]["q15"]) == 2
    assert after["results"]["test_mean_f1"] > score - 0.2
    assert SavedRun.read(folder).is_quantized


def test_quantize_refuses_the_values_that_the_model_has(runs, capsys):
    with pytest.raises(SystemExit):
        main(["--quantize-aware", str(runs / "detect"), "--blocks", "2"])
    assert "the float run decides" in capsys.readouterr().err


@pytest.mark.parametrize(
    "damage",
    [
        lambda summary: summary.pop("thresholds"),
        lambda summary: summary["thresholds"].update(q15=[16384]),
        lambda summary: summary["thresholds"].update(q15=[16384, 0]),
        lambda summary: summary["thresholds"].update(q15=[16384, 0.5]),
        lambda summary: summary["thresholds"].update(q15="ab"),
        lambda summary: summary.update(thresholds=[1, 2]),
        lambda summary: summary.update(task="keypoints"),
        lambda summary: summary.pop("task"),
        lambda summary: summary["recipe"].update(output_stride=5),
        lambda summary: summary["results"].pop("test_mean_f1"),
    ],
)
def test_what_does_not_fit_together_is_no_run(runs, tmp_path, damage):
    (tmp_path / "class_names.txt").write_text("red\nblue\n")
    summary = json.loads((runs / "detect" / "run.json").read_text())
    damage(summary)
    (tmp_path / "run.json").write_text(json.dumps(summary))
    with pytest.raises(ValueError, match="run.json must be whole and written by this version"):
        SavedRun.read(tmp_path)
