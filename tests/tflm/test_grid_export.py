# SPDX-License-Identifier: Apache-2.0
"""Runs that detect, segment and find keypoints become verified exports of every kind.

Sizes are odd: the last cells reach beyond the picture.
"""

import json
import pathlib
import re
import shutil
import subprocess

import keras
import numpy as np
import pytest

from keras_micronet.grid_answers.objects import find_objects
from keras_micronet.grid_answers.quality import detection_counts
from keras_micronet.quantization import quantize_aware
from tests.tflm import fused_models, grid_pictures
from tflm import command_line, exporter
from tflm.recognition.scores import exponentials, probabilities
from tflm.static import compiled_library
from tflm.trained_run import TrainedRun

pytestmark = pytest.mark.slow

ARDUINO = (
    pathlib.Path(__file__).parent / "package/arduino/hardware/micronet/host/cores/host/Arduino.h"
)
STATIC = ("--runtime", "static", "--name", "found")
C_FLAGS = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror")


def written_run(folder, task, **options):
    return grid_pictures.write_run(
        folder, task, grid_pictures.fitted_model(task), tests=60, validation=40, **options
    )


@pytest.fixture(scope="module")
def detect_run(tmp_path_factory):
    return written_run(tmp_path_factory.mktemp("detect") / "run", "detect")


