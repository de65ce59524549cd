# SPDX-License-Identifier: Apache-2.0
"""The self-tests of models of grids: they see another object, class or joint."""

import re
import shutil
import subprocess

import pytest

from keras_micronet.grid_answers.tasks import DETECT, KEYPOINTS, SEGMENT
from tests.tflm.firmware.conftest import LIBRARY
from tflm.sources import c_arrays
from tflm.sources.self_test import self_test
from tflm.toolchains import host_compiler

MAIN = """
#include <stdio.h>

#include "small_model_self_test.h"

static uint64_t arena[(SMALL_MODEL_SELF_TEST_ARENA_BYTES + 16) / 8 + 2];

int main(void) {
  void *aligned = (void *)(((uintptr_t)arena + 15) / 16 * 16);
  printf("%d", (int)small_model_self_test(aligned, SMALL_MODEL_SELF_TEST_ARENA_BYTES));
  return 0;
}
"""
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion", "-Wshadow")
FOUND = {
    DETECT: r"(test_objects\[\d+\] = \{\n\{\d+, \d+, )(\d+)",
    SEGMENT: r"(test_class_maps\[\w+\]\[\d+\] =\n\{\n\{\n)(\d+)",
    KEYPOINTS: r"(test_objects\[\d+\] = \{\n\{\d+, \d+, \d+, )(\d+)",
}


def right_vectors(folder):
    """How many the self-test finds right."""
    sources = [*folder.glob("src/*.c"), *folder.glob("src/kernels/*.c"), *folder.glob("test/*.c")]
    includes = [f"-I{folder / name}" for name in ("src", "test")]
    arguments = ["-std=c99", "-DMICRONET_KEEP_OPTIMIZATION", *WARNINGS, *includes, *sources]
    host_compiler.build(folder / "program", arguments)
    finished = subprocess.run([folder / "program"], capture_output=True, text=True, check=True)
    return int(finished.stdout)


@pytest.mark.parametrize("task", [DETECT, SEGMENT, KEYPOINTS])
def test_what_must_be_found_is_compared(grid_models, tmp_path, task):
    folder = shutil.copytree(grid_models(task).folder, tmp_path / "model")
    c_arrays.write_files(self_test(LIBRARY, task != SEGMENT, task), folder / "test")
    (folder / "test" / "main.c").write_text(MAIN)
    assert right_vectors(folder) == 3
    vectors = folder / "test" / f"{LIBRARY}_test_vectors.c"
    wrong, count = re.subn(
        FOUND[task],
        lambda found: f"{found[1]}{int(found[2]) ^ 1}",
        vectors.read_text(),
        count=1,
    )
    assert count == 1
    vectors.write_text(wrong)
    assert right_vectors(folder) == 2
