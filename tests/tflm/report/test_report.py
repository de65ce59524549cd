# SPDX-License-Identifier: Apache-2.0
"""What is rendered of an export's figures."""

import dataclasses
import io
import json
import math
import sys
import types

import matplotlib
import numpy as np
import pytest
from PIL import Image

from tests.tflm.hand_made_graphs import (
    add_step,
    chain_of_two_convolutions,
    early_output,
    long_graph,
    residual,
)
from tflm.cycles import memory_profiles, validation
from tflm.cycles.estimate import Cycles
from tflm.cycles.library_cycles import LibraryCycles
from tflm.graph.costs import live_bytes, operation_costs
from tflm.kernels.registry import KERNELS
from tflm.micro.interpreter import ArenaUsage
from tflm.micro.runtime import MicroRuntime
from tflm.next_steps import NextStep
from tflm.recognition.thresholds import Kept, ThresholdChoice, ThresholdRow
from tflm.report import milliseconds, plots, report, verdict
from tflm.report.figures import to_json
from tflm.report.files import report_files
from tflm.report.markdown import to_markdown
from tflm.report.tensor_noise import TensorNoise
from tflm.static.runtime import StaticRuntime
from tflm.tasks.classes import ClassAnswers, Example
from tflm.verification.accuracy_cost import AccuracyCost
from tflm.verification.operation_check import OperationCheck
from tflm.verification.verification import OutputCheck, Verification

ARENA = ArenaUsage(activation_bytes=2000, persistent_bytes=1000, wider_bytes=120)
MICRO = MicroRuntime(
    flatbuffer_bytes=1_106_016,
    arena=ARENA,
    arena_bytes=3008,
    has_kernels=False,
    live_bytes=(),
    library="photos_model",
    ends="",
    files={},
)
STATIC = StaticRuntime(
    flatbuffer_bytes=1_079_648,
    constant_bytes=1_040_384,
    arena_bytes=2048,
    rows_arena_bytes=1536,
    live_bytes=(),
    called=(),
    library="photos_model",
    files={},
)
# 98.5% and 98.25% of 2,000 images.
COST = AccuracyCost(
    images=2000,
    both_right=1955,
    only_float_right=15,
    only_int8_right=10,
    same_class=1987,
    clear=1800,
    clear_same_class=1791,
    int8_class_counts=(500, 1500),
)
# Every second image is lost.
LOSSY = dataclasses.replace(COST, both_right=970, only_float_right=1000)
OUTPUTS = OutputCheck(
    images=76,
    values=760,
    exact_values=700,
    most_steps_off=3,
    root_mean_square_steps=0.375,
    float_root_mean_square_steps=8.5,
    same_class=75,
)
VERIFICATION = Verification(
    made_up_images=12,
    operations=OperationCheck(20, 201, 30_000, 29_900, np.zeros((20, 2), np.int8)),
    made_up_outputs=OUTPUTS,
    outputs=OUTPUTS,
)
# At 60% the least probable right answers are rejected, and half of the wrong ones.
NONE_OF_THESE = ThresholdChoice(
    threshold=19661,
    keep_right=95.0,
    is_chosen=True,
    rows=(
        ThresholdRow(0, Kept(900, 900, 100, 100), Kept(1965, 1965, 35, 35)),
        ThresholdRow(19661, Kept(900, 855, 100, 50), Kept(1965, 1860, 35, 20)),
    ),
)
FRAMES_ONLY = dataclasses.replace(STATIC, rows_arena_bytes=None)


ANSWERS = ClassAnswers(
    classes=10,
    own_accuracy=0.985,
    float_run_accuracy=None,
    cost=COST,
    only_class=None,
    none_of_these=NONE_OF_THESE,
)
_OF_ANSWERS = {field.name for field in dataclasses.fields(ANSWERS)}


