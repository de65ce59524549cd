# SPDX-License-Identifier: Apache-2.0
"""What is said of kernels is what their C files, their samples and model files say."""

import re

import numpy as np
import pytest

from tests.tflm.kernels.sample_operations import sample
from tflm.graph.operators import OPERATORS
from tflm.kernels import c_files
from tflm.kernels.registry import BY_KIND, FORMS, KERNELS
from tflm.kernels.residual_add import DESCRIPTION as RESIDUAL_ADD
from tflm.micro import wheel_kernels

EACH = pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)


def headers_of(kernel):
    """Texts of the kernel's header and of the headers of ours that it includes."""
    text = c_files.find(f"{kernel.name}.h").read_text()
    others = re.findall(r'#include "(\w+\.h)"', text)
    return text + "".join(c_files.find(name).read_text() for name in others)


def test_there_is_a_kernel_for_each_operator_of_the_glue():
    assert sorted(KERNELS) == wheel_kernels.operators()


@EACH
def test_version_is_that_of_the_header(kernel):
    (version,) = re.findall(rf"#define {kernel.version_constant} (\d+)", headers_of(kernel))
    assert int(version) == kernel.version


@EACH
def test_function_takes_inputs_output_and_buffer(kernel):
    pattern = rf"micronet_status micronet_{kernel.name}\(([^)]*)\)"
    (arguments,) = re.findall(pattern, headers_of(kernel))
    names = [argument.split()[-1].lstrip("*") for argument in arguments.split(",")]
    # The parameters, each input, the output.
    assert len(names) - ("buffer" in names) == 1 + kernel.activations + 1
    assert ("buffer" in names) == kernel.takes_buffer


@pytest.mark.parametrize("form", FORMS)
def test_forms_have_c_files_and_a_runner(form):
    assert c_files.operator_sources(form)
    kernel = KERNELS[FORMS[form]]
    (runner_header,) = [each.runner_header for each in kernel.forms if each.name == form]
    assert (c_files.RUNNER_FOLDER / runner_header).is_file()


@EACH
def test_operations_know_their_description(kernel):
    operation = sample(kernel.name)
    assert operation.description is kernel
    assert (operation.in_place_buffer_bytes is None) == (kernel.in_place is None)
    assert (operation.rows_buffer_bytes is None) == (kernel.rows is None)
    packed = operation.packed()
    assert packed.operator == kernel.name
    assert len(packed.input_shapes) == kernel.activations
    numbers, arrays, _ = kernel.members(packed)
    assert set(kernel.options) <= set(numbers)
    required = {each.member for each in kernel.constants if not each.is_optional}
    assert required <= set(arrays) <= {each.member for each in kernel.constants}


def test_kinds_are_rows_of_the_table_of_operators():
    assert set(BY_KIND) == {kind for kind, row in OPERATORS.items() if row.is_custom}


def test_packing_keeps_the_described_order_whatever_the_given_one():
    options = {name: place for place, name in enumerate(reversed(RESIDUAL_ADD.options))}
    packed = RESIDUAL_ADD.pack(options, {}, ((1, 2, 3),) * 2, (1, 2, 3))
    assert np.frombuffer(packed.options, "<i4").tolist() == [1, 5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize("change", ["missing", "unknown"])
def test_packing_refuses_what_the_kernel_does_not_read(change):
    options = dict.fromkeys(RESIDUAL_ADD.options, 1)
    if change == "missing":
        del options["offset"]
    else:
        options["strides"] = 2
    with pytest.raises(ValueError, match=r"must have the options elements, .*\. Received: elem"):
        RESIDUAL_ADD.pack(options, {}, (), ())


def has_code_for(kernel, processor):
    return any(
        path.stem.endswith(f"_{processor}") for path in c_files.operator_sources(kernel.name)
    )


def test_documentation_tells_what_there_is():
    """docs/kernels.md: processors with code of their own, overlapping, what is absorbed."""
    rows = {}
    for line in (c_files.FOLDER.parents[1] / "docs" / "kernels.md").read_text().splitlines():
        if line.startswith("| `"):
            name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
            rows[name.strip("`")] = cells
    assert list(rows) == sorted(KERNELS)
    for name, (_, portable, dsp, mve, overwrites, absorbs) in rows.items():
        kernel = KERNELS[name]
        assert portable == "yes"
        assert (dsp == "yes", mve == "yes") == (
            has_code_for(kernel, "dsp"),
            has_code_for(kernel, "mve"),
        )
        assert (overwrites == "yes") == kernel.may_overwrite_input
        assert (overwrites == "in another form") == (kernel.in_place is not None)
        assert set(absorbs.split(", ")) == {words.split()[0] for words in kernel.absorbs}
