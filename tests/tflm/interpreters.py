# SPDX-License-Identifier: Apache-2.0
"""Both interpreters, driven directly: what the exporter's own wrapper is checked against."""

from ai_edge_litert import interpreter as litert
from tflite_micro import runtime


def run_micro(model, inputs):
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=1 << 20)
    for position, values in enumerate(inputs):
        interpreter.set_input(values, position)
    interpreter.invoke()
    return [interpreter.get_output(0)]


def run_desktop(model, inputs):
    interpreter = litert.Interpreter(
        model_content=model, experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    for details, values in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(details["index"], values)
    interpreter.invoke()
    return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]