def make_report(graph, runtime=MICRO, **changes):
    of_answers = {name: changes.pop(name) for name in _OF_ANSWERS & set(changes)}
    values = {
        "model_name": "micronet_m0",
        "input_shape": (1, 32, 48, 3),
        "answers": dataclasses.replace(ANSWERS, **of_answers),
        "keras_model": report.FLOAT,
        "verification": VERIFICATION,
        "kernels": "builtin",
        "run_folder": "runs/photos",
        "runtime": dataclasses.replace(runtime, live_bytes=live_bytes(graph)),
        "costs": operation_costs(graph),
        "model_multiply_adds": sum(cost.multiply_adds for cost in operation_costs(graph)),
    }
    return report.ExportReport(**{**values, **changes})


# Rendering


def test_json_holds_every_figure():
    graph = residual()
    figures = json.loads(to_json(make_report(graph)))
    assert figures["runtime"] == "tflm"
    assert figures["int8_accuracy"] == 0.9825
    assert figures["float_accuracy"] == figures["keras_accuracy"] == 0.985
    assert figures["agreement"] == 0.9935
    assert (figures["test_images"], figures["refused"]) == (2000, False)
    assert figures["points_lost"] == pytest.approx(0.25)
    low, high = figures["points_lost_interval"]
    assert low < 0.25 < high
    assert figures["clear_agreement"] == 0.995
    assert figures["verification"]["operations"] == 201
    assert figures["verification"]["outputs"] == dataclasses.asdict(OUTPUTS)
    assert figures["flatbuffer_bytes"] == 1_106_016
    assert figures["arena"] == {
        "required_bytes": 3008,
        "total_bytes": 3000,
        "activation_bytes": 2000,
        "persistent_bytes": 1000,
        "wider_bytes_of_64_bit_host": 120,
    }
    assert figures["operations_by_kind"] == {"HARD_SWISH": 2, "ADD": 1}
    assert [entry["live_bytes"] for entry in figures["operations"]] == [64, 96, 96]
    assert figures["operations"][2]["output_shape"] == [1, 1, 1, 20]


def test_json_tells_the_memory_of_a_library():
    figures = json.loads(to_json(make_report(residual(), runtime=STATIC)))
    assert figures["runtime"] == "static"
    assert figures["flatbuffer_bytes"] == 1_079_648
    assert figures["constant_bytes"] == 1_040_384
    assert figures["arena"] == {"required_bytes": 2048, "rows_required_bytes": 1536}
    figures = json.loads(to_json(make_report(residual(), runtime=FRAMES_ONLY)))
    assert figures["arena"] == {"required_bytes": 2048, "rows_required_bytes": None}


def test_markdown_begins_with_the_verdict():
    head = to_markdown(make_report(residual())).split("## In firmware")[0]
    for words in (
        "# micronet_m0 on TensorFlow Lite Micro",
        "input 32 x 48 x 3, 10 classes",
        "**98.25%** of 2,000 test images, 0.25 points lost "
        "(95% interval of the loss: -0.26 to 0.79)",
        "| accuracy without rounding | 98.50% |",
        "| same class without rounding | 99.35%, 99.50% of the 1,800 clear ones |",
        "1,106,016 bytes (1,080.1 KB)",
        "3,008 bytes (2.9 KB)",
        "saves at least\n120 bytes",
    ):
        assert words in head


def test_markdown_of_a_library_begins_with_its_memory():
    text = to_markdown(make_report(residual(), runtime=STATIC))
    head, rest = text.split("## In firmware")
    for words in (
        "# micronet_m0 as a C99 library",
        "| **flash** for the weights | **1,040,384 bytes (1,016.0 KB)** |",
        "| **RAM** for the arena, whole frames | **2,048 bytes (2.0 KB)** |",
        "| **RAM** for the arena, row by row | **1,536 bytes (1.5 KB)** |",
        "`python -m benchmarks.models`, in a copy of",
    ):
        assert words in head
    assert "interpreter" not in head  # of those that TensorFlow Lite Micro has
    assert "1,079,648" not in text  # the library has no flatbuffer
    assert "buffers in 2,048 bytes" in rest


