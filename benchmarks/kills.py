# SPDX-License-Identifier: Apache-2.0
"""How many kills a training, a quantize-aware training and an export survive without a loss.

Each command is killed (`SIGKILL`), one kill a run, and then given again. Some kills strike at any
moment; the others at changes of files in the part that writes them: renames, unlinks, folders that
are made or removed, flushes, and each half of what is written. As many moments as are asked for are
spread evenly over each command, in random order. Besides, the functions that write a run and an
export are killed before and after each such change, without the work before. What counts:

- after every kill the old run or export is there, whole, or the new one is;
- after the second command the run is complete, its weights are to the bit those of a run that was
  never killed, and nothing hidden is left.

    python -m benchmarks.kills FOLDER --kills 200 --write

writes `results/kills.md` and keeps in FOLDER what it makes; each kill takes seconds of both cores,
and `--minutes` ends it before. So that it is not minutes, the network is the smallest that can be
exported, the data are small pictures that it makes, and the commands are forked from one process
that has imported TensorFlow. Where the folder is read between two commands, as by `python -m tflm`,
what a killed command has begun to move is finished first, as every command does.
"""

import argparse
import concurrent.futures
import dataclasses
import functools
import multiprocessing
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import h5py
import keras
import numpy as np

from benchmarks.results_file import RESULTS, write_text
from keras_micronet import run_folders
from keras_micronet.files.archives import DamagedFileError, read_json
from keras_micronet.files.marks import MARK_NAME
from tests.keras_micronet.files.killed import count_changes, run_killed
from tests.tflm import kill_export, pictures
from tflm import command_line as export_command
from tflm import export_folder, exporter, trained_run  # here, so that children need not
from training import command_line as training_command
from training.commands import quantize
from training.commands import train as train_command
from training.runs import run_folder

RESULT = RESULTS / "kills.md"
_CLASSES = pictures.CLASS_NAMES
_IMAGE_SIZE = pictures.SHAPE[0]
_PICTURES = 90
_MOST_FAILURES = 5
_WRITINGS = [
    *(("tests.training.kill_run_folder", kind) for kind in ("new", "overwrite")),
    *(("tests.tflm.kill_export", place) for place in kill_export.PLACES),
]
_NAMES_OF_WRITINGS = {
    "tests.training.kill_run_folder": "run folder",
    "tests.tflm.kill_export": "export's folder",
}
_IMPORTED = (export_folder, exporter, trained_run, quantize)


