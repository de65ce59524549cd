# SPDX-License-Identifier: Apache-2.0
"""`summarize` against the release's figures, and against counts by hand."""

import math
import pathlib

import keras
import pytest

import keras_micronet
from keras_micronet import layers
from tests.keras_micronet import models

README = pathlib.Path(__file__).parents[2] / "README.md"
SNAPSHOT = pathlib.Path(__file__).parent / "snapshots" / "summary_m0.txt"

# Measured on the authors' code: trainable parameters with 1000 classes, multiply-adds at 224.
RELEASED = {
    "M0": (1_019_590, 3_448_880),
    "M1": (1_777_587, 5_314_080),
    "M2": (2_393_876, 10_338_128),
    "M3": (2_622_960, 18_236_000),
}

# M0 at 224, rows worked out from the table: (trainable parameters, multiply-adds, output shape).
# A convolution has kernel elements * output positions; its batch normalization two parameters a
# channel. A Dynamic Shift-Max has its two dense layers, with biases.
M0_BY_HAND = {
    "stem/vertical": (3 * 3 * 2 + 2 * 2, 3 * 3 * 2 * 112 * 224, (112, 224, 2)),
    "stem/horizontal": (3 * 4 + 2 * 4, 3 * 4 * 112 * 112, (112, 112, 4)),
    "block_1/depthwise/vertical": (3 * 8 + 2 * 8, 3 * 8 * 56 * 112, (56, 112, 8)),
    "block_1/depthwise/horizontal": (3 * 16 + 2 * 16, 3 * 16 * 56 * 56, (56, 56, 16)),
    "block_1/project": (8 * 8 + 2 * 8, 8 * 8 * 56 * 56, (56, 56, 8)),
    "block_1/project_activation": (
        8 * 4 + 4 + 4 * 16 + 16,
        8 * 4 + 4 * 16,
        (56, 56, 8),
    ),
    "block_4/expand": (4 * 64 + 2 * 64, 4 * 64 * 14 * 14, (14, 14, 64)),
    "block_4/depthwise_activation": (
        64 * 8 + 8 + 8 * 256 + 256,
        64 * 8 + 8 * 256,
        (14, 14, 64),
    ),
    "block_7/expand": (8 * 384 + 2 * 384, 8 * 384 * 7 * 7, (7, 7, 384)),
    "block_7/expand_activation": (
        384 * 24 + 24 + 24 * 768 + 768,
        384 * 24 + 24 * 768,
        (7, 7, 384),
    ),
    "head_dense": (384 * 640 + 640, 384 * 640, (640,)),
    "head_normalization": (2 * 640, 0, (640,)),
    "classifier_dense": (640 * 1000 + 1000, 640 * 1000, (1000,)),
    "predictions": (0, 0, (1000,)),
}


@pytest.fixture(scope="module")
def summary_m0(released_model):
    return keras_micronet.summarize(released_model("M0"), (224, 224, 3))


def rows(summary):
    return {row.name: row for row in summary.rows}


@pytest.mark.parametrize("variant", RELEASED)
def test_totals_are_those_of_the_release(variant, released_model):
    model = released_model(variant)
    summary = keras_micronet.summarize(model, input_shape=(224, 224, 3))
    assert (summary.trainable_parameters, summary.multiply_adds) == RELEASED[variant]
    assert summary.parameters == model.count_params()
    assert summary.name == f"micronet_{variant.lower()}"


@pytest.mark.parametrize("variant", RELEASED)
def test_readme_has_the_totals_and_the_names(variant, released_model):
    summary = keras_micronet.summarize(released_model(variant), input_shape=(224, 224, 3))
    parameters, multiply_adds = summary.trainable_parameters, summary.multiply_adds
    table = keras_micronet.VARIANTS[variant]
    row = (
        f"| `MicroNet{variant}` | {parameters:,} | {multiply_adds:,} | {table.imagenet_top1}% "
        f"| {table.first_arxiv_name or '-'} |"
    )
    assert row in README.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("name", M0_BY_HAND)
def test_rows_are_the_counts_by_hand(name, summary_m0):
    row = rows(summary_m0)[name]
    assert (row.trainable_parameters, row.multiply_adds, row.output_shape) == M0_BY_HAND[name]


def test_moving_statistics_are_parameters_that_do_not_train(summary_m0):
    row = rows(summary_m0)["stem/vertical"]
    assert row.parameters - row.trainable_parameters == 2 * 2


def test_table_is_the_stored_one():
    model = keras_micronet.MicroNetM0(weights=None)
    assert str(keras_micronet.summarize(model)) + "\n" == SNAPSHOT.read_text(encoding="utf-8")


