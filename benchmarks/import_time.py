# SPDX-License-Identifier: Apache-2.0
"""What `import keras_micronet` costs beside `import tensorflow, keras`: CPU seconds.

Run with `python -m benchmarks.import_time`. Each import is in a process of its own and counts the
CPU seconds of that process from its start; both take turns, and the ratio is that of the least of
each, as whatever else the machine does only adds to them.
"""

import argparse
import os
import subprocess
import sys

import keras
import tensorflow as tf

from benchmarks.results_file import RESULTS, write_text

RESULT = RESULTS / "import_time.md"
REFERENCE, LIBRARY = "tensorflow, keras", "keras_micronet"
_TIMED = "import time\nimport {modules}\nprint(time.process_time())"


def seconds_of(modules):
    """CPU seconds of a new process that imports modules, as a float.

    Args:
        modules: names, separated by commas.
    """
    command = [sys.executable, "-c", _TIMED.format(modules=modules)]
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(finished.stdout.split()[-1])


def measure(rounds):
    """Lists of seconds, one of each round, by what is imported."""
    seconds = {REFERENCE: [], LIBRARY: []}
    for _ in range(rounds):
        for modules, taken in seconds.items():
            taken.append(seconds_of(modules))
    return seconds


def report(rounds):
    """The report of all measurements, as Markdown."""
    return (
        "# Imports\n\n"
        f"CPU seconds of a new process, the least of {rounds} rounds; {os.cpu_count()} cores, "
        f"TensorFlow {tf.__version__}, Keras {keras.__version__}. By "
        "`python -m benchmarks.import_time --write`.\n\n" + table(measure(rounds))
    )


def table(seconds):
    """Markdown table of CPU seconds."""
    reference, library = min(seconds[REFERENCE]), min(seconds[LIBRARY])
    return (
        "| import | seconds | of the former |\n|---|---|---|\n"
        f"| `{REFERENCE}` | {reference:.2f} | |\n"
        f"| `{LIBRARY}` | {library:.2f} | {library / reference:.2f} |\n"
    )


def main(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.import_time", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each import")
    parser.add_argument("--write", action="store_true", help=f"also write {RESULT.name}")
    options = parser.parse_args(arguments)
    text = report(options.rounds)
    print(text)
    if options.write:
        write_text(RESULT, text)


if __name__ == "__main__":
    main()
