# SPDX-License-Identifier: Apache-2.0
"""Headers that give a model's names without the model's: for programs with a single one.

`model_settings.h`, `micronet_model.h` and their like are what exports had before models had names;
the firmware application uses them, so that it is compiled with any model.
"""

import collections.abc
import re
import zlib

from keras_micronet.grid_answers.tasks import CLASSIFY, DETECT, KEYPOINTS, SEGMENT
from tflm.sources import c_arrays
from tflm.sources.model_name import GENERIC, library_of

_GENERIC_LIBRARY = library_of(GENERIC)
# Of `model_settings.h`: names of integers, and the constants that they are.
_INTEGERS = {
    "kModelBytes": "FLATBUFFER_BYTES",
    "kInputHeight": "INPUT_HEIGHT",
    "kInputWidth": "INPUT_WIDTH",
    "kInputChannels": "INPUT_CHANNELS",
    "kInputSize": "INPUT_BYTES",
    "kInputZeroPoint": "INPUT_ZERO_POINT",
    "kOutputZeroPoint": "OUTPUT_ZERO_POINT",
    "kArenaBytes": "ARENA_BYTES",
    "kClassCount": "CLASS_COUNT",
}
_VECTOR_INTEGERS = {
    "kTestVectorCount": "TEST_VECTORS",
    "kTestInputSize": "TEST_FRAME_BYTES",
    "kTestOutputSize": "TEST_OUTPUT_BYTES",
}
_VECTOR_ARRAYS = {"kTestFrames": "test_frames", "kTestOutputs": "test_outputs"}
_OBJECT_ARRAYS = {"kTestObjectCounts": "test_object_counts", "kTestObjects": "test_objects"}
# What test vectors hold besides, by task.
_FOUND_ARRAYS = {
    CLASSIFY: {"kTestLabels": "test_labels"},
    DETECT: _OBJECT_ARRAYS,
    SEGMENT: {"kTestClassMaps": "test_class_maps"},
    KEYPOINTS: _OBJECT_ARRAYS,
}
# Of `model_recognition.h`, which models of grids alone have.
_GRID_INTEGERS = {
    "kGridRows": "GRID_ROWS",
    "kGridColumns": "GRID_COLUMNS",
    "kGridAnswers": "GRID_ANSWERS",
}
_MOST_OBJECTS = {
    DETECT: {"kMostObjects": "MOST_OBJECTS"},
    KEYPOINTS: {"kMostObjects": "GRID_ANSWERS"},
}
_GRID_POINTERS = {
    DETECT: {
        "kExponentials": ("uint32_t", "exponentials"),
        "kThresholds": ("uint16_t", "thresholds"),
    },
    SEGMENT: {},
    KEYPOINTS: {"kSigmoids": ("uint16_t", "sigmoids"), "kThresholds": ("uint16_t", "thresholds")},
}
_FUNCTIONS = ("arena_size", "init", "run", "input", "output")
_ROWS_FUNCTIONS = ("arena_size", "init", "begin", "push", "run", "output")
_SIZES = ("HEIGHT", "WIDTH", "CHANNELS", "BYTES", "SCALE", "ZERO_POINT")


def settings_header(library: str) -> dict[str, str]:
    """`model_settings.h`, by name.

    Args:
        library: the model's own prefix, "person_model".
    """
    capitals = library.upper()
    body = f"""{_integers(_INTEGERS, capitals)}
static const uint32_t kModelIdentifier = {capitals}_CRC32;
static const float kInputScale = {capitals}_INPUT_SCALE;
static const float kOutputScale = {capitals}_OUTPUT_SCALE;
static const char *const *const kClassNames = {library}_class_names;

static inline void ConvertRow(const uint8_t *row, int8_t *input) {{
  {library}_convert_row(row, input);
}}

static inline void ConvertFrame(const uint8_t *frame, int8_t *input) {{
  {library}_convert_frame(frame, input);
}}
"""
    return {"model_settings.h": _header("model_settings.h", library, "settings", body, True)}


def recognition_header(library: str, task: str) -> dict[str, str]:
    """`model_recognition.h`, by name: how the answers of a grid's cells are read.

    Args:
        library: as for `settings_header`.
        task: one of `keras_micronet.grid_answers.tasks.TASKS`.
    """
    integers = _GRID_INTEGERS | _MOST_OBJECTS.get(task, {})
    pointers = "".join(
        f"static const {kind} *const {generic} = {library}_{own};\n"
        for generic, (kind, own) in _GRID_POINTERS[task].items()
    )
    body = f"""#define MICRONET_MODEL_TASK_{task.upper()} 1
{_integers(integers, library.upper())}
static const micronet_grid *const kGrid = &{library}_grid;
{pointers}"""
    name = "model_recognition.h"
    return {name: _header(name, library, "recognition", body, True)}


