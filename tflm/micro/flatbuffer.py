# SPDX-License-Identifier: Apache-2.0
"""Writes a quantized graph as a TensorFlow Lite file (schema version 3).

The file is about as small as the format admits. A flatbuffer is a graph of tables
and vectors that refer to each other by offset, and nothing forbids two references
to one of them: so equal constants, scales, shapes, options, and whole tensors
without data are written once. There are no names, ranges, or metadata.
"""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tflm.graph import validation
from tflm.graph.graph import Graph
from tflm.graph.operators import OPERATORS

_SCHEMA_VERSION = 3
_FILE_IDENTIFIER = b"TFL3"
_BUFFER_ALIGNMENT = 16  # `force_align` of Buffer.data in the schema
_NO_BUFFER = 0  # the buffer of tensors without data, empty by convention

_TENSOR_TYPES = {
    "int4": schema.TensorType.INT4,
    "int8": schema.TensorType.INT8,
    "int16": schema.TensorType.INT16,
    "int32": schema.TensorType.INT32,
}

_ENUMERATIONS = {
    "Padding": schema.Padding,
    "FusedActivationFunction": schema.ActivationFunctionType,
}


def serialize(graph: Graph, description: str = "keras_micronet") -> bytes:
    """Writes `graph` as a TensorFlow Lite flatbuffer.

    The same graph gives the same bytes. Constants begin at multiples of 16 bytes,
    if the file itself does.

    Args:
        graph: a quantized `Graph` whose operations are in `OPERATORS`.
            Activations are int8; constants int8, int4 (of `ml_dtypes`; stored as
            two values a byte, the first in the low bits), int16, or int32.
        description: text stored in the model.

    Returns:
        The file's bytes.

    Raises:
        ValueError: the graph cannot be written or would not run; see
            `validation.validate`.
    """
    validation.validate(graph)
    return _Writer(graph).write(description)


def operator_versions(graph: Graph) -> dict[str, int]:
    """Version of each kind of operator in `graph`, in order of first occurrence.

    Args:
        graph: a quantized `Graph`.

    Returns:
        Mapping from kind to the highest version that one of its operations needs.
    """
    versions: dict[str, int] = {}
    for operation in graph.operations:
        row = OPERATORS[operation.kind]
        version = row.version(operation, row.complete_options(operation), graph.tensors)
        versions[operation.kind] = max(version, versions.get(operation.kind, 1))
    return versions


