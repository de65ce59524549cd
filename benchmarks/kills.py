"""How many kills a training, a quantize-aware training and an export survive without a loss.

Each command is killed (`SIGKILL`) at moments that are spread over its whole duration, one kill a
run; then the same command is given again. What counts:

- after every kill the old run or export is there, whole, or the new one is;
- after the second command the run is complete, its weights are to the bit those of a run that was
  never killed, and nothing hidden is left.

    python -m benchmarks.kills FOLDER --kills 200 --write

takes hours on two cores and writes `results/kills.md`; FOLDER keeps what it makes.
"""

import argparse
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time

import numpy as np

from benchmarks.results_file import RESULTS, write_text
from keras_micronet.files.archives import DamagedFileError, read_json
from keras_micronet.files.marks import MARK_NAME

RESULT = RESULTS / "kills.md"
_ROOT = pathlib.Path(__file__).parents[1]
_TRAIN = ["training", "--dataset", "digits", "--batch-size", "64", "--image-size", "16"]


class Study:
    """One command, killed again and again.

    Args:
        name: what the table calls it.
        words: the command's words behind `python -m`; the output is added.
        folder: a folder of its own.
        overwrites: whether each kill strikes a command that replaces an earlier output.
    """

    def __init__(self, name, words, folder, overwrites):
        self.name = name
        self._words = words
        self._folder = folder
        self._overwrites = overwrites
        self._earlier = folder / "earlier"
        self._seconds = None  # of the last run that ended by itself: other programs come and go
        self.kills = self.losses = self.unequal = self.leftovers = self.failures = 0

    def prepare(self):
        """Makes the output that no kill has struck, and measures how long that takes."""
        start = time.monotonic()
        if self._earlier.exists():
            shutil.rmtree(self._earlier)
        self._run(self._earlier)
        self._seconds = time.monotonic() - start

    def kill_once(self, choose_part):
        """Kills the command once, looks, and gives it again.

        Args:
            choose_part: function that gives the part of the command's duration before the kill.
        """
        output = self._folder / "output"
        while not self._is_killed(output, choose_part()):
            pass
        self.kills += 1
        self.losses += self._overwrites and not self._is_whole(output)
        # A training is continued by the same command without --overwrite.
        again = self._start(output, self._is_export() and output.exists())
        _, errors = again.communicate()
        # Refused if the kill came too late: it is complete already.
        is_complete = again.returncode == 2 and self._is_whole(output)
        if again.returncode != 0 and not is_complete:
            self.failures += 1
            print(f"{self.name}: status {again.returncode}\n{errors.decode()}", flush=True)
        self.unequal += not self._equals(output)
        self.leftovers += bool(list(self._folder.rglob(".micronet-*")))

    def _is_killed(self, output, part):
        """Starts the command and kills it; `False` if it has ended before."""
        shutil.rmtree(output, ignore_errors=True)
        if self._overwrites:
            shutil.copytree(self._earlier, output)
        start = time.monotonic()
        process = self._start(output, self._overwrites)
        try:
            process.communicate(timeout=self._seconds * part)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return True
        self._seconds = time.monotonic() - start
        return False

    def row(self):
        """The table's row."""
        figures = self.kills, self.losses, self.failures, self.unequal, self.leftovers
        return f"| {self.name} | {' | '.join(map(str, figures))} |"

    def _is_export(self):
        return self._words[0] == "tflm"

    def _start(self, output, overwrite):
        words = [*self._words, "--output", str(output), *(["--overwrite"] if overwrite else [])]
        return subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=_ROOT,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def _run(self, output):
        process = self._start(output, overwrite=False)
        _, errors = process.communicate()
        if process.returncode:
            raise RuntimeError(f"{self.name} must succeed. Received: {errors.decode()}")

    def _is_whole(self, output):
        try:
            if self._is_export():
                names = read_json(output / MARK_NAME)["files"]
                return all((output / name).is_file() for name in names)
            read_json(output / "run.json")
        except (DamagedFileError, KeyError):
            return False
        return self._equals(output)

    def _equals(self, output):
        """Whether an output has the bytes of weights of the one that no kill has struck."""
        name = "model.tflite" if self._is_export() else "model.weights.h5"
        paths = output / name, self._earlier / name
        if not all(path.is_file() for path in paths):
            return False
        if self._is_export():
            return paths[0].read_bytes() == paths[1].read_bytes()
        first, second = map(_weights, paths)
        return first.keys() == second.keys() and all(
            np.array_equal(first[name], second[name]) for name in first
        )


def _weights(path):
    import h5py

    arrays = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: arrays.update({name: item[()]}) if hasattr(item, "shape") else None
        )
    return arrays


def table(studies):
    """The results as Markdown."""
    return "\n".join(
        [
            "# Kills",
            "",
            "Written by `python -m benchmarks.kills FOLDER --write`, which says what the columns "
            "mean.",
            "",
            "| command | kills | without old or new | second command failed | other weights | "
            "leftovers |",
            "|---|---|---|---|---|---|",
            *[study.row() for study in studies],
            "",
        ]
    )


def main(arguments=None):
    """Runs the study."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--kills", type=int, default=200, help="of all commands together")
    parser.add_argument("--write", action="store_true", help=f"write {RESULT.name}")
    options = parser.parse_args(arguments)
    folder = options.folder.resolve()
    floats = folder / "float" / "earlier"
    studies = [
        Study("training", [*_TRAIN, "--epochs", "3"], folder / "float", False),
        Study("training, --overwrite", [*_TRAIN, "--epochs", "3"], folder / "again", True),
        Study(
            "quantize-aware training",
            ["training", "--quantize-aware", str(floats), "--epochs", "2"],
            folder / "aware",
            False,
        ),
        Study("export, --overwrite", ["tflm", str(floats)], folder / "export", True),
    ]
    moments = random.Random(0)
    for study in studies:
        study.prepare()
    for number in range(options.kills):
        study = studies[number % len(studies)]
        # Half of them at the end, where files are written.
        low = 0.0 if number % 8 < 4 else 0.8
        study.kill_once(lambda: moments.uniform(low, 1.0))
        print(study.row(), flush=True)
    if options.write:
        write_text(RESULT, table(studies))
    print(table(studies))


if __name__ == "__main__":
    main()
