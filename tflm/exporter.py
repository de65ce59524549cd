# SPDX-License-Identifier: Apache-2.0
"""From a trained run to verified sources for a microcontroller: the steps in order."""

import collections.abc
import dataclasses
import os

import keras
import numpy as np

import keras_micronet
from keras_micronet.layer_chain import PROBABILITIES
from keras_micronet.quantization import QuantizeAwareModel, quantize_aware, recalibrated
from tflm import next_steps
from tflm.cycles.execution_counts import CountingError
from tflm.cycles.memory_profiles import MemoryProfile
from tflm.graph.costs import operation_costs
from tflm.graph.graph import Graph, Quantization
from tflm.micro import flatbuffer
from tflm.micro.integer_check import require_integers_only
from tflm.micro.interpreter import MicroInterpreter, MicroInterpreterError
from tflm.micro.wheel_kernels import KernelLibraryError
from tflm.package import package
from tflm.passes import channel_factors, channel_layout, fused_operations, lowering
from tflm.passes.builtin_operations import to_builtin
from tflm.passes.input_normalization import InputNormalization
from tflm.passes.quantization import quantize
from tflm.report import files, report, tensor_noise
from tflm.runtimes import RUNTIMES
from tflm.settings import FUSED, MOST_POINTS_LOST, STATIC, TFLM
from tflm.sources import kernel_sources, model_name
from tflm.sources.model_settings import ModelSettings, model_settings
from tflm.static import compiled_library
from tflm.tasks import of_run
from tflm.tasks.spread import spread
from tflm.toolchains.emulator import EmulatorError
from tflm.toolchains.host_compiler import HostCompilerError
from tflm.trained_run import TrainedRun
from tflm.verification import made_up_images, operation_check, verification

MODEL_FILE = "model.tflite"
# What `export` raises besides errors of Python's.
FAILURES = (
    MicroInterpreterError,
    HostCompilerError,
    KernelLibraryError,
    compiled_library.CompiledLibraryError,
    verification.VerificationError,
)
# Images of a user's on which every operation is checked, and on which the outputs are.
_IMAGES_FOR_OPERATIONS = 8
_IMAGES_FOR_OUTPUTS = 64
_SIMULATED_BATCH = 16


@dataclasses.dataclass(frozen=True)
class Export:
    """What an export makes.

    Attributes:
        files: contents by file name, bytes or text; of a refused one those of the report.
        report: `report.ExportReport`, which says whether the export is refused.
    """

    files: dict[str, str | bytes]
    report: report.ExportReport


def export(
    run: TrainedRun,
    announce: collections.abc.Callable[[str], None] = lambda line: None,
    kernels: str | None = None,
    runtime: str = TFLM,
    most_points_lost: float = MOST_POINTS_LOST,
    output: os.PathLike[str] | str | None = None,
    name: str | None = None,
    keep_right: float | None = None,
    chips: collections.abc.Sequence[MemoryProfile] = (),
) -> Export:
    """Converts, runs, verifies and measures a trained model.

    Args:
        run: `TrainedRun`. A model of `quantize_aware` is exported with what it
            has learned; a float model is quantized after training first.
        announce: function that is told of each step, one line of text.
        kernels: "builtin" for TensorFlow Lite Micro's own operators, or "fused" for
            those of `tflm.kernels`, whose C sources are then among the files; `None`
            for the first of these that the runtime takes.
        runtime: "tflm" for TensorFlow Lite Micro, or "static" for a C99 library that
            needs none and has fused kernels only.
        most_points_lost: percentage points of accuracy, or of what the run's task is measured by,
            that the device may lose. If it loses significantly more, the export is refused: it has
            a report but no sources.
        output: the folder that the user has asked for, if any, for the commands of a refusal.
        name: what the model is called in C, see `sources.model_name`; `None` for the run's name.
        keep_right: percent of the right answers to validation images that the threshold of "none
            of these" keeps, for models that classify; `None` for the default.
        chips: `MemoryProfile`s that the static library's time is estimated for; where that cannot
            be done, the report says why.

    Returns:
        An `Export`.

    Raises:
        ValueError: if the model has a layer that cannot be exported, or for the static
            runtime one that no fused kernel computes; if an activation is not finite;
            the runtime does not take the kernels; the model does not end as its task's do; or
            `keep_right` is no percentage above 0, or not for the task.
        HostCompilerError: if fused kernels or the library cannot be compiled.
        VerificationError: if the device computes something else than it is defined to.
        CompiledLibraryError: if the library refuses an image.
    """
    kernels = kernels_for(runtime, kernels)
    given_name, name = name, model_name.of_run(run.folder) if name is None else name
    model_name.check(name)
    task = of_run.task_of(run.task, keep_right)
    of_run.check_end(run.task, lowering.last_activation(_without_rounding(run.model)))
    model = quantized_model(run, announce, kernels)
    deployment = deploy(model, announce, kernels, runtime)
    announce("measuring the noise of each activation")
    noise = tensor_noise.measure(
        deployment.float_graph,
        deployment.graph,
        deployment.normalization.normalize(run.calibration.images),
    )
    verification.require_model_operations(noise)
    announce("comparing every operation with its definition, and the outputs with the simulation")
    verified = _verified(run, task, model, deployment, kernels)
    target = RUNTIMES[runtime].of(
        deployment.graph,
        deployment.model_bytes,
        deployment.interpreter,
        model_name.library_of(name),
    )
    announce(f"measuring the {task.measure} on {len(run.test)} test images")
    models = _Models(run, deployment)
    answers = task.compare(run, models)
    target.verify(_parts(run, deployment, models), announce)
    made = _report(run, deployment, kernels, answers, verified, noise, target)
    made = dataclasses.replace(made, most_points_lost=most_points_lost)
    if not made.is_refused:
        made = _timed(made, chips, announce)
        parts = _parts_of(run, task, deployment, models, made)
        return Export(package.package(made, name, parts), made)
    others = [other for other in target.kernels if other != kernels]
    given = None if runtime == TFLM else runtime
    steps = next_steps.next_steps(
        run, made.answers.cost, kernels, others, given, output, given_name
    )
    made = dataclasses.replace(made, next_steps=steps)
    return Export(files.report_files(made), made)