def test_markdown_of_a_model_without_a_stem_knows_whole_frames_only():
    text = to_markdown(make_report(residual(), runtime=FRAMES_ONLY))
    assert "PHOTOS_MODEL_ARENA_BYTES" in text
    for words in ("row by row", "Row by row", "photos_model_rows"):
        assert words not in text


@pytest.mark.parametrize("has_kernels", [False, True])
def test_markdown_says_how_kernels_are_compiled(has_kernels):
    runtime = dataclasses.replace(MICRO, has_kernels=has_kernels)
    text = to_markdown(make_report(residual(), runtime=runtime))
    assert ("Compile all of `src/kernels/` along" in text) == has_kernels
    assert "\n\n\n" not in text


def test_markdown_says_if_accuracy_was_gained():
    gained = dataclasses.replace(COST, both_right=1945, only_float_right=10, only_int8_right=30)
    text = to_markdown(make_report(residual(), cost=gained))
    assert "1.00 points gained (95% interval of the loss: -1.68 to -0.40)" in text


def test_the_threshold_of_none_of_these_is_shown_with_what_it_does():
    text = to_markdown(make_report(residual()))
    for words in (
        "at least **60.0%**, the highest that keeps 95% of the right answers to 1,000 validation",
        "takes it as 19661, in Q15",
        "| any | 100.0% (900 of 900) | 0.0% (0 of 100) | 100.0% (1,965 of 1,965) | 0.0% (0 of 35) "
        "| 98.2% (1,965 of 2,000) |",
        "| **60.0%** | 95.0% (855 of 900) | 50.0% (50 of 100) | 94.7% (1,860 of 1,965) "
        "| 42.9% (15 of 35) | 98.9% (1,860 of 1,880) |",
        "Pictures of other things were not among these images",
    ):
        assert words in text
    assert "are few" not in text
    few = tuple(dataclasses.replace(row, validation=Kept(9, 9, 1, 1)) for row in NONE_OF_THESE.rows)
    few_of_them = dataclasses.replace(NONE_OF_THESE, rows=few)
    assert "9 right answers are few" in to_markdown(
        make_report(residual(), none_of_these=few_of_them)
    )
    figures = json.loads(to_json(make_report(residual())))["none_of_these"]
    assert figures["threshold"] == pytest.approx(0.6, abs=1e-4)
    assert figures["threshold_q15"] == 19661
    assert figures["thresholds"][1]["validation"] == {
        "right": 900,
        "kept_right": 855,
        "wrong": 100,
        "kept_wrong": 50,
    }


@pytest.mark.parametrize(
    ("is_own_model", "step"),
    [(False, "give the command of the training again, with"), (True, "`validation=(images, lab")],
)
def test_without_validation_images_the_next_step_is_named(is_own_model, step):
    rows = tuple(dataclasses.replace(row, validation=None) for row in NONE_OF_THESE.rows)
    choice = dataclasses.replace(NONE_OF_THESE, is_chosen=False, rows=rows)
    shown = make_report(residual(), none_of_these=choice, is_own_model=is_own_model)
    text = to_markdown(shown).replace("\n", " ")
    assert "No threshold was chosen: the run has no validation images (`validation.npz`)" in text
    assert step in text
    assert "| **60.0%** |  |  | 94.7% (1,860 of 1,965) |" in text
    assert json.loads(to_json(shown))["none_of_these"]["thresholds"][0]["validation"] is None


def test_a_model_with_one_class_is_never_none_of_these():
    text = to_markdown(make_report(residual(), classes=1))
    assert "Never: of a model with one class" in text


def test_verdict_is_two_lines():
    lines = verdict.summary(make_report(residual(), noise=(NOISE, INPUT_NOISE))).splitlines()
    assert lines == [
        "accuracy on 2,000 test images: float 98.50%, int8 on TensorFlow Lite Micro 98.25%, "
        "0.25 points lost (95% interval of the loss: -0.26 to 0.79)",
        "same class as float: 99.35%, 99.50% of the 1,800 clear ones; "
        "noisiest activations: block_1/expand (20.0 dB), images (20.0 dB)",
    ]


