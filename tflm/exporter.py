"""From a trained run to verified sources for a microcontroller: the steps in order."""

import dataclasses
import pathlib
import tempfile

import keras
import numpy as np

import keras_micronet
from keras_micronet.quantization import QuantizeAwareModel, quantize_aware
from tflm import (
    c_arrays,
    channel_layout,
    flatbuffer,
    fused_operations,
    kernel_sources,
    lowering,
    report,
    tensor_noise,
    verification,
)
from tflm.builtin_operations import to_builtin
from tflm.graph import Graph
from tflm.input_normalization import InputNormalization
from tflm.integer_check import require_integers_only
from tflm.interpreter import MicroInterpreter, required_arena_bytes
from tflm.model_settings import ModelSettings, model_settings
from tflm.op_resolver import op_resolver
from tflm.quantization import quantize

MODEL_FILE = "model.tflite"
BUILTIN, FUSED = KERNELS = ("builtin", "fused")
_MARK_OF_AN_EXPORT = "report.json"
_MOST_TEST_VECTORS = 10
_EXAMPLES = 16
_MOST_MISTAKES = 4
_NAMED_ACTIVATIONS = 3


@dataclasses.dataclass(frozen=True)
class Export:
    """What an export makes.

    Attributes:
        files: contents by file name, bytes or text.
        report: `report.ExportReport`.
    """

    files: dict
    report: report.ExportReport


def export(run, announce=lambda line: None, kernels=BUILTIN):
    """Converts, runs and verifies a trained model.

    Args:
        run: `TrainedRun`. A model of `quantize_aware` is exported with what it
            has learned; a float model is quantized after training first.
        announce: function that is told of each step, one line of text.
        kernels: "builtin" for TensorFlow Lite Micro's own operators, or "fused" for
            those of `tflm.kernels`, whose C sources are then among the files.

    Returns:
        An `Export`.

    Raises:
        ValueError: if the model has a layer that cannot be exported, or an
            activation is not finite.
        VerificationError: if the exported model disagrees with the Keras model.
    """
    deployment = deploy(quantized_model(run, announce), announce, kernels)
    announce("measuring the noise of each activation")
    noise = tensor_noise.measure(
        deployment.float_graph,
        deployment.graph,
        deployment.normalization.normalize(run.calibration.images),
    )
    announce(
        f"verifying in TensorFlow Lite Micro on {len(run.calibration) + len(run.test)} images"
    )
    tested, compared = _verified(run, deployment, noise)
    made = _report(run, deployment, tested, compared, noise)
    return Export(_files(run, deployment, tested, made), made)


@dataclasses.dataclass(frozen=True)
class Deployment:
    """A model in the form that a device runs.

    Attributes:
        float_model: the Keras model that it computes but for rounding.
        float_graph: before quantization, a `Graph` with activations of the same names.
        graph: after it.
        model_bytes: the flatbuffer.
        interpreter: `MicroInterpreter` that has loaded it.
        normalization: `InputNormalization` of raw images.
    """

    float_model: keras.Model
    float_graph: Graph
    graph: Graph
    model_bytes: bytes
    interpreter: MicroInterpreter
    normalization: InputNormalization

    @property
    def input_quantization(self):
        return self.graph.tensors[self.graph.inputs[0]].quantization


def quantized_model(run, announce=lambda line: None):
    """The run's model if it has learned its quantization, or one quantized after training."""
    if isinstance(run.model, QuantizeAwareModel):
        return run.model
    announce(f"quantizing after training, on {len(run.calibration)} images")
    return quantize_aware(run.model, lowering.model_inputs(run.model, run.calibration.images))


def deploy(model, announce=lambda line: None, kernels=BUILTIN):
    """Converts a quantized model.

    Args:
        model: `QuantizeAwareModel`.
        announce, kernels: as for `export`.

    Returns:
        A `Deployment`.

    Raises:
        ValueError: if no operator takes the model's formats, or a range is not finite.
    """
    if kernels not in KERNELS:
        raise ValueError(f"kernels must be one of {', '.join(KERNELS)}. Received: {kernels!r}")
    announce("lowering the model: folding batch normalization and shuffles")
    float_model = model.float_model
    float_graph = lowering.lower(float_model)
    if kernels == FUSED:
        operations = to_builtin(fused_operations.fuse(float_graph))
        float_graph = fused_operations.float_reference(float_graph, operations)
    else:
        operations = float_graph = to_builtin(channel_layout.fold_permutations(float_graph))
    graph = quantize(operations, model.activation_ranges, model.weight_roundings)
    model_bytes = flatbuffer.serialize(graph)
    require_integers_only(model_bytes)
    return Deployment(
        float_model,
        float_graph,
        graph,
        model_bytes,
        MicroInterpreter(model_bytes, kernel_sources.operators(graph)),
        lowering.input_normalization(float_model),
    )


