# SPDX-License-Identifier: Apache-2.0
"""A model so small that thousands of its images go over a serial line."""

import dataclasses
import functools
import pathlib
import zlib

import numpy as np
import pytest

from keras_micronet import preprocess_input
from keras_micronet.grid_answers.tasks import CLASSIFY, DETECT, KEYPOINTS, SEGMENT
from tests.tflm import fused_models
from tests.tflm.hand_made_graphs import quantization
from tflm.firmware import build
from tflm.graph.graph import Graph, Operation
from tflm.kernels.dense import Dense
from tflm.kernels.factorized_stem import FactorizedStem
from tflm.kernels.grouped_pointwise_conv import GroupedPointwiseConv
from tflm.passes.input_normalization import InputNormalization
from tflm.recognition.c_files import recognition_sources
from tflm.recognition.grid_constants import GridReading, grid_constants
from tflm.recognition.grid_test_vectors import grid_test_vectors
from tflm.recognition.objects import Grid
from tflm.sources import c_arrays, generic_names
from tflm.sources.model_settings import ModelSettings, model_settings
from tflm.sources.test_vectors import test_vectors
from tflm.static import c_library

LIBRARY = "small_model"
HEIGHT, WIDTH = 10, 8
# What percent-encoding has to do with: spaces, its own sign, other letters, signs of C.
CLASS_NAMES = ("plain", "two words", "100%", "a=b,c", "Übergröße", "日本", "'\"\\")
_INPUT_SCALE, _INPUT_ZERO_POINT = 0.019, -5
_STEM_ZERO_POINT = -1
_OUTPUT_ZERO_POINT = 3
_CLASSES = len(CLASS_NAMES)
_MODEL = b"stands for a flatbuffer, which the static runtime does not need"
_TEST_VECTORS = 3
# So that random images show a few of most, and seldom the last.
_THRESHOLDS = {
    DETECT: (18_000, 20_000, 22_000, 24_000, 26_000, 28_000, 30_000),
    SEGMENT: (),
    KEYPOINTS: (20_000, 26_000, 28_000, 29_000, 30_000, 31_000, 32_000),
}
_FEATURES = 160  # of images of HEIGHT x WIDTH


@dataclasses.dataclass(frozen=True)
class SmallModel:
    """An exported model of two layers with random weights, and what its firmware must answer.

    Every pixel matters for its scores.

    Attributes:
        folder: the export for the static runtime.
        graph: quantized `Graph` of fused kernels.
        class_names: one for each score; of a grid, one for each class or joint.
        reading: of a model of a grid, how its answers are read.
    """

    folder: pathlib.Path
    graph: Graph
    class_names: tuple[str, ...] = CLASS_NAMES
    reading: GridReading | None = None

    identifier = zlib.crc32(_MODEL)

    @property
    def rows_arena_bytes(self):
        """RAM for the activations when the image comes row by row."""
        header = (self.folder / "src" / f"{LIBRARY}_rows.h").read_text()
        return int(header.split("#define SMALL_MODEL_ROWS_ARENA_BYTES ")[1].split()[0])

    @property
    def input_shape(self):
        """(height, width, channels): 3 for RGB, 1 for gray."""
        return self.graph.tensors[self.graph.inputs[0]].shape[1:]

    def scores(self, image):
        """int8 scores, as a tuple of int, of raw uint8 `input_shape`: of a grid, all of a cell
        together.

        Computed by the kernels' definitions in NumPy.
        """
        return self._scores_of_pixels(image.tobytes())

    @functools.cached_property
    def _scores_of_pixels(self):
        return functools.cache(self._compute_scores)

    def _compute_scores(self, pixels):
        image = np.frombuffer(pixels, np.uint8).reshape(self.input_shape)
        source, result = self.graph.inputs[0], self.graph.outputs[0]
        scale = self.graph.tensors[source].quantization
        integers = _normalization(self.input_shape[-1]).quantized_images(image, scale)
        return tuple(fused_models.run(self.graph, integers)[result].ravel().tolist())

    def cells(self, image):
        """The scores of a grid, int8 `(rows, columns, answers)`."""
        grid = self.reading.grid
        scores = np.array(self.scores(image), np.int8)
        return scores.reshape(grid.rows, grid.columns, grid.answers)

    def score(self, value):
        """The real value of an int8 score."""
        return (value - _OUTPUT_ZERO_POINT) * self.output_scale

    @property
    def output_scale(self):
        """What a score's step is worth."""
        return float(self.graph.tensors[self.graph.outputs[0]].quantization.scale[0])


