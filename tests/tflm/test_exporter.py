"""The whole way: a run folder becomes a verified deployment folder, or a refusal."""

import json
import re
import shutil
import subprocess

import keras
import numpy as np
import pytest

from keras_micronet.quantization import quantize_aware
from tflm import command_line, exporter
from tflm.interpreter import MicroInterpreter

DEPLOYED = {
    "model.tflite",
    "model_data.cc",
    "model_data.h",
    "model_settings.h",
    "op_resolver.h",
    "report.json",
    "report.md",
    "report_memory.png",
    "report_operations.png",
    "report_predictions.png",
    "test_vectors.cc",
    "test_vectors.h",
}


@pytest.fixture(scope="module")
def deployed(digits_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("deployed") / "digits"
    assert command_line.main([str(digits_run), "--output", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def deployed_fused(digits_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("deployed_fused") / "digits"
    words = [str(digits_run), "--output", str(folder), "--kernels", "fused"]
    assert command_line.main(words) == 0
    return folder


@pytest.fixture
def run_copy(digits_run, tmp_path):
    return shutil.copytree(digits_run, tmp_path / "run")


def test_files(deployed):
    assert {path.name for path in deployed.iterdir()} == DEPLOYED


def test_report_says_what_the_device_does(deployed, digits_run):
    report = json.loads((deployed / "report.json").read_text())
    test = np.load(digits_run / "test.npz")
    model = keras.saving.load_model(digits_run / "model.keras")
    classes = model.predict(test["images"], verbose=0).argmax(axis=-1)
    assert report["keras_accuracy"] == pytest.approx(np.mean(classes == test["labels"]))
    assert report["keras_accuracy"] > 0.9  # it has learned something to lose
    assert report["int8_accuracy"] >= report["keras_accuracy"] - 0.02
    assert report["agreement"] >= 0.98
    assert report["compared_images"] == 100 + len(test["labels"])
    assert report["flatbuffer_bytes"] == (deployed / "model.tflite").stat().st_size


def test_fused_kernels_answer_as_well_as_builtin_ones(deployed, deployed_fused):
    builtin, fused = (
        json.loads((folder / "report.json").read_text()) for folder in (deployed, deployed_fused)
    )
    one_image = 1 / fused["test_images"]
    assert fused["int8_accuracy"] >= builtin["int8_accuracy"] - 1.01 * one_image
    assert fused["agreement"] >= builtin["agreement"] - 1.01 / fused["compared_images"]
    assert len(fused["operations"]) < len(builtin["operations"]) / 5
    assert fused["arena"]["required_bytes"] < builtin["arena"]["required_bytes"]
    assert fused["multiply_adds"] == fused["model_multiply_adds"]
    assert "Compile all of `kernels/`" in (deployed_fused / "report.md").read_text()


def test_fused_kernels_are_exported_with_all_that_they_include(deployed_fused):
    """M0 has no residual sum and 8-bit weights, so that those kernels are not among them."""
    kernels = deployed_fused / "kernels"
    names = {path.name for path in kernels.iterdir()}
    assert {"micronet_ops.h", "dynamic_shift_max_s8.c", "dense_s8.c"} < names
    assert not [name for name in names if "residual_add" in name or "dense_s4" in name]
    sources = sorted(str(path) for path in kernels.glob("*.c"))
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    subprocess.run(["gcc", *flags, "-iquote", str(kernels), *sources], check=True)


def test_report_names_the_noise_of_every_activation(deployed):
    report = json.loads((deployed / "report.json").read_text())
    noise = report["tensor_noise"]
    outputs = {operation["name"] for operation in report["operations"]}
    assert {row["name"] for row in noise} == outputs | {"images"}
    ratios = [row["signal_to_noise_decibels"] for row in noise]
    assert ratios == sorted(ratios)
    assert ratios[0] > 0  # no activation is more noise than signal


def test_quantization_aware_model_is_exported_with_what_it_has_learned(run_copy, tmp_path):
    """4-bit weights in the head, and a range that no calibration would find."""
    model = keras.saving.load_model(run_copy / "model.keras")
    images = np.load(run_copy / "calibration.npz")["images"]
    quantized = quantize_aware(model, images[:64], "int8_head4")
    quantized.activation_ranges = {**quantized.activation_ranges, "classifier_dense": (-51, 76.5)}
    quantized.save(run_copy / "model.keras")
    output = tmp_path / "out"
    assert command_line.main([str(run_copy), "--output", str(output)]) == 0
    report = json.loads((output / "report.json").read_text())
    assert report["keras_model"] == "quantization-aware"
    assert report["agreement"] >= 0.99
    scales = {row["name"]: row["scale"] for row in report["tensor_noise"]}
    assert scales["classifier_dense"] == pytest.approx(0.5)
    by_name = {row["name"]: row for row in report["operations"]}
    # Half a byte a weight, four bytes a bias.
    assert by_name["head_dense"]["constant_bytes"] == 384 * 640 / 2 + 4 * 640
    assert by_name["classifier_dense"]["constant_bytes"] == 640 * 10 / 2 + 4 * 10


def c_numbers(text, name):
    """The numbers between the braces behind a C array's name, all dimensions flattened."""
    body = re.search(rf"{name}\[.*?= \{{(.*?)\}};", text, re.DOTALL).group(1)
    return np.array([int(number) for number in re.findall(r"-?\d+", body)])


def test_test_vectors_are_what_the_interpreter_gives(deployed):
    text = (deployed / "test_vectors.cc").read_text()
    names = re.findall(r"const std::int8_t (k\w+)\[", text)
    assert len(names) == 2
    inputs, outputs = (c_numbers(text, name).astype(np.int8) for name in names)
    interpreter = MicroInterpreter((deployed / "model.tflite").read_bytes())
    inputs = inputs.reshape(-1, 32, 32, 3)
    np.testing.assert_array_equal(interpreter.run(inputs), outputs.reshape(len(inputs), -1))


def test_export_replaces_only_an_earlier_export(deployed, digits_run, tmp_path, capsys):
    assert command_line.main([str(digits_run), "--output", str(deployed)]) == 2
    assert "must be a new or empty folder" in capsys.readouterr().err
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("unsaved")
    status = command_line.main([str(digits_run), "--output", str(precious), "--overwrite"])
    assert status == 2
    assert (precious / "thesis.txt").read_text() == "unsaved"


def test_writing_replaces_the_whole_folder(tmp_path):
    folder = tmp_path / "export"
    exporter.write({"report.json": "{}", "old.txt": "old"}, folder)
    exporter.check_output(folder, overwrite=True)
    exporter.write({"report.json": "{}", "new.txt": "new"}, folder)
    assert {path.name for path in folder.iterdir()} == {"report.json", "new.txt"}
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_model_that_int8_cannot_hold_fails_with_a_sentence(run_copy, tmp_path, capsys):
    """One channel of the last map ten thousand times as large as the rest hides the rest."""
    model = keras.saving.load_model(run_copy / "model.keras")
    normalization = model.get_layer("block_7").expand.batch_normalization
    gamma = normalization.gamma.numpy()
    gamma[0] *= 1e4
    normalization.gamma.assign(gamma)
    dense = model.get_layer("head_dense")
    kernel = dense.kernel.numpy()
    kernel[0] = 0.0
    dense.kernel.assign(kernel)
    model.save(run_copy / "model.keras")
    output = tmp_path / "out"
    assert command_line.main([str(run_copy), "--output", str(output)]) == 1
    message = capsys.readouterr().err
    assert "must agree with the float model on at least 98%" in message
    assert re.search(r"Received: \d+\.\d% of 497 images", message)
    assert re.search(r"noisiest activations, .*: \S+ \(-?\d+\.\d dB\)", message)
    assert not output.exists()


def test_too_few_images_are_refused(run_copy, tmp_path, capsys):
    test = np.load(run_copy / "test.npz")
    np.savez(run_copy / "test.npz", images=test["images"][:99], labels=test["labels"][:99])
    assert command_line.main([str(run_copy), "--output", str(tmp_path / "out")]) == 2
    assert "at least 200 images together" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["model.keras", "class_names.txt", "calibration.npz", "test.npz"]
)
def test_missing_file_is_named(run_copy, name, tmp_path, capsys):
    (run_copy / name).unlink()
    assert command_line.main([str(run_copy), "--output", str(tmp_path / "out")]) == 2
    assert f"must hold {name}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["model.keras", "test.npz"])
def test_truncated_file_is_named(run_copy, name, tmp_path, capsys):
    content = (run_copy / name).read_bytes()
    (run_copy / name).write_bytes(content[: len(content) // 2])
    assert command_line.main([str(run_copy), "--output", str(tmp_path / "out")]) == 2
    assert name in capsys.readouterr().err


@pytest.mark.parametrize(
    ("images", "labels", "rule"),
    [
        (np.zeros((3, 32, 32, 3), np.float32), np.zeros(3, int), "must be raw RGB, uint8"),
        (np.zeros((3, 32, 31, 3), np.uint8), np.zeros(3, int), r"input shape \(32, 32, 3\)"),
        (np.zeros((3, 32, 32, 3), np.uint8), np.zeros(2, int), "one integer for each of 3"),
        (np.zeros((3, 32, 32, 3), np.uint8), np.full(3, 10), r"in \[0, 10\). Received: 3 labels"),
        (np.zeros((3, 32, 32, 3), np.uint8), np.zeros(3), "Received: float64"),
        (np.zeros((0, 32, 32, 3), np.uint8), np.zeros(0, int), "Received: 0 labels"),
    ],
)
def test_unfit_images_are_refused(run_copy, tmp_path, capsys, images, labels, rule):
    np.savez(run_copy / "calibration.npz", images=images, labels=labels)
    assert command_line.main([str(run_copy), "--output", str(tmp_path / "out")]) == 2
    assert re.search(rule, capsys.readouterr().err)


def test_pickled_images_are_refused(run_copy, tmp_path, capsys):
    np.savez(run_copy / "test.npz", images=np.array([{}], object), labels=np.zeros(1, int))
    assert command_line.main([str(run_copy), "--output", str(tmp_path / "out")]) == 2
    assert "allow_pickle=False" in capsys.readouterr().err


def test_class_names_must_fit_the_model(run_copy, tmp_path, capsys):
    (run_copy / "class_names.txt").write_text("".join(f"{name}\n" for name in range(11)))
    assert command_line.main([str(run_copy), "--output", str(tmp_path / "out")]) == 2
    assert "the model's 10 outputs, one a line. Received: 11 names" in capsys.readouterr().err


def test_model_that_is_not_ours_is_refused(run_copy, tmp_path, capsys):
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.SeparableConv2D(4, 3, name="foreign")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(10)(keras.layers.Flatten()(x)))
    model.save(run_copy / "model.keras")
    assert command_line.main([str(run_copy), "--output", str(tmp_path / "out")]) == 1
    assert "must consist of the layers of keras_micronet" in capsys.readouterr().err


def test_model_that_wants_normalized_images_is_fed_so(run_copy, tmp_path):
    """Without preprocessing inside, the tables of the settings do what it did."""
    trained = keras.saving.load_model(run_copy / "model.keras")
    inputs = keras.Input((32, 32, 3))
    x = inputs
    for layer in trained.layers[2:]:
        x = layer(x)
    keras.Model(inputs, x).save(run_copy / "model.keras")
    assert command_line.main([str(run_copy), "--output", str(tmp_path / "out")]) == 0


