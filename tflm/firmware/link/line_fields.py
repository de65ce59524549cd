# SPDX-License-Identifier: Apache-2.0
"""Fields of a device's lines."""

import re
import urllib.parse

from keras_micronet.files.text import shorten

NUMBER = r"[0-9]{1,18}"
PERCENT_ENCODED = r"([!-$&-~]|%[0-9A-Fa-f]{2})*"


class ContradictionError(ValueError):
    """Fields that are well-formed, but not together."""


def matched(pattern: re.Pattern[str], text: str) -> dict[str, str]:
    """The groups of a pattern that the whole text has.

    Raises:
        ValueError: it has not.
    """
    match = pattern.fullmatch(text)
    if match is None:
        raise ValueError(f"must be of the form {pattern.pattern}. Received: {shorten(text)}")
    return match.groupdict()


def decoded(text: str) -> str:
    """UTF-8 of what was percent-encoded.

    Raises:
        ValueError: it is none.
    """
    return urllib.parse.unquote(text, errors="strict")
