# SPDX-License-Identifier: Apache-2.0
"""Exports of a model that is far from always right, as those of photographs are.

What is wrong is found out on any number of them; what is lost is the user's to accept.
"""

import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest

from keras_micronet.quantization import FreezeSchedule, quantize_aware
from tests.tflm import pictures
from tflm import command_line, exporter
from tflm.kernels.grouped_pointwise_conv import GroupedPointwiseConv
from tflm.micro import flatbuffer
from tflm.static import c_library

pytestmark = pytest.mark.slow

EXPORTS = {
    "builtin": (),
    "fused": ("--kernels", "fused"),
    "static": ("--runtime", "static"),
}


GRAY_PICTURES = (("train", 600, 0), ("test", 200, 1), ("validation", 100, 2))


@pytest.fixture(scope="module")
def aware_run(pictures_run, tmp_path_factory):
    """The same model, trained on with its rounding, in a run that remembers the float run."""
    folder = tmp_path_factory.mktemp("aware") / "run-int8"
    shutil.copytree(pictures_run, folder)
    images, labels = pictures.pictures(600, seed=0)
    float_model = keras.saving.load_model(pictures_run / "model.keras")
    model = quantize_aware(float_model, images[:50])
    model.compile(keras.optimizers.Adam(1e-4), "sparse_categorical_crossentropy")
    model.fit(images, labels, batch_size=100, epochs=1, verbose=0, callbacks=[FreezeSchedule()])
    model.save(folder / "model.keras")
    section = {"scheme": "int8", "float_run": "run", "float_test_accuracy": 0.75}
    (folder / "run.json").write_text(json.dumps({"format": 1, "quantization": section}))
    return folder


@pytest.fixture
def run_copy(pictures_run, tmp_path):
    return shutil.copytree(pictures_run, tmp_path / "run")


def export(run, output, *words):
    return command_line.main([str(run), "--output", str(output), *words])


def figures(folder):
    return json.loads((folder / "report.json").read_text())


@pytest.mark.parametrize("name", EXPORTS)
@pytest.mark.parametrize("trained", ["after", "aware"])
def test_pictures_are_exported(request, trained, name, tmp_path, capsys):
    run = request.getfixturevalue("pictures_run" if trained == "after" else "aware_run")
    assert export(run, tmp_path / "out", *EXPORTS[name]) == 0
    report = figures(tmp_path / "out")
    assert 0.6 < report["float_accuracy"] < 0.9
    assert abs(report["points_lost"]) < 3
    low, high = report["points_lost_interval"]
    assert low < report["points_lost"] < high
    assert report["clear_agreement"] >= report["agreement"] > 0.9
    assert report["refused"] is False
    assert report["only_class"] is None
    has_learned_others = trained == "aware" and name == "builtin"
    learned = report["verification"]["learned_kernels"]
    assert learned == ("fused" if has_learned_others else None)
    assert report["float_run_accuracy"] == (None if trained == "after" else 0.75)
    lines = capsys.readouterr().out.splitlines()
    shown = [line for line in lines if line.startswith(("accuracy on 300 test", "same class as"))]
    assert len(shown) == 2


@pytest.fixture(scope="module")
def gray_run(tmp_path_factory):
    """A run of gray pictures: their red alone, which tells most of their light."""
    gray = {name: pictures.pictures(count, seed) for name, count, seed in GRAY_PICTURES}
    gray = {name: (images[..., :1], labels) for name, (images, labels) in gray.items()}
    trained, *_ = gray["train"]
    return pictures.write_run(
        tmp_path_factory.mktemp("gray") / "run",
        pictures.trained_model(trained, gray["train"][1]),
        calibration=(trained[:100], gray["train"][1][:100]),
        test=gray["test"],
        validation=gray["validation"],
    )


@pytest.mark.parametrize("name", EXPORTS)
def test_gray_pictures_are_exported(gray_run, name, tmp_path):
    """Verified as all are: operations, outputs, and of the library the bytes of both its ways."""
    assert export(gray_run, tmp_path / "out", *EXPORTS[name]) == 0
    report = figures(tmp_path / "out")
    assert report["input_shape"] == [1, *pictures.SHAPE[:2], 1]
    assert 0.5 < report["int8_accuracy"] < 0.95
    (settings,) = (tmp_path / "out" / "src").glob("*_model_settings.h")
    text = settings.read_text()
    assert "_model_gray_to_input[256];" in text and "_red_to_input" not in text
    text = (tmp_path / "out" / "report.md").read_text()
    assert "input 24 x 20 x 1" in text and "RGB888" not in text