def _small_network(variant, image_size, class_count, weights):
    """Stands for `training.models.build_model`, whose networks take long to trace."""
    inputs = keras.Input((*image_size, 3))
    x = keras.layers.Normalization(axis=-1, mean=[120.0] * 3, variance=[50.0**2] * 3)(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(class_count, activation="softmax")(x)
    return keras.Model(inputs, outputs)


def _command(main, words):
    """A function that runs a command as the whole of a process, in silence."""

    def run_command():
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        train_command.build_model = _small_network
        return main(words)

    return run_command


def _status_of(function):
    """The exit status of a function that runs in a child process."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = function() or 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@dataclasses.dataclass
class Study:
    """One command, killed again and again.

    Attributes:
        name: what the table calls it.
        main: the command's function.
        words: its words; the output is added.
        folder: a folder of its own.
        weights: the file whose content must be the same after all.
        overwrites: whether each kill strikes a command that replaces an earlier output.
        begins_at: `None` for kills at random moments; else a function that, in the child, makes
            the command end itself where the part begins whose changes of files are the moments.
        changes: how many these are.
    """

    name: str
    main: Callable
    words: list
    folder: pathlib.Path
    weights: str
    overwrites: bool = False
    begins_at: Callable | None = None
    changes: int = 0
    kills: int = 0
    losses: int = 0
    failures: int = 0
    unequal: int = 0
    leftovers: int = 0

    def prepare(self):
        """Makes the output that no kill has struck, and what each kill begins with."""
        self.whole, self.start = self.folder / "whole", self.folder / "start"
        self.output = self.folder / "work" / "output"
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True)
        began = time.monotonic()
        if self._run(self.whole) != 0:
            raise RuntimeError(f"{self.name} must succeed without a kill")
        self.seconds = time.monotonic() - began
        self._copy(self.whole if self.overwrites else None)
        if self.begins_at is not None and not self._is_export():
            # All epochs done: the end begins.
            self._run_in_child(self.overwrites, before=self.begins_at)
            self._copy(self.output if self.output.exists() else None)
        if self.begins_at is not None:
            self._lay_out()
            self.changes = count_changes(self._command_now())

    def _command_now(self):
        # An unfinished run that replaces another is continued without the option.
        overwrites = self.overwrites and (self.begins_at is None or self._is_export())
        return _command(self.main, self._words(self.output, overwrites))

    def _copy(self, source):
        shutil.rmtree(self.start, ignore_errors=True)
        if source is not None:
            shutil.copytree(source, self.start)

    def _is_export(self):
        return self.main is export_command.main

    def _words(self, output, overwrite):
        return [*self.words, "--output", str(output), *(["--overwrite"] if overwrite else [])]

    def _run(self, output, overwrite=False):
        return _status_of(_command(self.main, self._words(output, overwrite)))

    def _run_in_child(self, overwrite, before):
        command = _command(self.main, self._words(self.output, overwrite))
        self._lay_out()
        return _status_of(lambda: (before(), command())[1])

    def _lay_out(self):
        """Puts the output folder into the state that each kill begins with."""
        shutil.rmtree(self.output.parent, ignore_errors=True)
        self.output.parent.mkdir(parents=True)
        if self.start.exists():
            shutil.copytree(self.start, self.output)

    def kill_once(self, part):
        """Kills the command once, looks, and gives it again.

        Args:
            part: of the command's duration, or of the changes that it makes, from 0 to 1.

        Returns:
            Whether it was killed: it may be faster than before.
        """
        self._lay_out()
        command = self._command_now()
        if self.begins_at is None:
            is_killed = self._kill_at(command, part)
        else:
            is_killed = run_killed(command, 1 + int(part * self.changes))
        if is_killed:
            self.kills += 1
            self._look()
        return is_killed

    def _kill_at(self, command, part):
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            os._exit(command() or 0)
        while time.monotonic() - began < part * self.seconds:
            if os.waitpid(child, os.WNOHANG)[0]:
                self.seconds = time.monotonic() - began
                return False
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return True

    def _look(self):
        had_output = self.overwrites
        if had_output and not self._is_whole():
            self.losses += 1
            print(f"{self.name}: neither old nor new", flush=True)
        again = self._run(self.output, self._is_export() and self.output.exists())
        # Refused if the kill came too late: it is complete already.
        is_complete = again == 2 and self._is_whole()
        if again != 0 and not is_complete:
            self.failures += 1
            print(f"{self.name}: the second command had status {again}", flush=True)
        self.unequal += not self._has_the_weights()
        self.leftovers += bool(list(self.output.parent.rglob(".micronet-*")))

    def _is_whole(self):
        try:
            if self._is_export():
                names = read_json(self.output / MARK_NAME)["files"]
                return all((self.output / name).is_file() for name in names)
            run_folders.finish_replacement(self.output)
            run_folders.read_summary(self.output)
        except (DamagedFileError, KeyError):
            return False
        return self._has_the_weights()

    def _has_the_weights(self):
        paths = self.output / self.weights, self.whole / self.weights
        if not all(path.is_file() for path in paths):
            return False
        if self._is_export():
            return paths[0].read_bytes() == paths[1].read_bytes()
        first, second = map(_arrays, paths)
        return first.keys() == second.keys() and all(
            np.array_equal(first[name], second[name]) for name in first
        )

    def row(self):
        """The table's row."""
        moments = "any" if self.begins_at is None else f"{self.changes} changes of files"
        figures = self.kills, self.losses, self.failures, self.unequal, self.leftovers
        return f"| {self.name} | {moments} | {' | '.join(map(str, figures))} |"


def _arrays(path):
    arrays = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: arrays.update({name: item[()]}) if hasattr(item, "shape") else None
        )
    return arrays


def _end_before_files_are_written():
    """Makes a training end itself when its epochs are done."""
    run_folder.RunFolder.write_model = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)


def _at_once():
    """The part of an export that writes files cannot be had without the work before it."""


def _write_pictures(folder):
    """A folder of small photographs, one sub-folder a class."""
    from PIL import Image

    images, labels = pictures.pictures(_PICTURES, seed=0)
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        target = folder / _CLASSES[label]
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(target / f"{index:03}.png")


