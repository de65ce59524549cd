# SPDX-License-Identifier: Apache-2.0
"""Firmware for chips that one can buy: an STM32F405 that QEMU emulates, others compiled and linked.

Also what platforms may choose of processors, and what becomes of faults.
"""

import functools
import re
import shutil
import struct
import subprocess

import numpy as np
import pytest

from tests.tflm.firmware.conftest import random_images
from tests.tflm.firmware.test_application import (
    assert_vectors_are_right,
    heap_symbols,
    refusal,
    smooth_image,
)
from tflm.firmware import build
from tflm.firmware.boards.emulated_board import EmulatedBoard
from tflm.firmware.link.serial_client import DeviceRefused, SerialClient
from tflm.toolchains import emulator

pytestmark = pytest.mark.emulator

CHIP = "stm32f405"
INSTRUCTION_NS = 64  # of the emulator's clock
CHIP_MHZ = 168  # QEMU's clock of the machine
FLASH, SRAM, CCM = 0x08000000, 0x20000000, 0x10000000
SECONDS_OF_SILENCE = 60.0


def platform_folder(name):
    return build.SOURCES_FOLDER / "platforms" / name


@pytest.fixture(scope="module")
def chip(small_model, tmp_path_factory):
    """Function of CMake's definitions: a program for the STM32F405. One folder for all."""
    folder = tmp_path_factory.mktemp(CHIP)

    def program(**definitions):
        emulated = build.emulation(CHIP).definitions
        definitions = {"PROVIDER": "serial", "ARENA_BYTES": "", **emulated, **definitions}
        built = build.build(
            small_model.folder, CHIP, build.STATIC, folder / "build", definitions=definitions
        )
        return shutil.copyfile(built, folder / f"{len(list(folder.iterdir()))}.elf")

    return program


def chip_board(program):
    return EmulatedBoard(program, build.emulation(CHIP).machine)


def read_until(board, pattern):
    """What a board has written when a pattern is matched."""
    text = ""
    while not re.search(pattern, text):
        data = board.read(SECONDS_OF_SILENCE)
        assert data, f"{pattern} must come. Received: {text}"
        text += data.decode("ascii")
    return text


def symbols(program):
    """Addresses by name."""
    command = ["arm-none-eabi-nm", "--demangle", program]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    parts = [line.split(" ", 2) for line in lines if line[0] != " "]
    return {name: int(address, 16) for address, _, name in parts}


def section(program, name):
    """A section's address and bytes."""
    headers = subprocess.run(
        ["arm-none-eabi-readelf", "-SW", program], capture_output=True, text=True, check=True
    ).stdout
    address, offset, size = re.search(
        rf" {re.escape(name)} +PROGBITS +(\w+) (\w+) (\w+)", headers
    ).groups()
    start = int(offset, 16)
    return int(address, 16), open(program, "rb").read()[start : start + int(size, 16)]


# The STM32F405


def test_chip_takes_images_over_its_serial_line(small_model, chip):
    program = chip()
    with chip_board(program) as board:
        client = SerialClient(board)
        assert client.wait_for_start().identifier == small_model.identifier
        for image in random_images(10, seed=3):
            assert client.recognize(image).scores == small_model.scores(image)
        large = client.recognize(smooth_image(40, 31))
        board.reset()
        assert client.wait_for_start().identifier == small_model.identifier
        assert client.recognize(smooth_image(40, 31)).scores == large.scores
    assert heap_symbols(program) == []


def test_chip_computes_the_test_vectors(chip):
    with chip_board(chip(PROVIDER="test_vectors")) as board:
        assert "ok vectors right=3 of=3\n" in read_until(board, r"ok vectors .*\n")


def test_cycles_are_those_of_the_clock(small_model, chip, firmware):
    """The same instructions as on the board that counts them, in ticks of 168 MHz."""
    image = random_images(1)[0]
    with EmulatedBoard(firmware("mps2-an386"), "mps2-an386") as board:
        client = SerialClient(board)
        client.wait_for_start()
        instructions = client.recognize(image).cycles
    with chip_board(chip()) as board:
        client = SerialClient(board)
        client.wait_for_start()
        ticks = client.recognize(image).cycles
    # Both have instructions of their own for reading their counters.
    assert ticks == pytest.approx(instructions * INSTRUCTION_NS * CHIP_MHZ / 1000, rel=0.02)


PROVIDER = """
#include "image_provider.h"
#include "platform.h"
#include "text_output.h"

namespace micronet {
FramePart NextFramePart() { BODY }
void AnswerFramePart() {}
void AnswerLastRow(const Recognition &) {}
}  // namespace micronet
"""