def test_float_side_of_an_aware_model_is_its_own_weights(aware_run, tmp_path):
    assert export(aware_run, tmp_path / "out") == 0
    model = keras.saving.load_model(aware_run / "model.keras")
    test = np.load(aware_run / "test.npz")
    answers = model.float_logits(test["images"]).argmax(axis=-1)
    assert figures(tmp_path / "out")["float_accuracy"] == np.mean(answers == test["labels"])
    text = (tmp_path / "out" / "report.md").read_text()
    assert "The float run that came before has 75.00%" in text


def test_the_threshold_of_none_of_these_is_chosen_on_validation_images(run_copy, tmp_path):
    assert export(run_copy, tmp_path / "out", "--runtime", "static", "--keep-right", "80") == 0
    report = figures(tmp_path / "out")
    choice = report["none_of_these"]
    assert choice["is_chosen"] and choice["keep_right_percent"] == 80
    rows = {row["threshold_q15"]: row for row in choice["thresholds"]}
    chosen = rows[choice["threshold_q15"]]
    assert chosen["validation"]["right"] + chosen["validation"]["wrong"] == 200
    assert chosen["validation"]["kept_right"] >= 0.8 * chosen["validation"]["right"]
    assert chosen["test"]["right"] == report["int8_accuracy"] * 300
    # These pictures are the less probable, the closer their light is to another class's.
    right, wrong = (
        chosen["test"][f"kept_{answer}"] / chosen["test"][answer] for answer in ("right", "wrong")
    )
    assert wrong < right - 0.2
    text = (tmp_path / "out" / "report.md").read_text()
    assert "the highest that keeps 80% of the right answers to 200 validation images" in text


def test_a_run_without_validation_images_has_the_default_threshold(run_copy, tmp_path):
    (run_copy / "validation.npz").unlink()
    assert export(run_copy, tmp_path / "out", "--runtime", "static") == 0
    choice = figures(tmp_path / "out")["none_of_these"]
    assert not choice["is_chosen"] and choice["threshold"] == 0.5
    text = (tmp_path / "out" / "report.md").read_text()
    assert "`keras_micronet.write_run_folder` takes some" in text


def test_forty_pictures_a_class_and_a_dozen_to_test(tmp_path, pictures_run, capsys):
    images, labels = pictures.pictures(120, seed=2)
    model = keras.saving.load_model(pictures_run / "model.keras")
    run = pictures.write_run(
        tmp_path / "run", model, (images[:108], labels[:108]), (images[108:], labels[108:])
    )
    assert export(run, tmp_path / "out") == 0
    report = figures(tmp_path / "out")
    low, high = report["points_lost_interval"]
    assert high - low > 30  # percentage points: a dozen pictures tell little
    assert "12 images cannot show that" in (tmp_path / "out" / "report.md").read_text()
    assert "accuracy on 12 test images" in capsys.readouterr().out


def test_one_picture_is_enough_to_find_out_what_is_right(tmp_path, pictures_run):
    """A single one to calibrate with, and a single one to test."""
    images, labels = pictures.pictures(2, seed=2)
    model = keras.saving.load_model(pictures_run / "model.keras")
    run = pictures.write_run(
        tmp_path / "run", model, (images[:1], labels[:1]), (images[1:], labels[1:])
    )
    assert export(run, tmp_path / "out", "--kernels", "fused") == 0


def one_output_run(folder):
    """A quantized model with a single output, which has a single class."""
    model = pictures.small_model()
    outputs = keras.layers.Dense(1, name="score")(model.layers[-2].output)
    images, _ = pictures.pictures(40, seed=0)
    labels = np.zeros(40, int)
    model = quantize_aware(keras.Model(model.inputs, outputs), images[:20])
    return pictures.write_run(folder, model, (images, labels), (images, labels), ["light"])


def test_model_of_one_output_is_compared(tmp_path, capsys):
    assert export(one_output_run(tmp_path / "run"), tmp_path / "out") == 0
    check = figures(tmp_path / "out")["verification"]["outputs"]
    assert check["values"] == check["images"] == 64
    assert check["root_mean_square_steps"] < 1
    assert "the device gives the class light to every test image" in capsys.readouterr().out


def test_wrong_model_of_one_output_is_refused(tmp_path, monkeypatch, capsys):
    """Its class is right whatever it puts out."""
    run = one_output_run(tmp_path / "run")
    change_scales(monkeypatch, 4.0, "score")
    assert export(run, tmp_path / "out") == 1
    assert "must be those of the model with its rounding simulated" in capsys.readouterr().err