def _studies(folder):
    data, floats = folder / "pictures", folder / "training" / "whole"
    size = ["--image-size", str(_IMAGE_SIZE), "--batch-size", "12"]
    train = ["--dataset", str(data), *size, "--epochs", "3"]
    aware = ["--quantize-aware", str(floats), "--epochs", "2"]
    export = [str(floats), "--most-accuracy-lost", "100"]
    weights = run_folder.WEIGHTS
    training = functools.partial(Study, main=training_command.main, weights=weights)
    exports = functools.partial(Study, main=export_command.main, weights=exporter.MODEL_FILE)
    at_the_end = {"begins_at": _end_before_files_are_written}
    each_change = {"begins_at": _at_once}
    return [
        training("training", words=train, folder=folder / "training"),
        training("training, its end", words=train, folder=folder / "training_end", **at_the_end),
        training(
            "training that replaces another, its end",
            words=train,
            folder=folder / "training_over",
            overwrites=True,
            **at_the_end,
        ),
        training("quantize-aware training", words=aware, folder=folder / "aware"),
        training(
            "quantize-aware training, its end",
            words=aware,
            folder=folder / "aware_end",
            **at_the_end,
        ),
        exports("export", words=export, folder=folder / "export", **each_change),
        exports(
            "export that replaces another",
            words=export,
            folder=folder / "export_over",
            overwrites=True,
            **each_change,
        ),
        exports(
            "fused export that replaces another",
            words=[*export, "--kernels", "fused"],
            folder=folder / "export_fused",
            overwrites=True,
            **each_change,
        ),
    ]


def _kill_writing(module, kind):
    """Kills the writing of files before and after each change; returns what and how many kills."""
    with tempfile.TemporaryDirectory() as folder:
        finished = subprocess.run(
            [sys.executable, "-m", module, kind, folder], capture_output=True, text=True
        )
    if finished.returncode != 0:
        raise RuntimeError(f"{module} {kind} must lose nothing. Received: {finished.stderr}")
    print(f"{module} {kind}: {finished.stdout.strip()} kills", flush=True)
    return f"{_NAMES_OF_WRITINGS[module]}: {kind}", int(finished.stdout)


def table(studies, writings):
    """The results as Markdown.

    Args:
        studies: of whole commands.
        writings: pairs of a name and a number of kills.
    """
    return "\n".join(
        [
            "# Kills",
            "",
            "Written by `python -m benchmarks.kills FOLDER --write`, which says what is killed and "
            "what the columns mean.",
            "",
            "| command | moments | kills | without old or new | second command failed | "
            "other weights | leftovers |",
            "|---|---|---|---|---|---|---|",
            *[study.row() for study in studies],
            f"| **all** | | {sum(study.kills for study in studies)} | "
            + " | ".join(
                str(sum(getattr(study, name) for study in studies))
                for name in ("losses", "failures", "unequal", "leftovers")
            )
            + " |",
            "",
            "The writing alone, killed before and after each change of a file. Each of these kills "
            "left the old files or the new ones, and the next command the new ones alone.",
            "",
            "| writing | kills |",
            "|---|---|",
            *(f"| {name} | {kills} |" for name, kills in writings),
            f"| **all** | {sum(kills for _, kills in writings)} |",
            "",
        ]
    )


def _kill(kills, end, study, position):
    """Kills a command so many times, if there is the time; returns the study."""
    if position > 0:
        study.prepare()
    moments = list(range(kills))
    random.Random(0).shuffle(moments)
    while moments and study.failures < _MOST_FAILURES and time.monotonic() < end:
        if study.kill_once((moments[-1] + 0.5) / kills):
            moments.pop()
        print(study.row(), flush=True)
    return study


def main(arguments=None):
    """Runs the study."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--kills", type=int, default=200, help="of whole commands, together")
    parser.add_argument("--minutes", type=float, default=600, help="after which no more is killed")
    parser.add_argument("--jobs", type=int, default=2, help="commands at the same time")
    parser.add_argument("--write", action="store_true", help=f"write {RESULT.name}")
    options = parser.parse_args(arguments)
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / "pictures", ignore_errors=True)
    _write_pictures(folder / "pictures")
    studies = _studies(folder)
    end = time.monotonic() + 60 * options.minutes
    writings = [_kill_writing(module, kind) for module, kind in _WRITINGS]
    studies[0].prepare()  # the others begin with what it makes
    kills = -(-options.kills // len(studies))
    with concurrent.futures.ProcessPoolExecutor(
        options.jobs, multiprocessing.get_context("fork")
    ) as pool:
        kill = functools.partial(_kill, kills, end)
        studies = list(pool.map(kill, studies, range(len(studies))))
    text = table(studies, writings)
    print(text)
    if options.write:
        write_text(RESULT, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
