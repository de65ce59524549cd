# SPDX-License-Identifier: Apache-2.0
"""Text of unknown origin in messages: one printable line of limited length."""

from collections.abc import Iterable

_LONGEST = 300


def shorten(text: object, longest: int = _LONGEST) -> str:
    """Text for a message, whatever somebody's file made of it.

    Args:
        text: anything with a text, such as an exception.
        longest: number of characters.

    Returns:
        One line without control characters, of at most `longest` characters.
    """
    # Cut first: splitting a text of megabytes takes time, too.
    line = " ".join(str(text)[: 4 * longest].split())
    line = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)
    return line if len(line) <= longest else f"{line[: longest - 3]}..."


def list_some(items: Iterable[object], most: int = 20) -> str:
    """Joins the first items of a list for a message, and tells how many more there are."""
    items = list(items)
    shown = "; ".join(str(item) for item in items[:most])
    return shown if len(items) <= most else f"{shown}; and {len(items) - most} more"
