# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.photographs DATA`: MicroNet on photographs, beside what else one may pick.

Trains each network at each size from scratch, all for the same epochs with the same random changes
of the images, optimizer and schedule; quantizes it after training and aware of it; counts the right
answers of the whole test set as a device gives them; and measures what a device takes: multiply-
adds, instructions of an emulated Cortex-M4, RAM, flash. Each figure is stored at once, and a
training continues after its last epoch, so that an interrupted study goes on where it was.

The stages of a case are stored one by one: `--again after-training` measures that one anew from the
trained models, which stay in `--folder`. `--write` stores figures, table and plot.
"""

import argparse
import dataclasses
import functools
import json
import pathlib
import tempfile

import keras
import numpy as np
from ai_edge_litert import interpreter as litert

import keras_micronet
from benchmarks import aware_rivals, export_size, models, photographs_report, rivals, tflite_micro
from benchmarks.results_file import RESULTS, write_text
from keras_micronet import run_folders
from keras_micronet.files.atomic import write_file
from keras_micronet.quantization import FreezeSchedule, quantize_aware
from tflm import exporter
from tflm.micro.interpreter import MicroInterpreter
from tflm.toolchains.emulator import Core
from training.datasets import load_dataset
from training.datasets.batches import collect_balanced, collect_evenly
from training.fitting.checkpoints import CheckpointFolder
from training.fitting.progress import ProgressLines
from training.fitting.trainer import make_reproducible, train
from training.models import build_model
from training.recipes.recipes import RECIPES, quantize_aware_recipe
from training.runs.run_folder import write_figure

TABLE = RESULTS / "photographs.md"
FIGURES = RESULTS / "photographs.json"
PLOT = RESULTS / "photographs.png"
SEED = 0
MICRONETS = tuple(keras_micronet.VARIANTS)
NETWORKS = (*MICRONETS, *rivals.RIVALS)
SIZES = (32, 64, 96)
EPOCHS = 20
AWARE_EPOCHS = 2
DEVICE, FLOAT, AFTER_TRAINING, AWARE = STAGES = ("device", "float", "after-training", "aware")
RECIPE = RECIPES["photographs"]
_KEY = ("network", "size", "epochs", "stage")
_CALIBRATION_IMAGES = 300
_IMAGES_TO_SETTLE = 32
_CLASSES = 10  # of the models whose size and instructions are measured


@dataclasses.dataclass(frozen=True)
class Case:
    """A network at a size, trained for some epochs.

    Attributes:
        network: one of `NETWORKS`.
        size: height and width of the images, in pixels.
        epochs: of the training.
        data: the dataset, as `python -m training --dataset` takes it.
        folder: where trained models and checkpoints of all cases are.
        tflite_micro: root of a source tree of TensorFlow Lite Micro in which its library for a
            Cortex-M4 has been built, or `None` to leave a rival's instructions out.
    """

    network: str
    size: int
    epochs: int
    data: str
    folder: pathlib.Path
    tflite_micro: pathlib.Path | None = None

    @property
    def name(self):
        return f"{self.network.replace(' ', '-')}-{self.size}-{self.epochs}"

    @property
    def is_micronet(self):
        return self.network in MICRONETS

    @property
    def recipe(self):
        return dataclasses.replace(RECIPE, image_size=_image_size(self.size), epochs=self.epochs)

    @functools.cached_property
    def dataset(self):
        recipe = self.recipe
        return load_dataset(self.data, recipe.image_size, evaluation_crop=recipe.evaluation_crop)

    def can_tell_more(self, stage, figures):
        """Whether some of a stage's figures could not be measured before, but can be now."""
        return stage == DEVICE and self.tflite_micro is not None and "instructions" not in figures

    def build(self, classes):
        """The network with random weights, from raw images to probabilities."""
        if self.is_micronet:
            return build_model(self.network, _image_size(self.size), classes)
        return rivals.build(self.network, self.size, classes)

    def measure(self, stage):
        """The figures of one of `STAGES` by name; what it needs of earlier ones is made."""
        make_reproducible(SEED)
        return {
            DEVICE: self._device,
            FLOAT: self._float,
            AFTER_TRAINING: self._after_training,
            AWARE: self._aware,
        }[stage]()

    def _device(self):
        """What a device takes, which training does not change: weights are random."""
        model = self.build(_CLASSES)
        cost = keras_micronet.summarize(model)
        figures = {"multiply_adds": cost.multiply_adds, "parameters": cost.parameters}
        with tempfile.TemporaryDirectory() as folder:
            if self.is_micronet:
                return figures | _of_static_library(self.network, self.size, pathlib.Path(folder))
            core = rivals.core(model)
            return figures | _of_rival(core, self.tflite_micro, pathlib.Path(folder))

    def _float(self):
        model = self.build(len(self.dataset.class_names))
        result = self._train(model, self.recipe, "float")
        write_file(self._model_path, run_folders.model_bytes(model))
        last = result.history[-1]
        return {
            "accuracy": result.test_score,
            "validation_accuracy": result.validation_score,
            "training_accuracy": last.accuracy,
            "seconds": result.seconds,
            "recipe": f"{RECIPE.name}, version {RECIPE.version}",
        }

    @property
    def _model_path(self):
        return self.folder / f"{self.name}.keras"

    def _float_model(self):
        if not self._model_path.is_file():
            self._float()
            make_reproducible(SEED)  # what follows is the same as with a model from the file
        return keras.saving.load_model(self._model_path)

    def _train(self, model, recipe, name, callbacks=()):
        print(f"{self.name}, {name}: {recipe.epochs} epochs", flush=True)
        settings = {"case": self.name, "recipe": dataclasses.asdict(recipe)}
        checkpoints = CheckpointFolder(self.folder / f"{self.name}-{name}", settings, print)
        result = train(
            model,
            self.dataset,
            recipe,
            SEED,
            callbacks=[*callbacks, ProgressLines(recipe.batch_size, self.dataset.validation.size)],
            checkpoints=checkpoints,
        )
        checkpoints.remove()
        return result

    def _after_training(self):
        model, images = self._float_model(), self._calibration_images()
        if self.is_micronet:
            return self._on_device(quantize_aware(model, images))
        core = rivals.core(model)
        return self._converted_on_device(export_size.convert(core, rivals.normalize(images)))

    def _aware(self):
        recipe = quantize_aware_recipe(self.recipe, epochs=AWARE_EPOCHS)
        if not self.is_micronet:
            core = rivals.core(self._float_model())
            data = aware_rivals.train(self.network, core, self.dataset, recipe, SEED)
            return self._converted_on_device(data) | {"aware_epochs": AWARE_EPOCHS}
        model = quantize_aware(self._float_model(), self._calibration_images())
        schedule = FreezeSchedule(recipe.freeze_batch_normalization, recipe.freeze_ranges)
        result = self._train(model, recipe, "aware", [schedule])
        path = self.folder / f"{self.name}-aware.keras"
        write_file(path, run_folders.model_bytes(model))
        return self._on_device(model) | {
            "simulated_accuracy": result.test_score,
            "seconds": result.seconds,
            "aware_epochs": AWARE_EPOCHS,
        }

    def _calibration_images(self):
        dataset = self.dataset
        classes = len(dataset.class_names)
        return collect_balanced(dataset.train, _CALIBRATION_IMAGES, classes)[0]

    def _on_device(self, quantized):
        """Accuracy with fused kernels, whose bytes the static library gives, too."""
        deployment = exporter.deploy(quantized, kernels=exporter.FUSED)
        images, labels = collect_evenly(self.dataset.test, self.dataset.test.size)
        classes = deployment.interpreter.run(deployment.quantized_images(images)).argmax(axis=-1)
        return {"accuracy": float(np.mean(classes == labels))}

    def _converted_on_device(self, data):
        test = collect_evenly(self.dataset.test, self.dataset.test.size)
        return {"accuracy": converted_accuracy(data, *test)}