def random_images(count, seed=0, channels=3, size=(HEIGHT, WIDTH)):
    """Raw RGB or gray, uint8 `(count, height, width, channels)`."""
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (count, *size, channels)).astype(np.uint8)


@pytest.fixture(scope="session")
def small_model(tmp_path_factory):
    """A `SmallModel`."""
    return _exported(SmallModel(tmp_path_factory.mktemp("small_model"), _graph()))


@pytest.fixture(scope="session")
def gray_model(tmp_path_factory):
    """A `SmallModel` of gray images."""
    return _exported(SmallModel(tmp_path_factory.mktemp("gray_model"), _graph((HEIGHT, WIDTH, 1))))


@pytest.fixture(scope="session")
def classifier_model(tmp_path_factory):
    """A `SmallModel` with the ends of the benchmark's image classification."""
    names = tuple(f"class {index}" for index in range(10))
    graph = _graph((32, 32, 3), len(names), output_scale=0.02)
    return _exported(SmallModel(tmp_path_factory.mktemp("classifier_model"), graph, names))


@pytest.fixture(scope="session")
def person_model(tmp_path_factory):
    """A `SmallModel` with the ends of the benchmark's person detection."""
    names = ("nobody", "person")
    # As many features as a dense layer takes.
    graph = _graph((96, 96, 3), len(names), output_scale=0.02, stride=3, channels=4)
    return _exported(SmallModel(tmp_path_factory.mktemp("person_model"), graph, names))


