# SPDX-License-Identifier: Apache-2.0
"""A number that tells kernels' sources from those of other versions, and what compares it.

Models of one program share their kernels, so these must be of one version. Where one file includes
two models, the preprocessor sees it; elsewhere the models' `..._init` does.
"""

import functools
import zlib

from tflm.kernels import c_files
from tflm.sources import c_arrays

HEADER = "micronet_version.h"
SOURCE = "micronet_version.c"


@functools.cache
def number() -> int:
    """CRC-32, as of zlib, of all sources of the kernels with their names."""
    crc = 0
    for path in sorted(c_files.SOURCE_FOLDER.glob("*/*"), key=lambda path: path.name):
        if path.suffix in (".c", ".h"):
            crc = zlib.crc32(path.name.encode() + b"\0" + path.read_bytes(), crc)
    return crc


def sources() -> dict[str, str]:
    """The number as a constant and a function, text by file name."""
    declarations = f"""/* Of the kernels beside this file: equal if their sources are. */
#define MICRONET_VERSION {_literal()}

/* Of the kernels that the program was linked with. */
uint32_t micronet_version(void);
"""
    definitions = """#include "micronet_shared.h"

MICRONET_SHARED uint32_t micronet_version(void) { return MICRONET_VERSION; }
"""
    return {
        HEADER: c_arrays.c_header(HEADER, declarations),
        SOURCE: c_arrays.c_source(HEADER, definitions),
    }


def check() -> str:
    """Lines of a model's header behind the inclusion of the number's."""
    return f"""\
#if MICRONET_VERSION != {_literal()}
#error "The models of a program must have kernels of one version: export all by one keras_micronet"
#endif
"""


def _literal() -> str:
    return f"0x{number():08x}u"