def converted_accuracy(data, images, labels):
    """Part of the images that a converted rival recognises in TensorFlow Lite Micro.

    Args:
        data: bytes of its flatbuffer.
        images: uint8 `(count, height, width, 3)`.
        labels: integers `(count,)`.
    """
    inputs = _quantized_input(data, rivals.normalize(images))
    return float(np.mean(MicroInterpreter(data).run(inputs).argmax(axis=-1) == labels))


def _image_size(side):
    return side, side


def _quantized_input(data, images):
    """Float images as the model of a flatbuffer takes them, int8."""
    (details,) = litert.Interpreter(model_content=data).get_input_details()
    scale, zero_point = details["quantization"]
    return np.clip(np.round(images / scale + zero_point), -128, 127).astype(np.int8)


def _of_static_library(variant, size, folder):
    graph = models.fused_graph(variant, size, _CLASSES)
    name = f"{variant.lower()}_{size}"
    (measured,) = models.measure(graph, name, [Core.CORTEX_M4], folder).values()
    return {
        "instructions": measured.image.instructions,
        "ram_bytes": measured.image.ram_bytes,
        "flash_bytes": measured.code_bytes + measured.weight_bytes,
    }


def _of_rival(core, tflite_micro_root, folder):
    shape = (_IMAGES_TO_SETTLE, *core.input_shape[1:])
    images = np.random.default_rng(SEED).uniform(-1, 1, shape).astype(np.float32)
    export_size.settle(core, images)
    data = export_size.convert(core, images)
    if tflite_micro_root is None:
        return {"model_bytes": len(data)}
    return tflite_micro.measure(data, tflite_micro_root, folder)