def provider_folder(folder, body):
    folder.mkdir()
    (folder / "provider.cc").write_text(PROVIDER.replace("BODY", body))
    return {"PROVIDER": str(folder)}


def test_cycle_counter_passes_24_bits(chip, tmp_path):
    """Rounds of the same length, several wraps of the timer in all, none in step with it."""
    body = """
  for (int round = 0; round < 40; ++round) {
    const uint64_t before = PlatformCycles();
    for (volatile int turn = 0; turn < 60000; turn = turn + 1) {
    }
    WriteTextWithNumbers("round # #", {static_cast<int64_t>(before),
                                       static_cast<int64_t>(PlatformCycles() - before)});
    EndLine();
  }
  WriteText("end");
  EndLine();
  PlatformExit(0);
"""
    with chip_board(chip(**provider_folder(tmp_path / "rounds", body))) as board:
        text = read_until(board, "end\n")
    rounds = [tuple(map(int, pair)) for pair in re.findall(r"round (\d+) (\d+)", text)]
    starts, lengths = np.array(rounds).T
    assert len(rounds) == 40
    assert starts[-1] - starts[0] > 5 * 2**24
    assert (np.diff(starts) > lengths[:-1]).all()
    assert np.ptp(lengths) < 500  # the timer's own handler and rounding, of three million


@pytest.mark.parametrize(
    "body, status",
    [
        ("return {FramePart::Kind::kNothing, *(volatile int *)0x60000000, 0, nullptr};", "8200"),
        ('__asm__ volatile("udf 1"); return {};', "10000"),
    ],
    ids=["bad address", "bad instruction"],
)
def test_faults_are_reported(chip, tmp_path, body, status):
    program = chip(**provider_folder(tmp_path / "faulty", body))
    with chip_board(program) as board:
        text = read_until(board, r"error fault .*\n")
    exception, pc, cfsr, address = re.search(
        r"error fault exception=(\d+) pc=(\w+) lr=\w+ cfsr=(\w+) address=(\w+)\n", text
    ).groups()
    assert exception == "3" and int(cfsr, 16) == int(status, 16)
    assert status != "8200" or address == "60000000"
    function = subprocess.run(
        [emulator.ADDRESS_TO_LINE, "-f", "-C", "-e", program, pc], capture_output=True, text=True
    ).stdout
    assert "NextFramePart" in function or "main" in function
    with chip_board(program) as board:
        client = SerialClient(board)
        client.wait_for_start()
        with pytest.raises(DeviceRefused, match="fault: exception=3"):
            client.recognize(random_images(1)[0])


def test_arena_lies_in_the_first_memory_that_holds_it(small_model, chip):
    """Linked as for the chip; QEMU 7.2 has no CCM."""
    arena = "micronet::(anonymous namespace)::arena"
    small = chip(PLATFORM_ARENA_SECTION=".micronet_arena")
    assert symbols(small)[arena] == CCM
    large = chip(PLATFORM_ARENA_SECTION=".micronet_arena", ARENA_BYTES="80000")
    assert SRAM < symbols(large)[arena] < SRAM + 128 * 1024 - 80000
    with pytest.raises(emulator.BuildError, match="(?s)arena|region"):
        chip(PLATFORM_ARENA_SECTION=".micronet_arena", ARENA_BYTES="130000")


CLOCK_CHECK = """
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "cortex_m.h"
#include "platform.h"

#define AT(address) (*(uint32_t *)(uintptr_t)(address))

/* What is not there when the program starts does not come. */
int WaitForBits(const volatile uint32_t *address, uint32_t mask) {
  return (*address & mask) == mask;
}

void FaultHandler(void) {}

/* Prints some registers and the clock after the start, if RCC_CR has been `argv[1]` before. */
int main(int argc, char **argv) {
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
  void *const base = (void *)0x40000000;
  if (argc != 2) return 1;
  if (mmap(base, 0x30000, PROT_READ | PROT_WRITE, flags, -1, 0) != base) return 2;
  AT(0x40023800) = (uint32_t)strtoul(argv[1], NULL, 0);
  BoardStart();
  for (const uint32_t *address = (const uint32_t[]){0x40023804, 0x40023808, 0x40023C00, 0x40011008,
                                                    0x40020000, 0x40020024, 0};
       *address != 0; ++address) {
    printf("%08x\\n", (unsigned)AT(*address));
  }
  printf("%08x\\n", (unsigned)PlatformCyclesPerSecond());
  return 0;
}
"""