def kernels_for(runtime: str, kernels: str | None = None) -> str:
    """The kernels of an export.

    Args:
        runtime, kernels: as for `export`.

    Raises:
        ValueError: the runtime does not take these kernels, or there is no such runtime.
    """
    if runtime not in RUNTIMES:
        raise ValueError(f"runtime must be one of {', '.join(RUNTIMES)}. Received: {runtime!r}")
    possible = RUNTIMES[runtime].kernels
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
    def input_quantization(self) -> Quantization:
        return self.graph.tensors[self.graph.inputs[0]].quantized_by

    @property
    def output_quantization(self) -> Quantization:
        return self.graph.tensors[self.graph.outputs[0]].quantized_by

    def quantized_images(self, images: np.ndarray) -> np.ndarray:
        """Raw images, uint8 `(count, height, width, 3)`, as the model takes them, int8."""
        return self.normalization.quantized_images(images, self.input_quantization)

    def outputs(self, images: np.ndarray) -> np.ndarray:
        """What the device puts out for raw images, int8 `(count, classes)`, or maps of a grid."""
        outputs = self.interpreter.run(self.quantized_images(images))
        return outputs.reshape(len(images), *self.float_model.output_shape[1:])


def quantized_model(
    run: TrainedRun,
    announce: collections.abc.Callable[[str], None] = lambda line: None,
    kernels: str = FUSED,
) -> QuantizeAwareModel:
    """The run's model if it has learned its quantization, or one quantized after training.

    Args:
        run, announce: as for `export`.
        kernels: those that will compute on the device.
    """
    is_aware = isinstance(run.model, QuantizeAwareModel)
    images = run.calibration.images
    if not is_aware:
        announce(f"quantizing after training, on {len(images)} images")
        return quantize_aware(run.model, images, kernels=kernels)
    if run.model.kernels != kernels:
        announce(
            f"this run has learned {run.model.kernels} kernels: its ranges for {kernels} ones are "
            f"calibrated on {len(images)} images"
        )
    return recalibrated(run.model, images, kernels)


def deploy(
    model: QuantizeAwareModel,
    announce: collections.abc.Callable[[str], None] = lambda line: None,
    kernels: str | None = None,
    runtime: str = TFLM,
) -> Deployment:
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
    float_graph = channel_factors.scale_channels(lowering.lower(float_model), model.channel_factors)
    if kernels == FUSED:
        operations = to_builtin(fused_operations.fuse(float_graph))
        float_graph = fused_operations.float_reference(float_graph, operations)
    else:
        operations = float_graph = to_builtin(channel_layout.fold_permutations(float_graph))
    graph = quantize(operations, model.activation_ranges, model.weight_roundings, kernels)
    RUNTIMES[runtime].require(graph)
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


def _verified(run, task, model, deployment, kernels):
    """The `Verification` of a deployment that has passed it."""
    made_up = made_up_images.made_up_images(run.model.input_shape[1:])
    of_the_user = np.concatenate([run.calibration.images, run.test.images])
    few = np.concatenate([made_up, spread(of_the_user, _IMAGES_FOR_OPERATIONS)])
    _require_same_function(run, model, few)
    integers = deployment.quantized_images(few)
    operations = operation_check.check_operations(deployment.graph, integers)
    verification.require_same_outputs(operations.outputs, deployment.interpreter.run(integers))
    outputs = [
        _compared_with_simulation(task, model, deployment, images)
        for images in (made_up, spread(of_the_user, _IMAGES_FOR_OUTPUTS))
    ]
    for check in outputs:
        verification.require_simulated_outputs(check)
    learned = getattr(run.model, "kernels", kernels)  # a float model has learned none
    return verification.Verification(
        len(made_up), operations, *outputs, None if learned == kernels else learned
    )


