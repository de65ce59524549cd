# SPDX-License-Identifier: Apache-2.0
"""The C functions against their definitions, on this computer with sanitizers and on a Cortex-M4;
and how users compile them."""

import dataclasses
import pathlib
import re
import struct
import subprocess

import numpy as np
import pytest

from keras_micronet.grid_answers.tasks import CLASSIFY, DETECT, EVERY_TASK
from tests.tflm.recognition.test_objects import grid_cases
from tests.tflm.recognition.test_scores import COUNTS, SCALES, made_scores
from tflm.kernels.c_files import RUNNER_FOLDER
from tflm.recognition import objects, scores
from tflm.recognition.c_files import SOURCE_FOLDER, include_folders, recognition_sources
from tflm.recognition.constants import recognition_constants
from tflm.recognition.grid_constants import GridReading, grid_constants
from tflm.recognition.objects import Grid
from tflm.recognition.smoothing import Smoothing, SmoothingSettings
from tflm.toolchains import emulator, host_compiler
from tflm.toolchains.emulator import Core

CHECK_PROGRAM = pathlib.Path(__file__).with_name("recognition_check.c")
SOURCES = sorted(SOURCE_FOLDER.glob("*.c"))
FOLDERS = include_folders()
INCLUDES = [f"-I{folder}" for folder in FOLDERS]
END, SCORES, SMOOTHING, OBJECTS, KEYPOINTS, CLASS_MAP = range(6)
WARNINGS = (
    *("-pedantic", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wundef", "-Wcast-align"),
    *("-Wcast-qual", "-Wshadow"),
)
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def score_cases():
    """Triples of scores, k and threshold, with the table for their scale."""
    random = np.random.default_rng(0)
    for scale in SCALES:
        table = scores.exponentials(scale)
        for count in COUNTS:
            for row in made_scores(count, random):
                k = int(random.choice([-1, 0, 1, min(3, count), min(20, count), count + 1]))
                yield row, k, int(random.integers(0, scores.ONE + 1)), table


def smoothing_cases():
    """Pairs of settings and frames, of answers that come, stay and change."""
    random = np.random.default_rng(1)
    for case in range(60):
        threshold = int(random.integers(1, scores.ONE + 1)) if case % 3 else 15_000
        settings = SmoothingSettings(
            weight=int(random.choice([1, 3000, 8000, 16384, scores.ONE])),
            threshold=threshold,
            release=int(random.integers(0, threshold + 1)),
            hold=int(random.choice([0, 1, 4])),
        )
        count = int(random.choice([1, 2, 5, 30]))
        likely = np.repeat(random.integers(0, count, 12), 8)  # of eight frames each
        values = random.normal(0, 15, (len(likely), count))
        values[np.arange(len(likely)), likely] += 60
        values = np.clip(np.round(values), -128, 127).astype(np.int8)
        yield settings, scores.probabilities(values, scores.exponentials(0.1))


def question():
    parts = []
    for row, k, threshold, table in score_cases():
        parts.append(struct.pack("<4i", SCORES, len(row), k, threshold))
        parts += [row.tobytes(), table.astype("<u4").tobytes()]
    for settings, frames in smoothing_cases():
        numbers = (settings.weight, settings.threshold, settings.release, settings.hold)
        parts.append(struct.pack("<7i", SMOOTHING, frames.shape[1], *numbers, len(frames)))
        parts.append(frames.astype("<u2").tobytes())
    parts += map(grid_question, grid_cases())
    return b"".join([*parts, struct.pack("<i", END)])


def grid_question(case):
    cells = struct.pack("<6i", *dataclasses.astuple(case.grid))
    view = struct.pack("<4i", *dataclasses.astuple(case.view))
    thresholds = case.thresholds.astype("<u2").tobytes()
    values = case.cells.tobytes()
    table = scores.exponentials(case.scale).astype("<u4").tobytes()
    joint_table = objects.sigmoids(case.scale, case.zero_point).astype("<u2").tobytes()
    return b"".join(
        (
            *(struct.pack("<i", OBJECTS), cells, view, struct.pack("<i", case.most_objects)),
            *(values, table, thresholds[2:]),
            *(struct.pack("<i", KEYPOINTS), cells, view, values, joint_table, thresholds),
            *(struct.pack("<i", CLASS_MAP), cells, values),
        )
    )


def expected_answer():
    parts = []
    for row, k, threshold, table in score_cases():
        best = scores.top_k(row, k).astype("<i4")
        parts += [struct.pack("<2i", int(row.argmax()), len(best)), best.tobytes()]
        parts.append(scores.probabilities(row, table).astype("<u2").tobytes())
        parts.append(struct.pack("<2i", *map(int, scores.recognize(row, table, threshold))))
    changes = 0
    for settings, frames in smoothing_cases():
        smoothing = Smoothing(settings, frames.shape[1])
        for frame in frames:
            is_new = smoothing.update(frame)
            changes += is_new
            parts.append(struct.pack("<3i", is_new, smoothing.answer, smoothing.probability))
    assert changes > 200
    parts += map(expected_grid_answer, grid_cases())
    return b"".join(parts)


def expected_grid_answer(case):
    classes = objects.class_map(case.cells)
    counts = np.bincount(classes.ravel(), minlength=case.grid.answers).astype("<i4")
    return b"".join(
        (
            *(packed_objects(case.found()), packed_objects(case.found_joints())),
            *(classes.tobytes(), counts.tobytes()),
        )
    )


def packed_objects(found):
    columns = (found.classes, found.x, found.y, found.width, found.height, found.scores)
    return struct.pack("<i", len(found)) + np.stack(columns, axis=-1).astype("<i4").tobytes()


@pytest.mark.parametrize("flags", [("-std=c99",), ("-std=c11", "-funsigned-char", "-O3")])
def test_host_equals_the_definitions(flags, tmp_path):
    folders = [f"-I{folder}" for folder in (*FOLDERS, emulator.EMULATED_FOLDER)]
    files = [CHECK_PROGRAM, RUNNER_FOLDER / "host_stdio.c", *SOURCES]
    host_compiler.build(tmp_path / "check", [*flags, *WARNINGS, *SANITIZERS, *folders, *files])
    finished = subprocess.run([tmp_path / "check"], input=question(), capture_output=True)
    assert finished.returncode == 0, finished.stderr.decode()
    assert finished.stdout == expected_answer()


@pytest.mark.emulator
def test_cortex_m4_equals_the_definitions(tmp_path):
    program = emulator.build(
        Core.CORTEX_M4, [CHECK_PROGRAM, *SOURCES], tmp_path, include_folders=FOLDERS
    )
    assert emulator.run(program, Core.CORTEX_M4, question()) == expected_answer()


@pytest.mark.parametrize("task", EVERY_TASK)
def test_sources_need_nothing_but_each_other(task):
    files = recognition_sources(task)
    assert set(files) > {"micronet_argmax.c", "micronet_scores.h"}
    assert ("micronet_recognize.c" in files) == (task == CLASSIFY)
    assert ("micronet_find_objects.c" in files) == (task != CLASSIFY)
    for text in files.values():
        included = [line.split()[1] for line in text.splitlines() if line.startswith("#include")]
        assert set(included) <= {"<stdint.h>", "<stddef.h>", *(f'"{name}"' for name in files)}
        assert not any(word in text for word in ("malloc", "float ", "double "))


def write_model(folder, name, scale=0.125, threshold=20_000):
    constants = recognition_constants(name, scale, threshold)
    (folder / f"{name}.h").write_text(f"#include <stdint.h>\n\n{constants.declarations}")
    (folder / f"{name}.c").write_text(f'#include "{name}.h"\n\n{constants.definitions}')


@pytest.mark.parametrize("standard", ["c99", "c11", "c++11", "c++14", "c++17", "c++20"])
def test_two_models_in_one_program_of_any_standard(standard, tmp_path):
    """Their tables are those that they were made of."""
    is_cplusplus = "++" in standard
    write_model(tmp_path, "person")
    write_model(tmp_path, "bird_2", scale=0.25, threshold=0)
    main = tmp_path / ("main.cc" if is_cplusplus else "main.c")
    main.write_text("""
#include <stdio.h>

#include "bird_2.h"
#include "micronet_scores.h"
#include "micronet_smoothing.h"
#include "person.h"

int main(void) {
  const int8_t scores[2] = {10, 18}; /* 1 apart, and 2 */
  uint16_t probability = 0;
  printf("%d ", (int)micronet_recognize(scores, 2, person_exponentials, PERSON_THRESHOLD, NULL));
  printf("%d ", (int)micronet_recognize(scores, 2, person_exponentials, 24000u, &probability));
  printf("%d ", (int)probability);
  (void)micronet_recognize(scores, 2, bird_2_exponentials, BIRD_2_THRESHOLD, &probability);
  printf("%d", (int)probability);
  return 0;
}
""")
    objects = []
    for source in (*SOURCES, tmp_path / "person.c", tmp_path / "bird_2.c"):
        # In C++ programs the model's file may be C++ as well.
        is_model = source.parent == tmp_path
        language = ["-x", "c++", f"-std={standard}"] if is_model and is_cplusplus else ["-std=c99"]
        target = tmp_path / f"{source.stem}.o"
        arguments = [*language, *WARNINGS, "-c", *INCLUDES, source]
        host_compiler.build(target, arguments, host_compiler.C_AND_CPLUSPLUS)
        objects.append(target)
    arguments = [f"-std={standard}", *WARNINGS, *INCLUDES, main, *objects]
    arguments.append("-lstdc++" if is_cplusplus else "-lc")
    host_compiler.build(tmp_path / "main", arguments, host_compiler.C_AND_CPLUSPLUS)
    printed = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True)
    # 1 / (1 + exp(-1)) and 1 / (1 + exp(-2)) in Q15: 23955.33 and 28861.96.
    assert printed.stdout == "1 -1 23955 28862"


