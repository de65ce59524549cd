# SPDX-License-Identifier: Apache-2.0
"""A lock: two commands never write to one folder at the same time.

The kernel releases it when the process ends, however it ends: nobody ever has to remove a lock
file. Where the system or the file system has no such locks, nothing is locked.
"""

import datetime
import json
import os
import pathlib
import shlex
import socket
import sys
import time
from typing import Self

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

from keras_micronet.files.text import shorten

LOCK_NAME = ".micronet-lock"
_MOST_BYTES = 4096
_TRIES, _SECONDS_BETWEEN_TRIES = 5, 0.02

_held: dict[str, "Lock"] = {}  # this process's, by path: one process may open a folder twice


class FolderInUseError(ValueError):
    """Another command is writing to the folder."""


class Lock:
    """A lock that this process holds until `release`."""

    def __init__(self, path: pathlib.Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._count = 1

    def release(self) -> None:
        """Gives the lock back and removes its file; more often than acquired does nothing."""
        self._count -= 1
        if self._count == 0:
            del _held[str(self._path)]
            # Still locked: who has opened this very file meanwhile looks whether it is still there.
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def acquire(path: pathlib.Path, folder: str | os.PathLike[str]) -> Lock:
    """Takes a lock, which says who has it.

    Args:
        path: `pathlib.Path` of the lock's file, in an existing folder; made if it is missing.
        folder: the folder that is locked, for messages.

    Returns:
        A `Lock`; if this process has it already, the same.

    Raises:
        FolderInUseError: if another process has it.
        OSError: if the file cannot be made.
    """
    path = pathlib.Path(os.path.realpath(path.parent)) / path.name
    if str(path) in _held:
        _held[str(path)]._count += 1
        return _held[str(path)]
    for attempt in range(_TRIES):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            if _try_to_lock(descriptor) and _is_still_there(path, descriptor):
                _describe_holder(descriptor)
                _held[str(path)] = Lock(path, descriptor)
                return _held[str(path)]
            holder = _read_holder(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        # Its holder may just have released it, or somebody only asked who has it.
        time.sleep(_SECONDS_BETWEEN_TRIES * (attempt + 1 < _TRIES))
    raise FolderInUseError(_refusal(folder, holder))


def check_free(path: pathlib.Path, folder: str | os.PathLike[str]) -> None:
    """Raises `FolderInUseError` if another process has a lock; makes no file.

    Args:
        path, folder: as for `acquire`.
    """
    path = pathlib.Path(os.path.realpath(path.parent)) / path.name
    if fcntl is None or str(path) in _held or not path.is_file():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if not _try_to_lock(descriptor, fcntl.LOCK_SH):
            raise FolderInUseError(_refusal(folder, _read_holder(descriptor)))
    finally:
        os.close(descriptor)


def _try_to_lock(descriptor, kind=None):
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, (kind or fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        pass
    return True


def _is_still_there(path, descriptor):
    """Whether a path still leads to an open file: its last holder may have removed it."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _describe_holder(descriptor):
    program = pathlib.Path(sys.argv[0])
    is_module = program.name == "__main__.py"
    words = ["python", "-m", program.parent.name] if is_module else [program.name]
    command = shlex.join([*words, *sys.argv[1:]])
    holder = {
        "process": os.getpid(),
        "computer": socket.gethostname(),
        "command": shorten(command),
        "since": datetime.datetime.now().isoformat(" ", "seconds"),
    }
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, json.dumps(holder).encode())


def _read_holder(descriptor):
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        holder = json.loads(os.read(descriptor, _MOST_BYTES))
        return {str(key): shorten(str(value)) for key, value in holder.items()}
    except (ValueError, AttributeError, RecursionError):
        return {}  # it is just writing its name


def _refusal(folder, holder):
    process = holder.get("process", "unknown")
    return (
        "output must be a folder that no other command is writing to: wait until that has ended, "
        f"stop it (kill {process}), or give another --output. Received: output={folder}, in use by "
        f"process {process} on {holder.get('computer', 'this computer')} since "
        f"{holder.get('since', 'just now')} ({holder.get('command', 'another command')})"
    )