@pytest.fixture(scope="session")
def grid_models(tmp_path_factory):
    """A function of a task -> a `SmallModel` of a grid."""

    @functools.cache
    def model(task):
        answers = len(CLASS_NAMES) + (task != KEYPOINTS)
        graph = _grid_graph(answers)
        quantization = graph.tensors[graph.outputs[0]].quantization
        reading = GridReading(
            task,
            Grid(HEIGHT // 2, WIDTH // 2, answers, 2, WIDTH, HEIGHT),
            float(quantization.scale[0]),
            int(quantization.zero_point[0]),
            _THRESHOLDS[task],
            most_objects=4,
        )
        folder = tmp_path_factory.mktemp(f"{task}_model")
        return _exported(SmallModel(folder, graph, reading=reading))

    return model


def _normalization(channels):
    return InputNormalization.of(preprocess_input, channels=channels)


def _exported(model):
    *size, channels = model.input_shape
    graph, images = model.graph, random_images(_TEST_VECTORS, 1, channels, size)
    input_quantization = graph.tensors[graph.inputs[0]].quantization
    settings = ModelSettings(
        input_shape=graph.tensors[graph.inputs[0]].shape,
        class_names=model.class_names,
        model=_MODEL,
        ends=f'#include "{LIBRARY}.h"\n',
        raw_to_input=_normalization(channels).tables(input_quantization),
    )
    outputs = np.array([model.scores(image) for image in images], np.int8)
    library = c_library.static_library(graph, LIBRARY, model.identifier)
    task = CLASSIFY if model.reading is None else model.reading.task
    sources = {
        **library,
        **generic_names.library_headers(LIBRARY, library),
        **model_settings(settings, LIBRARY),
        **generic_names.settings_header(LIBRARY),
        **({} if model.reading is None else _recognition_files(model.reading)),
    }
    if model.reading is None:
        labels = np.arange(_TEST_VECTORS) % len(model.class_names)
        vectors = test_vectors(images, outputs, labels, LIBRARY)
    else:
        cells = np.stack([model.cells(image) for image in images])
        vectors = grid_test_vectors(images, cells, model.reading, LIBRARY)
    vectors |= generic_names.test_vectors_header(LIBRARY, task)
    c_arrays.write_files(sources, model.folder / "src")
    c_arrays.write_files(vectors, model.folder / "test")
    return model


def _recognition_files(reading):
    """What an export of a grid has beside its model."""
    constants = grid_constants(LIBRARY, reading)
    name = f"{LIBRARY}_recognition"
    includes = ['"micronet_objects.h"']
    return {
        **recognition_sources(reading.task),
        f"{name}.h": c_arrays.c_header(f"{name}.h", constants.declarations, includes),
        f"{name}.c": c_arrays.c_source(f"{name}.h", constants.definitions),
        **generic_names.recognition_header(LIBRARY, reading.task),
    }


@pytest.fixture(scope="session")
def firmware(small_model, tmp_path_factory):
    """A function of a platform: the program of the small model, built when it is first asked for.

    On this computer it stops at every access outside of its memory, and at undefined behaviour.
    """
    flags = "-fsanitize=address,undefined -fno-sanitize-recover=all"
    names = ("CMAKE_C_FLAGS", "CMAKE_CXX_FLAGS", "CMAKE_EXE_LINKER_FLAGS")

    @functools.cache
    def program(platform):
        return build.build(
            small_model.folder,
            platform,
            build.STATIC,
            tmp_path_factory.mktemp(platform),
            definitions=dict.fromkeys(names, flags)
            if platform == build.HOST
            else build.emulation(platform).definitions,
        )

    return program


def _graph(
    input_shape=(HEIGHT, WIDTH, 3),
    classes=_CLASSES,
    output_scale=0.25,
    stride=2,
    channels=8,
):
    generator = np.random.default_rng(0)
    stem = _stem(generator, input_shape, stride, channels)
    features = int(np.prod(stem.output_shape))
    # Sums of as many terms as there are features: larger images must not saturate all scores.
    factor = 0.0015 * np.sqrt(_FEATURES / features)
    biases, multipliers = _layer(generator, classes, factor)
    dense = Dense(
        bits=8,
        weights=_weights(generator, classes, features),
        biases=biases,
        multipliers=multipliers,
        input_zero_point=_STEM_ZERO_POINT,
        output_zero_point=_OUTPUT_ZERO_POINT,
    )
    graph = _graph_of_images(stem)
    scale = quantization(output_scale, _OUTPUT_ZERO_POINT)
    graph.outputs = [graph.add_tensor("scores", (1, classes), None, scale)]
    _add_operation(graph, "MICRONET_FACTORIZED_STEM_S8", "image", "stem", stem)
    _add_operation(graph, "MICRONET_DENSE_S8", "stem", "scores", dense)
    return graph


def _grid_graph(answers):
    """A stem, and a convolution whose channels are the answers of its cells."""
    generator = np.random.default_rng(0)
    stem = _stem(generator, (HEIGHT, WIDTH, 3), 2, channels=8)
    biases, multipliers = _layer(generator, answers, 0.004)
    head = GroupedPointwiseConv(
        input_shape=stem.output_shape,
        groups=1,
        weights=_weights(generator, answers, 8),
        biases=biases,
        multipliers=multipliers,
        input_zero_point=_STEM_ZERO_POINT,
        output_zero_point=_OUTPUT_ZERO_POINT,
        lowest=-128,
        highest=127,
        output_positions=np.arange(answers, dtype=np.int16),
    )
    graph = _graph_of_images(stem)
    scale = quantization(0.03, _OUTPUT_ZERO_POINT)
    graph.outputs = [graph.add_tensor("scores", (1, *head.output_shape), None, scale)]
    _add_operation(graph, "MICRONET_FACTORIZED_STEM_S8", "image", "stem", stem)
    _add_operation(graph, "MICRONET_GROUPED_POINTWISE_CONV_S8", "stem", "scores", head)
    return graph


def _graph_of_images(stem):
    """A `Graph` with an image and the map of a stem, and no operations yet."""
    graph = Graph()
    scale = quantization(_INPUT_SCALE, _INPUT_ZERO_POINT)
    graph.inputs = [graph.add_tensor("image", (1, *stem.input_shape), None, scale)]
    stem_scale = quantization(0.1, _STEM_ZERO_POINT)
    graph.add_tensor("stem", (1, *stem.output_shape), None, stem_scale)
    return graph


def _add_operation(graph, kind, source, result, integers):
    graph.operations.append(Operation(kind, [source], [result], {"integers": integers}))


def _stem(generator, input_shape, stride, channels):
    middle = 4
    vertical_biases, vertical_multipliers = _layer(generator, middle, 0.004)
    horizontal_biases, horizontal_multipliers = _layer(generator, channels, 0.01)
    return FactorizedStem(
        input_shape=input_shape,
        vertical_weights=_weights(generator, middle, 3, input_shape[-1]),
        vertical_biases=vertical_biases,
        vertical_multipliers=vertical_multipliers,
        vertical_stride=stride,
        middle_zero_point=2,
        horizontal_weights=_weights(generator, channels, 3),
        horizontal_biases=horizontal_biases,
        horizontal_multipliers=horizontal_multipliers,
        horizontal_stride=stride,
        input_zero_point=_INPUT_ZERO_POINT,
        output_zero_point=_STEM_ZERO_POINT,
        output_positions=np.arange(channels, dtype=np.int16),
    )


def _weights(generator, *shape):
    return generator.integers(-127, 128, shape).astype(np.int8)


def _layer(generator, outputs, factor):
    biases = generator.integers(-2000, 2000, outputs).astype(np.int32)
    return biases, np.full(outputs, factor * 2**32, np.int32)
