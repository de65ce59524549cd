# SPDX-License-Identifier: Apache-2.0
"""Mutations of valid operands: `bind` refuses them or the kernel keeps within its memory."""

import struct
import subprocess

import numpy as np
import pytest

from tests.tflm.kernels.sample_operations import OPERATORS, sample
from tflm.kernels import c_files, kernel_runner
from tflm.kernels.c_files import FUZZ_FOLDER
from tflm.kernels.registry import FORMS

pytestmark = pytest.mark.slow

SAMPLES = 40
MUTATIONS = 150  # of each sample
FLAGS = ("-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-fno-sanitize-recover=all")
VARIANTS = {
    "portable": ("-g", "-fsanitize=address,undefined"),
    # The kernels for processors with DSP instructions, which are emulated on the host. One of them
    # keeps addresses in 32 bits. All checks of undefined behaviour would take long to compile.
    "dsp": (
        "-fsanitize=address,alignment",
        "-include",
        FUZZ_FOLDER / "emulated_processor.h",
        "-no-pie",
        "-Wno-int-to-pointer-cast",
    ),
}


def compiled(folder, variant):
    """The fuzz program with all kernels."""
    sources = [FUZZ_FOLDER / "fuzz_operands.c", FUZZ_FOLDER / "standalone_main.c"]
    for operator in (*OPERATORS, *FORMS):
        sources += kernel_runner.sources(operator)
    program = folder / f"fuzz_operands_{variant}"
    command = ["gcc", *FLAGS, *VARIANTS[variant]]
    for include_folder in (*c_files.include_folders(), FUZZ_FOLDER):
        command += ["-I", include_folder]
    finished = subprocess.run(
        [*command, *dict.fromkeys(sources), "-o", program],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return program


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    return {variant: compiled(folder, variant) for variant in VARIANTS}


def encoded(operation):
    """A packed operation as fuzz_operands.c takes it."""
    constants = [np.ascontiguousarray(value).tobytes() for value in operation.constants]
    head = struct.pack(
        "<BBH", OPERATORS.index(operation.operator), len(constants), len(operation.options)
    )
    lengths = struct.pack(f"<{len(constants)}I", *map(len, constants))
    return head + lengths + operation.options + b"".join(constants)


def results_of(program, mutations, *files):
    """(refused, large, run) for each operator, and the checksum of all outputs."""
    finished = subprocess.run(
        [program, str(mutations), *files], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    *rows, (_, checksum) = [line.split() for line in finished.stdout.splitlines()]
    return {name: tuple(map(int, numbers)) for name, *numbers in rows}, checksum


def test_every_operator_can_be_fuzzed(programs):
    counts, _ = results_of(programs["portable"], 0)
    assert list(counts) == list(OPERATORS)


@pytest.mark.parametrize("operator", OPERATORS)
def test_mutated_operands_do_no_harm(programs, tmp_path, operator):
    paths = []
    for seed in range(SAMPLES):
        paths.append(tmp_path / f"{operator}-{seed}")
        paths[-1].write_bytes(encoded(sample(operator, seed).packed()))
    checksums = set()
    for program in programs.values():
        counts, checksum = results_of(program, 0, *paths)
        assert counts[operator] == (0, 0, SAMPLES)
        checksums.add(checksum)
        refused, _, run = results_of(program, MUTATIONS, *paths)[0][operator]
        assert refused > SAMPLES * MUTATIONS / 10
        assert run > SAMPLES * MUTATIONS / 10
    assert len(checksums) == 1  # with the DSP instructions, too, of valid operands


def test_checksum_tells_outputs_apart(programs, tmp_path):
    checksums = set()
    for seed in range(4):
        path = tmp_path / str(seed)
        path.write_bytes(encoded(sample("residual_add_s8", seed).packed()))
        checksums.add(results_of(programs["portable"], 0, path)[1])
    assert len(checksums) == 4


def test_arbitrary_bytes_do_no_harm(programs, tmp_path):
    generator = np.random.default_rng(0)
    paths = []
    for size in range(40):
        paths.append(tmp_path / str(size))
        paths[-1].write_bytes(generator.bytes(size))
    for program in programs.values():
        counts, _ = results_of(program, 20, *paths)
        assert sum(map(sum, counts.values())) == 40 * 21


def test_constants_at_odd_addresses_are_refused(programs, tmp_path):
    operation = sample("grouped_pointwise_conv_s8").packed()
    data = bytearray(encoded(operation))
    for index in range(len(operation.constants)):
        data[4 + 4 * index + 3] |= 0x80
        (tmp_path / "odd").write_bytes(data)
        counts, _ = results_of(programs["portable"], 0, tmp_path / "odd")
        assert counts["grouped_pointwise_conv_s8"] == (1, 0, 0)
        data[4 + 4 * index + 3] &= 0x7F
