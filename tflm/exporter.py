"""From a trained run to verified sources for a microcontroller: the steps in order."""

import dataclasses

import keras
import numpy as np

import keras_micronet
from keras_micronet.files.folders import WholeFolder
from keras_micronet.quantization import QuantizeAwareModel, quantize_aware
from tflm import (
    c_arrays,
    channel_layout,
    compiled_library,
    earlier_export,
    flatbuffer,
    fused_operations,
    kernel_sources,
    lowering,
    report,
    static_c,
    static_plan,
    tensor_noise,
    verification,
)
from tflm.builtin_operations import to_builtin
from tflm.graph import Graph
from tflm.input_normalization import InputNormalization
from tflm.integer_check import require_integers_only
from tflm.interpreter import MicroInterpreter, required_arena_bytes
from tflm.model_settings import ModelSettings, model_identifier, model_settings
from tflm.op_resolver import op_resolver
from tflm.quantization import quantize
from tflm.runtimes import MicroRuntime, StaticRuntime

MODEL_FILE = "model.tflite"
BUILTIN, FUSED = KERNELS = ("builtin", "fused")
TFLM, STATIC = RUNTIMES = (MicroRuntime.name, StaticRuntime.name)
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


def export(run, announce=lambda line: None, kernels=None, runtime=TFLM):
    """Converts, runs and verifies a trained model.

    Args:
        run: `TrainedRun`. A model of `quantize_aware` is exported with what it
            has learned; a float model is quantized after training first.
        announce: function that is told of each step, one line of text.
        kernels: "builtin" for TensorFlow Lite Micro's own operators, or "fused" for
            those of `tflm.kernels`, whose C sources are then among the files; `None`
            for the first of these that the runtime takes.
        runtime: "tflm" for TensorFlow Lite Micro, or "static" for a C99 library that
            needs none and has fused kernels only.

    Returns:
        An `Export`.

    Raises:
        ValueError: if the model has a layer that cannot be exported, or for the static
            runtime one that no fused kernel computes; if an activation is not finite;
            or the runtime does not take the kernels.
        HostCompilerError: if fused kernels or the library cannot be compiled.
        VerificationError: if the exported model disagrees with the Keras model, or
            the library with TensorFlow Lite Micro.
        CompiledLibraryError: if the library refuses an image.
    """
    kernels = kernels_for(runtime, kernels)
    deployment = deploy(quantized_model(run, announce), announce, kernels, runtime)
    announce("measuring the noise of each activation")
    noise = tensor_noise.measure(
        deployment.float_graph,
        deployment.graph,
        deployment.normalization.normalize(run.calibration.images),
    )
    announce(
        f"verifying in TensorFlow Lite Micro on {len(run.calibration) + len(run.test)} images"
    )
    calibrated, tested = _verified(run, deployment, noise)
    target = _EXPORTS[runtime](deployment)
    target.verify(_parts(run, deployment, calibrated, tested), announce)
    made = _report(run, deployment, calibrated.joined(tested), tested, noise, target.describe())
    return Export({**target.files(), **_files(run, deployment, tested, made)}, made)


def kernels_for(runtime, kernels=None):
    """The kernels of an export.

    Args:
        runtime, kernels: as for `export`.

    Raises:
        ValueError: the runtime does not take these kernels, or there is no such runtime.
    """
    if runtime not in RUNTIMES:
        raise ValueError(f"runtime must be one of {', '.join(RUNTIMES)}. Received: {runtime!r}")
    possible = _EXPORTS[runtime].kernels
    if kernels is None:
        return possible[0]
    if kernels not in possible:
        raise ValueError(
            f"kernels must be one of {', '.join(possible)} for the runtime {runtime}. "
            f"Received: {kernels!r}"
        )
    return kernels


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

    def quantized_images(self, images):
        """Raw images, uint8 `(count, height, width, 3)`, as the model takes them, int8."""
        return self.normalization.quantized_images(images, self.input_quantization)


def quantized_model(run, announce=lambda line: None):
    """The run's model if it has learned its quantization, or one quantized after training."""
    if isinstance(run.model, QuantizeAwareModel):
        return run.model
    announce(f"quantizing after training, on {len(run.calibration)} images")
    return quantize_aware(run.model, lowering.model_inputs(run.model, run.calibration.images))


def deploy(model, announce=lambda line: None, kernels=None, runtime=TFLM):
    """Converts a quantized model.

    Args:
        model: `QuantizeAwareModel`.
        announce, kernels, runtime: as for `export`.

    Returns:
        A `Deployment`.

    Raises:
        ValueError: if no operator takes the model's formats, a range is not finite, or the
            runtime does not take the kernels or an operation.
    """
    kernels = kernels_for(runtime, kernels)
    announce("lowering the model: folding batch normalization and shuffles")
    float_model = model.float_model
    float_graph = lowering.lower(float_model)
    if kernels == FUSED:
        operations = to_builtin(fused_operations.fuse(float_graph))
        float_graph = fused_operations.float_reference(float_graph, operations)
    else:
        operations = float_graph = to_builtin(channel_layout.fold_permutations(float_graph))
    graph = quantize(operations, model.activation_ranges, model.weight_roundings)
    _EXPORTS[runtime].require(graph)
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
    """The comparisons on the calibration and on the test images, which together have passed."""

    def compare(labelled):
        return verification.compare(
            run.model,
            lowering.model_inputs(deployment.float_model, labelled.images),
            deployment.interpreter,
            deployment.quantized_images(labelled.images),
            labelled.labels,
        )

    calibrated, tested = compare(run.calibration), compare(run.test)
    try:
        calibrated.joined(tested).require_agreement(_reference(run))
    except verification.VerificationError as error:
        raise verification.VerificationError(f"{error}. {_noisiest(noise)}") from error
    return calibrated, tested


