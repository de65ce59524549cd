# SPDX-License-Identifier: Apache-2.0
"""Output that no terminal refuses: what it has no characters for is escaped."""

import argparse
import errno
import io
import sys
from collections.abc import Callable, Sequence

_LONGEST = 20_000  # characters; a compiler may have much to say
_LEFT_AS_THEY_ARE = "\n\t"
_INTERRUPTED = 130  # as shells have it: 128 and the number of the signal
_FULL_DISK = (errno.ENOSPC, errno.EDQUOT)


def escape_output() -> None:
    """Makes `print` escape what the standard output has no character for, instead of failing.

    The standard error does so by itself.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def run_command(
    program: str,
    parser: argparse.ArgumentParser,
    run: Callable[[argparse.Namespace], int],
    arguments: Sequence[str] | None,
    interrupted: str = "interrupted",
) -> int:
    """Parses a command's words and runs it; a user's interruption becomes a sentence.

    Args:
        program: the command, such as `"python -m tflm"`.
        parser: of its words.
        run: function of the options -> exit status.
        arguments: list of words, or `None` for the process's.
        interrupted: what is said if the user has interrupted it.

    Returns:
        What `run` has returned, or 130.
    """
    escape_output()
    options = parser.parse_args(arguments)
    try:
        return run(options)
    except KeyboardInterrupt:
        return fail(program, interrupted, _INTERRUPTED)


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
