# SPDX-License-Identifier: Apache-2.0
"""Libraries on this computer: right outputs pass, and whatever is wrong is told."""

import os
import tempfile

import keras
import numpy as np
import pytest

from benchmarks import models
from keras_micronet.layer_chain import INPUT, unroll
from keras_micronet.quantization.plan import plan, range_names
from tests.keras_micronet.quantization import chains
from tests.tflm import fused_models
from tflm.kernels import c_files
from tflm.micro import flatbuffer
from tflm.micro.interpreter import MicroInterpreter
from tflm.passes import builtin_operations, fused_operations, lowering, quantization
from tflm.sources import kernel_sources
from tflm.static import c_library, library_plan
from tflm.static.compiled_library import (
    CompiledLibrary,
    CompiledLibraryError,
    require_equal_outputs,
)
from tflm.toolchains.host_compiler import HostCompilerError
from tflm.verification.verification import VerificationError

pytestmark = pytest.mark.slow


def quantized(model):
    graph = builtin_operations.to_builtin(fused_operations.fuse(lowering.lower(model)))
    ranges = dict.fromkeys(range_names(plan(unroll(model)), INPUT), (-3.0, 5.0))
    return quantization.quantize(graph, ranges, {})


def library_of(graph):
    return CompiledLibrary(c_library.static_library(graph))


def images_and_outputs(graph, count):
    """Random images, and what the kernels' definitions make of them."""
    shape = graph.tensors[graph.inputs[0]].shape[1:]
    images = np.random.default_rng(0).integers(-128, 128, (count, *shape)).astype(np.int8)
    outputs = [fused_models.run(graph, image)[graph.outputs[0]].ravel() for image in images]
    assert len(np.unique(outputs)) > 9  # no constant answers
    return images, np.stack(outputs)


@pytest.fixture(scope="module")
def stem():
    return quantized(chains.stem())


@pytest.fixture(scope="module")
def stem_library(stem):
    return library_of(stem)


@pytest.fixture(scope="module")
def pool():
    """Without a stem, whose rows could come one by one."""
    return quantized(chains.chain((3, 5, 8), keras.layers.GlobalAveragePooling2D()))


def test_both_ways_give_the_definitions_outputs(stem, stem_library):
    images, outputs = images_and_outputs(stem, 5)
    np.testing.assert_array_equal(stem_library.run(images), outputs)
    np.testing.assert_array_equal(stem_library.run_rows(images), outputs)
    require_equal_outputs(stem_library, [(images[:2], outputs[:2]), (images[2:], outputs[2:])])


@pytest.mark.parametrize("variant", models.VARIANTS)
def test_whole_models_give_the_interpreters_bytes(variant):
    """At 224x224 with 1000 classes, both ways: what TensorFlow Lite Micro makes of the model."""
    graph = models.fused_graph(variant, 224)
    interpreter = MicroInterpreter(flatbuffer.serialize(graph), kernel_sources.operators(graph))
    images = np.random.default_rng(0).integers(-128, 128, (2, 224, 224, 3)).astype(np.int8)
    outputs = interpreter.run(images).reshape(2, -1)
    assert np.any(outputs[0] != outputs[1])
    require_equal_outputs(library_of(graph), [(images, outputs)])


def test_library_tells_its_arenas(stem, stem_library):
    memory = library_plan.plan_memory(stem)
    assert stem_library.arena_bytes == memory.arena_bytes
    assert stem_library.rows_arena_bytes == memory.rows_arena_bytes


def test_library_without_a_stem_takes_whole_images(stem, stem_library, pool):
    """Two libraries with the same names do not disturb each other."""
    library = library_of(pool)
    assert library.rows_arena_bytes is None
    for graph, each in ((stem, stem_library), (pool, library)):
        images, outputs = images_and_outputs(graph, 3)
        require_equal_outputs(each, [(images, outputs)])
    with pytest.raises(ValueError, match="must begin with a stem"):
        library.run_rows(images)


def test_different_images_are_counted(stem, stem_library):
    images, outputs = images_and_outputs(stem, 7)
    outputs[2, -1] += 1
    outputs[5] += 1
    parts = [(images[:4], outputs[:4]), (images[4:], outputs[4:])]
    rule = "byte for byte. Received: other outputs for 2 images as a whole, 2 images row by row, "
    with pytest.raises(VerificationError, match=rule + "of 7 images"):
        require_equal_outputs(stem_library, parts)


