# SPDX-License-Identifier: Apache-2.0
"""A model so small that thousands of its images go over a serial line."""

import dataclasses
import functools
import pathlib
import zlib

import numpy as np
import pytest

from keras_micronet import preprocess_input
from tests.tflm import fused_models
from tests.tflm.hand_made_graphs import quantization
from tflm.firmware import build
from tflm.graph.graph import Graph, Operation
from tflm.kernels.dense import Dense
from tflm.kernels.factorized_stem import FactorizedStem
from tflm.passes.input_normalization import InputNormalization
from tflm.sources import c_arrays, generic_names
from tflm.sources.model_settings import ModelSettings, model_settings
from tflm.sources.test_vectors import test_vectors
from tflm.static import c_library

LIBRARY = "small_model"
HEIGHT, WIDTH = 10, 8
# What percent-encoding has to do with: spaces, its own sign, other letters, signs of C.
CLASS_NAMES = ("plain", "two words", "100%", "a=b,c", "Übergröße", "日本", "'\"\\")
_INPUT_SCALE, _INPUT_ZERO_POINT = 0.019, -5
_OUTPUT_ZERO_POINT = 3
_CLASSES = len(CLASS_NAMES)
_MODEL = b"stands for a flatbuffer, which the static runtime does not need"
_TEST_VECTORS = 3
_FEATURES = 160  # of images of HEIGHT x WIDTH


@dataclasses.dataclass(frozen=True)
class SmallModel:
    """An exported model of two layers with random weights, and what its firmware must answer.

    Every pixel matters for its scores.

    Attributes:
        folder: the export for the static runtime.
        graph: quantized `Graph` of fused kernels.
        class_names: one for each score.
    """

    folder: pathlib.Path
    graph: Graph
    class_names: tuple[str, ...] = CLASS_NAMES

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
        """int8 scores, as a tuple of int, of raw uint8 `input_shape`.

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
    sources = {
        **library,
        **generic_names.library_headers(LIBRARY, library),
        **model_settings(settings, LIBRARY),
        **generic_names.settings_header(LIBRARY),
    }
    vectors = {
        **test_vectors(images, outputs, np.arange(_TEST_VECTORS) % len(model.class_names), LIBRARY),
        **generic_names.test_vectors_header(LIBRARY),
    }
    c_arrays.write_files(sources, model.folder / "src")
    c_arrays.write_files(vectors, model.folder / "test")
    return model


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

    def weights(*shape):
        return generator.integers(-127, 128, shape).astype(np.int8)

    def layer(outputs, factor):
        biases = generator.integers(-2000, 2000, outputs).astype(np.int32)
        return biases, np.full(outputs, factor * 2**32, np.int32)

    middle = 4
    vertical_biases, vertical_multipliers = layer(middle, 0.004)
    horizontal_biases, horizontal_multipliers = layer(channels, 0.01)
    stem = FactorizedStem(
        input_shape=input_shape,
        vertical_weights=weights(middle, 3, input_shape[-1]),
        vertical_biases=vertical_biases,
        vertical_multipliers=vertical_multipliers,
        vertical_stride=stride,
        middle_zero_point=2,
        horizontal_weights=weights(channels, 3),
        horizontal_biases=horizontal_biases,
        horizontal_multipliers=horizontal_multipliers,
        horizontal_stride=stride,
        input_zero_point=_INPUT_ZERO_POINT,
        output_zero_point=-1,
        output_positions=np.arange(channels, dtype=np.int16),
    )
    features = int(np.prod(stem.output_shape))
    # Sums of as many terms as there are features: larger images must not saturate all scores.
    factor = 0.0015 * np.sqrt(_FEATURES / features)
    biases, multipliers = layer(classes, factor)
    dense = Dense(
        bits=8,
        weights=weights(classes, features),
        biases=biases,
        multipliers=multipliers,
        input_zero_point=-1,
        output_zero_point=_OUTPUT_ZERO_POINT,
    )
    graph = Graph()
    scale = quantization(_INPUT_SCALE, _INPUT_ZERO_POINT)
    graph.inputs = [graph.add_tensor("image", (1, *input_shape), None, scale)]
    graph.add_tensor("stem", (1, *stem.output_shape), None, quantization(0.1, -1))
    scale = quantization(output_scale, _OUTPUT_ZERO_POINT)
    graph.outputs = [graph.add_tensor("scores", (1, classes), None, scale)]
    graph.operations = [
        Operation("MICRONET_FACTORIZED_STEM_S8", ["image"], ["stem"], {"integers": stem}),
        Operation("MICRONET_DENSE_S8", ["stem"], ["scores"], {"integers": dense}),
    ]
    return graph
