# SPDX-License-Identifier: Apache-2.0
"""Scales of channels: which maps have them, how they are chosen, what they are worth."""

import keras
import numpy as np
import pytest

from keras_micronet import layers
from keras_micronet.layer_chain import INPUT, unroll
from keras_micronet.quantization import CalibrationTools, QuantizeAwareModel, quantize_aware
from keras_micronet.quantization.channel_factors import choose_channel_factors
from keras_micronet.quantization.plan import channel_factor_rules, plan, range_names
from keras_micronet.quantization.quantize_aware import recalibrated
from keras_micronet.quantization.schemes import BUILTIN, FUSED, KERNELS
from tests.keras_micronet.quantization import chains


def uneven_model(spread=3.0):
    """Its maps have channels of very different size before and behind Dynamic Shift-Max."""
    model = chains.chain(
        (6, 6, 4),
        layers.GroupedPointwiseConv2D(8, 2, name="mix"),
        layers.DynamicShiftMax(2, reduction_ratio=2, name="fuse"),
        layers.ChannelShuffle(4, name="shuffle"),
        layers.NormalizedDepthwiseConv2D(3, name="depthwise"),
        layers.GroupedPointwiseConv2D(6, 2, name="last"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(5, name="dense"),
    )
    spread_channels(model, spread, model.get_layer("shuffle").permutation)
    return model


def spread_channels(model, spread, order=None):
    """Makes the channels behind "mix" of very different size; "depthwise" undoes it."""
    order = np.arange(8) if order is None else order
    sizes = 2.0 ** np.linspace(-spread, spread, 8)
    normalization = model.get_layer("mix").batch_normalization
    normalization.gamma.assign(sizes)
    normalization.beta.assign(sizes * normalization.beta)
    depthwise = model.get_layer("depthwise")
    depthwise.kernel.assign(depthwise.kernel / sizes[order][:, np.newaxis])


def test_maps_between_what_takes_factors_have_them():
    model = uneven_model()
    rules = channel_factor_rules(plan(unroll(model)))
    assert {name: (rule.channels, rule.is_reciprocal) for name, rule in rules.items()} == {
        "mix": (8, False),
        "fuse/maximum": (8, True),
        "depthwise": (8, False),
    }


def test_maps_that_are_added_averaged_or_given_away_have_none():
    planned = plan(unroll(chains.residual_blocks()))
    added = {item.step.shortcut for item in planned if item.step.kind == "residual"}
    rules = channel_factor_rules(planned)
    assert added and not added & set(rules)
    assert INPUT not in rules
    assert (
        channel_factor_rules(
            plan(
                unroll(
                    chains.chain(
                        (4, 4, 4),
                        layers.GroupedPointwiseConv2D(4, 1, name="averaged"),
                        keras.layers.GlobalAveragePooling2D(),
                        keras.layers.Dense(3),
                    )
                )
            )
        )
        == {}
    )
    alone = chains.chain((4, 4, 4), layers.GroupedPointwiseConv2D(4, 1, name="output"))
    assert channel_factor_rules(plan(unroll(alone))) == {}


@pytest.mark.usefixtures("eager")
def test_factors_follow_the_sizes_of_channels():
    model = uneven_model()
    planned = plan(unroll(model))
    images = chains.random_images(model, 64)
    factors = choose_channel_factors(planned, channel_factor_rules(planned), [images])
    sizes = np.abs(model.get_layer("mix")(images).numpy()).max(axis=(0, 1, 2))
    ratios = factors["mix"] / sizes
    assert ratios.max() / ratios.min() < 2  # the sizes themselves differ by 64 times
    # As the kernel holds them: in 32nds, or 32 over an integer.
    np.testing.assert_array_equal(factors["mix"] * 32, np.round(factors["mix"] * 32))
    steps = 32 / factors["fuse/maximum"]
    np.testing.assert_allclose(steps, np.round(steps), rtol=1e-6)


@pytest.mark.usefixtures("eager")
def test_channels_of_zeros_get_usable_factors():
    model = uneven_model()
    normalization = model.get_layer("mix").batch_normalization
    normalization.gamma.assign(np.array(normalization.gamma) * ([1, 0] * 4))
    normalization.beta.assign(np.array(normalization.beta) * ([1, 0] * 4))
    planned = plan(unroll(model))
    images = chains.random_images(model, 8)
    factors = choose_channel_factors(planned, channel_factor_rules(planned), [images])
    assert all(np.all(each > 0) and np.all(np.isfinite(each)) for each in factors.values())
    everything_zero = chains.chain(
        (4, 4, 4),
        layers.GroupedPointwiseConv2D(4, 1, name="mix"),
        layers.GroupedPointwiseConv2D(4, 1),
    )
    everything_zero.get_layer("mix").batch_normalization.gamma.assign(np.zeros(4))
    everything_zero.get_layer("mix").batch_normalization.beta.assign(np.zeros(4))
    planned = plan(unroll(everything_zero))
    factors = choose_channel_factors(planned, channel_factor_rules(planned), [images[:, :4, :4]])
    np.testing.assert_array_equal(factors["mix"], np.ones(4))


def error(model, images, has_factors):
    """Mean square by which quantized outputs differ from the float model's."""
    tools = CalibrationTools(channel_factors=has_factors)
    quantized = quantize_aware(model, images, tools=tools)
    return np.mean((quantized.logits(images) - quantized.float_logits(images)) ** 2)


@pytest.mark.usefixtures("eager")
def test_factors_bring_outputs_nearer_to_the_float_model():
    """Small channels matter as much as large ones, which do not run into them."""
    model = chains.chain(
        (6, 6, 4),
        layers.GroupedPointwiseConv2D(8, 2, name="mix"),
        layers.NormalizedDepthwiseConv2D(3, name="depthwise"),
        layers.GroupedPointwiseConv2D(6, 1, name="last"),
    )
    spread_channels(model, 4)
    images = chains.random_images(model, 64)
    assert error(model, images, True) < error(model, images, False) / 4  # 6 dB


@pytest.mark.usefixtures("eager")
def test_factors_pass_through_dynamic_shift_max():
    model = uneven_model(4)
    for weight in model.get_layer("fuse").excite.weights:
        weight.assign(np.zeros(weight.shape))  # the coefficients are a = 1, b = 0
    images = chains.random_images(model, 64)
    assert error(model, images, True) < error(model, images, False) / 1.5


def test_models_with_factors_learn_in_a_trace():
    model = uneven_model(1)
    images = chains.random_images(model, 32)
    quantized = quantize_aware(model, images)
    before = {name: np.array(each) for name, each in quantized.channel_factors.items()}
    quantized.compile("sgd", "mse")
    with_trace = quantized.fit(images, model(images), epochs=2, verbose=0)
    assert np.all(np.isfinite(with_trace.history["loss"]))
    for name, each in quantized.channel_factors.items():
        np.testing.assert_array_equal(each, before[name])


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("kernels", KERNELS)
def test_saved_model_keeps_kernels_and_factors(kernels, tmp_path):
    model = uneven_model()
    images = chains.random_images(model, 16)
    quantized = quantize_aware(model, images, kernels=kernels)
    quantized.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.kernels == kernels
    assert loaded.channel_factors.keys() == quantized.channel_factors.keys()
    np.testing.assert_array_equal(loaded.logits(images), quantized.logits(images))


def test_models_that_know_no_kernels_simulate_builtin_ones():
    """Those that were saved before there was a choice."""
    model = QuantizeAwareModel(chains.classifier())
    config = model.get_config()
    del config["kernels"], config["has_channel_factors"]
    old = QuantizeAwareModel.from_config(config)
    assert (old.kernels, old.channel_factors) == (BUILTIN, {})


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("are_limited", [False, True])
def test_recalibration_keeps_what_has_been_learned(are_limited):
    """All of it, but the scales that builtin operators cannot have around limited coefficients."""
    model = uneven_model()
    excite = model.get_layer("fuse").excite
    excite.kernel.assign(np.zeros(excite.kernel.shape))
    excite.bias.assign(np.full(excite.bias.shape, 4.0 if are_limited else 0.5))  # the limit is 3
    images = chains.random_images(model, 32)
    fused = quantize_aware(model, images, kernels=FUSED)
    kept = set(range_names(fused.planned_steps, INPUT, FUSED))
    moved = {name: (low - 1, high + 1) for name, (low, high) in fused.activation_ranges.items()}
    fused.activation_ranges = moved
    builtin = recalibrated(fused, images, BUILTIN)
    assert builtin.kernels == BUILTIN
    around = {"mix", "fuse/maximum"}
    for name, factors in builtin.channel_factors.items():
        is_one_scale = are_limited and name in around
        expected = np.ones(8) if is_one_scale else fused.channel_factors[name]
        np.testing.assert_array_equal(factors, expected)
    if are_limited:
        kept -= around
    expected = quantize_aware(model, images, kernels=BUILTIN).activation_ranges
    for name, ends in builtin.activation_ranges.items():
        wanted = moved[name] if name in kept else expected[name]
        assert ends == pytest.approx(wanted, rel=1e-5), name
    assert recalibrated(fused, images, FUSED) is fused
    with pytest.raises(ValueError, match="Received: kernels='fast'"):
        recalibrated(fused, images, "fast")


@pytest.mark.usefixtures("eager")
def test_limited_coefficients_are_found_only_where_they_are():
    model = uneven_model()
    model.get_layer("fuse").excite.bias.assign(np.full(32, 4.0))
    planned = plan(unroll(model))
    images = chains.random_images(model, 8)
    rules = channel_factor_rules(planned)
    factors = choose_channel_factors(planned, rules, [images], BUILTIN)
    np.testing.assert_array_equal(factors["mix"], np.ones(8))
    np.testing.assert_array_equal(factors["fuse/maximum"], np.ones(8))
    fused = choose_channel_factors(planned, rules, [images], FUSED)
    np.testing.assert_array_equal(factors["depthwise"], fused["depthwise"])
    assert np.ptp(fused["mix"]) > 0