def test_each_way_counts():
    """A library whose rows alone are wrong, for one image of three."""

    class Library:
        rows_arena_bytes = 16

        def run(self, images):
            return images.reshape(len(images), -1)

        def run_rows(self, images):
            outputs = self.run(images).copy()
            outputs[1, 0] += 1
            return outputs

    images = np.arange(12, dtype=np.int8).reshape(3, 2, 2, 1)
    with pytest.raises(VerificationError, match="0 images as a whole, 1 images row by row, of 3"):
        require_equal_outputs(Library(), [(images, images.reshape(3, 4))])


@pytest.mark.parametrize(
    ("images", "received"),
    [
        (np.zeros((1, 9, 11, 3), np.uint8), "uint8 of shape"),
        (np.zeros((1, 9, 11, 1), np.int8), "int8 of shape .1, 9, 11, 1."),
        (np.zeros((9, 11, 3), np.int8), "int8 of shape .9, 11, 3."),
    ],
)
def test_wrong_images_are_refused(stem_library, images, received):
    for run in (stem_library.run, stem_library.run_rows):
        with pytest.raises(ValueError, match=f"int8 of 297 bytes each. Received: {received}"):
            run(images)


# Libraries that misbehave


def library_that(does):
    """A library, written by hand, of 2 bytes in an arena of 32, whose run `does` something."""
    names = ("micronet_shared.h", "micronet_status.h", "micronet_status_message.c")
    kernels = {f"kernels/{name}": c_files.find(name).read_text("utf-8") for name in names}
    header = """#include <stdint.h>
#include "kernels/micronet_status.h"
#define MICRONET_MODEL_ARENA_BYTES 32
#define MICRONET_MODEL_INPUT_BYTES 2
#define MICRONET_MODEL_OUTPUT_BYTES 2
static const uint32_t micronet_model_identifier = 1;
int32_t micronet_model_arena_size(void);
micronet_status micronet_model_init(void *arena, int32_t arena_bytes);
micronet_status micronet_model_run(void *arena);
static inline int8_t *micronet_model_input(void *arena) { return arena; }
static inline const int8_t *micronet_model_output(const void *arena) { return arena; }
"""
    source = f"""#include "micronet_model.h"
int32_t micronet_model_arena_size(void) {{ return 32; }}
micronet_status micronet_model_init(void *arena, int32_t arena_bytes) {{
  return arena_bytes < 32 || (uintptr_t)arena % 16 ? MICRONET_ARENA_SIZE : MICRONET_OK;
}}
micronet_status micronet_model_run(void *arena) {{
  int8_t *memory = arena;
  {does}
  return MICRONET_OK;
}}
"""
    return {**kernels, "micronet_model.h": header, "micronet_model.c": source}


IMAGE = np.array([[[[3], [4]]]], np.int8)


def test_writing_in_the_arena_is_allowed():
    library = CompiledLibrary(library_that("memory[0] *= 5; memory[31] = 1;"))
    np.testing.assert_array_equal(library.run(IMAGE), [[15, 4]])


@pytest.mark.parametrize("place", [-4096, -1, 32, 32 + 4095])
def test_writing_outside_of_the_arena_is_noticed(place):
    library = CompiledLibrary(library_that(f"memory[{place}] = 0;"))
    with pytest.raises(CompiledLibraryError, match="arena only. Received: 1 changed bytes"):
        library.run(IMAGE)


def test_refusal_is_told_in_the_librarys_words():
    library = CompiledLibrary(library_that("if (memory[0] == 4) return MICRONET_CALL_ORDER;"))
    library.run(IMAGE)
    with pytest.raises(CompiledLibraryError, match="Received for image 1: .*called"):
        library.run(np.concatenate([IMAGE, IMAGE + 1]))


def test_text_that_does_not_compile_is_reported():
    with pytest.raises(HostCompilerError, match="unknown. undeclared"):
        CompiledLibrary(library_that("memory[0] = unknown;"))


def test_function_of_another_library_is_refused():
    """It is called nowhere else, so that firmware could not link it."""
    with pytest.raises(HostCompilerError, match="missing_function"):
        CompiledLibrary(library_that("void missing_function(void); missing_function();"))


def test_missing_compiler_is_named(monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(HostCompilerError, match="gcc must be installed.*apt-get install gcc"):
        CompiledLibrary(library_that(""))


def test_nothing_stays_on_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    CompiledLibrary(library_that("")).run(IMAGE)
    assert list(tmp_path.iterdir()) == []
