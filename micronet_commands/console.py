# SPDX-License-Identifier: Apache-2.0
"""Output that no terminal refuses: what it has no characters for is escaped."""

import errno
import io
import sys

_LONGEST = 20_000  # characters; a compiler may have much to say
_LEFT_AS_THEY_ARE = "\n\t"
_FULL_DISK = (errno.ENOSPC, errno.EDQUOT)


def escape_output() -> None:
    """Makes `print` escape what the standard output has no character for, instead of failing.

    The standard error does so by itself.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def fail(program: str, reason: object, status: int) -> int:
    """Prints why a command ends, without control characters and of limited length.

    Args:
        program: the command, such as `"python -m tflm"`.
        reason: an exception or a text, which may be anybody's.
        status: the exit status.

    Returns:
        `status`.
    """
    text = explained(reason)
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    print(f"{program}: {''.join(map(_printable, text))}", file=sys.stderr)
    return status


def explained(reason: object) -> str:
    """The text of a reason; that of a full disk, which may come at any time, says what to do."""
    if isinstance(reason, OSError) and reason.errno in _FULL_DISK:
        return f"the disk is full: make room, then give the same command again. Received: {reason}"
    return str(reason)


def _printable(character):
    if character.isprintable() or character in _LEFT_AS_THEY_ARE:
        return character
    return ascii(character)[1:-1]