@pytest.fixture(scope="module")
def detect_export(detect_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("detect_static") / "out"
    with pytest.MonkeyPatch.context() as patch:
        # What the time is estimated from is tested with classes.
        patch.setattr(exporter, "_timed", lambda made, chips, announce: made)
        assert command_line.main([str(detect_run), "--output", str(folder), *STATIC]) == 0
    return folder


def figures(folder):
    return json.loads((folder / "report.json").read_text())


def self_test(folder, tmp_path):
    """What the program of an export's self-test says."""
    sources = [
        path
        for part in ("src", "src/kernels", "test", "examples")
        for path in sorted((folder / part).glob("*.c"))
    ]
    program = tmp_path / "selftest"
    includes = ["-I", folder / "src", "-I", folder / "test"]
    command = ["gcc", *C_FLAGS, "-O1", *includes, *sources, "-o", program]
    subprocess.run(list(map(str, command)), check=True, timeout=300)
    return subprocess.run([program], capture_output=True, text=True, timeout=60).stdout.strip()


def test_detection_as_a_library(detect_export, tmp_path):
    report = figures(detect_export)
    assert (report["task"], report["grid"]) == ("detect", {"rows": 11, "columns": 14, "stride": 4})
    assert 0.5 < report["float_mean_f1"] < 0.95
    assert abs(report["points_lost"]) < 8 and report["agreement"] > 0.9
    low, high = report["points_lost_interval"]
    assert low <= report["points_lost"] <= high
    assert report["arena"]["rows_required_bytes"] is not None
    assert report["thresholds"]["are_chosen"] and report["thresholds"]["validation_images"] == 40
    assert self_test(detect_export, tmp_path) == "self-test: 3 of 3 right"


def test_a_wrong_threshold_fails_the_self_test(detect_export, tmp_path):
    """The scores are right then; what is found in them is not."""
    folder = shutil.copytree(detect_export, tmp_path / "out")
    source = folder / "src" / "found_model_recognition.c"
    text, count = re.subn(
        r"(found_model_thresholds\[2\] = \{\s*)\d+(,\s*)\d+",
        r"\g<1>32768\g<2>32768",
        source.read_text(),
    )
    assert count == 1
    source.write_text(text)
    said = self_test(folder, tmp_path)
    assert said.startswith("self-test: ") and said != "self-test: 3 of 3 right"


def test_library_equals_the_kernels_definitions_and_the_report(detect_run, detect_export):
    """Static library, whole and row by row, interpreter and NumPy; F1 counted once more."""
    run = TrainedRun.load(detect_run)
    model = exporter.quantized_model(run)
    deployment = exporter.deploy(model, kernels="fused", runtime="static")
    images = run.test.images[:20]
    outputs = deployment.outputs(images)
    assert outputs.shape == (20, 11, 14, 3)
    integers = deployment.quantized_images(images)
    for image, output in zip(integers[:2], outputs, strict=False):
        (name,) = deployment.graph.outputs
        np.testing.assert_array_equal(fused_models.run(deployment.graph, image)[name], output)
    target = exporter.RUNTIMES["static"].of(
        deployment.graph, deployment.model_bytes, deployment.interpreter, "found_model"
    )
    library = compiled_library.CompiledLibrary(target.files, "found_model")
    assert library.rows_arena_bytes is not None
    for run_library in (library.run, library.run_rows):
        np.testing.assert_array_equal(run_library(integers), outputs.reshape(20, -1))
    chances = probabilities(
        deployment.outputs(run.test.images),
        exponentials(float(deployment.output_quantization.scale[0])),
    )
    report = figures(detect_export)
    thresholds = np.array([row["threshold_q15"] for row in report["thresholds"]["by_class"]])
    found = [find_objects(each, thresholds, 64) for each in chances]
    assert report["int8_mean_f1"] == detection_counts(found, run.test.labels, 4, 2).mean_f1


def test_report_shows_what_is_found(detect_export):
    text = (detect_export / "report.md").read_text()
    for words in (
        "objects of 2 classes by their centres in 11 x 14 cells of 4 pixels.",
        "| **mean F1 on the device** |",
        "| class | objects | F1, float | F1, int8 | count error, float | int8 |",
        "## From which probability on it counts",
        "![test images, marked with what float and device answer](report_predictions.png)",
        "/* of each cell, see found_model_recognition.h */",
    ):
        assert words in text
    assert "none of these" not in text and "found_model_class_names */" not in text
    readme = (detect_export / "README.md").read_text()
    assert "found_model_find_objects(scores, &view, memory, objects)" in readme
    assert "micronet_recognize" not in readme
    arduino = (detect_export / "examples" / "Camera" / "Camera.ino").read_text()
    assert "camera_example_resizer()" in arduino and "found_model_find_objects" in arduino
    assert not (detect_export / "src" / "micronet_recognize.c").exists()
    settings = (detect_export / "src" / "found_model_settings.h").read_text()
    assert "#define FOUND_MODEL_CLASS_COUNT 2" in settings
    assert "The output has scores for each cell of a grid" in settings


def test_the_example_of_a_camera_compiles(detect_export):
    example = detect_export / "examples" / "Camera"
    folders = (ARDUINO.parent, detect_export / "src", example)
    words = ["-fsyntax-only", "-Wall", "-Wextra", "-Werror", *(f"-I{folder}" for folder in folders)]
    sketch = ["g++", "-std=c++17", *words, "-x", "c++", "-include", ARDUINO, example / "Camera.ino"]
    for command in (sketch, ["gcc", "-std=c99", *words, example / "camera_example.c"]):
        subprocess.run(list(map(str, command)), check=True, timeout=60)


def test_segmentation_on_the_interpreter(tmp_path, capsys):
    """With TensorFlow Lite Micro's own operators."""
    run = written_run(tmp_path / "run", "segment")
    assert command_line.main([str(run), "--output", str(tmp_path / "out")]) == 0
    report = figures(tmp_path / "out")
    assert (report["task"], report["kernels"]) == ("segment", "builtin")
    assert 0.25 < report["float_mean_iou"] < 0.95
    assert abs(report["int8_mean_iou"] - report["float_mean_iou"]) < 0.1
    first, second = capsys.readouterr().out.splitlines()[-5:-3]
    assert first.startswith("mean IoU on 60 test images: float ")
    assert second.startswith("cells answered as by float: ") and "noisiest activations" in second


def test_gray_pictures_and_learned_rounding(tmp_path):
    """A gray model that has learned with the rounding of fused kernels, exported with these."""
    model = grid_pictures.fitted_model("keypoints", channels=1)
    images, _ = grid_pictures.pictures("keypoints", 20, 0, channels=1)
    quantized = quantize_aware(model, images)
    run = grid_pictures.write_run(
        tmp_path / "run", "keypoints", quantized, tests=30, validation=None, channels=1
    )
    words = ["--output", str(tmp_path / "out"), "--kernels", "fused"]
    assert command_line.main([str(run), *words]) == 0
    report = figures(tmp_path / "out")
    assert report["keras_model"] == "quantization-aware"
    assert report["input_shape"] == [1, *grid_pictures.SIZE, 1]
    assert abs(report["keras_pck"] - report["int8_pck"]) < 0.05
    assert not report["thresholds"]["are_chosen"]
    assert "With the rounding that they have learned" in (tmp_path / "out/report.md").read_text()


def test_what_loses_too_much_is_refused(detect_run, tmp_path, monkeypatch, capsys):
    """The device's answers are mirrored, which no verification of it would let pass."""
    outputs = exporter._Models.outputs
    monkeypatch.setattr(
        exporter._Models, "outputs", lambda self, images: outputs(self, images)[:, :, ::-1]
    )
    words = ["--output", str(tmp_path / "out"), "--kernels", "fused"]
    assert command_line.main([str(detect_run), *words]) == 1
    message = capsys.readouterr().err
    assert "may lose at most 2 points of mean F1. Received: " in message
    assert "python -m tflm" in message and "--most-accuracy-lost" in message
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()).count(".md") == 1
    assert not (tmp_path / "out" / "src").exists()
    assert "of mean F1 may be lost" in (tmp_path / "out" / "report.md").read_text()


def test_keep_right_and_wrong_ends_are_refused_at_once(detect_run, tmp_path, capsys):
    words = [str(detect_run), "--output", str(tmp_path / "out"), "--keep-right", "90"]
    assert command_line.main(words) == 1
    assert "Received: keep-right=90 for the task detect" in capsys.readouterr().err
    model = grid_pictures.small_model("detect")
    outputs = keras.layers.Activation("sigmoid")(model.get_layer("answers").output)
    run = grid_pictures.write_run(
        tmp_path / "run", "detect", keras.Model(model.inputs, outputs), tests=2, validation=None
    )
    assert command_line.main([str(run), "--output", str(tmp_path / "out")]) == 1
    assert "Received: a sigmoid at the end" in capsys.readouterr().err