def test_model_that_gives_one_class_is_exported_and_called_so(run_copy, tmp_path, capsys):
    model = keras.saving.load_model(run_copy / "model.keras")
    model.get_layer("classifier").bias.assign([0.0, 50.0, 0.0])
    images, _ = pictures.pictures(20, seed=0)
    quantize_aware(model, images).save(run_copy / "model.keras")
    assert export(run_copy, tmp_path / "out") == 0
    assert "the device gives the class dawn to every test image" in capsys.readouterr().out
    text = (tmp_path / "out" / "report.md").read_text()
    assert "**The device gives the class dawn to every test image.**" in text


# What is wrong


def change_scales(monkeypatch, factor, *names):
    """Multiplies the scales of tensors in the graph that is exported."""
    quantize = exporter.quantize

    def quantize_wrong(*arguments):
        graph = quantize(*arguments)
        for name in names:
            quantization = graph.tensors[name].quantization
            graph.tensors[name].quantization = dataclasses.replace(
                quantization, scale=quantization.scale * factor
            )
        return graph

    monkeypatch.setattr(exporter, "quantize", quantize_wrong)


def refused(run, output, capsys, *words):
    """The message of an export that must be refused and leave nothing."""
    assert export(run, output, *words) == 1
    assert not output.exists()
    message = capsys.readouterr().err
    assert "Please report it with this message" in message
    return message


def test_corrupted_constant_of_a_fused_kernel_is_refused(aware_run, tmp_path, monkeypatch, capsys):
    """A single requantization multiplier among all that is packed for the block's last layer."""
    original = GroupedPointwiseConv.packed

    def packed(self):
        operation = original(self)
        constants = [np.array(constant) for constant in operation.constants]
        channels = next(constant for constant in constants if constant.dtype == np.int32)
        channels.reshape(-1, 2)[3, 1] *= 1.5
        return dataclasses.replace(operation, constants=tuple(constants))

    monkeypatch.setattr(GroupedPointwiseConv, "packed", packed)
    message = refused(aware_run, tmp_path / "out", capsys, "--kernels", "fused")
    assert "block/project" in message
    assert "Every operation on the device must compute what " in message


def test_corrupted_source_of_the_library_is_refused(aware_run, tmp_path, monkeypatch, capsys):
    """A rounding constant of one kernel's C file."""
    original = c_library.static_library

    def static_library(*arguments, **options):
        files = original(*arguments, **options)
        name = "kernels/dynamic_shift_max_s8_fuse_scalar.c"
        changed = files[name].replace("(1 << (shift - 1))", "(1 << shift)")
        assert changed != files[name]
        return {**files, name: changed}

    monkeypatch.setattr(c_library, "static_library", static_library)
    message = refused(aware_run, tmp_path / "out", capsys, "--runtime", "static")
    assert "The C library must give TensorFlow Lite Micro's outputs, byte for byte" in message


def test_corrupted_constant_in_the_file_of_builtin_operators_is_refused(
    aware_run, tmp_path, monkeypatch, capsys
):
    """A bias is stored otherwise than the graph has it."""
    original = flatbuffer._stored_bytes

    def stored_bytes(data):
        if data.dtype == np.int32 and data.shape == (3,):
            data = data + np.array([0, 3000, 0], np.int32)
        return original(data)

    monkeypatch.setattr(flatbuffer, "_stored_bytes", stored_bytes)
    message = refused(aware_run, tmp_path / "out", capsys)
    assert "classifier (FULLY_CONNECTED)" in message


def test_wrong_scale_of_weights_is_refused(aware_run, tmp_path, monkeypatch, capsys):
    change_scales(monkeypatch, 1.5, "classifier/weights", "classifier/bias")
    message = refused(aware_run, tmp_path / "out", capsys)
    assert "must compute what the model's does from the same inputs" in message
    assert "classifier (FULLY_CONNECTED)" in message


def test_wrong_scale_of_an_activation_of_fused_kernels_is_refused(
    aware_run, tmp_path, monkeypatch, capsys
):
    change_scales(monkeypatch, 1.5, "block/depthwise_shuffle")
    message = refused(aware_run, tmp_path / "out", capsys, "--kernels", "fused")
    assert "block/depthwise_activation (MICRONET_DYNAMIC_SHIFT_MAX_S8)" in message


def test_wrong_scale_that_all_operators_share_is_refused(aware_run, tmp_path, monkeypatch, capsys):
    """Each operation then computes what the graph says, but not what the model was trained for."""
    quantize = exporter.quantize

    def quantize_wrong(operations, ranges, *others):
        low, high = ranges["block/project"]
        return quantize(operations, {**ranges, "block/project": (8 * low, 8 * high)}, *others)

    monkeypatch.setattr(exporter, "quantize", quantize_wrong)
    message = refused(aware_run, tmp_path / "out", capsys)
    assert "must be those of the model with its rounding simulated" in message


