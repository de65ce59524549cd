# SPDX-License-Identifier: Apache-2.0
"""C constants of a model's input and output: sizes and quantization."""

import math

from tflm.graph.graph import Graph, Tensor
from tflm.sources import c_arrays

_SIDES = ("HEIGHT", "WIDTH", "CHANNELS")
_ABOUT = """\
/* int8, row after row, all channels of a pixel together. A real value is scale * (integer -
 * zero point). */"""


def input_and_output(graph: Graph, library: str) -> str:
    """Definitions such as `PERSON_MODEL_INPUT_WIDTH`.

    Args:
        graph: a quantized `Graph` with one input and one output.
        library: the prefix, in small letters.
    """
    capitals = library.upper()
    (source,), (result,) = graph.inputs, graph.outputs
    return f"""{_ABOUT}
{_constants(f"{capitals}_INPUT", graph.tensors[source])}
{_constants(f"{capitals}_OUTPUT", graph.tensors[result])}"""


def _constants(prefix: str, tensor: Tensor) -> str:
    sizes = tensor.shape[1:]
    values: dict[str, int | str] = dict(zip(_SIDES[-len(sizes) :], sizes, strict=True))
    values["BYTES"] = math.prod(sizes)
    values["SCALE"] = c_arrays.number(tensor.quantized_by.scale[0])
    values["ZERO_POINT"] = f"({int(tensor.quantized_by.zero_point[0])})"
    return "".join(f"#define {prefix}_{label} {value}\n" for label, value in values.items())
