# SPDX-License-Identifier: Apache-2.0
"""Whole models keep what they take of a processor: counts are exact, so they can be compared."""

import dataclasses

import numpy as np
import pytest

from benchmarks import models
from benchmarks.models import Measured, Run
from tflm.cycles import memory_profiles
from tflm.static import library_plan
from tflm.toolchains.emulator import Core

pytestmark = pytest.mark.emulator

CASE = ("M0", 224, Core.CORTEX_M4)
# Of alignment to 16 bytes, and of the sizes of each operation.
MOST_BESIDE_CONSTANTS = 1.01


@pytest.fixture(scope="module")
def stored():
    return models.stored()


@pytest.fixture(scope="module")
def graph():
    return models.fused_graph(*CASE[:2])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def fresh(graph, folder):
    """What the case takes now."""
    (measured,) = models.measure(graph, "model", [CASE[2]], folder).values()
    return measured


def test_everything_is_stored(stored):
    cases = [(v, s, core) for core in models.CORES for s in models.SIZES for v in models.VARIANTS]
    assert set(stored) == set(cases)
    assert models.TABLE.read_text() == models.table(stored)


@pytest.mark.parametrize("bar", models.BARS, ids=lambda bar: bar.figure)
def test_model_is_within_its_bars(bar, stored, fresh):
    assert bar.of(stored[CASE]) <= bar.most
    assert bar.of(fresh) <= bar.most


@pytest.mark.parametrize(
    "variant, size, most", [("M0", 224, 11.6e6), ("M2", 96, 12.0e6), ("M3", 96, 17.5e6)]
)
def test_cycles_are_within_their_bars(variant, size, most, stored):
    """What the project allows itself on an STM32L4R5."""
    assert stored[variant, size, Core.CORTEX_M4].cycles["stm32l4r5"] <= most


def test_model_takes_no_more_than_before(stored, fresh):
    for way in ("image", "rows"):
        before, now = (dataclasses.asdict(getattr(each, way)) for each in (stored[CASE], fresh))
        for figure, value in now.items():
            assert value <= before[figure] * models.MOST_GROWTH, (way, figure)
    assert fresh.code_bytes <= stored[CASE].code_bytes * models.MOST_GROWTH
    assert fresh.weight_bytes <= stored[CASE].weight_bytes * models.MOST_GROWTH
    assert fresh.cycles.keys() == stored[CASE].cycles.keys() == memory_profiles.profiles().keys()
    for chip, cycles in fresh.cycles.items():
        assert cycles <= stored[CASE].cycles[chip] * models.MOST_GROWTH, chip


def test_figures_are_those_of_the_graph(graph, fresh):
    """Arenas are as planned; the weights of the flash are the operations' constants."""
    plan = library_plan.plan_memory(graph)
    assert fresh.image.arena_bytes == plan.arena_bytes
    assert fresh.rows.arena_bytes == plan.rows_arena_bytes
    packed = [operation.options["integers"].packed() for operation in graph.operations]
    constants = sum(constant.nbytes for each in packed for constant in each.constants)
    assert constants < fresh.weight_bytes < constants * MOST_BESIDE_CONSTANTS


def test_wrong_output_is_noticed(graph, fresh, folder, monkeypatch):
    right = models.reference_output

    def with_one_other_byte(*arguments):
        output = right(*arguments)
        output[-1] ^= 1
        return output

    monkeypatch.setattr(models, "reference_output", with_one_other_byte)
    with pytest.raises(models.MeasurementError, match="Received: 1 other bytes of 1000 on CORTEX"):
        models.measure(graph, "model", [CASE[2]], folder)


def test_output_must_say_something(graph, folder, monkeypatch):
    monkeypatch.setattr(models, "reference_output", lambda *_: np.zeros(1000, np.int8))
    with pytest.raises(models.MeasurementError, match="must differ"):
        models.measure(graph, "model", [CASE[2]], folder)


