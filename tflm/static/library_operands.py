"""Operands of fused kernels as C text: constants, and the structs that the kernels take."""

import collections.abc
import dataclasses
import struct

from tflm.sources import c_arrays

_C_TYPES = {"int8": "int8_t", "int16": "int16_t", "int32": "int32_t"}


def _no_more_members(constants):
    return {}


def _excite_multiplier_each(constants):
    """Whether there are as many multipliers as biases of the second dense layer."""
    _, squeeze_constants, excite_weights, excite_constants, *_ = constants
    rows = excite_weights.size // (squeeze_constants.size // 2)
    return {"excite_multiplier_each": int(excite_constants.size == 2 * rows)}


@dataclasses.dataclass(frozen=True)
class _Operator:
    """How packed operands become the members of the operator's C struct, as its `bind` does it.

    Attributes:
        version: name, without prefix and suffix, of the macro with the operands' version.
        options: for each option behind the version its member; for several, with spaces between.
        constants: for each constant its member. Operands may lack the last.
        more_members: function of the constants -> further members with their values.
    """

    version: str
    options: tuple
    constants: tuple = ()
    more_members: collections.abc.Callable = _no_more_members


def _factorized():
    halves = ("vertical", "horizontal")
    vertical, horizontal = (
        [f"{half}.{member}" for member in ("channels", "taps", "stride")] for half in halves
    )
    vertical += ["vertical.padding", "vertical.zero_point horizontal.padding"]
    horizontal += ["horizontal.zero_point"]
    limits = ([f"{half}.lowest", f"{half}.highest"] for half in halves)
    constants = [f"{half}.{member}" for half in halves for member in ("weights", "requantization")]
    return _Operator(
        "FACTORIZED_CONV",
        ("height", "width", "channels", *vertical, *next(limits), *horizontal, *next(limits)),
        (*constants, "output_positions"),
    )


def _dense(version):
    options = ("inputs", "outputs", "output_zero_point", "lowest", "highest", "has_table")
    return _Operator(version, options, ("weights", "channels", "table"))


OPERATORS = {
    "factorized_stem_s8": _factorized(),
    "factorized_depthwise_conv_s8": _factorized(),
    "grouped_pointwise_conv_s8": _Operator(
        "GROUPED_POINTWISE_CONV_S8",
        ("pixels", "inputs", "outputs", "groups", "output_zero_point", "lowest", "highest"),
        ("weights", "channels", "positions"),
    ),
    "dynamic_shift_max_s8": _Operator(
        "DYNAMIC_SHIFT_MAX_S8",
        (
            "pixels",
            "channels",
            "squeeze_channels",
            "fusions",
            "coefficient_shift",
            "input_zero_point",
            "output_zero_point",
            "lowest",
            "highest",
        ),
        (
            "squeeze_weights",
            "squeeze_constants",
            "excite_weights",
            "excite_constants",
            "coefficient_limits",
            "shift",
            "output_positions",
            "channel_factors",
        ),
        _excite_multiplier_each,
    ),
    "residual_add_s8": _Operator(
        "RESIDUAL_ADD_S8",
        ("elements", "first_multiplier", "second_multiplier", "offset", "lowest", "highest"),
    ),
    "global_average_pool_s8": _Operator(
        "GLOBAL_AVERAGE_POOL_S8", ("pixels", "channels", "has_table"), ("table",)
    ),
    "dense_s8": _dense("DENSE_S8"),
    "dense_s4": _dense("DENSE_S4"),
}


def params(packed, variable):
    """The operands of one operation as C text: arrays, and the struct that its kernel takes.

    Args:
        packed: `FusedOperation`.
        variable: name of the struct in C, and prefix of the arrays' names.

    Returns:
        Definitions of constants that only their own file sees.
    """
    operator = OPERATORS[packed.operator]
    _, *options = struct.unpack(f"<{len(packed.options) // 4}i", packed.options)
    members = {}
    for names, value in zip(operator.options, options, strict=True):
        members |= dict.fromkeys(names.split(), value)
    definitions = []
    for member, constant in zip(operator.constants, packed.constants):
        array = f"{variable}_{member.replace('.', '_')}"
        members[member] = array
        definitions.append(
            f"static const {_C_TYPES[constant.dtype.name]} {array}[] ALIGNED = "
            f"{c_arrays.array(constant.ravel())};\n"
        )
    members |= operator.more_members(packed.constants)
    rows = "".join(f"  .{member} = {value},\n" for member, value in members.items())
    struct_type = f"micronet_{packed.operator}_params"
    return "".join([*definitions, f"static const {struct_type} {variable} = {{\n{rows}}};\n"])