def _reference(run):
    is_aware = isinstance(run.model, QuantizeAwareModel)
    return verification.QUANTIZATION_AWARE if is_aware else verification.FLOAT


def _verified(run, deployment, noise):
    """The comparison on the test images, and that on all images, which has passed."""

    def compare(labelled):
        return verification.compare(
            run.model,
            lowering.model_inputs(deployment.float_model, labelled.images),
            deployment.interpreter,
            deployment.normalization.quantized_images(
                labelled.images, deployment.input_quantization
            ),
            labelled.labels,
        )

    tested = compare(run.test)
    compared = compare(run.calibration).joined(tested)
    try:
        compared.require_agreement(_reference(run))
    except verification.VerificationError as error:
        raise verification.VerificationError(f"{error}. {_noisiest(noise)}") from error
    return tested, compared


def _noisiest(noise):
    """A sentence that says where most accuracy is lost."""
    rows = ", ".join(
        f"{row.name} ({row.signal_to_noise_decibels:.1f} dB)" for row in noise[:_NAMED_ACTIVATIONS]
    )
    return f"The noisiest activations, by their signal-to-quantization-noise ratio: {rows}"


def _report(run, deployment, tested, compared, noise):
    graph, interpreter = deployment.graph, deployment.interpreter
    return report.ExportReport(
        model_name=run.model.name,
        input_shape=graph.tensors[graph.inputs[0]].shape,
        classes=len(run.class_names),
        test_images=len(run.test),
        keras_model=_reference(run).name,
        keras_accuracy=tested.keras_accuracy,
        int8_accuracy=tested.int8_accuracy,
        compared_images=len(compared.labels),
        agreement=compared.agreement,
        flatbuffer_bytes=len(deployment.model_bytes),
        arena=interpreter.arena,
        arena_bytes=required_arena_bytes(
            deployment.model_bytes, interpreter.arena, kernel_sources.operators(graph)
        ),
        costs=report.operation_costs(graph),
        live_bytes=report.live_bytes(graph),
        model_multiply_adds=keras_micronet.summarize(deployment.float_model).multiply_adds,
        examples=_examples(run, tested),
        noise=noise,
    )


def _files(run, deployment, tested, made):
    graph, normalization = deployment.graph, deployment.normalization
    settings = ModelSettings(
        input_shape=made.input_shape,
        input_quantization=deployment.input_quantization,
        output_quantization=graph.tensors[graph.outputs[0]].quantization,
        class_names=run.class_names,
        arena_bytes=made.arena_bytes,
        raw_to_input=normalization.tables(deployment.input_quantization),
    )
    chosen = _one_of_each_class(run.test.labels)
    return {
        MODEL_FILE: deployment.model_bytes,
        **c_arrays.model_data(deployment.model_bytes),
        **model_settings(settings),
        **op_resolver(graph),
        **kernel_sources.kernel_sources(graph),
        **c_arrays.test_vectors(
            normalization.quantized_images(
                run.test.images[chosen], deployment.input_quantization
            ),
            tested.int8_outputs[chosen],
            run.test.labels[chosen],
        ),
        **report.report_files(made),
    }


def check_output(folder, overwrite):
    """Raises `ValueError` unless an export may be written to `folder`."""
    folder = pathlib.Path(folder)
    if not folder.exists() or folder.is_dir() and not any(folder.iterdir()):
        return
    if not overwrite or not (folder / _MARK_OF_AN_EXPORT).is_file():
        raise ValueError(
            "output must be a new or empty folder or, with --overwrite, that of an earlier export. "
            f"Received: output={folder}"
        )


def write(files, folder):
    """Writes an export's files as a folder that appears at once, in place of an earlier export.

    Args:
        files: contents by file name.
        folder: the folder's path; `check_output` has accepted it.
    """
    folder = pathlib.Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as staging:
        made = pathlib.Path(staging) / "made"
        c_arrays.write_files(files, made)
        if folder.exists():
            folder.rename(pathlib.Path(staging) / "replaced")
        made.rename(folder)


def _one_of_each_class(labels):
    """Indices of the first image of each class, of as many classes as make good test vectors."""
    _, first = np.unique(labels, return_index=True)
    return np.sort(first)[:_MOST_TEST_VECTORS]


def _examples(run, tested):
    """Test images from all over the set, some mistakes among them if there are any."""
    classes = tested.int8_classes
    mistakes = np.flatnonzero(classes != run.test.labels)[:_MOST_MISTAKES]
    right = np.flatnonzero(classes == run.test.labels)
    count = min(_EXAMPLES - len(mistakes), len(right))
    spread = right[np.linspace(0, len(right) - 1, count).astype(int)] if count else right
    return tuple(
        report.Example(
            run.test.images[index],
            run.class_names[run.test.labels[index]],
            run.class_names[classes[index]],
        )
        for index in np.sort(np.concatenate([mistakes, spread]))
    )