def test_table_lists_every_row_and_the_totals(summary_m0):
    lines = str(summary_m0).splitlines()
    assert lines[0] == "micronet_m0"
    assert len({len(line) for line in lines[1:-1]}) == 1
    for row in summary_m0.rows:
        assert sum(line.split()[:2] == [row.name, row.type] for line in lines) == 1
    assert lines[-2].split() == ["total", f"{summary_m0.parameters:,}", "3,448,880"]
    assert lines[-1] == "trainable parameters: 1,019,590"


def test_multiply_adds_of_convolutions_follow_the_image(released_model, summary_m0):
    # 448 = 2 * 224: every map has 4 times the positions, dense layers see no map.
    large = rows(keras_micronet.summarize(released_model("M0"), (448, 448, 3)))
    for name, row in rows(summary_m0).items():
        factor = 4 if row.type in ("NormalizedConv2D", "NormalizedDepthwiseConv2D") else 1
        factor = 4 if row.type == "GroupedPointwiseConv2D" else factor
        assert large[name].multiply_adds == factor * row.multiply_adds
        assert large[name].parameters == row.parameters


def test_channels_first_costs_the_same(channels_first, summary_m0):
    model = models.logits_model("M0", input_shape=(3, 224, 224))
    summary = keras_micronet.summarize(model)
    assert summary.multiply_adds == summary_m0.multiply_adds
    assert summary.parameters == summary_m0.parameters


def test_full_rank_partner_costs_more(summary_m0):
    partner = keras_micronet.summarize(models.logits_model("M0", full_rank=True), (224, 224, 3))
    # One dense 3 x 3 stem, and block 1: 3 x 3 depthwise of 16 outputs, dense 16 -> 8.
    assert rows(partner)["stem/convolution"].multiply_adds == 9 * 3 * 4 * 112 * 112
    assert rows(partner)["block_1/depthwise"].multiply_adds == 9 * 16 * 56 * 56
    assert rows(partner)["block_1/project"].multiply_adds == 16 * 8 * 56 * 56
    assert partner.multiply_adds > summary_m0.multiply_adds


def test_stock_layers():
    model = keras.Sequential(
        [
            keras.Input((9, 8, 4)),
            keras.layers.Conv2D(6, 3, strides=2, padding="same", groups=2),
            keras.layers.DepthwiseConv2D(3, depth_multiplier=2),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dense(5),
        ]
    )
    summary = keras_micronet.summarize(model)
    assert [row.multiply_adds for row in summary.rows] == [
        3 * 3 * 2 * 6 * 5 * 4,
        3 * 3 * 6 * 2 * 3 * 2,
        0,
        0,
        3 * 2 * 12 * 5,
    ]
    assert summary.parameters == model.count_params()


def test_dense_layer_on_a_map_works_at_every_position():
    model = keras.Sequential([keras.Input((5, 7, 3)), keras.layers.Dense(2)])
    assert keras_micronet.summarize(model).multiply_adds == 5 * 7 * 3 * 2


def test_branches_merge():
    inputs = keras.Input((8, 8, 4))
    left = layers.GroupedPointwiseConv2D(6, 2)(inputs)
    right = keras.layers.Conv2D(6, 1)(inputs)
    added = keras.layers.Add(name="added")([left, right]) + left
    summary = keras_micronet.summarize(keras.Model(inputs, added))
    assert rows(summary)["added"].output_shape == (8, 8, 6)
    assert summary.multiply_adds == 64 * (2 * 6 + 4 * 6)


def test_model_inside_a_model_is_counted_for_the_size_it_gets():
    base = keras_micronet.MicroNetM0(include_top=False, weights=None, pooling="avg")
    inputs = keras.Input((224, 224, 3))
    outputs = keras.layers.Dense(7, name="own")(base(inputs))
    summary = keras_micronet.summarize(keras.Model(inputs, outputs))
    without_dense = 3_448_880 - 384 * 640 - 640 * 1000
    assert summary.multiply_adds == without_dense + 384 * 7
    found = rows(summary)
    assert found["micronet_m0/stem/vertical"].output_shape == (112, 224, 2)
    assert found["own"].parameters == 384 * 7 + 7


def test_layer_called_twice_computes_twice_and_has_its_parameters_once():
    shared = keras.layers.Conv2D(3, 1, name="shared")
    inputs = keras.Input((4, 4, 3))
    model = keras.Model(inputs, shared(keras.layers.MaxPooling2D(2)(shared(inputs))))
    summary = keras_micronet.summarize(model)
    calls = [row for row in summary.rows if row.name == "shared"]
    assert [call.multiply_adds for call in calls] == [9 * 16, 9 * 4]
    assert summary.parameters == model.count_params() == 12


