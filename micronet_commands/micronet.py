# SPDX-License-Identifier: Apache-2.0
"""The command `micronet`: all of `python -m training`, `tflm` and `tflm.firmware` by one name.

It begins at once, for it imports nothing but the command that is asked for, and that by name: the
packages of the commands do not use each other.
"""

import dataclasses
import difflib
import importlib
import sys
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Command:
    """What a word stands for.

    Attributes:
        module: that has the command's `main(arguments)`, which returns an exit status.
        words: arguments that come before the user's.
        purpose: what it does, in a line.
    """

    module: str
    words: tuple[str, ...]
    purpose: str


COMMANDS = {
    "train": Command("training.command_line", (), "train a model of your pictures"),
    "quantize": Command("training.command_line", ("quantize",), "train on with int8 simulated"),
    "evaluate": Command("training.command_line", ("evaluate",), "measure a finished training"),
    "predict": Command("training.command_line", ("predict",), "recognise pictures"),
    "export": Command("tflm.command_line", (), "write int8 C sources and a report"),
    "firmware": Command("tflm.firmware.command_line", (), "run an export on an emulated board"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: list of words, or `None` for the process's.

    Returns:
        The exit status: that of the command; 2 if there is no such command.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(usage())
        return 0 if words else 2
    word, *rest = words
    if word not in COMMANDS:
        near = difflib.get_close_matches(word, COMMANDS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        print(
            f"The command must be one of {', '.join(COMMANDS)}.{hint} Received: {word}",
            file=sys.stderr,
        )
        return 2
    command = COMMANDS[word]
    try:
        module = importlib.import_module(command.module)
    except ModuleNotFoundError as error:
        extra = command.module.split(".")[0]
        print(
            f"{word} needs the package {error.name}: pip install 'keras_micronet[{extra}]'",
            file=sys.stderr,
        )
        return 2
    return module.main([*command.words, *rest])


def usage() -> str:
    """Text of `--help`."""
    width = max(map(len, COMMANDS))
    lines = [f"  {word:<{width}}  {command.purpose}" for word, command in COMMANDS.items()]
    return "\n".join(
        ["usage: micronet COMMAND ...", "", *lines, "", "micronet COMMAND --help tells the rest."]
    )