# A library whose figures are known: it copies its image of 2 rows of 3 bytes to its output.
FAKE_HEADER = """#include <stdint.h>
#define FAKE_INPUT_HEIGHT 2
#define FAKE_INPUT_BYTES 6
#define FAKE_OUTPUT_BYTES 6
#define FAKE_ARENA_BYTES 96
typedef enum { MICRONET_OK } micronet_status;
const char *micronet_status_message(micronet_status status);
extern const uint32_t fake_identifier;
int32_t fake_arena_size(void);
int32_t fake_rows_arena_size(void);
micronet_status fake_init(void *arena, int32_t arena_bytes);
micronet_status fake_run(void *arena);
micronet_status fake_rows_init(void *arena, int32_t arena_bytes);
micronet_status fake_rows_begin(void *arena);
micronet_status fake_rows_push(void *arena, const int8_t *row);
micronet_status fake_rows_run(void *arena);
static inline int8_t *fake_input(void *arena) { return arena; }
static inline const int8_t *fake_output(const void *arena) { return arena; }
static inline const int8_t *fake_rows_output(const void *arena) { return arena; }
"""
# Its whole image takes 1000 bytes of the stack and its second row 2000, all of which it writes.
FAKE_SOURCE = """#include "fake_rows.h"
static const uint8_t operation_0_weights[1234] = {1, 2, 3};
const uint32_t fake_identifier = 5;
const char *micronet_status_message(micronet_status status) { (void)status; return "text"; }
int32_t fake_arena_size(void) { return FAKE_ARENA_BYTES; }
int32_t fake_rows_arena_size(void) { return 32; }
micronet_status fake_init(void *arena, int32_t bytes) {
  (void)arena, (void)bytes;
  return MICRONET_OK;
}
micronet_status fake_rows_init(void *arena, int32_t bytes) { return fake_init(arena, bytes); }
static void fill(volatile uint8_t *block, int32_t size) {
  for (int32_t i = 0; i < size; ++i) block[i] = operation_0_weights[i % 7];
}
micronet_status fake_run(void *arena) {
  volatile uint8_t block[1000];
  (void)arena;
  fill(block, sizeof(block));
  return MICRONET_OK;
}
micronet_status fake_rows_begin(void *arena) {
  ((int8_t *)arena)[6] = 0;
  VARIABLE
  return MICRONET_OK;
}
__attribute__((noinline)) static void push_second(void) {
  volatile uint8_t block[2000];
  fill(block, sizeof(block));
}
micronet_status fake_rows_push(void *arena, const int8_t *row) {
  int8_t *bytes = arena;
  for (int i = 0; i < 3; ++i) bytes[bytes[6] + i] = row[i];
  if (bytes[6] == 3) push_second();
  bytes[6] += 3;
  return MICRONET_OK;
}
micronet_status fake_rows_run(void *arena) {
  (void)arena;
  return MICRONET_OK;
}
"""


def fake_library(folder, variable=""):
    """Its C files."""
    (folder / "fake_rows.h").write_text(FAKE_HEADER)
    source = folder / "fake.c"
    source.write_text(FAKE_SOURCE.replace("VARIABLE", variable))
    return [source]


@pytest.mark.parametrize("core", models.CORES, ids=lambda core: core.name)
def test_known_figures(core, tmp_path):
    """Blocks on the stack, with no more than a few registers; flash to the byte."""
    sources = fake_library(tmp_path)
    image = np.arange(6, dtype=np.int8)
    image_run, rows_run = models.run_library(core, tmp_path, sources, "fake", image, image)
    assert (image_run.arena_bytes, rows_run.arena_bytes) == (96, 32)
    assert 1000 <= image_run.stack_bytes <= 1100
    assert 2000 <= rows_run.stack_bytes <= 2100
    assert 3000 <= image_run.instructions <= 20_000 < 2 * rows_run.instructions
    code, weights = models.flash_bytes(core, tmp_path, sources, "fake")
    assert weights == 1234
    assert 100 <= code <= 600


def test_variables_are_refused(tmp_path):
    variable = "static int32_t images; ((int8_t *)arena)[7] = (int8_t)++images;"
    sources = fake_library(tmp_path, variable)
    core, image = Core.CORTEX_M4, np.zeros(6, np.int8)
    models.run_library(core, tmp_path, sources, "fake", image, image)
    with pytest.raises(models.MeasurementError, match="no variables. Received: 4 bytes in fake"):
        models.flash_bytes(core, tmp_path, sources, "fake")


# Text


def made_up(instructions, ram, cycles=None):
    runs = Run(instructions, ram, 300), Run(instructions + 7, ram // 2, 200)
    return Measured(3_448_880, *runs, 25_000, 1_000_000, cycles or {})


def test_tables_have_every_figure():
    cycles = dict.fromkeys(memory_profiles.profiles(), 12_000_000)
    measured = {
        (variant, 224, core): made_up(instructions, 150_000, cycles if has_cycles else None)
        for variant in models.VARIANTS
        for core, instructions, has_cycles in (
            (Core.CORTEX_M4, 8_000_000, True),
            (Core.CORTEX_M55, 4_000_000, False),
        )
    }
    lines = models.table(measured).splitlines()
    row = "| M0 | 224 | 3,448,880 | 8,000,000 | 150,000 + 300 | 8,000,007 | 75,000 + 200 | 25,000 |"
    assert lines.index("## Cortex-M4") < lines.index(f"{row} 1,000,000 |")
    assert "| arena bytes, whole image | 205,000 | 150,000 |" in lines
    beside = "| **MicroNet M3** | this library | 3.4M | 62.5 | 8.0M instructions, about 100 ms"
    assert f"{beside} (M55: 4.0M) | 150,300 or 75,200 | 1,025,000 |" in lines
    assert any(line.startswith("| M0 | 224 | 8,000,000 | 12,000,000: 120 ms |") for line in lines)


def test_tables_of_a_part_have_no_more():
    text = models.table({("M1", 96, Core.CORTEX_M7): made_up(1000, 100)})
    assert "## Cortex-M7" in text
    assert "## Bars" not in text and "## Beside" not in text


def test_figures_can_be_read_again(tmp_path):
    measured = {("M1", 96, Core.CORTEX_M7): made_up(1000, 100)}
    (tmp_path / "figures.json").write_text(models.figures_text(measured))
    assert models.stored(tmp_path / "figures.json") == measured


def test_a_part_is_not_stored(capsys):
    with pytest.raises(SystemExit):
        models.main(["--variants", "M0", "--write"])
    assert "--write needs all" in capsys.readouterr().err