def _require_same_function(run, model, images):
    """All else is compared with the quantized model's own float one, which is a copy."""
    given = _without_rounding(run.model)
    outputs = _logits(model.float_logits, images)
    activation = lowering.last_activation(given)
    if activation is not None:
        outputs = PROBABILITIES[activation](outputs).numpy()
    verification.require_model_outputs(_outputs_of(given, images), outputs)


def _compared_with_simulation(task, simulation, deployment, images):
    """The `OutputCheck` of raw images."""
    output = deployment.graph.tensors[deployment.graph.outputs[0]].quantization
    simulated = output.quantize(_logits(simulation.logits, images))
    unrounded = _logits(simulation.float_logits, images) / output.scale[0] + output.zero_point[0]
    values = simulated, unrounded, deployment.outputs(images)
    return verification.compare_outputs(*map(task.questions, values))


def _logits(function, images):
    """A function's outputs for batches of raw images, together."""
    starts = range(0, len(images), _SIMULATED_BATCH)
    return np.concatenate([function(images[start : start + _SIMULATED_BATCH]) for start in starts])


class _Models:
    """See `task.Models`."""

    def __init__(self, run, deployment):
        self._model, self._deployment = run.model, deployment
        self._known = {}  # by function and array, which is kept so that no other gets its id
        self.is_aware = isinstance(run.model, QuantizeAwareModel)
        self._activation = of_run.ACTIVATIONS[run.task]

    @property
    def output(self):
        return self._deployment.output_quantization

    def own_probabilities(self, images):
        if not self.is_aware:
            return self.float_probabilities(images)
        return self._once(images, "own", lambda: self._probabilities(self._model, images))

    def float_probabilities(self, images):
        model = _without_rounding(self._model)
        return self._once(images, "float", lambda: self._probabilities(model, images))

    def outputs(self, images):
        return self._once(images, "int8", lambda: self._deployment.outputs(images))

    def _probabilities(self, model, images):
        outputs = _outputs_of(model, images)
        if lowering.last_activation(_without_rounding(model)) is None:
            outputs = PROBABILITIES[self._activation](outputs).numpy()
        return outputs

    def _once(self, images, name, compute):
        key = name, id(images)
        if key not in self._known:
            self._known[key] = images, compute()
        return self._known[key][1]


def _without_rounding(model):
    """The float model within one that has learned its quantization; another one itself."""
    return model.float_model if isinstance(model, QuantizeAwareModel) else model


def _outputs_of(model, images):
    """A Keras model's outputs for raw images."""
    return model.predict(images, batch_size=64, verbose=0)


def _parts(run, deployment, models):
    """Pairs of the model's inputs and the interpreter's outputs, of all images there are."""
    yield deployment.quantized_images(run.test.images), models.outputs(run.test.images)
    made_up = made_up_images.made_up_images(run.model.input_shape[1:])
    for images in (made_up, run.calibration.images):
        yield deployment.quantized_images(images), deployment.outputs(images)


def _report(run, deployment, kernels, answers, verified, noise, target):
    graph = deployment.graph
    is_aware = isinstance(run.model, QuantizeAwareModel)
    return report.ExportReport(
        model_name=run.model.name,
        input_shape=graph.tensors[graph.inputs[0]].shape,
        answers=answers,
        keras_model=report.QUANTIZATION_AWARE if is_aware else report.FLOAT,
        verification=verified,
        kernels=kernels,
        run_folder=str(run.folder),
        runtime=target,
        costs=operation_costs(graph),
        model_multiply_adds=keras_micronet.summarize(deployment.float_model).multiply_adds,
        noise=noise,
        is_own_model=run.is_own_model,
    )


def _timed(made, chips, announce):
    """The report with an estimate of the time, or with the reason why there is none."""
    if made.runtime.name != STATIC:
        return made
    if not chips:
        return dataclasses.replace(made, no_time="nobody asked for it")
    announce("counting cycles on an emulated Cortex-M4")
    try:
        return dataclasses.replace(made, time=made.runtime.cycles(chips))
    except (EmulatorError, CountingError, HostCompilerError) as error:
        return dataclasses.replace(made, no_time=" ".join(str(error).split()))


def _parts_of(run, task, deployment, models, made):
    """The files of an export besides its runtime's."""
    library = made.runtime.library
    settings = ModelSettings(
        input_shape=made.input_shape,
        class_names=run.class_names,
        model=deployment.model_bytes,
        ends=made.runtime.ends,
        raw_to_input=deployment.normalization.tables(deployment.input_quantization),
        about_output=task.about_output,
    )
    return package.Parts(
        read={MODEL_FILE: deployment.model_bytes, **files.report_files(made)},
        settings=model_settings(settings, library),
        task=task.files(run, models, made.answers, library),
    )