@pytest.mark.parametrize("name", ["", "2nd", "per son", "pérson", "a-b"])
def test_names_that_are_none_of_c_are_refused(name):
    with pytest.raises(ValueError, match="must be letters, digits and underscores"):
        recognition_constants(name, 0.1, 0)


def test_a_threshold_beyond_one_is_refused():
    with pytest.raises(ValueError, match="from 0 to 32768. Received: threshold=32769"):
        recognition_constants("person", 0.1, scores.ONE + 1)


def test_code_of_the_page_compiles_and_answers(tmp_path):
    page = (pathlib.Path(__file__).parents[3] / "docs" / "recognition.md").read_text()
    blocks = re.findall(r"^```c\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    write_model(tmp_path, "person_model", scale=0.125, threshold=20_000)
    included = '#include "micronet_scores.h"\n#include "person_model.h"\n'
    (tmp_path / "person_model_recognition.h").write_text(included)  # as in an export
    cells = grid_constants(
        "cells_model", GridReading(DETECT, Grid(1, 3, 3, 8, 24, 8), 0.125, 0, (20_000, 20_000), 4)
    )
    included = f'#include "micronet_objects.h"\n{cells.declarations}'
    (tmp_path / "cells_model_recognition.h").write_text(included)
    definitions = f'#include "cells_model_recognition.h"\n{cells.definitions}'
    (tmp_path / "cells_model.c").write_text(definitions)
    sources = [tmp_path / "person_model.c", tmp_path / "cells_model.c"]
    for number, block in enumerate(blocks):
        sources.append(tmp_path / f"block_{number}.c")
        sources[-1].write_text(f"#include <stddef.h>\n{block}")
    sources.append(tmp_path / "main.c")
    sources[-1].write_text("""
#include <stdint.h>
#include <stdio.h>

#include "micronet_objects.h"

int32_t CountOf(const int8_t *scores, int32_t wanted, const micronet_view *view, int32_t *x,
                int32_t *y);
const char *NameOf(const int8_t *scores, int32_t classes, const char *const *names);
void Begin(void);
int32_t TakeScores(const int8_t *scores);

int main(void) {
  static const char *const names[] = {"none", "person"};
  const int8_t clear[] = {-20, 60}, unclear[] = {20, 21};
  printf("%s %d\\n", NameOf(clear, 2, names), NameOf(unclear, 2, names) == NULL);
  Begin();
  for (int frame = 0; frame < 12; ++frame) printf("%d", (int)TakeScores(clear));
  for (int frame = 0; frame < 12; ++frame) printf("%d", (int)TakeScores(unclear));
  const int8_t cells[] = {100, 0, -100, 100, -100, 0, -100, -100, 100};
  const micronet_view view = {40, 0, 240, 80};
  int32_t x = 0, y = 0;
  printf("\\n%d ", (int)CountOf(cells, 0, &view, &x, &y));
  printf("%d ", (int)CountOf(cells, 1, &view, &x, &y));
  printf("%d %d", (int)x, (int)y);
  return 0;
}
""")
    arguments = ["-std=c99", "-Wall", "-Wextra", "-Werror", *INCLUDES]
    host_compiler.build(tmp_path / "main", [*arguments, *sources, *SOURCES])
    finished = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True)
    # The average of 1 reaches 20000 / 32768 at the fourth frame: 1 - 0.75**3 = 0.578, 0.684. From
    # 0.968 it falls towards 0.531, which is above the release, 0.458.
    assert finished.stdout == (
        f"person 1\n000100000000{'0' * 12}\n"
        # One in the last cell, whose centre is 20 of the input's 24 pixels from the left.
        f"0 1 {40 + 20 * 10} {4 * 10}"
    )
