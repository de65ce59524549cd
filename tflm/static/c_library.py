# SPDX-License-Identifier: Apache-2.0
"""A quantized graph of fused kernels as a C99 library: no interpreter, no heap, no variables.

The calls of the kernels stand in the text one after the other, their operands are
constants, and every address is the arena's plus a number that `library_plan` found.
"""

import re
import textwrap

from tflm.graph.graph import Graph
from tflm.kernels.registry import BY_KIND, KERNELS
from tflm.sources import kernel_sources
from tflm.static import memory_plan, row_by_row
from tflm.static.library_headers import NOTICE, header, rows_header
from tflm.static.library_operands import params
from tflm.static.library_plan import (
    activations,
    called_kernels,
    kernel_name,
    plan_memory,
)

_LINE_LENGTH = 100
_NAME = re.compile(r"[a-z][a-z0-9_]{0,29}")
_NOT_FOR_COMMENTS = re.compile(r"[^A-Za-z0-9_./:]")
_RUN_OF_IMAGE = "run_operations_of_image"


def static_library(
    graph: Graph, name: str = "micronet_model", identifier: int = 0
) -> dict[str, str]:
    """Writes a C99 library that computes a graph, with the kernels that it calls.

    Args:
        graph: a quantized `Graph` of fused kernels only, with one input and one output.
        name: prefix of all its functions and, in capitals, of its constants.
        identifier: number from 0 to 2**32 - 1 that tells this model from others.

    Returns:
        Mapping from file name to text: `<name>.h`, `<name>.c`, `<name>_rows.h` if the model
        begins with a stem, and the files of a folder `kernels`. All C files together are the
        library; no include folder is needed.

    Raises:
        ValueError: the graph has an operation that is no fused kernel, is not valid or has
            several inputs or outputs; or `name` or `identifier` cannot be used in C.
    """
    _check_name(name)
    if not isinstance(identifier, int) or not 0 <= identifier < 2**32:
        raise ValueError(f"identifier must be an int from 0 to 2**32 - 1. Received: {identifier}")
    plan = plan_memory(graph)
    files = {
        f"{name}.h": header(graph, plan, name),
        f"{name}.c": _source(graph, plan, name, identifier),
        **kernel_sources.computing_sources(called_kernels(graph, plan)),
    }
    if plan.takes_rows:
        files[f"{name}_rows.h"] = rows_header(graph, plan, name)
    return files


def _check_name(name):
    if not _NAME.fullmatch(name):
        raise ValueError(
            "A library's name must be a lower-case letter and up to 29 lower-case letters, digits "
            f"and underscores. Received: {name!r}"
        )


def _source(graph, plan, name, identifier):
    capitals = name.upper()
    operands = "\n".join(
        f"{_comment(index, operation, graph)}\n"
        f"{params(operation.options['integers'].packed(), _variable(index))}"
        for index, operation in enumerate(graph.operations)
    )
    runs = _rows_functions(graph, plan, name) if plan.takes_rows else _run_function(name)
    return f"""/* {NOTICE} */
#include "{name}{"_rows" if plan.takes_rows else ""}.h"

#include <stddef.h>

{_kernels(graph, plan)}
/* A program that keeps weights elsewhere than its other constants names a section of its linker
 * script, for all models, -D'MICRONET_WEIGHTS_SECTION=".external"', or for this one:
 * -D'{capitals}_WEIGHTS_SECTION=".external"'. */
#if defined({capitals}_WEIGHTS_SECTION)
#define SECTION , section({capitals}_WEIGHTS_SECTION)
#elif defined(MICRONET_WEIGHTS_SECTION)
#define SECTION , section(MICRONET_WEIGHTS_SECTION)
#else
#define SECTION
#endif

/* The kernels need constants at multiples of 4; more is faster with some memories. */
#define WEIGHTS __attribute__((aligned({memory_plan.ALIGNMENT}) SECTION))

{operands}
const uint32_t {name}_identifier = {identifier}u;

static micronet_status check_arena(const void *arena, int32_t arena_bytes, int32_t needed_bytes) {{
  if (arena == NULL) return MICRONET_NULL_POINTER;
  if ((uintptr_t)arena % {memory_plan.ALIGNMENT} != 0) return MICRONET_ARENA_ALIGNMENT;
  if (micronet_version() != MICRONET_VERSION) return MICRONET_KERNELS_VERSION;
  return arena_bytes < needed_bytes ? MICRONET_ARENA_SIZE : MICRONET_OK;
}}

int32_t {name}_arena_size(void) {{
  return {capitals}_ARENA_BYTES;
}}

micronet_status {name}_init(void *arena, int32_t arena_bytes) {{
  return check_arena(arena, arena_bytes, {capitals}_ARENA_BYTES);
}}

{_operations_functions(graph, plan)}
{runs}"""


def _operations_functions(graph, plan):
    if not plan.takes_rows:
        return _operations_function("run_operations", "All operations.", graph, plan.plan, 0)
    about = "All operations but the first."
    text = _operations_function("run_operations", about, graph, plan.plan, 1)
    if plan.image_plan == plan.plan:
        return text
    about = "The same at other places, which are better for an image that was in the arena."
    return f"{text}\n{_operations_function(_RUN_OF_IMAGE, about, graph, plan.image_plan, 1)}"


