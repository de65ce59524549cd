# SPDX-License-Identifier: Apache-2.0
"""Kills a process at a chosen change of the file system, for tests of what is left then.

A child process runs a function in which the system calls that change files are counted; at the
n-th one it is killed, before or after the call, as `kill -9` would do it.
"""

import builtins
import os
import pathlib
import signal

from keras_micronet.files import folders

CHANGES = ("replace", "rename", "unlink", "rmdir", "mkdir", "fsync", "write")
FINISHED = 0


class _KillAt:
    def __init__(self, number, after):
        self.left = number
        self._after = after

    def wrap(self, function):
        def counted(*arguments, **options):
            self.left -= 1
            is_due = self.left == 0
            if is_due and not self._after:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return function(*arguments, **options)
            finally:
                if is_due:
                    os.kill(os.getpid(), signal.SIGKILL)

        return counted


def run_killed(function, number, after=False):
    """Runs a function in a child process that is killed at its n-th change of a file.

    Args:
        function: takes nothing.
        number: which change, from 1.
        after: whether the change is still made.

    Returns:
        Whether the child was killed; otherwise it has made fewer changes, and ended well.
    """
    child = os.fork()
    if child == 0:
        status = 1
        try:
            _install(_KillAt(number, after))
            function()
            status = FINISHED
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == FINISHED
    return False


def count_changes(function):
    """Runs a function in a child process; returns how many changes of files it makes."""
    source, target = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            write, kill = os.write, _KillAt(0, False)
            _install(kill)
            function()
            write(target, str(-kill.left).encode())
        finally:
            os._exit(FINISHED)
    os.close(target)
    os.waitpid(child, 0)
    with open(source, "rb") as file:
        return int(file.read())


def check_every_kill(check, folder):
    """Kills a writing at each of its changes in turn, before and after it; prints how many.

    The kills must have left the old files, and the new ones, at least once each.

    Args:
        check: function of a new folder, the number of the change and whether the kill comes after
            it. It runs the writing, requires what must hold, and returns whether the writing was
            killed, and whether the new files were there then.
        folder: an empty folder.
    """
    os.fsync = lambda descriptor: None  # a kill is no power cut, and hundreds of them take minutes
    kills, outcomes = 0, set()
    for after in (False, True):
        number = 1
        while True:
            killed, is_new = check(pathlib.Path(folder) / f"{number}-{after}", number, after)
            if not killed:
                break
            outcomes.add(is_new)
            number += 1
            kills += 1
    assert outcomes == {False, True}
    print(kills)


def _install(kill):
    for name in CHANGES:
        setattr(os, name, kill.wrap(getattr(os, name)))
    folders.exchange = kill.wrap(folders.exchange)
    open_file = builtins.open

    def open_counted(path, mode="r", *arguments, **options):
        if "r" in mode:
            return open_file(path, mode, *arguments, **options)
        file = kill.wrap(open_file)(path, mode, *arguments, **options)
        return _CountedFile(file, kill)

    builtins.open = open_counted


class _CountedFile:
    """A file whose every writing is a change; only half of the bytes are there at a kill."""

    def __init__(self, file, kill):
        self._file = file
        self._kill = kill

    def write(self, contents):
        half = len(contents) // 2
        self._write(contents[:half])
        self._write(contents[half:])
        return len(contents)

    def _write(self, part):
        self._kill.wrap(self._file.write)(part)
        self._file.flush()

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()