def test_copy_that_is_another_model_is_refused(pictures_run, tmp_path, monkeypatch, capsys):
    """What is quantized is a copy, which all else is compared with."""
    quantize_aware = exporter.quantize_aware

    def quantize_another(model, *arguments, **options):
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        kernel = copy.get_layer("classifier").kernel
        kernel.assign(keras.ops.roll(kernel, 1, axis=-1))
        return quantize_aware(copy, *arguments, **options)

    monkeypatch.setattr(exporter, "quantize_aware", quantize_another)
    message = refused(pictures_run, tmp_path / "out", capsys)
    assert "what is exported must give the outputs of the run's model" in message


def test_device_that_gives_one_answer_is_refused(aware_run, tmp_path, monkeypatch, capsys):
    """The classifier's weights are lost on the way to the file."""
    original = flatbuffer._stored_bytes

    def stored_bytes(data):
        return original(data * 0 if data.shape == (3, 16) else data)

    monkeypatch.setattr(flatbuffer, "_stored_bytes", stored_bytes)
    message = refused(aware_run, tmp_path / "out", capsys)
    assert "classifier (FULLY_CONNECTED)" in message


def test_file_that_answers_otherwise_than_its_operations_is_refused(
    aware_run, tmp_path, monkeypatch, capsys
):
    class Constant(exporter.MicroInterpreter):
        def run(self, inputs):
            outputs = super().run(inputs)
            return np.repeat(outputs[:1], len(outputs), axis=0)

    monkeypatch.setattr(exporter, "MicroInterpreter", Constant)
    message = refused(aware_run, tmp_path / "out", capsys)
    assert "The model's file must give the outputs of its operations" in message


# What is lost


@pytest.fixture
def lossy_run(aware_run, tmp_path):
    """A quantize-aware model with steps so large that a map has but a few of them."""
    run = shutil.copytree(aware_run, tmp_path / "run-int8")
    model = keras.saving.load_model(run / "model.keras")
    low, high = model.activation_ranges["block/project"]
    wide = {"block/project": (200 * low, 200 * high)}
    model.activation_ranges = {**model.activation_ranges, **wide}
    model.save(run / "model.keras")
    return run


@pytest.mark.parametrize("name", EXPORTS)
def test_lossy_model_is_refused_by_its_cost(lossy_run, name, tmp_path, capsys):
    output = tmp_path / "out"
    assert export(lossy_run, output, *EXPORTS[name]) == 1
    assert figures(output)["refused"] is True
    assert not list(output.glob("*.h"))
    message = capsys.readouterr().err
    assert "at most 2 points of accuracy. Received: " in message
    assert "points lost, significantly more" in message
    assert "python -m training quantize run --epochs " in message
    assert "Please report" not in message
    assert ("--runtime static" in message) == (name == "static")
    # The other kernels are a way out where the runtime has them.
    other = {"builtin": "--kernels fused", "fused": "--kernels builtin --output"}.get(name)
    assert other is None or other in message


def test_loss_can_be_accepted(lossy_run, tmp_path):
    assert export(lossy_run, tmp_path / "out", "--most-accuracy-lost", "100") == 0
    assert figures(tmp_path / "out")["most_points_lost"] == 100
    assert (tmp_path / "out" / "src" / "model_data.h").is_file()


def test_less_can_be_asked_for(aware_run, tmp_path):
    """An interval that holds 0 never lies beyond 0."""
    assert export(aware_run, tmp_path / "out", "--most-accuracy-lost", "0") == 0


# Weights of 4 bits


@pytest.mark.parametrize("name", ["fused", "static", "builtin"])
@pytest.mark.parametrize("scheme", ["int8_head4", "int8_head4_per_channel"])
def test_four_bit_heads_are_exported(run_copy, scheme, name, tmp_path, capsys):
    """What loses accuracy is told; with kernels of its own nothing else refuses them."""
    model = keras.saving.load_model(run_copy / "model.keras")
    images, _ = pictures.pictures(60, seed=0)
    kernels = "builtin" if name == "builtin" else "fused"
    quantize_aware(model, images, scheme, kernels=kernels).save(run_copy / "model.keras")
    status = export(run_copy, tmp_path / "out", *EXPORTS[name])
    if name == "builtin" and scheme == "int8_head4_per_channel":
        assert status == 1
        message = capsys.readouterr().err
        assert "must have one scale: TensorFlow Lite Micro takes no more" in message
        assert "--kernels fused" in message
        return
    assert status == 0
    report = figures(tmp_path / "out")
    assert abs(report["points_lost"]) < 5
    assert report["agreement"] > 0.85
    verified = report["verification"]["outputs"]
    assert verified["root_mean_square_steps"] < 1
