# SPDX-License-Identifier: Apache-2.0
"""`..._op_resolver.h`: exactly the operators that a model uses, so that no other is linked."""

from tflm.graph.graph import Graph
from tflm.graph.operators import OPERATORS
from tflm.sources import c_arrays


def op_resolver(graph: Graph, library: str) -> dict[str, str]:
    """Writes a C++ header that registers a graph's operators.

    Args:
        graph: a `Graph` in the vocabulary of `operators.OPERATORS`.
        library: prefix of the file, and the namespace: "person_model".

    Returns:
        Mapping from file name to text: `<library>_op_resolver.h`. For operators of `tflm.kernels`
        it includes `kernels/micronet_ops.h`, which is exported with them.

    Raises:
        ValueError: the graph has an operation of unknown kind.
    """
    kinds = sorted({operation.kind for operation in graph.operations})
    unknown = [kind for kind in kinds if kind not in OPERATORS]
    if unknown:
        raise ValueError(
            f"Operation kinds must be among {', '.join(OPERATORS)}. Received: {', '.join(unknown)}"
        )
    calls = "".join(
        f"  if (resolver.{_registration(kind)} != kTfLiteOk) return kTfLiteError;\n"
        for kind in kinds
    )
    custom = [kind for kind in kinds if OPERATORS[kind].is_custom]
    body = f"""
constexpr unsigned int kOperatorCount = {len(kinds)};

using OpResolver = tflite::MicroMutableOpResolver<kOperatorCount>;

// Registers every operator that the model uses, and no other.
inline TfLiteStatus AddOperators(OpResolver& resolver) {{
{calls}  return kTfLiteOk;
}}
"""
    includes = ['"tensorflow/lite/micro/micro_mutable_op_resolver.h"']
    declarations = ""
    if custom:
        includes.append('"kernels/micronet_ops.h"')
        declarations = "".join(f"MICRONET_DECLARE_OPERATOR({kind});\n" for kind in custom)
    name = f"{library}_op_resolver.h"
    return {name: c_arrays.header(name, library, includes, body, before=declarations)}


def _registration(kind):
    if not OPERATORS[kind].is_custom:
        return f"{OPERATORS[kind].resolver_method}()"
    return f'AddCustom("{kind}", ::micronet::Register_{kind}())'
