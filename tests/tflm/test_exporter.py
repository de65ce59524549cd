# SPDX-License-Identifier: Apache-2.0
"""The whole way: a run folder becomes a verified deployment folder, or a refusal."""

import json
import re
import shlex
import shutil
import subprocess
import zlib

import keras
import numpy as np
import pytest

from keras_micronet.files.marks import MARK_NAME
from keras_micronet.quantization import quantize_aware
from tests.keras_micronet.quantization import chains
from tests.tflm import pictures
from tflm import command_line, exporter, trained_run
from tflm.camera import camera_sources
from tflm.firmware import command_line as firmware_command_line
from tflm.micro.interpreter import MicroInterpreter
from tflm.micro.wheel_kernels import KernelLibraryError
from tflm.recognition.c_files import recognition_sources
from tflm.static import compiled_library
from tflm.static.compiled_library import CompiledLibraryError
from tflm.toolchains import emulator
from tflm.toolchains.host_compiler import HostCompilerError
from tflm.verification.verification import VerificationError

pytestmark = pytest.mark.slow

READ = {
    MARK_NAME,
    "LICENSE.txt",
    "README.md",
    "licences",
    "model.tflite",
    "report.json",
    "report.md",
    "report_memory.png",
    "report_operations.png",
    "report_predictions.png",
}
DEPLOYED = {*READ, "src", "test"}
BUILD_FILES = {
    "CMakeLists.txt",
    "digits_model-config.cmake",
    "examples",
    "idf_component.yml",
    "library.json",
    "library.properties",
    "samples",
    "zephyr",
}
DEPLOYED_STATIC = {*DEPLOYED, *BUILD_FILES}
VECTORS = {"digits_model_test_vectors.c", "digits_model_test_vectors.h", "test_vectors.h"}
SETTINGS = {
    "digits_model_recognition.c",
    "digits_model_recognition.h",
    "digits_model_settings.c",
    "digits_model_settings.h",
    "model_settings.h",
    *recognition_sources(),
}
SOURCES = {
    *SETTINGS,
    "digits_model_data.cc",
    "digits_model_data.h",
    "digits_model_op_resolver.h",
    "model_data.h",
    "op_resolver.h",
}
LIBRARY = {"digits_model.c", "digits_model.h", "digits_model_rows.h"}
GENERIC = {"micronet_model.h", "micronet_model_rows.h"}
STATIC_SOURCES = {*SETTINGS, *LIBRARY, *GENERIC, "DigitsModel.h", "kernels"}
SELF_TEST = {"digits_model_self_test.c", "digits_model_self_test.h"}
NAMED = ("--name", "digits")
C_FLAGS = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror"]