def _operations_function(function, about, graph, plan, first):
    calls = "\n".join(
        _call(index, operation, graph, plan)
        for index, operation in enumerate(graph.operations)
        if index >= first
    )
    return f"""/* {about} */
static micronet_status {function}(int8_t *memory) {{
  micronet_status status;
{calls}
  return MICRONET_OK;
}}
"""


def _run_function(name):
    return f"""micronet_status {name}_run(void *arena) {{
  return arena == NULL ? MICRONET_NULL_POINTER : run_operations(arena);
}}
"""


def _rows_functions(graph, plan, name):
    """For a model whose first operation is the stem."""
    capitals = name.upper()
    (output,) = graph.operations[0].outputs
    output_place = _place(plan.plan.tensor_offsets[output])
    buffer_place = _place(plan.plan.buffer_offsets[0])
    stem, params_of_stem = f"micronet_{row_by_row.form(graph).name}", f"&{_variable(0)}"
    run_operations = "run_operations" if plan.image_plan == plan.plan else _RUN_OF_IMAGE
    height, width, channels = graph.tensors[graph.inputs[0]].shape[1:]
    return f"""\
/* The stem takes the image row by row: its output lies where the rows were that it has read. */
micronet_status {name}_run(void *arena) {{
  if (arena == NULL) return MICRONET_NULL_POINTER;
  int8_t *memory = arena;
  int8_t *output = {_place(plan.image_plan.tensor_offsets[output])};
  int8_t *buffer = {_place(plan.buffer_offset)};
  const int8_t *row = {_place(plan.input_offset)};
  micronet_status status = {stem}_begin({params_of_stem}, buffer);
  for (int32_t y = 0; y < {height} && status == MICRONET_OK; ++y) {{
    status = {stem}_push({params_of_stem}, row, output, buffer);
    row += {width * channels};
  }}
  return status == MICRONET_OK ? {run_operations}(memory) : status;
}}

int32_t {name}_rows_arena_size(void) {{
  return {capitals}_ROWS_ARENA_BYTES;
}}

micronet_status {name}_rows_init(void *arena, int32_t arena_bytes) {{
  return check_arena(arena, arena_bytes, {capitals}_ROWS_ARENA_BYTES);
}}

micronet_status {name}_rows_begin(void *arena) {{
  if (arena == NULL) return MICRONET_NULL_POINTER;
  int8_t *memory = arena;
  return {stem}_begin({params_of_stem}, {buffer_place});
}}

micronet_status {name}_rows_push(void *arena, const int8_t *row) {{
  if (arena == NULL) return MICRONET_NULL_POINTER;
  int8_t *memory = arena;
  return {stem}_push({params_of_stem}, row, {output_place},
      {buffer_place});
}}

micronet_status {name}_rows_run(void *arena) {{
  if (arena == NULL) return MICRONET_NULL_POINTER;
  int8_t *memory = arena;
  const micronet_status status = {stem}_finish({params_of_stem},
      {buffer_place});
  return status == MICRONET_OK ? run_operations(memory) : status;
}}
"""


def _kernels(graph, plan):
    """Includes of the kernels' headers, and checks that they take operands such as these."""
    kernels = {BY_KIND[operation.kind].name for operation in graph.operations}
    headers = sorted({*kernels, *called_kernels(graph, plan)})
    includes = "".join(f'#include "kernels/{header}.h"\n' for header in headers)
    versions = {KERNELS[name].version_constant: KERNELS[name].version for name in sorted(kernels)}
    checks = "".join(
        f"\n#if {constant} != {version}\n"
        f'#error "The sources in kernels/ must be those that this file was generated with"\n'
        "#endif\n"
        for constant, version in versions.items()
    )
    return includes + checks


def _variable(index):
    return f"operation_{index}"


def _comment(index, operation, graph):
    """What an operation makes; a tensor's name cannot end the comment."""
    (output,) = operation.outputs
    label = _NOT_FOR_COMMENTS.sub("_", output)[:60]
    return f"/* {index}. {label}: {'x'.join(map(str, graph.tensors[output].shape[1:]))} */"


def _call(index, operation, graph, plan):
    names = [*activations(operation, graph), *operation.outputs]
    offsets = [plan.tensor_offsets[name] for name in names]
    kernel = kernel_name(index, operation, plan)
    if index in plan.in_place:  # input and output are one map
        offsets.pop()
    if BY_KIND[operation.kind].takes_buffer:
        offsets.append(plan.buffer_offsets[index])
    arguments = [f"&{_variable(index)}", *map(_place, offsets)]
    call = textwrap.fill(
        f"status = micronet_{kernel}({', '.join(arguments)});",
        _LINE_LENGTH,
        initial_indent="  ",
        subsequent_indent=" " * 6,
        break_long_words=False,
    )
    check = "  if (status != MICRONET_OK) return status;"
    return f"  {_comment(index, operation, graph)}\n{call}\n{check}"


def _place(offset):
    """An address in the arena; without spaces, so that no line ends within it."""
    return "NULL" if offset is None else f"&memory[{offset}]"