def test_one_class_for_all_images_is_said_plainly():
    shown = make_report(residual(), only_class="cat")
    assert "the device gives the class cat to every test image" in verdict.summary(shown)
    text = to_markdown(shown)
    assert "**The device gives the class cat to every test image, and float does not.**" in text
    assert json.loads(to_json(shown))["only_class"] == "cat"
    agreed = make_report(
        residual(), only_class="cat", cost=dataclasses.replace(COST, same_class=2000)
    )
    assert "every test image.**" in to_markdown(agreed)


def test_few_images_are_said_to_be_few():
    few = dataclasses.replace(
        COST, images=12, both_right=9, only_float_right=1, only_int8_right=1, same_class=10
    )
    text = to_markdown(make_report(residual(), cost=few))
    assert "12 images cannot show that no more than 2 points are lost" in text
    assert "cannot show" not in to_markdown(make_report(residual()))


def test_refused_report_tells_why_and_what_next():
    steps = (NextStep("python -m tflm x", "does this"), NextStep(None, "do that"))
    shown = make_report(residual(), cost=LOSSY, next_steps=steps)
    assert shown.is_refused
    text = to_markdown(shown)
    assert "## Refused: no sources were written" in text
    assert "- `python -m tflm x`\n  does this\n- do that\n" in text
    assert "In firmware" not in text and "test vectors" not in text
    assert json.loads(to_json(shown))["refused"] is True
    assert "at most 2 points of accuracy. Received: 49.50 points lost, significantly more" in (
        verdict.refusal(shown)
    )
    accepted = dataclasses.replace(shown, most_points_lost=60.0)
    assert not accepted.is_refused
    assert "Refused" not in to_markdown(accepted)


def test_quantization_aware_model_has_three_accuracies():
    shown = make_report(
        residual(),
        keras_model=report.QUANTIZATION_AWARE,
        own_accuracy=0.9805,
        float_run_accuracy=0.9712,
        noise=(NOISE,),
    )
    text = to_markdown(shown)
    assert "simulated, the accuracy is 98.05%." in text
    assert "The float run that came before has 97.12%" in text
    assert "The weights have learned with this noise" in text
    assert json.loads(to_json(shown))["float_run_accuracy"] == 0.9712


def test_verification_is_told():
    text = to_markdown(make_report(residual()))
    for words in (
        "On 20 images, 12 of them made up, each of the\n201 operations",
        "30,000\nvalues, 100 of them a step beside it, as it may be.\n",
        "differences is 0.38 steps, and 8.50 from the model without rounding",
    ):
        assert words in text
    assert "has learned" not in text
    others = dataclasses.replace(VERIFICATION, learned_kernels="builtin")
    text = to_markdown(make_report(residual(), verification=others))
    assert "has learned the rounding of builtin kernels, which these are not" in " ".join(
        text.split()
    )


def test_markdown_lists_operations_costliest_first():
    graph = chain_of_two_convolutions()
    add_step(graph, "HARD_SWISH", ["y"], "cheap", (1, 4, 4, 6))
    graph.outputs = ["cheap"]
    text = to_markdown(make_report(graph))
    table = text.split("All 3 operations")[1]
    assert table.index("`m`") < table.index("`y`") < table.index("`cheap`")
    assert "| 0 | `m` | CONV_2D | 1 x 4 x 4 x 6 | 576 | 60 | 96 |" in table
    assert "| `CONV_2D` | 2 | 1,152 | 120 | 192 |" in text
    assert "| **all** | 3 | 1,152 | 120 | 288 |" in text


def test_markdown_tables_have_a_column_for_every_heading():
    tables = [line for line in to_markdown(make_report(long_graph())).splitlines() if "|" in line]
    widths = {line.count("|") for line in tables}
    assert widths == {3, 6, 7, 8}  # the figures, the kinds, thresholds, the operations


