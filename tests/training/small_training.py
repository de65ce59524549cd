# SPDX-License-Identifier: Apache-2.0
"""`python -m training` of a small model: a MicroNet's first step would take half a minute.

Takes the options of the command, but those that are set here.
"""

import sys

from training import command_line

SMALL = ["--image-size", "8x12", "--batch-size", "14", "--seed", "5"]


def main(arguments):
    """Runs the command line; returns the exit code."""
    prepare_command = command_line._command

    def prepare_small_command(settings):
        # Only now, as TensorFlow's log level is set before it is imported.
        from tests.training.conftest import build_tiny_model
        from training.tasks import classes

        classes.build_model = lambda *_: build_tiny_model()
        return prepare_command(settings)

    command_line._command = prepare_small_command
    return command_line.main([*SMALL, *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