@pytest.fixture(scope="module")
def registers_after_start(tmp_path_factory):
    """Function of RCC_CR: registers of the chip, which lie in this computer's memory.

    Also the clock that it counts by. The line has 115,200 bits a second, or as many as are named.
    """
    folder = tmp_path_factory.mktemp("clocks")
    (folder / "check.c").write_text(CLOCK_CHECK)
    includes = [f"-I{build.SOURCES_FOLDER / name}" for name in ("cortex_m", "platforms")]

    @functools.cache
    def program(bits_per_second):
        # This computer has no `wfi`: `__asm__ volatile(...)` becomes nothing.
        chip_flags = ["-D__asm__=", "-Dvolatile(text)=", "-c"]
        chip_flags += [f"-DMICRONET_BITS_PER_SECOND={bits_per_second}"]
        chip_flags += [platform_folder(CHIP) / "stm32f405.c"]
        check_flags = ["-D_GNU_SOURCE", folder / "check.c", folder / "chip.o"]
        check = f"check{bits_per_second}"
        for flags, target in ((chip_flags, "chip.o"), (check_flags, check)):
            subprocess.run(["gcc", "-w", *includes, *flags, "-o", folder / target], check=True)
        return folder / check

    def registers(control, bits_per_second=115_200):
        command = [program(bits_per_second), hex(control)]
        finished = subprocess.run(command, capture_output=True, text=True, check=True)
        names = ("PLLCFGR", "CFGR", "ACR", "BRR", "MODER", "AFRH", "hertz")
        return dict(zip(names, (int(line, 16) for line in finished.stdout.split()), strict=True))

    return registers


CRYSTAL_READY, PLL_READY = 1 << 17, 1 << 25


def pll_megahertz(configuration, megahertz):
    """RM0090, 7.3.2: f(HSE or HSI) * PLLN / PLLM / PLLP."""
    divider, factor = configuration & 0x3F, configuration >> 6 & 0x1FF
    return megahertz * factor / divider / (2 * (configuration >> 16 & 3) + 2)


def test_clocks_are_those_of_the_reference_manual(registers_after_start):
    registers = registers_after_start(CRYSTAL_READY | PLL_READY)
    assert pll_megahertz(registers["PLLCFGR"], 8) == 168
    assert registers["PLLCFGR"] >> 22 & 1 == 1  # from the crystal
    assert 8 / (registers["PLLCFGR"] & 0x3F) in (1, 2)  # MHz that the PLL compares
    assert registers["PLLCFGR"] >> 24 == 7  # 336 MHz / 7 for USB
    assert registers["CFGR"] & 3 == 2  # the PLL is the system's clock
    assert registers["CFGR"] >> 10 & 7 == 0b101  # APB1: at most 42 MHz
    assert registers["CFGR"] >> 13 & 7 == 0b100  # APB2: at most 84 MHz
    assert registers["ACR"] == 5 | 7 << 8  # wait states; prefetch, both caches
    assert 84e6 / registers["BRR"] == pytest.approx(115_200, rel=0.002)
    assert registers["MODER"] >> 18 & 15 == 0b1010  # PA9, PA10: alternate function
    assert registers["AFRH"] >> 4 & 0xFF == 0x77  # of which 7 is USART1
    assert registers["hertz"] == 168_000_000


def test_line_may_be_slow(registers_after_start):
    registers = registers_after_start(CRYSTAL_READY | PLL_READY, 9600)
    assert 84e6 / registers["BRR"] == pytest.approx(9600, rel=0.002)


def test_clocks_without_a_crystal(registers_after_start):
    registers = registers_after_start(PLL_READY)
    assert pll_megahertz(registers["PLLCFGR"], 16) == 168
    assert registers["PLLCFGR"] >> 22 & 1 == 0
    assert registers["CFGR"] & 3 == 2
    assert 84e6 / registers["BRR"] == pytest.approx(115_200, rel=0.002)


@pytest.mark.parametrize("control", [0, CRYSTAL_READY])
def test_clocks_without_a_pll(registers_after_start, control):
    """As in QEMU: the oscillator within the chip, 16 MHz."""
    registers = registers_after_start(control)
    assert registers["CFGR"] == 0
    assert 16e6 / registers["BRR"] == pytest.approx(115_200, rel=0.002)
    assert registers["hertz"] == 16_000_000


# Chips that nothing here emulates


@pytest.fixture(scope="module")
def compiled(small_model, tmp_path_factory):
    """Function of a platform: its program, with an arena that is large for a chip."""

    def program(platform, arena_bytes=""):
        return build.build(
            small_model.folder,
            platform,
            build.STATIC,
            tmp_path_factory.mktemp("compiled"),
            definitions={"ARENA_BYTES": arena_bytes},
        )

    return program


CHIPS = {  # where the flash begins, how many interrupts, size of an arena, where it must lie
    "nrf52840": (0x00000000, 48, 200_000, (0x20000000, 0x20040000)),
    "rp2350": (0x10000000, 52, 400_000, (0x20000000, 0x20080000)),
    "stm32h743": (0x08000000, 150, 300_000, (0x24000000, 0x24080000)),
}


