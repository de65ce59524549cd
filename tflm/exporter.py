"""From a trained run to verified sources for a microcontroller: the steps in order."""

import dataclasses
import pathlib
import tempfile

import numpy as np

import keras_micronet
from tflm import (
    c_arrays,
    calibration,
    channel_layout,
    flatbuffer,
    lowering,
    report,
    verification,
)
from tflm.builtin_operations import to_builtin
from tflm.dense_scales import quantize_frugally
from tflm.interpreter import MicroInterpreter, required_arena_bytes
from tflm.model_settings import ModelSettings, model_settings
from tflm.op_resolver import op_resolver

MODEL_FILE = "model.tflite"
_MARK_OF_AN_EXPORT = "report.json"
_MOST_TEST_VECTORS = 10
_EXAMPLES = 16
_MOST_MISTAKES = 4


@dataclasses.dataclass(frozen=True)
class Export:
    """What an export makes.

    Attributes:
        files: contents by file name, bytes or text.
        report: `report.ExportReport`.
    """

    files: dict
    report: report.ExportReport


def export(run, announce=lambda line: None):
    """Converts, runs and verifies a trained model.

    Args:
        run: `TrainedRun`.
        announce: function that is told of each step, one line of text.

    Returns:
        An `Export`.

    Raises:
        ValueError: if the model has a layer that cannot be exported, or an
            activation is not finite.
        VerificationError: if the exported model disagrees with the float model.
    """
    announce("lowering the model: folding batch normalization and shuffles")
    graph = to_builtin(channel_layout.fold_permutations(lowering.lower(run.model)))
    normalization = lowering.input_normalization(run.model)

    announce(f"calibrating on {len(run.calibration)} images")
    calibration_images = normalization.normalize(run.calibration.images)
    observations = calibration.observe(graph, calibration_images)
    graph = quantize_frugally(graph, observations, calibration_images)
    model_bytes = flatbuffer.serialize(graph)
    interpreter = MicroInterpreter(model_bytes)
    arena_bytes = required_arena_bytes(model_bytes, interpreter.arena)

    count = len(run.calibration) + len(run.test)
    announce(f"verifying in TensorFlow Lite Micro on {count} images")
    input_quantization = graph.tensors[graph.inputs[0]].quantization
    takes_raw_images = lowering.normalizes_inside(run.model)

    def compare(labelled):
        images = labelled.images
        return verification.compare(
            run.model,
            images if takes_raw_images else normalization.normalize(images),
            interpreter,
            normalization.quantized_images(images, input_quantization),
            labelled.labels,
        )

    tested = compare(run.test)
    compared = compare(run.calibration).joined(tested)
    compared.require_agreement()

    export_report = report.ExportReport(
        model_name=run.model.name,
        input_shape=graph.tensors[graph.inputs[0]].shape,
        classes=len(run.class_names),
        test_images=len(run.test),
        float_accuracy=tested.float_accuracy,
        int8_accuracy=tested.int8_accuracy,
        compared_images=len(compared.labels),
        agreement=compared.agreement,
        flatbuffer_bytes=len(model_bytes),
        arena=interpreter.arena,
        arena_bytes=arena_bytes,
        costs=report.operation_costs(graph),
        live_bytes=report.live_bytes(graph),
        model_multiply_adds=keras_micronet.summarize(run.model).multiply_adds,
        examples=_examples(run, tested),
    )
    settings = ModelSettings(
        input_shape=export_report.input_shape,
        input_quantization=input_quantization,
        output_quantization=graph.tensors[graph.outputs[0]].quantization,
        class_names=run.class_names,
        arena_bytes=arena_bytes,
        raw_to_input=normalization.tables(input_quantization),
    )
    chosen = _one_of_each_class(run.test.labels)
    files = {
        MODEL_FILE: model_bytes,
        **c_arrays.model_data(model_bytes),
        **model_settings(settings),
        **op_resolver(graph),
        **c_arrays.test_vectors(
            normalization.quantized_images(run.test.images[chosen], input_quantization),
            tested.int8_outputs[chosen],
            run.test.labels[chosen],
        ),
        **report.report_files(export_report),
    }
    return Export(files, export_report)


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