class _Writer:
    """Writes one graph. Flatbuffers are written from the leaves to the root."""

    def __init__(self, graph):
        self._graph = graph
        self._builder = flatbuffers.Builder(1 << 16)
        self._offsets = {}  # of what has been written, by content
        self._buffers = [None]  # bytes of each buffer; the first has none
        self._buffer_indices = {}  # by bytes
        self._tensor_indices = {}  # by tensor name

    def write(self, description):
        versions = operator_versions(self._graph)
        # The commonest operator gets index 0, which is the default and costs nothing.
        kinds = sorted(versions, key=self._occurrences, reverse=True)
        contents = self._number_tensors()
        operators = [self._operator(operation, kinds) for operation in self._graph.operations]
        subgraph = self._table(
            "SubGraph",
            Operators=self._offset_vector(operators),
            Tensors=self._offset_vector([self._tensor(*content) for content in contents]),
            Inputs=self._int32_vector(self._indices(self._graph.inputs)),
            Outputs=self._int32_vector(self._indices(self._graph.outputs)),
        )
        codes = [self._operator_code(kind, versions[kind]) for kind in kinds]
        buffers = [self._buffer(data) for data in self._buffers]
        model = self._table(
            "Model",
            Version=_SCHEMA_VERSION,
            OperatorCodes=self._offset_vector(codes),
            Subgraphs=self._offset_vector([subgraph]),
            Description=self._builder.CreateString(description),
            Buffers=self._offset_vector(buffers),
        )
        self._builder.Finish(model, _FILE_IDENTIFIER)
        return bytes(self._builder.Output())

    def _occurrences(self, kind):
        return sum(operation.kind == kind for operation in self._graph.operations)

    # Tensors

    def _number_tensors(self):
        """Gives every tensor in use its index; equal constants get the same one.

        Returns:
            The contents to write at each index.
        """
        contents, constants = [], {}
        for name in self._names_in_use():
            content = self._tensor_content(self._graph.tensors[name])
            is_constant = self._graph.tensors[name].is_constant
            if is_constant and content in constants:
                self._tensor_indices[name] = constants[content]
                continue
            self._tensor_indices[name] = len(contents)
            if is_constant:
                constants[content] = len(contents)
            contents.append(content)
        return contents

    def _names_in_use(self):
        names = list(self._graph.inputs)
        for operation in self._graph.operations:
            names += [*operation.inputs, *operation.outputs]
        return dict.fromkeys(names + self._graph.outputs)

    def _tensor_content(self, tensor):
        """All that the file says of a tensor, as a hashable value."""
        buffer, tensor_type = _NO_BUFFER, schema.TensorType.INT8
        if tensor.is_constant:
            buffer = self._buffer_index(_stored_bytes(tensor.data))
            tensor_type = _TENSOR_TYPES[tensor.data.dtype.name]
        quantization = None
        if tensor.quantization is not None:
            quantization = (
                np.asarray(tensor.quantization.scale, "<f4").tobytes(),
                np.asarray(tensor.quantization.zero_point, "<i8").tobytes(),
                tensor.quantization.axis or 0,
            )
        return tuple(tensor.shape), tensor_type, buffer, quantization

    def _buffer_index(self, data):
        if data not in self._buffer_indices:
            self._buffer_indices[data] = len(self._buffers)
            self._buffers.append(data)
        return self._buffer_indices[data]

    def _indices(self, names):
        return [self._tensor_indices[name] for name in names]

    def _tensor(self, shape, tensor_type, buffer, quantization):
        return self._shared_table(
            "Tensor",
            Shape=self._int32_vector(shape),
            Quantization=None if quantization is None else self._quantization(*quantization),
            Buffer=buffer,
            Type=tensor_type,
        )

    def _quantization(self, scale, zero_point, axis):
        return self._shared_table(
            "QuantizationParameters",
            Scale=self._vector(np.frombuffer(scale, "<f4")),
            ZeroPoint=self._vector(np.frombuffer(zero_point, "<i8")),
            QuantizedDimension=axis,
        )

    def _buffer(self, data):
        """A buffer's table stands just before its data, in what alignment leaves free."""
        if data is None:
            return self._table("Buffer")
        self._builder.Prep(_BUFFER_ALIGNMENT, len(data))
        return self._table("Buffer", Data=self._builder.CreateByteVector(data))

    # Operations

    def _operator_code(self, kind, version):
        is_custom = OPERATORS[kind].is_custom
        code = getattr(schema.BuiltinOperator, "CUSTOM" if is_custom else kind)
        # Readers take the larger of both fields. The old one holds a byte.
        greatest = schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES
        return self._table(
            "OperatorCode",
            BuiltinCode=code,
            DeprecatedBuiltinCode=min(code, greatest),
            CustomCode=self._builder.CreateString(kind) if is_custom else None,
            Version=version,
        )

    def _operator(self, operation, kinds):
        row = OPERATORS[operation.kind]
        options = {}
        if row.options_table is not None:
            options = {
                "BuiltinOptions": self._options(operation, row),
                "BuiltinOptionsType": getattr(schema.BuiltinOptions, row.options_table),
            }
        elif row.is_custom:
            data = np.frombuffer(row.custom_options(operation), np.uint8)
            options = {"CustomOptions": self._vector(data)}
        return self._table(
            "Operator",
            Inputs=self._int32_vector(self._indices(operation.inputs)),
            Outputs=self._int32_vector(self._indices(operation.outputs)),
            OpcodeIndex=kinds.index(operation.kind),
            **options,
        )

    def _options(self, operation, row):
        fields = row.write_options(operation, row.complete_options(operation), self._graph.tensors)
        return self._shared_table(
            row.options_table,
            **{name: self._option_value(name, value) for name, value in fields.items()},
        )

    def _option_value(self, name, value):
        if name in _ENUMERATIONS:
            return getattr(_ENUMERATIONS[name], value)
        return value

    # Tables and vectors

    def _table(self, table, **fields):
        """Writes a table. Fields that are `None` are left out."""
        getattr(schema, f"{table}Start")(self._builder)
        for name, value in fields.items():
            if value is not None:
                getattr(schema, f"{table}Add{name}")(self._builder, value)
        return getattr(schema, f"{table}End")(self._builder)

    def _shared_table(self, table, **fields):
        key = (table, *fields.items())
        if key not in self._offsets:
            self._offsets[key] = self._table(table, **fields)
        return self._offsets[key]

    def _vector(self, values):
        key = (values.dtype.str, values.tobytes())
        if key not in self._offsets:
            self._offsets[key] = self._builder.CreateNumpyVector(values)
        return self._offsets[key]

    def _int32_vector(self, values):
        return self._vector(np.asarray(values, "<i4"))

    def _offset_vector(self, offsets):
        self._builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        return self._builder.EndVector()


def _stored_bytes(data):
    """A constant's bytes as the file holds them."""
    if data.dtype.name != "int4":
        return np.ascontiguousarray(data, data.dtype.newbyteorder("<")).tobytes()
    nibbles = data.astype(np.int8).ravel().view(np.uint8) & 0xF
    nibbles = np.append(nibbles, np.zeros(nibbles.size % 2, np.uint8))
    return (nibbles[0::2] | nibbles[1::2] << 4).tobytes()