def test_every_file_that_markdown_shows_is_there():
    files = report_files(make_report(residual()))
    for name in ("report_operations.png", "report_memory.png"):
        assert f"({name})" in files["report.md"]
    assert set(files) == {"report.md", "report.json", "report_operations.png", "report_memory.png"}


def examples(count):
    images = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), np.uint8)
    return tuple(Example(image, "cat", "dog") for image in images)


@pytest.mark.parametrize("count", [1, 8, 11])
def test_examples_are_shown(count):
    shown = make_report(residual(), examples=examples(count))
    files = report_files(shown)
    assert "(report_predictions.png)" in files["report.md"]
    with Image.open(io.BytesIO(files["report_predictions.png"])) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    red = (pixels[..., 0] > 180) & (pixels[..., 1] < 100) & (pixels[..., 2] < 80)
    assert red.any()  # the titles of mistakes
    assert '"cat"' not in to_json(shown)


def test_gray_examples_are_gray():
    images = np.array([[[0], [128]], [[128], [255]]], np.uint8)
    shown = make_report(residual(), examples=(Example(images, "cat", "cat"),))
    with Image.open(io.BytesIO(report_files(shown)["report_predictions.png"])) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert np.ptp(pixels, axis=-1).max() <= 40  # the ink of the titles is nearly black
    values = pixels[(np.ptp(pixels, axis=-1) == 0)][:, 0]
    assert {0, 128, 255} <= set(values.tolist())


def test_markdown_tells_added_zeros_from_the_model():
    graph = chain_of_two_convolutions()
    total = sum(cost.multiply_adds for cost in operation_costs(graph))
    text = to_markdown(make_report(graph, model_multiply_adds=total - 100))
    assert f"{total:,} ({total - 100:,} of the model, 100 with zeros" in text
    assert "zeros" not in to_markdown(make_report(graph))


# Noise


NOISE = TensorNoise(
    position=7,
    name="block_1/expand",
    kind="CONV_2D",
    signal_mean_square=2.0,
    noise_mean_square=0.02,  # a hundredth of the signal: 20 dB
    own_noise_mean_square=0.002,
    input_signal_to_noise_decibels=38.5,
    low=-1.5,
    high=2.25,
    scale=0.0147,
    clipped_fraction=0.001,
)
INPUT_NOISE = dataclasses.replace(
    NOISE, position=None, name="images", kind="INPUT", input_signal_to_noise_decibels=None
)


def noise_rows(count):
    return tuple(dataclasses.replace(NOISE, name=f"tensor_{number}") for number in range(count))


def test_json_holds_the_noise_of_every_tensor():
    shown = make_report(residual(), noise=(NOISE, *noise_rows(30)))
    figures = json.loads(to_json(shown))["tensor_noise"]
    assert len(figures) == 31
    assert figures[0].pop("signal_to_noise_decibels") == pytest.approx(20.0)
    assert figures[0].pop("own_signal_to_noise_decibels") == pytest.approx(30.0)
    assert figures[0] == dataclasses.asdict(NOISE)
    assert json.loads(to_json(make_report(residual())))["tensor_noise"] == []


def test_json_has_null_for_infinite_ratios():
    exact = dataclasses.replace(
        NOISE, noise_mean_square=0.0, input_signal_to_noise_decibels=math.inf
    )
    wrong = dataclasses.replace(NOISE, signal_mean_square=0.0)
    shown = make_report(residual(), noise=(wrong, exact))
    wrong_figures, exact_figures = json.loads(to_json(shown))["tensor_noise"]
    for figures in (wrong_figures, exact_figures):
        assert figures["signal_to_noise_decibels"] is None
    assert exact_figures["input_signal_to_noise_decibels"] is None
    assert exact_figures["noise_mean_square"] == wrong_figures["signal_mean_square"] == 0.0


def noise_section(*rows):
    text = to_markdown(make_report(residual(), noise=rows))
    return text.split("## Where quantization loses accuracy")[1]


