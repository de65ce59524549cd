# SPDX-License-Identifier: Apache-2.0
"""Kills the writing of an export at each of its changes in turn, and looks at what is left.

Arguments: one of `PLACES`; an empty folder. Prints the number of kills. It runs in a process of its
own without TensorFlow: one with it takes long to fork.
"""

import functools
import os
import pathlib
import sys
import types

if __name__ == "__main__":
    package = types.ModuleType("keras_micronet")
    package.__path__ = [str(pathlib.Path(__file__).parents[2] / "keras_micronet")]
    sys.modules["keras_micronet"] = package
    # Not needed to write, and imports Keras.
    earlier = types.ModuleType("tflm.earlier_export")
    earlier.file_names = lambda folder: set()
    sys.modules["tflm.earlier_export"] = earlier

from tests.keras_micronet.files.kill_everywhere import as_bytes, content
from tests.keras_micronet.files.killed import check_every_kill, run_killed
from tflm.export_folder import ExportFolder

EXPORT = {"a.txt": "old a", "kernels/k.c": "old k", "only_old.txt": "old"}
NEW = {"a.txt": "new a", "kernels/k.c": "new k", "kernels/l.c": b"new l"}
REPORT = {"report.md": "old"}
NEW_REPORT = {"report.md": "new", "report.json": "{}"}

# What is there, what is written, whether that is a refused export's report, where it must be.
PLACES = {
    "export over export": (EXPORT, NEW, False, "out"),
    "export over report": (REPORT, NEW, False, "out"),
    "report over report": (REPORT, NEW_REPORT, True, "out"),
    "report beside export": (EXPORT, NEW_REPORT, True, "out-refused"),
    "report into nothing": (None, NEW_REPORT, True, "out"),
}


def write(folder, files, is_refused):
    target = ExportFolder(folder, overwrite=True)
    with target.reserved():
        target.write(files, is_refused)


def check_a_kill(place, parent, number, after):
    """Returns whether there was a kill, and whether the new files were there then."""
    old, new, is_refused, name = PLACES[place]
    if old is not None:
        write(parent / "out", old, is_refused=old is REPORT)
    killed = run_killed(lambda: write(parent / "out", new, is_refused), number, after)
    allowed = (
        [{}, as_bytes(new)] if name != "out" or old is None else [as_bytes(old), as_bytes(new)]
    )
    found = content(parent / name)
    assert found in allowed, (number, found)
    assert name == "out" or content(parent / "out") == as_bytes(old), number
    is_new = found == as_bytes(new)
    assert killed or is_new
    write(parent / "out", new, is_refused)
    assert content(parent / name) == as_bytes(new), number
    assert name == "out" or content(parent / "out") == as_bytes(old), number
    assert sorted(os.listdir(parent)) == sorted({"out", name}), number
    assert not [each for each in os.listdir(parent / name) if each.startswith(".micronet")]
    return killed, is_new


def main(place, folder):
    check_every_kill(functools.partial(check_a_kill, place), folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