def test_layers_of_another_model_are_counted_for_this_one():
    convolution = keras.layers.Conv2D(3, 1)
    for size in (4, 10):
        inputs = keras.Input((size, size, 3))
        summary = keras_micronet.summarize(keras.Model(inputs, convolution(inputs)))
        assert summary.multiply_adds == 9 * size * size


def test_frozen_layers_have_no_trainable_parameters():
    model = models.small_classifier()
    model.layers[1].trainable = False
    summary = keras_micronet.summarize(model, (16, 16, 3))
    frozen = [row for row in summary.rows if row.name.startswith(f"{model.layers[1].name}/")]
    assert len(frozen) == 4
    assert sum(row.trainable_parameters for row in frozen) == 0
    assert sum(row.parameters for row in frozen) == 3 * 3 * 2 + 4 * 2 + 3 * 4 + 4 * 4
    assert 0 < summary.trainable_parameters < summary.parameters == model.count_params()


def test_a_compiled_model_with_a_loss_of_its_own():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile("sgd", loss=lambda labels, outputs: outputs - labels)
    assert keras_micronet.summarize(model, (4,)).multiply_adds == 8


def test_a_model_with_its_input_in_a_list():
    inputs = keras.Input((None, None, 3))
    model = keras.Model([inputs], [layers.ChannelShuffle(3)(inputs)])
    assert keras_micronet.summarize(model, (5, 5, 3)).rows[0].output_shape == (5, 5, 3)


def test_the_model_is_left_as_it_was(small_m0):
    before = models.weight_values(small_m0)
    layers_before = list(small_m0.layers)
    nodes = [len(layer._inbound_nodes) for layer in small_m0.layers]
    keras_micronet.summarize(small_m0, (32, 32, 3))
    models.assert_same_weights(small_m0, before)
    assert small_m0.layers == layers_before
    assert [len(layer._inbound_nodes) for layer in small_m0.layers] == nodes


def test_open_sizes_need_an_input_shape(released_model):
    with pytest.raises(ValueError, match="`input_shape` must say.*Received: layer 'vertical'"):
        keras_micronet.summarize(released_model("M0"))


@pytest.mark.parametrize("shape", [(224, 224), (224, 224, 4), (), (1, 224, 224, 3)])
def test_input_shape_must_fit(shape, released_model):
    with pytest.raises(ValueError, match="`input_shape` must agree with.*Received: input_shape="):
        keras_micronet.summarize(released_model("M0"), shape)


def test_input_shape_needs_a_single_input():
    inputs = [keras.Input((4,)), keras.Input((4,))]
    model = keras.Model(inputs, keras.layers.Add()(inputs))
    assert keras_micronet.summarize(model).multiply_adds == 0
    with pytest.raises(ValueError, match="`input_shape` must agree with the one input"):
        keras_micronet.summarize(model, (4,))


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.Conv2DTranspose(2, 3),
        keras.layers.SeparableConv2D(2, 3),
        keras.layers.TimeDistributed(keras.layers.Dense(2)),
    ],
    ids=lambda layer: layer.name,
)
def test_layers_of_unknown_cost_are_refused(layer):
    model = keras.Sequential([keras.Input((8, 8, 3)), layer])
    with pytest.raises(ValueError, match=f"Multiply-adds are known.*Received: layer '{layer.name}"):
        keras_micronet.summarize(model)


@pytest.mark.parametrize("model", [None, "M0", keras.layers.Dense(2), keras.Sequential()])
def test_only_models_with_known_inputs(model):
    with pytest.raises(ValueError, match="`model` must be a functional.*Received: model of type"):
        keras_micronet.summarize(model)


class StandardizedConv2D(keras.layers.Conv2D):
    """It may compute anything, with any number of multiply-adds."""


def test_derived_layer_is_not_taken_for_its_base():
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, StandardizedConv2D(4, 3, name="mine")(inputs))
    with pytest.raises(ValueError, match="Received: layer 'mine' of type StandardizedConv2D"):
        keras_micronet.summarize(model)


@pytest.mark.parametrize(("variant", "millions"), [("M0", 4), ("M1", 6), ("M2", 12), ("M3", 21)])
def test_with_batch_normalization_there_are_the_papers_millions(variant, millions, released_model):
    """One multiply-add more for each output of a convolution, as the README says."""
    summary = keras_micronet.summarize(released_model(variant), input_shape=(224, 224, 3))
    outputs = sum(math.prod(row.output_shape) for row in summary.rows if "Conv2D" in row.type)
    assert round((summary.multiply_adds + outputs) / 1e6) == millions