def test_markdown_shows_the_noise_of_a_tensor():
    row = "| 7 | `block_1/expand` | CONV_2D | 20.0 | 30.0 | 38.5 | -1.5 to 2.25 | 0.0147 | 0.10% |"
    section = noise_section(NOISE, INPUT_NOISE)
    assert row in section
    assert "|  | `images` | INPUT | 20.0 | 30.0 |  | -1.5 to 2.25 | 0.0147 | 0.10% |" in section
    assert "| ---: | --- | --- | ---: | ---: | ---: | --- | ---: | ---: |" in section
    assert "python -m training quantize runs/photos" in section


def test_markdown_shows_infinite_ratios():
    exact = dataclasses.replace(NOISE, name="exact", noise_mean_square=0.0)
    wrong = dataclasses.replace(NOISE, name="wrong", signal_mean_square=0.0)
    section = noise_section(wrong, exact)
    assert "| `wrong` | CONV_2D | -∞ | -∞ | 38.5 |" in section
    assert "| `exact` | CONV_2D | ∞ | 30.0 | 38.5 |" in section


def test_markdown_shows_the_worst_in_the_order_given():
    section = noise_section(*noise_rows(40))
    shown = [line.split("`")[1] for line in section.splitlines() if "`tensor_" in line]
    assert shown == [f"tensor_{number}" for number in range(15)]
    assert "the 15 worst of 40" in section


def test_markdown_without_noise_has_no_such_section():
    assert "quantization loses" not in to_markdown(make_report(residual()))


# Plots


@pytest.mark.parametrize(
    ("graph", "runtime"), [(residual(), STATIC), (early_output(), MICRO), (long_graph(), MICRO)]
)
@pytest.mark.parametrize("draw", [plots.operations_png, plots.memory_png])
def test_plot_is_a_picture_with_ink(graph, runtime, draw):
    with Image.open(io.BytesIO(draw(make_report(graph, runtime=runtime)))) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 500
        pixels = np.asarray(picture.convert("RGB"))
    assert 0.01 < np.mean(np.any(pixels != 255, axis=-1)) < 0.9


def test_peak_is_marked_where_it_is():
    """The marker is the only red thing; it moves from left to right with the peak."""

    def marker_column(live_bytes):
        graph = long_graph()
        runtime = dataclasses.replace(MICRO, live_bytes=live_bytes)
        shown = dataclasses.replace(make_report(graph), runtime=runtime)
        png = plots.memory_png(shown)
        pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
        red = (pixels[..., 0] > 180) & (pixels[..., 1] < 100) & (pixels[..., 2] < 80)
        return np.median(np.nonzero(red)[1]) / pixels.shape[1]

    flat = [1000] * 210
    assert marker_column(tuple([2000] + flat[1:])) < 0.5
    assert marker_column(tuple(flat[:-1] + [2000])) > 0.5


def test_every_fused_kernel_has_its_colour_and_its_name():
    kinds = [kernel.kind for kernel in KERNELS.values()]
    assert KERNELS["dynamic_shift_max_s8"].kind in kinds
    costs = [types.SimpleNamespace(kind=kind) for kind in kinds]
    labels = [handle.get_label() for handle in plots._legend(costs)]
    assert len(labels) == len(kinds) and "Dynamic Shift-Max" in labels
    assert not {"other", *kinds} & set(labels)


def test_operations_are_called_what_they_compute():
    graph = residual()
    graph.operations[1].layer = "block_6/expand_activation"
    text = to_markdown(make_report(graph))
    assert "`block_6/expand_activation`" in text and "`b`" not in text


def test_pictures_say_that_mistakes_come_first():
    image = np.zeros((8, 8, 3), np.uint8)
    examples = [Example(image, "cat", answer) for answer in ("dog", "cat", "cat")]
    shown = make_report(residual(), examples=tuple(examples))
    accuracy = f"{100 * COST.int8_accuracy:.2f}%"
    assert shown.answers.examples_title() == (
        f"1 mistake first, then 2 test images that are recognised: of all, {accuracy} are"
    )
    assert "Mistakes first, if there are any" in to_markdown(shown)


