# SPDX-License-Identifier: Apache-2.0
"""The emulator: exact bytes, readable failures, programs built when they have to be."""

import os
import random
import struct

import pytest

from tflm.toolchains import emulator

pytestmark = pytest.mark.emulator

CORES = list(emulator.Core)


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def run_code(tmp_path, cache_folder):
    def build_and_run(core, code, data=b"", timeout=30.0, **build_arguments):
        source = tmp_path / "program.c"
        source.write_text('#include "host.h"\n#include "instruction_counter.h"\n' + code)
        program = emulator.build(core, [source], cache_folder, **build_arguments)
        return emulator.run(program, core, data, timeout)

    return build_and_run


ECHO = """
static uint8_t bytes[8 << 20] __attribute__((section(".bulk")));
int main(void) {
  const size_t size = host_input_size();
  host_read(bytes, size);
  for (size_t i = 0; i < size; ++i) bytes[i] ^= 0x5A;
  host_write(bytes, size / 2);
  host_write(bytes + size / 2, size - size / 2);
  return 0;
}
"""


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("size", [0, 3, 100_000])
def test_every_byte_comes_back(run_code, core, size):
    data = random.Random(size).randbytes(size)
    assert run_code(core, ECHO, data) == bytes(value ^ 0x5A for value in data)


def test_bytes_that_text_modes_change_come_back(run_code):
    data = bytes(range(256)) + b"\r\n\n\r\x1a\x00\x04" * 9
    assert run_code(emulator.Core.CORTEX_M4, ECHO, data) == bytes(v ^ 0x5A for v in data)


def test_reading_past_the_input_is_an_error(run_code):
    code = "int main(void) { uint8_t bytes[4]; host_read(bytes, 4); return 0; }"
    with pytest.raises(emulator.ProgramFailed, match="asked for more input than there is"):
        run_code(emulator.Core.CORTEX_M4, code, b"abc")


@pytest.mark.parametrize("core", CORES)
def test_variables_start_with_their_values(run_code, core):
    code = """
    static uint32_t given[3] = {1, 2, 0xFFFFFFFF};
    static uint32_t cleared[5];
    static volatile float factor = 2.5f;
    int main(void) {
      const float product = factor * 3.0f;
      host_write(given, sizeof(given));
      host_write(cleared, sizeof(cleared));
      host_write(&product, sizeof(product));
      given[0] = cleared[0] = 7;
      return 0;
    }
    """
    expected = struct.pack("<8If", 1, 2, 0xFFFFFFFF, 0, 0, 0, 0, 0, 7.5)
    assert run_code(core, code) == expected


@pytest.mark.parametrize("core", CORES)
def test_exit_status_and_messages_are_reported(run_code, core):
    code = 'int main(void) { host_print("no memory for x"); return 3; }'
    with pytest.raises(emulator.ProgramFailed, match="(?s)exit status 3.*no memory for x"):
        run_code(core, code)


def test_status_that_the_host_cannot_hold_is_not_success(run_code):
    with pytest.raises(emulator.ProgramFailed, match="exit status 255"):
        run_code(emulator.Core.CORTEX_M4, "int main(void) { return 256; }")


FAULTS = {
    "data access without permission": "*(volatile int *)0x1F000004u = 1;",
    "undefined instruction": '__asm__ volatile("udf #0");',
    "without the Thumb bit": "((void (*)(void))((uintptr_t)host_exit & ~1u))();",
    "stack overflow": "volatile int big[99]; big[0] = depth; crash(big[0] + 1); big[1] = big[0];",
}


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("cause", FAULTS)
def test_faults_name_their_cause(run_code, core, cause):
    code = f"""
    #pragma GCC diagnostic ignored "-Winfinite-recursion"
    __attribute__((noinline)) void crash(int depth) {{ (void)depth; {FAULTS[cause]} }}
    int main(void) {{ crash(0); return 0; }}
    """
    with pytest.raises(emulator.ProgramFault) as error:
        run_code(core, code)
    assert cause in str(error.value)
    if cause in ("data access without permission", "undefined instruction"):
        assert "at crash (program.c:" in str(error.value)


WRONG_ACCESSES = {
    "null pointer": "return *(volatile int *)(uintptr_t)host_input_size();",
    "write to a constant": "*(volatile int *)(uintptr_t)&constant = 2;",
    "read between memories": "return *(volatile int *)0x20F00000u;",
}


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("access", WRONG_ACCESSES)
def test_wrong_accesses_are_faults(run_code, core, access):
    code = f"""
    const int constant = 1;
    int main(void) {{ {WRONG_ACCESSES[access]} return constant; }}
    """
    with pytest.raises(emulator.ProgramFault, match="data access without permission"):
        run_code(core, code)


def test_endless_program_is_stopped(run_code):
    code = 'int main(void) { host_print("waiting"); for (;;) __asm__ volatile(""); }'
    with pytest.raises(emulator.ProgramTimeout, match="did not end in 1 s"):
        run_code(emulator.Core.CORTEX_M4, code, timeout=1)


def test_warnings_are_errors(run_code):
    with pytest.raises(emulator.BuildError, match="unused variable"):
        run_code(emulator.Core.CORTEX_M4, "int main(void) { int unused; return 0; }")


def test_missing_tool_names_its_package(run_code, monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(emulator.ToolMissingError, match="apt-get install gcc-arm-none-eabi"):
        run_code(emulator.Core.CORTEX_M4, "int main(void) { return 0; }")


def test_changed_header_and_define_are_built_again(run_code, tmp_path):
    code = """
    #include "value.h"
    int main(void) { int v[] = {VALUE, SCALE}; host_write(v, sizeof(v)); return 0; }
    """
    results = []
    for value, scale in [(1, 5), (2, 5), (2, 6), (1, 5)]:
        (tmp_path / "value.h").write_text(f"#define VALUE {value}\n")
        output = run_code(
            emulator.Core.CORTEX_M4, code, include_folders=[tmp_path], defines={"SCALE": scale}
        )
        results.append(struct.unpack("<2i", output))
    assert results == [(1, 5), (2, 5), (2, 6), (1, 5)]


def test_unchanged_program_is_not_built_again(tmp_path):
    source = tmp_path / "program.c"
    source.write_text("int main(void) { return 0; }")
    first = emulator.build(emulator.Core.CORTEX_M7, [source], tmp_path / "cache")
    time_of_first = first.stat().st_mtime_ns
    second = emulator.build(emulator.Core.CORTEX_M7, [source], tmp_path / "cache")
    assert (second, second.stat().st_mtime_ns) == (first, time_of_first)


@pytest.mark.parametrize("core", CORES)
def test_paths_with_blanks_and_commas(core, tmp_path):
    folder = tmp_path / "a folder, with=signs"
    folder.mkdir()
    (folder / "my program.c").write_text("int main(void) { return 0; }")
    program = emulator.build(core, [folder / "my program.c"], folder / "cache")
    assert emulator.run(program, core) == b""
