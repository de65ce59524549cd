# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.detection DATA`: MicroNet's grids beside FOMO, on pictures with boxes.

Trains each network at each size with several seeds, all for the same epochs by the recipe `detect`:
the same random changes of the pictures, optimizer, schedule and batches; chooses thresholds and
decoding on the validation pictures; counts on the test pictures what was found, by the float model
and by int8 as a device computes it; and measures what a device takes. Pictures of other proportions
than a network's are squeezed. Each figure is stored at once, so that an interrupted study goes on.

`--write` stores figures, table and plot. DATA is a folder as for `python -m training --task detect`
or `scattered-digits`.
"""

import argparse
import dataclasses
import functools
import pathlib
import tempfile

import keras
import numpy as np

import keras_micronet
from benchmarks import activation_peak, detection_report, export_size, fomo, models, results_file
from keras_micronet import run_folders
from keras_micronet.files.atomic import write_file
from keras_micronet.grid import MicroNetGrid
from keras_micronet.grid_answers import quality
from keras_micronet.grid_answers.labels import output_stride
from keras_micronet.grid_answers.objects import (
    PROBABILITY_ONE,
    find_in_images,
    quantized_probabilities,
)
from keras_micronet.quantization import quantize_aware
from tflm import exporter
from tflm.micro.interpreter import MicroInterpreter
from tflm.recognition import scores
from tflm.toolchains.emulator import Core
from training.datasets import load_grid_dataset
from training.datasets.grid_batches import collect_grid
from training.datasets.grid_dataset import GridDataset
from training.datasets.image_files import resize_image
from training.fitting.epoch_record import SCORES
from training.fitting.progress import ProgressLines
from training.fitting.trainer import make_reproducible, train
from training.recipes.recipes import DATASET_VALUES, RECIPES
from training.runs.run_folder import write_figure

TABLE = results_file.RESULTS / "detection.md"
FIGURES = results_file.RESULTS / "detection.json"
PLOT = results_file.RESULTS / "detection.png"
FOMO = "FOMO"
SEEDS = (0, 1, 2)
FLOAT, INT8, DEVICE = STAGES = ("float", "int8", "device")
DIGITS = "scattered-digits"
_RECIPE = RECIPES["detect"]
_CALIBRATION_IMAGES = 200
_INT8_SOFTMAX = 256  # a step of TensorFlow's int8 softmax is one 256th
_KEY = ("data", "network", "epochs", "seed", "stage")


@dataclasses.dataclass(frozen=True)
class Network:
    """One network at one size.

    Attributes:
        variant: of MicroNet, or `FOMO`.
        size: height and width of its images in pixels.
        blocks: of the variant.
        head_width: as for `MicroNetGrid`.
        shift_max: the same.
    """

    variant: str
    size: tuple[int, int]
    blocks: int | None = None
    head_width: int = 16
    shift_max: bool = True

    @property
    def name(self):
        """Such as "M0, 4 blocks, 128x176"."""
        parts = [self.variant]
        if self.variant != FOMO:
            parts.append(f"{self.blocks} blocks")
            parts += [] if self.shift_max else ["without Dynamic Shift-Max"]
        return ", ".join([*parts, "x".join(map(str, self.size))])

    def build(self, classes):
        """The network with random weights, from raw images to probabilities of the cells."""
        shape = (*self.size, 3)
        if self.variant == FOMO:
            return fomo.build(shape, classes)
        return MicroNetGrid(
            self.variant,
            "detect",
            input_shape=shape,
            classes=classes,
            weights=None,
            blocks=self.blocks,
            head_width=self.head_width,
            shift_max=self.shift_max,
        )


NETWORKS = (
    Network(FOMO, (96, 96)),
    Network(FOMO, (120, 160)),
    Network("M0", (96, 128), 4),
    Network("M0", (128, 176), 4),
    Network("M0", (192, 256), 4),
    Network("M1", (128, 168), 5),
    Network("M1", (192, 256), 5),
    Network("M0", (128, 176), 4, shift_max=False),
    Network("M1", (128, 168), 5, shift_max=False),
)
DIGIT_NETWORKS = (
    Network(FOMO, (96, 96)),
    Network("M1", (96, 96), 5, 32),
    Network("M2", (96, 96), 6, 32),
    Network("M3", (96, 96), 8, 32),
    Network("M3", (96, 96), 8, 32, shift_max=False),
)


@dataclasses.dataclass(frozen=True)
class Case:
    """A network that is trained with one seed.

    Attributes:
        network: a `Network`.
        data: as the command takes it.
        seed: of the training.
        epochs: of it.
        folder: where trained models are kept.
    """

    network: Network
    data: str
    seed: int
    epochs: int
    folder: pathlib.Path

    @property
    def data_name(self):
        """What the data is called in figures."""
        return self.data if self.data == DIGITS else self._dataset.name

    @property
    def _title(self):
        return f"{self.network.name}, seed {self.seed}"

    @property
    def _model_path(self):
        name = self._title.replace(", ", "-").replace(" ", "-")
        return self.folder / f"{name}-{self.epochs}.keras"

    @functools.cached_property
    def _dataset(self):
        dataset = load_grid_dataset("detect", self.data, self.network.size)
        return dataset if self.data == DIGITS else squeezed(dataset)

    def measure(self, stage):
        """The figures of one of `STAGES` by name; what it needs of earlier ones is made."""
        make_reproducible(self.seed)
        return {FLOAT: self._float, INT8: self._int8, DEVICE: self._device}[stage]()

    def _float(self):
        model = self.network.build(len(self._dataset.class_names))
        values = DATASET_VALUES.get(self.data, {})
        recipe = dataclasses.replace(
            _RECIPE, image_size=self.network.size, epochs=self.epochs, **values
        )
        print(f"{self._title}: {self.epochs} epochs", flush=True)
        validation_size = self._dataset.validation.size
        result = train(
            model,
            self._dataset,
            recipe,
            self.seed,
            callbacks=[
                ProgressLines(recipe.batch_size, validation_size, score=SCORES[recipe.task])
            ],
        )
        write_file(self._model_path, run_folders.model_bytes(model))

        def answer(images):
            probabilities = model.predict(images.astype(np.float32), batch_size=16, verbose=0)
            return quantized_probabilities(probabilities)

        return self._judged(answer) | {"seconds": result.seconds}

    def _int8(self):
        if not self._model_path.is_file():
            self._float()
            make_reproducible(self.seed)
        model = keras.saving.load_model(self._model_path, compile=False)
        images, _ = collect_grid(self._dataset, self._dataset.train, _CALIBRATION_IMAGES)
        if self.network.variant == FOMO:
            return self._judged(_converted_answers(model, images))
        deployment = exporter.deploy(quantize_aware(model, images), kernels=exporter.FUSED)
        table = scores.exponentials(deployment.output_quantization.scale[0])

        def answer(images):
            return scores.probabilities(deployment.outputs(images), table).astype(np.int32)

        return self._judged(answer)

    def _judged(self, answer):
        """Figures of the decoding that is best for the validation pictures.

        Args:
            answer: a function from uint8 images to integers in Q15 `(count, rows, columns, classes
                + 1)`.
        """
        dataset, classes = self._dataset, len(self._dataset.class_names)
        parts = {}
        for part in ("validation", "test"):
            split = getattr(dataset, part)
            images, labels = collect_grid(dataset, split, split.size)
            parts[part] = answer(images), labels
        stride = output_stride(self.network.size, parts["test"][0].shape[1:3])
        decodings = {"peaks": peaks(parts, stride, classes)}
        if self.network.variant == FOMO:
            decodings["merged"] = merged(parts, stride, classes)
        best = max(decodings, key=lambda name: decodings[name]["validation"].mean_f1)
        counts = decodings[best]
        return {
            "decoding": best,
            "validation_f1": counts["validation"].mean_f1,
            "test_f1": counts["test"].mean_f1,
            "class_f1": counts["test"].f1.tolist(),
            "count_error": counts["test"].count_error.tolist(),
            "classes": list(dataset.class_names),
        }

    def _device(self):
        """What a device takes, which training does not change: weights are random."""
        model = self.network.build(len(self._dataset.class_names))
        images, _ = collect_grid(self._dataset, self._dataset.train, 8)
        if self.network.variant == FOMO:
            return _device_of_fomo(model, images)
        return _device_of_micronet(model, images)


def squeezed(dataset: GridDataset) -> GridDataset:
    """A dataset whose pictures have the proportions of its images, so that nothing is cut off."""

    def squeezed_split(split):
        def read(index):
            picture, label = split.read(index)
            height, width = picture.shape[:2]
            wanted = dataset.image_size[1] / dataset.image_size[0]
            # The side that is too long shrinks: no pixel is made up.
            size = (
                (height, round(height * wanted))
                if width > height * wanted
                else (round(width / wanted), width)
            )
            if size == (height, width):
                return picture, label
            scale = np.array([1, *[size[0] / height, size[1] / width] * 2], np.float32)
            return resize_image(picture, size), label * scale

        return dataclasses.replace(split, read=read, read_for_crops=None)

    parts = ("train", "validation", "test")
    return dataclasses.replace(
        dataset, **{part: squeezed_split(getattr(dataset, part)) for part in parts}
    )


def peaks(parts, stride, classes):
    """Counts of each part by the definition of `grid_answers.objects`.

    Args:
        parts: by name, pairs of answers in Q15 and labels; thresholds are chosen on "validation".
        stride: side of a cell in pixels.
        classes: number of classes.
    """
    lowest = np.full(classes, quality.LOWEST_THRESHOLD)
    found = {part: find_in_images(answers, lowest) for part, (answers, _) in parts.items()}
    labels = {part: label for part, (_, label) in parts.items()}
    curves = quality.precision_recall(found["validation"], labels["validation"], stride, classes)
    thresholds = quality.best_thresholds(curves, quality.LOWEST_THRESHOLD)
    counts = {}
    for part, objects in found.items():
        kept = [each.subset(each.scores >= thresholds[each.classes]) for each in objects]
        counts[part] = quality.detection_counts(kept, labels[part], stride, classes)
    return counts


def merged(parts, stride, classes):
    """The same by FOMO's own rule, with the thresholds of a class that are best among many."""
    candidates = np.arange(1, 20) * PROBABILITY_ONE // 20

    def counted(part, thresholds):
        answers, labels = parts[part]
        found = [fomo.merge_cells(each, thresholds) for each in answers]
        return quality.detection_counts(found, labels, stride, classes)

    # Classes do not depend on each other's thresholds.
    f1 = [counted("validation", np.full(classes, each)).f1 for each in candidates]
    thresholds = candidates[np.argmax(f1, axis=0)]
    return {part: counted(part, thresholds) for part in parts}