@pytest.mark.parametrize("platform", CHIPS)
def test_chip_is_compiled(compiled, platform):
    flash, interrupts, arena_bytes, (start, end) = CHIPS[platform]
    program = compiled(platform, str(arena_bytes))
    address, data = section(program, ".vectors")
    stack, reset, *handlers = struct.unpack_from(f"<{16 + interrupts}I", data)
    names = symbols(program)
    assert address == flash
    assert stack == names["linker_stack_end"] and names["linker_stack_start"] == 0x20000000
    assert all(handler & 1 and flash < handler < flash + 2**20 for handler in (reset, *handlers))
    arena = names["micronet::(anonymous namespace)::arena"]
    assert start <= arena and arena + arena_bytes <= end
    assert heap_symbols(program) == []
    assert build.emulation(platform) is None
    if platform == "rp2350":
        # Datasheet, 5.9.5.1: the least that makes a program bootable, in the first 4 KB.
        block = "d3deffff 42012110 ff010000 00000000 793512ab"
        assert bytes.fromhex(block) in data and len(data) < 4096


def test_small_arena_lies_in_tightly_coupled_memory(compiled):
    program = compiled("stm32h743")
    arena = symbols(program)["micronet::(anonymous namespace)::arena"]
    assert 0x20000000 < arena < 0x20020000


# Processors without a floating-point unit


def own_platform(folder, original, replacements):
    """A changed copy of a platform, outside of the repository."""
    shutil.copytree(platform_folder(original), folder)
    text = (folder / "platform.cmake").read_text()
    for old, new in replacements.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "platform.cmake").write_text(text)
    return folder


def test_processor_without_floating_point_unit_computes_the_test_vectors(small_model, tmp_path):
    """A Cortex-M3 in QEMU."""
    board = own_platform(
        tmp_path / "an385",
        "mps2-an386",
        {
            "QEMU_MACHINE mps2-an386": "QEMU_MACHINE mps2-an385",
            "cortex-m4": "cortex-m3)\nset(PLATFORM_FLOAT_ABI soft",
        },
    )
    program = build.build(
        small_model.folder,
        board,
        build.STATIC,
        tmp_path / "build",
        definitions={"PROVIDER": "test_vectors"},
    )
    # Not by the board's class: the program ends, and what it wrote last may go with QEMU.
    assert_vectors_are_right(program, build.emulation(board).machine)


def test_smallest_processor_compiles(small_model, tmp_path):
    """Cortex-M0+, with what chips share: start-up, faults, cycles."""
    replacements = {"cortex-m4": "cortex-m0plus)\nset(PLATFORM_FLOAT_ABI soft"}
    board = own_platform(tmp_path / "m0", "nrf52840", replacements)
    program = build.build(small_model.folder, board, build.STATIC, tmp_path / "build")
    attributes = subprocess.run(
        ["arm-none-eabi-readelf", "-A", program], capture_output=True, text=True, check=True
    ).stdout
    assert "v6S-M" in attributes and "Tag_ABI_VFP_args" not in attributes


@pytest.mark.parametrize("abi", ["softfp", "soft"])
def test_floats_are_passed_as_the_command_says(small_model, tmp_path, abi):
    """Only configured: the compiler's flags are what CMake has written down."""
    folder = tmp_path / "build"
    definitions = {
        "MODEL": small_model.folder,
        "PLATFORM": CHIP,
        "RUNTIME": build.STATIC,
        "PLATFORM_FLOAT_ABI": abi,
    }
    command = ["cmake", "-S", build.SOURCES_FOLDER, "-B", folder]
    command += [f"-D{name}={value}" for name, value in definitions.items()]
    subprocess.run(command, check=True, capture_output=True)
    assert f"-mfloat-abi={abi}" in (folder / "CMakeCache.txt").read_text()


@pytest.mark.parametrize(
    "replacements, message",
    [
        (
            {"cortex-m4": "cortex-m3"},
            "must be soft for cortex-m3, which has no floating-point unit: .* Received: 'hard'",
        ),
        (
            {"cortex-m4": "cortex-m4)\nset(PLATFORM_FLOAT_ABI fast"},
            "must be soft, softfp or hard. Received: 'fast'",
        ),
    ],
)
def test_impossible_floats_are_refused(small_model, tmp_path, replacements, message):
    board = own_platform(tmp_path / "own", "mps2-an386", replacements)
    text = refusal(tmp_path, {"MODEL": small_model.folder, "PLATFORM": board})
    assert re.search(f"PLATFORM_FLOAT_ABI {message}", text)