class Figures:
    """All figures of the study, by network, size, epochs and stage; stored when they change.

    Args:
        path: `pathlib.Path` of the file to keep them in.
        earlier: of the figures that were stored before, which that file's own replace.
    """

    def __init__(self, path, earlier=FIGURES):
        self._path = path
        self._figures = {}
        for source in (earlier, path):
            self._read(source)

    def _read(self, source):
        if source.is_file():
            for row in json.loads(source.read_text()):
                key = tuple(row.pop(name) for name in _KEY)
                self._figures[key] = row

    def get(self, case, stage):
        """Figures by name, `None` if there are none."""
        return self._figures.get(_key(case, stage))

    def put(self, case, stage, figures):
        """Stores the figures of a stage, whose names are none of those that say what it is."""
        taken = set(_KEY) & set(figures)
        if taken:
            raise ValueError(f"Figures must not be called {', '.join(_KEY)}. Received: {taken}")
        self._read(self._path)  # others may have measured other cases meanwhile
        self._figures[_key(case, stage)] = figures
        write_text(self._path, self.text())

    def text(self):
        """JSON text, of one line for the figures of a stage."""
        rows = [
            json.dumps(dict(zip(_KEY, key, strict=True)) | figures)
            for key, figures in sorted(self._figures.items(), key=lambda item: _order(item[0]))
        ]
        return "[\n" + ",\n".join(rows) + "\n]\n"

    def results(self, epochs):
        """Mapping (network, size) -> figures by stage, for so many epochs; all cases are there."""
        cases = {
            (network, size): {}
            for network in NETWORKS
            for size in SIZES
            if size in sizes_of(network)
        }
        for (network, size, trained, stage), figures in self._figures.items():
            if trained in (epochs, None) and (network, size) in cases:
                cases[network, size][stage] = figures
        return cases

    def epochs(self):
        """Numbers of epochs of the trainings, in their order."""
        return sorted({key[2] for key in self._figures if key[2] is not None})


def _key(case, stage):
    # What a device takes does not depend on the training.
    return case.network, case.size, None if stage == DEVICE else case.epochs, stage


def _order(key):
    network, size, epochs, stage = key
    return NETWORKS.index(network), size, epochs or 0, STAGES.index(stage)


def sizes_of(network):
    """The sizes that a network is made for, of `SIZES`."""
    return SIZES[:1] if network == rivals.RESNET8 else SIZES


def can_be_trained_aware(network):
    """Whether there is a way to train a network with its quantization simulated."""
    return network in MICRONETS or network in aware_rivals.TRAINABLE


def run(cases, stages, figures, again=()):
    """Measures what is missing of some cases, and stores each stage at once.

    Args:
        cases: `Case`s.
        stages: of `STAGES`, those to measure.
        figures: `Figures`.
        again: of `STAGES`, those to measure although there are figures.
    """
    for case in cases:
        for stage in stages:
            known = figures.get(case, stage)
            if known is not None and stage not in again and not case.can_tell_more(stage, known):
                continue
            if stage == AWARE and not can_be_trained_aware(case.network):
                continue
            measured = case.measure(stage)
            figures.put(case, stage, measured)
            print(f"{case.name}, {stage}: {measured}", flush=True)
        keras.backend.clear_session()


def page(figures):
    """The table's page of all `Figures`, in Markdown."""
    lengths = dict.fromkeys((EPOCHS, *figures.epochs()))
    return photographs_report.page(
        {epochs: figures.results(epochs) for epochs in lengths}, AWARE_EPOCHS
    )


def main(arguments=None):
    """Measures what is missing and prints the table; `--write` stores it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.photographs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("data", help="a folder of images, as for python -m training, or tfds:cifar10")
    add("--networks", nargs="+", choices=NETWORKS, default=NETWORKS, metavar="NETWORK")
    add("--sizes", nargs="+", type=int, choices=SIZES, default=SIZES)
    add("--epochs", type=int, default=EPOCHS, help="of each training (default: %(default)s)")
    add("--stages", nargs="*", choices=STAGES, default=STAGES, help="what to measure")
    add("--again", nargs="+", choices=STAGES, default=(), help="what to measure anew")
    add(
        "--folder",
        type=pathlib.Path,
        default=pathlib.Path("runs/photographs"),
        help="where trained models, checkpoints and figures are kept (default: %(default)s)",
    )
    add(
        "--tflite-micro",
        type=pathlib.Path,
        metavar="FOLDER",
        help="root of a source tree of TensorFlow Lite Micro in which its library for a Cortex-M4 "
        "has been built, see benchmarks/tflite_micro.py: for the others' instructions",
    )
    add("--write", action="store_true", help=f"store {FIGURES.name}, {TABLE.name}, {PLOT.name}")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    figures = Figures(options.folder / "figures.json")
    cases = [
        Case(network, size, options.epochs, options.data, options.folder, options.tflite_micro)
        for network in options.networks
        for size in options.sizes
        if size in sizes_of(network)
    ]
    run(cases, options.stages, figures, options.again)
    text = page(figures)
    print(text)
    if options.write:
        write_text(FIGURES, figures.text())
        write_text(TABLE, text)
        write_figure(PLOT, photographs_report.plot(figures.results(EPOCHS)))


if __name__ == "__main__":
    main()
