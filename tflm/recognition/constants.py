# SPDX-License-Identifier: Apache-2.0
"""What the functions of `micronet_scores.h` need of one model, as C text."""

import dataclasses
import re

import numpy as np

from tflm.recognition.scores import ONE, exponentials
from tflm.sources import c_arrays

_C_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclasses.dataclass(frozen=True)
class RecognitionConstants:
    """C99 text that is C++11, too.

    Attributes:
        declarations: for a header of the model, which includes `<stdint.h>`.
        definitions: for one source of the model, which includes that header.
    """

    declarations: str
    definitions: str


def check_name(name: str) -> None:
    """Raises `ValueError` unless names of C may begin so."""
    if not _C_NAME.fullmatch(name):
        raise ValueError(
            "A model's name must be letters, digits and underscores, a letter first. "
            f"Received: name={name!r}"
        )


def recognition_constants(name: str, scale: float, threshold: int) -> RecognitionConstants:
    """Writes a model's exponentials and threshold down.

    Args:
        name: what all names of the model begin with, such as "person": then these are
            `person_exponentials` and `PERSON_THRESHOLD`.
        scale: of the model's int8 output.
        threshold: in Q15, as `thresholds.choose` gives it.

    Raises:
        ValueError: if the name is none of C, the scale not positive, or the threshold outside of
            [0, 32768].
    """
    check_name(name)
    if not 0 <= threshold <= ONE:
        raise ValueError(f"A threshold must be from 0 to {ONE}. Received: threshold={threshold}")
    table = exponentials(scale)
    array = f"const uint32_t {name}_exponentials[{len(table)}]"
    declarations = f"""\
/* exp(-d * {c_arrays.number(scale)}) in Q24 for differences d of two scores, as functions of
 * micronet_scores.h take it. */
extern {array};
/* The probability of the best class, in Q15, below which the answer is none of these. */
#define {name.upper()}_THRESHOLD {threshold}u
"""
    definitions = f"{array} = {c_arrays.array(table.astype(np.int64))};\n"
    return RecognitionConstants(declarations, definitions)