def _parts(run, deployment, calibrated, tested):
    """Pairs of the model's inputs and the interpreter's outputs, of all images."""
    for labelled, compared in ((run.calibration, calibrated), (run.test, tested)):
        yield deployment.quantized_images(labelled.images), compared.int8_outputs


def _noisiest(noise):
    """A sentence that says where most accuracy is lost."""
    rows = ", ".join(
        f"{row.name} ({row.signal_to_noise_decibels:.1f} dB)" for row in noise[:_NAMED_ACTIVATIONS]
    )
    return f"The noisiest activations, by their signal-to-quantization-noise ratio: {rows}"


class _MicroExport:
    """What an export for TensorFlow Lite Micro does that others do not."""

    kernels = KERNELS

    def __init__(self, deployment):
        self._deployment = deployment

    @staticmethod
    def require(graph):
        """Takes every graph."""

    def verify(self, parts, announce):
        """Has nothing to add: it is what the accuracy is measured in."""

    def describe(self):
        """The `MicroRuntime`."""
        model, arena = self._deployment.model_bytes, self._deployment.interpreter.arena
        operators = kernel_sources.operators(self._deployment.graph)
        arena_bytes = required_arena_bytes(model, arena, operators)
        return MicroRuntime(len(model), arena, arena_bytes, bool(operators))

    def files(self):
        """Contents by file name."""
        return {
            **c_arrays.model_data(self._deployment.model_bytes),
            **op_resolver(self._deployment.graph),
            **kernel_sources.kernel_sources(self._deployment.graph),
        }


class _StaticExport:
    """What an export as a C99 library does that others do not."""

    kernels = (FUSED,)

    def __init__(self, deployment):
        self._deployment = deployment
        self._plan = static_plan.plan_memory(deployment.graph)
        self._files = static_c.static_library(
            deployment.graph, identifier=model_identifier(deployment.model_bytes)
        )

    @staticmethod
    def require(graph):
        """Raises `ValueError` unless a library can be made of a graph."""
        static_plan.plan_memory(graph)

    def verify(self, parts, announce):
        """Raises `VerificationError` unless the library gives the interpreter's bytes.

        Args:
            parts: pairs of the model's inputs and the interpreter's outputs.
            announce: as for `export`.
        """
        announce("compiling the C library for this computer, and verifying it on the same images")
        library = compiled_library.CompiledLibrary(self._files)
        compiled_library.require_equal_outputs(library, parts)

    def describe(self):
        """The `StaticRuntime`."""
        costs = report.operation_costs(self._deployment.graph)
        return StaticRuntime(
            flatbuffer_bytes=len(self._deployment.model_bytes),
            constant_bytes=sum(cost.constant_bytes for cost in costs),
            arena_bytes=self._plan.arena_bytes,
            rows_arena_bytes=self._plan.rows_arena_bytes,
        )

    def files(self):
        """Contents by file name: those that were compiled."""
        return self._files


_EXPORTS = {TFLM: _MicroExport, STATIC: _StaticExport}


def _report(run, deployment, compared, tested, noise, runtime):
    graph = deployment.graph
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
        runtime=runtime,
        costs=report.operation_costs(graph),
        live_bytes=report.live_bytes(graph),
        model_multiply_adds=keras_micronet.summarize(deployment.float_model).multiply_adds,
        examples=_examples(run, tested),
        noise=noise,
    )


def _files(run, deployment, tested, made):
    """The files that every runtime has, by name."""
    graph = deployment.graph
    settings = ModelSettings(
        input_shape=made.input_shape,
        input_quantization=deployment.input_quantization,
        output_quantization=graph.tensors[graph.outputs[0]].quantization,
        class_names=run.class_names,
        model=deployment.model_bytes,
        arena_bytes=made.runtime.arena_bytes,
        arena_note=made.runtime.arena_note,
        raw_to_input=deployment.normalization.tables(deployment.input_quantization),
    )
    chosen = _one_of_each_class(run.test.labels)
    return {
        MODEL_FILE: deployment.model_bytes,
        **model_settings(settings),
        **c_arrays.test_vectors(
            run.test.images[chosen], tested.int8_outputs[chosen], run.test.labels[chosen]
        ),
        **report.report_files(made),
    }


def reserved_output(folder, overwrite=False):
    """Keeps other commands out of an export's folder, and proves that it can be written.

    For use as a context, before the work begins.

    Args:
        folder: the folder's path.
        overwrite: whether an earlier export in it may be replaced.

    Returns:
        A context manager, which raises `ValueError` unless an export may be written to `folder`.
    """
    return _output(folder).reserved(overwrite)


def check_output(folder, overwrite):
    """Raises `ValueError` unless an export may be written to `folder`."""
    _output(folder).check(overwrite)


def write(files, folder, overwrite=False):
    """Writes an export's files as a folder that appears at once, in place of an earlier export.

    Args:
        files: contents by file name.
        folder: the folder's path.
        overwrite: whether an earlier export in it may be replaced.

    Raises:
        ValueError: if the folder holds anything else; the message says where the new files are.
        OSError: if they cannot be written; an earlier export is as it was.
    """
    _output(folder).write(files, overwrite)


def _output(folder):
    return WholeFolder(folder, "export", earlier_export.file_names)


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
