# SPDX-License-Identifier: Apache-2.0
"""Operands of fused kernels as C text: constants, and the structs that the kernels take."""

from tflm.kernels.packed_operation import PackedOperation
from tflm.kernels.registry import KERNELS
from tflm.sources import c_arrays

_C_TYPES = {"int8": "int8_t", "int16": "int16_t", "int32": "int32_t"}


def params(packed: PackedOperation, variable: str) -> str:
    """The operands of one operation as C text: arrays, and the struct that its kernel takes.

    Args:
        packed: `PackedOperation`.
        variable: name of the struct in C, and prefix of the arrays' names.

    Returns:
        Definitions of constants that only their own file sees.
    """
    numbers, arrays, more_members = KERNELS[packed.operator].members(packed)
    members: dict[str, int | str] = {**numbers}
    definitions = []
    for member, constant in arrays.items():
        array = f"{variable}_{member.replace('.', '_')}"
        definitions.append(
            f"static const {_C_TYPES[constant.dtype.name]} {array}[] WEIGHTS = "
            f"{c_arrays.array(constant.ravel())};\n"
        )
        members[member] = array
    members |= more_members
    rows = "".join(f"  .{member} = {value},\n" for member, value in members.items())
    struct_type = f"micronet_{packed.operator}_params"
    return "".join([*definitions, f"static const {struct_type} {variable} = {{\n{rows}}};\n"])