@pytest.fixture(scope="module")
def deployed(digits_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("deployed") / "digits"
    assert command_line.main([str(digits_run), "--output", str(folder), *NAMED]) == 0
    return folder


@pytest.fixture(scope="module")
def deployed_fused(digits_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("deployed_fused") / "digits"
    words = [str(digits_run), "--output", str(folder), "--kernels", "fused", *NAMED]
    assert command_line.main(words) == 0
    return folder


@pytest.fixture(scope="module")
def verified_libraries():
    """What exports as a library have verified: pairs of files, and a number of images."""
    return []


@pytest.fixture(scope="module")
def deployed_static(digits_run, tmp_path_factory, verified_libraries):
    folder = tmp_path_factory.mktemp("deployed_static") / "digits"
    compiled, compare = (
        compiled_library.CompiledLibrary,
        compiled_library.require_equal_outputs,
    )

    def library(files, name):
        verified_libraries.append(files)
        return compiled(files, name)

    def require_equal_outputs(library, parts):
        parts = list(parts)
        verified_libraries.append(sum(len(images) for images, _ in parts))
        compare(library, parts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled_library, "CompiledLibrary", library)
        patch.setattr(compiled_library, "require_equal_outputs", require_equal_outputs)
        words = [str(digits_run), "--output", str(folder), "--runtime", "static", *NAMED]
        assert command_line.main(words) == 0
    return folder


@pytest.fixture
def run_copy(pictures_run, tmp_path):
    """Of a small model: what is tested on it does not need a large one."""
    folder = shutil.copytree(pictures_run, tmp_path / "run")
    (folder / "run.json").write_text('{"format": 1}')  # as if `python -m training` had written it
    return folder


def test_files(deployed):
    assert names_in(deployed) == DEPLOYED
    assert names_in(deployed / "src") == SOURCES
    assert names_in(deployed / "test") == VECTORS


def names_in(folder):
    return {path.name for path in folder.iterdir()}


def test_report_says_what_the_device_does(deployed, digits_run):
    report = json.loads((deployed / "report.json").read_text())
    test = np.load(digits_run / "test.npz")
    model = keras.saving.load_model(digits_run / "model.keras")
    classes = model.predict(test["images"], verbose=0).argmax(axis=-1)
    assert report["keras_accuracy"] == pytest.approx(np.mean(classes == test["labels"]))
    assert report["keras_accuracy"] > 0.9  # it has learned something to lose
    assert report["float_accuracy"] == report["keras_accuracy"]
    assert report["int8_accuracy"] >= report["keras_accuracy"] - 0.02
    assert report["agreement"] >= 0.98
    assert report["test_images"] == len(test["labels"])
    assert report["flatbuffer_bytes"] == (deployed / "model.tflite").stat().st_size


def test_fused_kernels_answer_as_well_as_builtin_ones(deployed, deployed_fused):
    builtin, fused = (
        json.loads((folder / "report.json").read_text()) for folder in (deployed, deployed_fused)
    )
    one_image = 1 / fused["test_images"]
    assert fused["int8_accuracy"] >= builtin["int8_accuracy"] - 1.01 * one_image
    assert fused["agreement"] >= builtin["agreement"] - 2.01 * one_image
    assert len(fused["operations"]) < len(builtin["operations"]) / 5
    assert fused["arena"]["required_bytes"] < builtin["arena"]["required_bytes"]
    assert fused["multiply_adds"] == fused["model_multiply_adds"]
    assert "Compile all of `src/kernels/`" in (deployed_fused / "report.md").read_text()


def test_fused_kernels_are_exported_with_all_that_they_include(deployed_fused):
    """M0 has no residual sum and 8-bit weights, so that those kernels are not among them."""
    kernels = deployed_fused / "src" / "kernels"
    names = {path.name for path in kernels.iterdir()}
    assert {"micronet_ops.h", "dynamic_shift_max_s8.c", "dense_s8.c"} < names
    assert not [name for name in names if "residual_add" in name or "dense_s4" in name]
    sources = sorted(str(path) for path in kernels.glob("*.c"))
    flags = [*C_FLAGS, "-fsyntax-only"]
    subprocess.run(["gcc", *flags, "-iquote", str(kernels), *sources], check=True)


# As a library


def test_files_of_a_library(deployed_static):
    assert names_in(deployed_static) == DEPLOYED_STATIC
    cameras = set(camera_sources.camera_sources())
    assert names_in(deployed_static / "src") == STATIC_SOURCES | cameras
    assert names_in(deployed_static / "test") == VECTORS | SELF_TEST
    kernels = names_in(deployed_static / "src" / "kernels")
    assert {"micronet_status.h", "dynamic_shift_max_s8.c"} < kernels
    assert not [name for name in kernels if "_bind" in name or name.endswith(".cc")]


def test_written_library_is_the_one_that_was_verified(deployed_static, verified_libraries):
    files, images = verified_libraries
    assert images == 497 + 12  # all images, and those made up
    for name, text in files.items():
        assert (deployed_static / "src" / name).read_text("utf-8") == text
    kernels = {f"kernels/{name}" for name in names_in(deployed_static / "src" / "kernels")}
    assert set(files) == LIBRARY | GENERIC | kernels


def test_report_of_a_library_tells_its_memory(deployed_static, deployed_fused):
    report, fused = (
        json.loads((folder / "report.json").read_text())
        for folder in (deployed_static, deployed_fused)
    )
    header = (deployed_static / "src" / "digits_model.h").read_text()
    rows = (deployed_static / "src" / "digits_model_rows.h").read_text()
    arena = report["arena"]
    assert f"#define DIGITS_MODEL_ARENA_BYTES {arena['required_bytes']}\n" in header
    assert f"#define DIGITS_MODEL_ROWS_ARENA_BYTES {arena['rows_required_bytes']}\n" in rows
    assert (report["runtime"], fused["runtime"]) == ("static", "tflm")
    for figure in ("int8_accuracy", "agreement", "flatbuffer_bytes", "multiply_adds"):
        assert report[figure] == fused[figure]


@pytest.mark.emulator
def test_time_of_a_library_is_the_sum_of_its_operations(deployed_static):
    figures = json.loads((deployed_static / "report.json").read_text())
    chip = figures["time"]["chips"][0]
    assert chip["chip"] == "stm32l4r5"
    assert sum(chip["operation_cycles"]) == chip["cycles"]
    assert len(chip["operation_cycles"]) == len(figures["operations"])
    assert min(chip["operation_cycles"]) > 0
    milliseconds = float(f"{chip['cycles'] / 120e3:.2g}")
    readme = (deployed_static / "README.md").read_text()
    assert f"about {milliseconds:.0f} ms at 120 MHz on STM32L4R5" in readme


def test_export_goes_on_without_an_emulator(run_copy, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "deployed"
    find = shutil.which
    arm = (emulator.COMPILER, emulator.QEMU)
    monkeypatch.setattr(shutil, "which", lambda name: None if name in arm else find(name))
    words = [str(run_copy), "--output", str(folder), "--runtime", "static"]
    assert command_line.main(words) == 0
    reason = "not estimated: arm-none-eabi-gcc must be installed"
    assert reason in capsys.readouterr().out
    for name in ("README.md", "report.md"):
        text = (folder / name).read_text()
        assert reason in text
        assert "On Debian: apt-get install gcc-arm-none-eabi" in text


def test_impossible_clocks_are_refused_before_any_work(tmp_path, capsys):
    words = ["no run", "--runtime", "static", "--clock", "0", "--wait-states", "-1"]
    assert command_line.main([*words, "--output", str(tmp_path / "deployed")]) == 2
    complaints = capsys.readouterr().err
    assert "Received: clock=0" in complaints
    assert "Received: wait-states=-1" in complaints


def test_constants_are_those_of_the_librarys_arrays(deployed_static):
    report = json.loads((deployed_static / "report.json").read_text())
    text = (deployed_static / "src" / "digits_model.c").read_text()
    arrays = re.findall(r"static const int(\d+)_t \w+\[\] WEIGHTS = \{([^}]*)\}", text)
    sizes = [int(bits) // 8 * (values.count(",") + 1) for bits, values in arrays]
    assert report["constant_bytes"] == sum(sizes)
    assert sum(sizes) < report["flatbuffer_bytes"]


def test_identifier_is_the_flatbuffers_checksum(deployed, deployed_static):
    for folder in (deployed, deployed_static):
        model = (folder / "model.tflite").read_bytes()
        settings = (folder / "src" / "digits_model_settings.h").read_text()
        assert f"_CRC32 0x{zlib.crc32(model):08x}u\n" in settings
        assert f"_FLATBUFFER_BYTES {len(model)}\n" in settings
    source = (deployed_static / "src" / "digits_model.c").read_text()
    assert f"digits_model_identifier = {zlib.crc32(model)}u;" in source


FIRMWARE = """
#include <string.h>
#include "test_vectors.h"
#include "model_settings.h"
{includes}
static const uint8_t *frame;
static int rows_read;
static const uint8_t *read_row(void) {{
  return frame + kInputWidth * kInputChannels * rows_read++;
}}
static int differs(int index) {{
  {statements}
  (void)read_row;
  return status != MICRONET_OK || memcmp(scores, kTestOutputs[index], kTestOutputSize) != 0;
}}
int main(void) {{
  int different = 0;
  for (int i = 0; i < kTestVectorCount; ++i) {{
    frame = kTestFrames[i];
    rows_read = 0;
    different += differs(i);
  }}
  return different;
}}
"""


@pytest.mark.parametrize("way", [0, 1], ids=["frame", "rows"])
def test_firmware_of_the_report_gives_the_test_vectors(deployed_static, tmp_path, way):
    ways = re.findall(r"```c\n(.*?)\n```", (deployed_static / "report.md").read_text(), re.DOTALL)
    assert len(ways) == 2
    includes, statements = ways[way].split("\n\n", 1)
    program = tmp_path / "firmware.c"
    program.write_text(FIRMWARE.format(includes=includes, statements=statements))
    folders = ("src", "src/kernels", "test")
    sources = [path for folder in folders for path in (deployed_static / folder).glob("*.c")]
    includes = ["-I", deployed_static / "src", "-I", deployed_static / "test"]
    command = ["gcc", *C_FLAGS, "-O1", *includes, program, *sources]
    subprocess.run([*command, "-o", tmp_path / "firmware"], check=True)
    subprocess.run([tmp_path / "firmware"], check=True)


def test_firmware_recognizes_what_the_library_does(
    deployed_static, digits_run, verified_libraries, capsys
):
    """On an emulated board, whose serial line the images go over: the end of `make firmware`."""
    images = digits_run / "test.npz"
    words = [str(deployed_static), "--images", str(images), "--count", "6"]
    assert firmware_command_line.main(words) == 0
    shown = re.findall(r"^image \d+: (\d) \(", capsys.readouterr().out, re.MULTILINE)
    library = compiled_library.CompiledLibrary(verified_libraries[0], "digits_model")
    scores = library.run_rows(model_inputs(deployed_static, np.load(images)["images"][:6]))
    assert shown == [str(digit) for digit in scores.argmax(axis=-1)]
    assert len(set(shown)) > 2


def test_library_has_fused_kernels_only(digits_run, tmp_path, capsys):
    words = [str(digits_run), "--output", str(tmp_path / "out"), "--runtime", "static"]
    assert command_line.main([*words, "--kernels", "builtin"]) == 2
    message = capsys.readouterr().err
    assert "kernels must be one of fused for the runtime static. Received: 'builtin'" in message


def test_unset_kernels_fit_the_runtime():
    assert exporter.kernels_for("tflm") == "builtin"
    assert exporter.kernels_for("static") == "fused"
    with pytest.raises(ValueError, match="runtime must be one of tflm, static. Received: 'onnx'"):
        exporter.kernels_for("onnx")


def test_operation_without_a_fused_kernel_is_refused_before_it_is_run(monkeypatch):
    """A convolution of 3x3 at the beginning."""
    model = chains.residual_of_an_activation()
    quantized = quantize_aware(model, chains.random_images(model, 8))
    monkeypatch.setattr(exporter, "MicroInterpreter", None)
    rule = "TensorFlow Lite Micro instead.* Received: CONV_2D for normalized_conv2d"
    with pytest.raises(ValueError, match=rule):
        exporter.deploy(quantized, runtime="static")


@pytest.mark.parametrize(
    "error", [HostCompilerError, KernelLibraryError, CompiledLibraryError, VerificationError]
)
def test_failure_of_an_export_is_a_sentence(error, tmp_path, monkeypatch, capsys):
    def fail(*arguments):
        raise error("A rule. Received: something else")

    monkeypatch.setattr(trained_run.TrainedRun, "load", lambda folder: None)
    monkeypatch.setattr(exporter, "export", fail)
    assert command_line.main(["run", "--output", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err == "python -m tflm: A rule. Received: something else\n"


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
    quantized = quantize_aware(model, images[:64], "int8_head4", kernels="builtin")
    quantized.activation_ranges = {**quantized.activation_ranges, "classifier": (-51, 76.5)}
    quantized.save(run_copy / "model.keras")
    output = tmp_path / "out"
    assert command_line.main([str(run_copy), "--output", str(output)]) == 0
    report = json.loads((output / "report.json").read_text())
    assert report["keras_model"] == "quantization-aware"
    assert report["keras_accuracy"] == pytest.approx(report["int8_accuracy"], abs=0.005)
    scales = {row["name"]: row["scale"] for row in report["tensor_noise"]}
    assert scales["classifier"] == pytest.approx(0.5)
    by_name = {row["name"]: row for row in report["operations"]}
    # Half a byte a weight, four bytes a bias.
    assert by_name["classifier"]["constant_bytes"] == 16 * 3 / 2 + 4 * 3


def c_numbers(text, name):
    """The numbers between the braces behind a C array's name, all dimensions flattened."""
    body = re.search(rf"{name}\[.*?=\s\{{(.*?)\}};", text, re.DOTALL).group(1)
    return np.array([int(number) for number in re.findall(r"-?\d+", body)])


def model_inputs(folder, frames):
    """Raw frames as the model takes them, by the tables of an export."""
    settings = (folder / "src" / "digits_model_settings.c").read_text()
    tables = [c_numbers(settings, f"{name}_to_input") for name in ("red", "green", "blue")]
    inputs = np.stack([table[frames[..., i]] for i, table in enumerate(tables)], axis=-1)
    return inputs.astype(np.int8)


def test_test_vectors_are_frames_with_what_the_interpreter_gives(deployed, digits_run):
    text = (deployed / "test" / "digits_model_test_vectors.c").read_text()
    frames = c_numbers(text, "test_frames").reshape(-1, 32, 32, 3)
    outputs = c_numbers(text, "test_outputs").reshape(len(frames), -1)
    test = np.load(digits_run / "test.npz")
    chosen = [np.flatnonzero(np.all(test["images"] == frame, axis=(1, 2, 3))) for frame in frames]
    labels = [test["labels"][indices[0]] for indices in chosen]
    assert sorted(labels) == list(range(10))
    np.testing.assert_array_equal(c_numbers(text, "test_labels"), labels)
    interpreter = MicroInterpreter((deployed / "model.tflite").read_bytes())
    np.testing.assert_array_equal(interpreter.run(model_inputs(deployed, frames)), outputs)


def test_export_replaces_only_an_earlier_export(deployed, digits_run, tmp_path, capsys):
    assert command_line.main([str(digits_run), "--output", str(deployed)]) == 2
    assert "must be a new or empty folder" in capsys.readouterr().err
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("unsaved")
    status = command_line.main([str(digits_run), "--output", str(precious), "--overwrite"])
    assert status == 2
    assert (precious / "thesis.txt").read_text() == "unsaved"


@pytest.fixture
def lossy_run(run_copy):
    """One channel of the last map, ten thousand times as large as the rest, hides the rest."""
    trained = keras.saving.load_model(run_copy / "model.keras")
    features, classifier = trained.get_layer("block").output, trained.get_layer("classifier")
    channels = features.shape[-1]
    copy = keras.layers.Conv2D(channels + 1, 1, use_bias=False)
    pooled = keras.layers.GlobalAveragePooling2D()(copy(features))
    dense = keras.layers.Dense(3, activation="softmax")
    model = keras.Model(trained.inputs, dense(pooled))
    kernel = np.eye(channels, channels + 1)
    kernel[0, channels] = 1e4
    copy.kernel.assign(kernel[np.newaxis, np.newaxis])
    dense.kernel.assign(np.concatenate([classifier.kernel, np.zeros((1, 3))]))
    dense.bias.assign(classifier.bias)
    model.save(run_copy / "model.keras")
    return run_copy


def test_model_that_int8_cannot_hold_has_a_report_and_no_sources(lossy_run, tmp_path, capsys):
    output = tmp_path / "out put"
    assert command_line.main([str(lossy_run), "--output", str(output)]) == 1
    assert {path.name for path in output.iterdir()} == {
        MARK_NAME,
        *(name for name in READ if name.startswith("report")),
    }
    shown = capsys.readouterr()
    report = json.loads((output / "report.json").read_text())
    assert report["refused"] is True
    assert report["points_lost_interval"][0] > 2
    assert "noisiest activations: " in shown.out
    lost = f"{report['points_lost']:.2f} points lost"
    assert lost in shown.out and lost in shown.err
    text = (output / "report.md").read_text()
    assert "## Refused: no sources were written" in text
    assert "## In firmware" not in text
    run = str(lossy_run)
    for step in (
        f"python -m training quantize {run}",
        f"python -m tflm {run} --kernels fused --output '{output}'",
        f"python -m tflm {run} --kernels builtin --output '{output}' --most-accuracy-lost ",
        f"images, like those of the field, into {run}/calibration.npz, which has 100",
    ):
        assert step in shown.err
        assert step in text


def test_command_of_a_refusal_is_enough_to_accept_it(lossy_run, tmp_path, capsys):
    """It takes the place of the report that the refusal left, without --overwrite."""
    words = [str(lossy_run), "--output", str(tmp_path / "out")]
    assert command_line.main(words) == 1
    command = re.findall(r"python -m tflm (.*--most-accuracy-lost .*)", capsys.readouterr().err)
    assert command_line.main(shlex.split(command[-1])) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == DEPLOYED
    assert json.loads((tmp_path / "out" / "report.json").read_text())["refused"] is False


def test_refused_export_leaves_an_earlier_one_where_it_is(lossy_run, deployed, tmp_path, capsys):
    output = shutil.copytree(deployed, tmp_path / "out")
    words = [str(lossy_run), "--output", str(output), "--overwrite"]
    assert command_line.main(words) == 1
    assert {path.name for path in output.iterdir()} == DEPLOYED
    assert (tmp_path / "out-refused" / "report.md").is_file()
    assert "out-refused" in capsys.readouterr().err


@pytest.mark.parametrize("points", ["-1", "nan", "101"])
def test_points_must_be_percentage_points(points, tmp_path, capsys):
    words = ["run", "--output", str(tmp_path / "out"), f"--most-accuracy-lost={points}"]
    assert command_line.main(words) == 2
    assert "percentage points from 0 to 100. Received: " in capsys.readouterr().err


@pytest.mark.parametrize("percent", ["0", "nan", "100.1"])
def test_right_answers_to_keep_must_be_a_percentage(percent, tmp_path, capsys):
    words = ["run", "--output", str(tmp_path / "out"), f"--keep-right={percent}"]
    assert command_line.main(words) == 2
    assert "keep-right must be a percentage above 0, at most 100" in capsys.readouterr().err


def test_model_that_is_not_ours_is_refused(run_copy, tmp_path, capsys):
    inputs = keras.Input(pictures.SHAPE)
    x = keras.layers.SeparableConv2D(4, 3, name="foreign")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(x)))
    model.save(run_copy / "model.keras")
    assert command_line.main([str(run_copy), "--output", str(tmp_path / "out")]) == 1
    assert "must consist of the layers of keras_micronet" in capsys.readouterr().err


def test_model_that_wants_normalized_images_is_fed_so(run_copy, tmp_path):
    """Without preprocessing inside, the tables of the settings do what it did."""
    trained = keras.saving.load_model(run_copy / "model.keras")
    inputs = keras.Input(pictures.SHAPE)
    x = inputs
    for layer in trained.layers[2:]:
        x = layer(x)
    keras.Model(inputs, x).save(run_copy / "model.keras")
    assert command_line.main([str(run_copy), "--output", str(tmp_path / "out")]) == 0
