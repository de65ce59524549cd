# SPDX-License-Identifier: Apache-2.0
"""Kills the writing of a folder at each of its changes in turn, and looks at what is left.

Arguments: one of `PLACES` or `new`, where nothing is replaced; an empty folder. Prints the number
of kills. It runs in a process of its own without TensorFlow: one with it takes long to fork.
"""

import functools
import os
import pathlib
import sys
import types

if __name__ == "__main__":
    # The package itself would import TensorFlow.
    package = types.ModuleType("keras_micronet")
    package.__path__ = [str(pathlib.Path(__file__).parents[3] / "keras_micronet")]
    sys.modules["keras_micronet"] = package

from keras_micronet.files import folders
from keras_micronet.files.folders import WholeFolder
from keras_micronet.files.marks import MARK_NAME
from tests.keras_micronet.files.killed import check_every_kill, run_killed

OLD = {"a.txt": "old a", "kernels/k.c": "old k", "only_old.txt": "old"}
NEW = {"a.txt": "new a", "kernels/k.c": "new k", "kernels/l.c": b"new l", "only_new.txt": "new"}


def nothing_special(folder, set_attribute):
    pass


def without_exchange(folder, set_attribute):
    set_attribute(folders, "exchange", lambda first, second: False)


def as_mount_point(folder, set_attribute):
    set_attribute(os.path, "ismount", lambda path: path == folder)


# Functions that make a folder special, with a function like `setattr`; "current" also is the
# current folder.
PLACES = {
    "beside": nothing_special,
    "current": nothing_special,
    "no exchange": without_exchange,
    "mount point": as_mount_point,
}


def content(folder):
    """Contents by name, without the mark."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in pathlib.Path(folder).rglob("*")
        if path.is_file() and path.name != MARK_NAME
    }


def as_bytes(files):
    return {name: text.encode() if isinstance(text, str) else text for name, text in files.items()}


def write(folder, files):
    target = WholeFolder(folder, "export")
    with target.reserved(overwrite=True):
        target.write(files, overwrite=True)


def check_a_kill(place, parent, number, after):
    """Returns whether there was a kill, and what was found then."""
    folder = parent / "out"
    if place == "new":
        parent.mkdir()
    else:
        write(folder, OLD)
    given = folder
    if place == "current":
        os.chdir(folder)
        given = pathlib.Path(".")
    PLACES.get(place, nothing_special)(folder, setattr)
    old = as_bytes(OLD) if place != "new" else {}
    killed = run_killed(lambda: write(given, NEW), number, after)
    if place in ("new", "beside"):  # whole also before the next command
        assert content(folder) in (old, as_bytes(NEW)), number
    with WholeFolder(given, "export").reserved(overwrite=True):
        found = content(folder)
    assert found in (old, as_bytes(NEW)), number
    assert killed or found == as_bytes(NEW)
    write(given, NEW)
    assert content(folder) == as_bytes(NEW), number
    assert os.listdir(parent) == ["out"], number
    assert not [name for name in os.listdir(folder) if name.startswith(".micronet")], number
    return killed, found == as_bytes(NEW)


def main(place, folder):
    check_every_kill(functools.partial(check_a_kill, place), folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
