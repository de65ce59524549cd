"""From a trained float model to one that knows the integers of a device."""

import keras
import numpy as np
import tensorflow as tf

from keras_micronet.layer_chain import unroll
from keras_micronet.quantization.calibration import observe
from keras_micronet.quantization.dense_layers import dense_layers
from keras_micronet.quantization.dense_scales import sensitive_dense_layers
from keras_micronet.quantization.quantize_aware_model import QuantizeAwareModel
from keras_micronet.quantization.ranges import least_error_clipping, least_error_range
from keras_micronet.quantization.representative_data import representative_batches
from keras_micronet.quantization.schemes import find_scheme

_TOLERATED_RATIO = 1.25  # of the mean squared errors of the outputs, 1 dB
_MOST_COMPARED_BATCHES = 4


def quantize_aware(model, representative_data, scheme="int8"):
    """Makes a model that computes as a device does, and trains.

    Without training the result is a post-training quantization. Its ranges have
    the least mean squared error on the representative data; an 8-bit dense
    layer has one scale unless a scale for each output brings the outputs nearer
    to the float model's by more than 1 dB; what 4-bit weights shift in the mean
    is taken from the biases.

    Args:
        model: a trained functional Keras model: one chain of the library's
            layers, Dense (with BatchNormalization or not),
            GlobalAveragePooling2D, ReLU, hard-swish, Dropout, and softmax at
            the end. It is not changed.
        representative_data: images as the model takes them, some hundreds: an
            array `(count, height, width, channels)`, or an iterable of such
            batches or of tuples that begin with one, such as a
            `tf.data.Dataset`.
        scheme: name in `SCHEMES`: "int8"; "int8_head4" for 4-bit weights in the
            model's dense layers with one scale each;
            "int8_head4_per_channel" with a scale for each output.

    Returns:
        A `QuantizeAwareModel`.

    Raises:
        ValueError: if the scheme is unknown; a layer cannot be quantized, which
            is named; or the data are empty, infinite or of another shape.
        ImportError: if tensorflow-model-optimization is not installed.
    """
    find_scheme(scheme)
    unroll(model)
    batches = representative_batches(representative_data, model.input_shape[1:])
    float_model = keras.models.clone_model(model)
    float_model.set_weights(model.get_weights())
    options = {"scheme": scheme, "name": f"quantized_{model.name}"}
    quantized = QuantizeAwareModel(float_model, **options)
    observations = observe(quantized.planned_steps, batches)
    quantized.activation_ranges = {
        name: least_error_range(observations[name]) for name in quantized.activation_ranges
    }
    sensitive = sensitive_dense_layers(quantized, observations)
    if sensitive:
        careful = QuantizeAwareModel(float_model, per_channel_dense=sensitive, **options)
        careful.activation_ranges = quantized.activation_ranges
        quantized = _better(quantized, careful, batches[:_MOST_COMPARED_BATCHES])
    _fit_low_precision_layers(quantized, observations)
    return quantized


def _better(frugal, careful, batches):
    """`careful` if its outputs are nearer to the float ones by more than is tolerated."""
    expected = [frugal.float_logits(batch) for batch in batches]

    def error(model):
        return sum(
            np.sum((model.logits(batch) - outputs) ** 2)
            for batch, outputs in zip(batches, expected)
        )

    return frugal if error(frugal) <= _TOLERATED_RATIO * error(careful) else careful


def _fit_low_precision_layers(model, observations):
    """Clips the weights of layers below 8 bits and takes their mean error from the biases."""
    steps = {item.step.name: item.step for item in model.planned_steps}
    for layer in dense_layers(model.planned_steps):
        quantizer = model.weight_quantizers[layer.name]
        if quantizer.clipping is None:
            continue
        inputs = observations[layer.source]
        quantizer.clipping.assign(
            least_error_clipping(layer.matrix, quantizer.weight_format, inputs.mean_squares)
        )
        rounded = quantizer.call(tf.constant(layer.matrix)).numpy()
        _add_to_bias(steps[layer.name], inputs.means @ (layer.matrix - rounded))


def _add_to_bias(step, amounts):
    normalization = step.normalization
    bias = step.layer.bias if normalization is None else normalization.beta
    if bias is not None:
        bias.assign_add(amounts.astype(np.float32))