def _converted_answers(model, images):
    """What FOMO's int8 model answers in TensorFlow Lite Micro, in Q15."""
    data = export_size.convert(fomo.core(model), fomo.normalize(images))
    interpreter = MicroInterpreter(data)

    def answer(images):
        inputs = export_size.quantized_input(data, fomo.normalize(images))
        outputs = interpreter.run(inputs).astype(np.int32)
        return (outputs + 128) * (PROBABILITY_ONE // _INT8_SOFTMAX)

    return answer


def _device_of_fomo(model, images):
    cost = keras_micronet.summarize(fomo.core(model))
    data = export_size.convert(fomo.core(model), fomo.normalize(images))
    return {
        "multiply_adds": cost.multiply_adds,
        "parameters": cost.parameters,
        "peak_bytes": activation_peak.peak_bytes(data),
        "model_bytes": len(data),
    }


def _device_of_micronet(model, images):
    cost = keras_micronet.summarize(model)
    quantized = quantize_aware(model, images)
    builtin = exporter.deploy(quantize_aware(model, images, kernels="builtin"), kernels="builtin")
    graph = exporter.deploy(quantized, kernels=exporter.FUSED).graph
    with tempfile.TemporaryDirectory() as folder:
        (measured,) = models.measure(
            graph, "detection", [Core.CORTEX_M4], pathlib.Path(folder)
        ).values()
    return {
        "multiply_adds": cost.multiply_adds,
        "parameters": cost.parameters,
        "peak_bytes": activation_peak.peak_bytes(builtin.model_bytes),
        "model_bytes": len(builtin.model_bytes),
        "instructions": measured.image.instructions,
        "rows_arena_bytes": measured.rows.arena_bytes,
        "rows_ram_bytes": measured.rows.ram_bytes,
        "ram_bytes": measured.image.ram_bytes,
        "flash_bytes": measured.code_bytes + measured.weight_bytes,
    }


class Figures(results_file.StoredFigures):
    """All figures of the study, by data, network, seed and stage.

    Args:
        path, earlier: as for `StoredFigures`.
    """

    def __init__(self, path, earlier=FIGURES):
        super().__init__(path, earlier, _KEY, _order)

    def results(self, data, epochs):
        """Mapping network name -> stage -> list of the figures of all seeds, of one data set."""
        found = {}
        for (name, network, trained, _, stage), figures in sorted(
            self.items(), key=lambda item: _order(item[0])
        ):
            if name == data and trained in (epochs, None):
                found.setdefault(network, {}).setdefault(stage, []).append(figures)
        return found

    def trainings(self):
        """Pairs of a data set's name and a number of epochs that there are trainings of."""
        return sorted({(key[0], key[2]) for key, _ in self.items() if key[2] is not None})


def _order(key):
    data, network, epochs, seed, stage = key
    names = [each.name for each in (*NETWORKS, *DIGIT_NETWORKS)]
    place = names.index(network) if network in names else len(names)
    return data, place, network, epochs or 0, seed or 0, STAGES.index(stage)


def run(cases, stages, figures, again=()):
    """Measures what is missing of some cases, and stores each stage at once.

    Args:
        cases: `Case`s.
        stages: of `STAGES`, those to measure.
        figures: `Figures`.
        again: of `STAGES`, those to measure although there are figures.
    """
    done = set()
    for case in cases:
        for stage in stages:
            # What a device takes does not depend on the training.
            training = (None, None) if stage == DEVICE else (case.epochs, case.seed)
            key = case.data_name, case.network.name, *training, stage
            if key in done or (figures.at(key) is not None and stage not in again):
                continue
            measured = case.measure(stage)
            figures.store(key, measured)
            done.add(key)
            print(f"{', '.join(map(str, key))}: {measured}", flush=True)
        keras.backend.clear_session()


def main(arguments=None):
    """Measures what is missing and prints the table; `--write` stores it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.detection",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("data", help="a folder, as for python -m training --task detect, or scattered-digits")
    add("--networks", nargs="*", metavar="NAME", help='such as "M0, 4 blocks, 128x176"')
    add("--seeds", nargs="+", type=int, default=SEEDS)
    add("--epochs", type=int, default=_RECIPE.epochs, help="of each training (default: 80)")
    add("--stages", nargs="*", choices=STAGES, default=STAGES, help="what to measure")
    add("--again", nargs="+", choices=STAGES, default=(), help="what to measure anew")
    add(
        "--folder",
        type=pathlib.Path,
        default=pathlib.Path("runs/detection"),
        help="where trained models and figures are kept (default: %(default)s)",
    )
    add("--write", action="store_true", help=f"store {FIGURES.name}, {TABLE.name}, {PLOT.name}")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    figures = Figures(options.folder / "figures.json")
    networks = DIGIT_NETWORKS if options.data == DIGITS else NETWORKS
    names = options.networks or [network.name for network in networks]
    cases = [
        Case(network, options.data, seed, options.epochs, options.folder)
        for seed in options.seeds
        for network in networks
        if network.name in names
    ]
    run(cases, options.stages, figures, options.again)
    results = {each: figures.results(*each) for each in figures.trainings()}
    text = detection_report.page(results)
    print(text)
    if options.write:
        results_file.write_text(FIGURES, figures.text())
        results_file.write_text(TABLE, text)
        write_figure(PLOT, detection_report.plot(results))


if __name__ == "__main__":
    main()