def test_vectors_header(library: str, task: str = CLASSIFY) -> dict[str, str]:
    """`test_vectors.h`, by name.

    Args:
        library: as for `settings_header`.
        task: one of `keras_micronet.grid_answers.tasks.EVERY_TASK`.
    """
    arrays = "".join(
        f"#define {generic} {library}_{own}\n"
        for generic, own in (_VECTOR_ARRAYS | _FOUND_ARRAYS[task]).items()
    )
    body = f"{_integers(_VECTOR_INTEGERS, library.upper())}\n{arrays}"
    return {"test_vectors.h": _header("test_vectors.h", library, "test_vectors", body, True)}


def library_headers(
    library: str, files: collections.abc.Mapping[str, str | bytes]
) -> dict[str, str]:
    """`micronet_model.h` and, if the library has one for rows, `micronet_model_rows.h`.

    Args:
        library: as for `settings_header`.
        files: what `c_library.static_library` has made.
    """
    if library == _GENERIC_LIBRARY:
        return {}
    sizes = [f"{end}_{size}" for end in ("INPUT", "OUTPUT") for size in _SIZES]
    constants = [name for name in (*sizes, "ARENA_BYTES") if _defines(files, library, name)]
    headers = {"": (constants, ["identifier", *_FUNCTIONS])}
    if f"{library}_rows.h" in files:
        names = [f"rows_{function}" for function in _ROWS_FUNCTIONS]
        headers["_rows"] = (["ROWS_ARENA_BYTES"], names)
    texts = {}
    for part, (constants, names) in headers.items():
        file_name = f"{_GENERIC_LIBRARY}{part}.h"
        body = "".join(
            f"#define {generic}_{name} {own}_{name}\n"
            for generic, own, each in (
                (_GENERIC_LIBRARY.upper(), library.upper(), constants),
                (_GENERIC_LIBRARY, library, names),
            )
            for name in each
        )
        include = f'#include "{_GENERIC_LIBRARY}.h"\n\n' if part else ""
        texts[file_name] = _header(file_name, library, part[1:], f"{include}{body}", False)
    return texts


def cplusplus_header(library: str, part: str, file_name: str) -> dict[str, str]:
    """A header that makes what is in the namespace of a model known in `micronet`, by name.

    Args:
        library: as for `settings_header`.
        part: of the model's own header's name, behind the library's.
        file_name: of the generic header.
    """
    body = f"namespace {GENERIC} {{\nusing namespace {library};\n}}  // namespace {GENERIC}\n"
    return {file_name: _header(file_name, library, part, body, False)}


def own_names(text: str, library: str) -> str:
    """C text with a model's own names in the place of the generic ones.

    Args:
        text: that uses names of `model_settings.h` and `micronet_model_rows.h`.
        library: as for `settings_header`.
    """
    capitals = library.upper()
    own = {generic: f"{capitals}_{name}" for generic, name in _INTEGERS.items()}
    own |= {"ConvertRow": f"{library}_convert_row", "ConvertFrame": f"{library}_convert_frame"}
    own["kClassNames"] = f"{library}_class_names"
    text = re.sub(r"\bk?[A-Z]\w+", lambda word: own.get(word[0], word[0]), text)
    text = text.replace('"model_settings.h"', f'"{library}_settings.h"')
    text = text.replace(f"{_GENERIC_LIBRARY}_rows", f"{library}_rows")
    return text.replace(f"{_GENERIC_LIBRARY.upper()}_", f"{capitals}_")


def _defines(files: collections.abc.Mapping[str, str | bytes], library: str, name: str) -> bool:
    return f"#define {library.upper()}_{name} " in str(files[f"{library}.h"])


def _integers(names: collections.abc.Mapping[str, str], capitals: str) -> str:
    return "".join(
        f"MICRONET_INTEGER({generic}, {capitals}_{own});\n" for generic, own in names.items()
    )


def _header(file_name: str, library: str, part: str, body: str, has_namespace: bool) -> str:
    """A header of generic names; it ends the compilation if another model has given them."""
    guard = f"MICRONET_GENERIC_{file_name.upper().replace('.', '_')}"
    own = f"{library}_{part}.h" if part else f"{library}.h"
    if has_namespace:
        body = _in_namespace(body)
    return f"""/* {c_arrays.LICENCE}
 * Generated by keras_micronet. Do not edit.
 *
 * The names of {own} without those of the model: for programs with one model. */
#if !defined(MICRONET_GENERIC_NAMES)
#define MICRONET_GENERIC_NAMES 0x{zlib.crc32(library.encode()):08x}u
#elif MICRONET_GENERIC_NAMES != 0x{zlib.crc32(library.encode()):08x}u
#error "Only one model can have the generic names. Include {own} and use the names there"
#endif

#ifndef {guard}
#define {guard}

#include "{own}"

{body}
#endif
"""


def _in_namespace(body: str) -> str:
    return f"""\
/* In C only an enumerator is a constant that can be the size of an array. */
#ifdef __cplusplus
#define MICRONET_INTEGER(name, value) constexpr int name = value
namespace {GENERIC} {{
#else
#define MICRONET_INTEGER(name, value) enum {{ name = value }}
#endif

{body}
#ifdef __cplusplus
}}
#endif

#undef MICRONET_INTEGER
"""