def test_plots_leave_matplotlib_as_it_was():
    before = dict(matplotlib.rcParams)
    had_pyplot = "matplotlib.pyplot" in sys.modules
    plots.memory_png(make_report(residual()))
    assert dict(matplotlib.rcParams) == before
    assert ("matplotlib.pyplot" in sys.modules) == had_pyplot


# Time


def time_of(graph, **changes):
    """Two million cycles in all, half of them waits, evenly on the graph's operations."""
    chips = memory_profiles.chosen("stm32l4r5")
    count = len(graph.operations)

    def cycles(number):
        reads = ((number // 10, number // 10), *((0, 0) for _ in chips[1:]))
        return Cycles(number // 2, number, reads)

    each = cycles(1_000_000 // count)
    time = LibraryCycles(chips, cycles(1_000_000), (each,) * count)
    return {"time": dataclasses.replace(time, **changes)}


def test_time_is_told_with_chip_and_clock():
    graph = residual()
    made = make_report(graph, STATIC, **time_of(graph))
    # 1,000,000 cycles, and 200,000 reads of the flash with 5 cycles of waiting each, at 120 MHz.
    said = "about 17 ms at 120 MHz on STM32L4R5"
    low, high = validation.error_range()
    met = f"{len(validation.published_measurements())} published measurements were met within"
    estimated = f"(estimated; {met} {low:+.1f} to {high:+.1f}%)"
    assert low < 0 < high
    assert f"| **time** of an image | **{said}** {estimated}, 60 images a second |" in (
        to_markdown(made)
    )
    assert milliseconds.summary(made) == f"time {said} (estimated), 60 images a second"
    assert "500,000 instructions were counted" in to_markdown(made)
    assert "| STM32L4R5 | 120 | 5 | 2,000,000 | 17 | yes |" in to_markdown(made)
    assert "| nRF52840 | 64 | 2 | 1,000,000 | 16 | no |" in to_markdown(made)


def test_time_of_each_operation_stands_beside_it():
    graph = residual()
    made = make_report(graph, STATIC, **time_of(graph))
    operations = to_markdown(made).partition("costliest operations:")[2]
    heads, _, first = operations.strip().splitlines()[:3]
    assert heads.endswith("| ms on STM32L4R5 |")
    each = 2e6 / len(graph.operations) / 120e3
    assert float(first.split("|")[-2]) == pytest.approx(each, abs=0.006)


def test_time_on_a_chip_that_was_not_compared_says_so():
    graph = residual()
    chips = memory_profiles.chosen("nrf52840")
    made = make_report(graph, STATIC, **time_of(graph, chips=chips))
    assert "(estimated; not compared with this chip)" in to_markdown(made)


def test_json_has_the_cycles_of_each_chip():
    graph = residual()
    figures = json.loads(to_json(make_report(graph, STATIC, **time_of(graph))))["time"]
    first = figures["chips"][0]
    assert figures["instructions"] == 500_000
    assert (first["chip"], first["megahertz"], first["cycles"]) == ("stm32l4r5", 120, 2_000_000)
    assert len(first["operation_cycles"]) == len(graph.operations)


def test_missing_time_is_told_with_the_reason():
    graph = residual()
    reason = "qemu-system-arm must be installed. On Debian: apt-get install qemu-system-arm"
    made = make_report(graph, STATIC, no_time=reason)
    assert f"| **time** of an image | not estimated: {reason} |" in to_markdown(made)
    assert milliseconds.summary(made) == f"time not estimated: {reason}"
    assert json.loads(to_json(made))["time"] is None
    assert "ms on" not in to_markdown(made)


def test_a_runtime_that_is_not_estimated_says_nothing_of_time():
    graph = residual()
    text = to_markdown(make_report(graph))
    assert "**time**" not in text
    assert "## Time" not in text
