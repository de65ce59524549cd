# SPDX-License-Identifier: Apache-2.0
"""Words of files and servers in messages."""


def one_line(text: object, length: int = 300) -> str:
    """`text`, anything, as one printable line that is not longer than `length` characters."""
    line = " ".join(str(text).split())
    line = line if len(line) <= length else f"{line[:length]}..."
    return "".join(character if character.isprintable() else "?" for character in line)
