# SPDX-License-Identifier: Apache-2.0
"""Tables in Markdown."""

import collections.abc

Rows = collections.abc.Sequence[collections.abc.Sequence[str | int]]


def table(
    heads: collections.abc.Sequence[str], rows: Rows, numbers: collections.abc.Container[str] = ()
) -> str:
    """A Markdown table.

    Args:
        heads: of the columns.
        rows: at least one, a text or an integer a column.
        numbers: heads of columns that stand at the right, besides those of integers.
    """
    first = zip(heads, rows[0], strict=True)
    is_number = [isinstance(value, int) or head in numbers for head, value in first]
    rules = ["---:" if number else "---" for number in is_number]
    lines = [heads, rules] + [
        [f"{value:,}" if isinstance(value, int) else value for value in row] for row in rows
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
