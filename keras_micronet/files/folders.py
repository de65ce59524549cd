# SPDX-License-Identifier: Apache-2.0
"""A folder that a command writes as a whole, and replaces as a whole.

A new folder appears by one renaming. An earlier one is exchanged with its successor, which is one
system call where there is such a call (Linux's `renameat2`). Where a folder cannot be exchanged
(a container's volume, the current folder, another system), its successor is completed inside
it, under a hidden name, and its files are then moved in one by one; the next command finishes that
if this one is killed. So the old files go only after the new ones are all there, on the disk.

Only a folder with this project's mark is replaced, and only if it holds nothing else.
"""

import contextlib
import ctypes
import errno
import os
import pathlib
import stat
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from keras_micronet.files import locks
from keras_micronet.files.atomic import (
    as_bytes,
    flush_file,
    flush_folder,
    is_leftover_of,
    short_name,
    temporary_for,
    temporary_name,
)
from keras_micronet.files.locks import LOCK_NAME
from keras_micronet.files.marks import MARK_NAME, Mark, list_files, read_mark
from keras_micronet.files.text import list_some, shorten

COMPLETE = ".micronet-complete"  # a successor, of which all files are there
_STAGED = "files"  # what the temporary folders inside a folder stand for

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_CANNOT_RENAME = {errno.EBUSY, errno.EXDEV, errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}


class OutputTakenError(ValueError):
    """Files of others came into a folder after it had been found free."""


class WholeFolder:
    """A folder whose files are written at once.

    Args:
        path: the folder; links are followed.
        kind: what it is, for its mark and for messages, such as `"export"`.
        names_without_mark: function that takes the path of a folder without a mark and returns the
            names of the files that an earlier version of this project wrote there; empty if the
            folder is none of this project's.
        disposable: kinds of folders in which is nothing that anybody needs: they are replaced
            without being asked to.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        kind: str,
        names_without_mark: Callable[[pathlib.Path], Collection[str]] = lambda folder: (),
        disposable: Sequence[str] = (),
    ) -> None:
        self._given = path
        self.path = pathlib.Path(os.path.realpath(path))
        self._kind = kind
        self._names_without_mark = names_without_mark
        self._disposable = disposable

    @contextlib.contextmanager
    def reserved(self, overwrite: bool = False) -> Iterator[None]:
        """Keeps other commands out while in the block; before it, makes sure of the folder.

        What killed commands have left is cleaned up, and that the folder can be written is proven.

        Args:
            overwrite: whether an earlier folder of this kind may be replaced.

        Raises:
            FolderInUseError: if another command is writing to it.
            ValueError: if it must not or cannot be written.
        """
        with contextlib.ExitStack() as stack:
            with self._as_refusal():
                if os.path.lexists(self.path) and not self.path.is_dir():
                    raise NotADirectoryError(errno.ENOTDIR, "it is no folder")
                for made in _make_folders(self.path.parent):
                    stack.callback(_remove_if_empty, made)
                stack.enter_context(self._lock())
                self._recover()
                self.check(overwrite)
                self._prove_writable()
            yield

    def holds_earlier(self) -> bool:
        """Whether there is anything in the folder that is not disposable."""
        return bool(self._files()) and not self._is_disposable()

    def check(self, overwrite: bool = False) -> None:
        """Raises `ValueError` unless the folder is free or may be replaced.

        Args:
            overwrite: as for `reserved`.
        """
        with self._as_refusal():
            if not self.path.exists():
                return
            found = self._files()
            if not found:
                return
            known = self._known_names(self.path)
        if not known or not (overwrite or self._is_disposable()):
            raise ValueError(
                f"output must be a new or empty folder or, with --overwrite, that of an earlier "
                f"{self._kind}. Received: output={self._given}"
                + ("" if known else f", which holds {list_some(sorted(found), 3)}")
            )
        others = sorted(found - known)
        if others:
            raise ValueError(
                f"output must hold nothing but an earlier {self._kind}, which is replaced as a "
                "whole: move the other files away, or give another --output. "
                f"Received: output={self._given} with {list_some(map(shorten, others))}"
            )

    def write(self, files: Mapping[str, bytes | str], overwrite: bool = False) -> None:
        """Writes all files; afterwards the folder holds these and no others.

        Args:
            files: contents, text (stored as UTF-8) or bytes, by name; a name may have folders in
                front, with slashes.
            overwrite: as for `reserved`.

        Raises:
            OutputTakenError: if somebody's files are there now; the new ones are beside them then,
                where the message says.
            ValueError, OSError: as for `reserved`, or if the files cannot be written; an earlier
                folder is as it was.
        """
        with self.reserved_again():
            if self._must_stay() or not self._put_beside(files, overwrite):
                self._put_inside(files, overwrite)

    @contextlib.contextmanager
    def reserved_again(self) -> Iterator[None]:
        """The lock alone: as part of `reserved`, or for who writes without it."""
        with contextlib.ExitStack() as stack:
            for made in _make_folders(self.path.parent):
                stack.callback(_remove_if_empty, made)
            stack.enter_context(self._lock())
            yield

    def _put_beside(self, files, overwrite):
        """Writes a new folder beside the old one and gives it its name; `False` if that fails."""
        staged = self.path.with_name(temporary_name(self.path.name))
        try:
            _write_all(Mark(self._kind, tuple(files)), files, staged)
            self._check_again(staged, overwrite)
            if self._files():
                return self._exchange(staged)
            # Onto nothing or an empty folder: a folder is never renamed onto files.
            os.rename(staged, self.path)
            flush_folder(self.path.parent)
            return True
        except OSError as error:
            if error.errno not in _CANNOT_RENAME:
                raise
            return False
        finally:
            self._discard(staged)

    def _put_inside(self, files, overwrite):
        """Writes the new files into the folder, which keeps its place."""
        self.path.mkdir(exist_ok=True)
        staged = self.path / temporary_name(_STAGED)
        replaced = self._known_names(self.path) - {MARK_NAME}
        try:
            _write_all(Mark(self._kind, tuple(files), tuple(sorted(replaced))), files, staged)
            self._check_again(staged, overwrite)
            os.rename(staged, self.path / COMPLETE)
            flush_folder(self.path)
        finally:
            self._discard(staged)
        move_in(self.path, MARK_NAME)

    def _check_again(self, staged, overwrite):
        try:
            self.check(overwrite)
        except ValueError as error:
            raise OutputTakenError(self._keep_beside(staged, error)) from error

    def _exchange(self, staged):
        """Exchanges the folder with its successor; returns whether that could be done."""
        with contextlib.suppress(OSError):
            os.chmod(staged, stat.S_IMODE(os.stat(self.path).st_mode))
        if not exchange(staged, self.path):
            return False
        flush_folder(self.path.parent)
        if list_files(staged) - self._known_names(staged):
            # They came between the check and the exchange.
            exchange(staged, self.path)
            raise OutputTakenError(self._keep_beside(staged, "files came into it"))
        return True

    def _discard(self, folder):
        """Removes a temporary folder of this project, and in it an export that is replaced."""
        if folder.is_dir() and read_mark(folder) is None:
            known = self._names_without_mark(folder)
            if known:
                Mark(self._kind, tuple(known)).write(folder)
        remove_known(folder)

    def _keep_beside(self, staged, reason):
        """Saves finished work under another name; returns the sentence that says so."""
        number = 1
        parent = self.path.parent if _is_writable(self.path.parent) else self.path
        while True:
            other = parent / f"{self.path.name}-{number}"
            try:
                if not os.path.lexists(other):
                    os.rename(staged, other)
                    break
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                    raise
            number += 1
        return (
            f"output must stay as it was when the {self._kind} began; what was made is in {other}: "
            f"rename it. Received: output={self._given} ({shorten(reason)})"
        )

    def _files(self):
        """Names in the folder, without what belongs to a command that is writing or was killed."""
        if not self.path.is_dir():
            return set()
        return {
            name for name in list_files(self.path) if not _belongs_to_a_command(name.split("/")[0])
        }

    def _known_names(self, folder):
        """Names of this project's files in a folder; empty if it has no mark of this kind."""
        mark = read_mark(folder)
        if mark is not None:
            is_ours = mark.kind in (self._kind, *self._disposable)
            return {MARK_NAME, *mark.files} if is_ours else set()
        return set(self._names_without_mark(folder))

    def _is_disposable(self):
        mark = read_mark(self.path)
        return mark is not None and mark.kind in self._disposable

    def _must_stay(self):
        """Whether the folder itself cannot or must not be renamed."""
        if not self.path.is_dir():
            return False
        current = pathlib.Path(os.path.realpath(os.curdir))
        is_current = current == self.path or self.path in current.parents
        return is_current or os.path.ismount(self.path) or not _is_writable(self.path.parent)

    def _lock(self):
        parent = self.path.parent
        if not self.path.is_dir() or _is_writable(parent):
            # Beside the folder, which may be exchanged: a lock in it would go with it.
            return locks.acquire(parent / f"{LOCK_NAME}-{short_name(self.path.name)}", self._given)
        return locks.acquire(self.path / LOCK_NAME, self._given)

    def _recover(self):
        """Finishes or removes what killed commands have left; needs the lock."""
        for path in self.path.parent.glob(".micronet-*"):
            if is_leftover_of(path.name, self.path.name):
                self._discard(path)
        if not self.path.is_dir():
            return
        move_in(self.path, MARK_NAME)
        for path in self.path.glob(".micronet-*"):
            if is_leftover_of(path.name, _STAGED):
                self._discard(path)

    def _prove_writable(self):
        folder = self.path if self._must_stay() else self.path.parent
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0")

    @contextlib.contextmanager
    def _as_refusal(self):
        try:
            yield
        except OSError as error:
            raise ValueError(
                "output must be a folder that can be written to: give another --output, or change "
                f"the rights. Received: output={self._given} ({error.strerror or error})"
            ) from error


def move_in(folder: pathlib.Path, last: str) -> None:
    """Moves the files of a completed successor from inside a folder to their places.

    Does nothing if there is none. Whenever it is stopped, doing it again finishes it.

    Args:
        folder: `pathlib.Path` of the folder.
        last: name of the file that tells that the folder is complete: it goes first, and its
            successor comes last.
    """
    complete = folder / COMPLETE
    if complete.is_symlink() or not complete.is_dir():
        return
    mark = read_mark(complete)
    new = list_files(complete)
    if last in new:
        # Before its successor is there nothing may be taken for a whole folder.
        (folder / last).unlink(missing_ok=True)
    for name in sorted(new - {last, MARK_NAME}):
        if not name.endswith("/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(complete / name, folder / name)
    if mark is not None:
        for name in mark.replaced:
            if name not in {*mark.files, last, MARK_NAME}:
                _remove_file(folder, name)
    for name in dict.fromkeys((MARK_NAME, last)):
        if name in new:
            flush_folder(folder)
            os.replace(complete / name, folder / name)
    flush_folder(folder)
    remove_empty_folders(complete)


def remove_known(folder: pathlib.Path) -> None:
    """Removes a folder that this project has marked, but no file that its mark does not name.

    Args:
        folder: `pathlib.Path` with a temporary name; may be missing.
    """
    if folder.is_symlink() or not folder.is_dir():
        return
    mark = read_mark(folder)
    if mark is not None:
        for name in [*mark.files, *mark.replaced]:
            _remove_file(folder, name)
    for name in list_files(folder):
        if temporary_for(name) == MARK_NAME:
            (folder / name).unlink(missing_ok=True)
    if list_files(folder) <= {MARK_NAME}:  # whole, or just being written when a kill came
        (folder / MARK_NAME).unlink(missing_ok=True)
    remove_empty_folders(folder)


def exchange(first: str | os.PathLike[str], second: str | os.PathLike[str]) -> bool:
    """Exchanges the names of two files or folders in one step.

    Returns:
        Whether that was done; `False` where the system cannot.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    names = os.fsencode(first), os.fsencode(second)
    return rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0


def _write_all(mark, files, folder):
    """Writes a mark and then files to a new folder, all of them to the disk."""
    folder.mkdir()
    files = {MARK_NAME: mark.to_text(), **files}
    for name, contents in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "xb") as file:
            file.write(as_bytes(contents))
            flush_file(file)
    for path in {(folder / name).parent for name in files}:
        flush_folder(path)


def _remove_file(folder, name):
    """Removes a file by its name in a folder, unless a link leads out of the folder."""
    path = folder / name
    if any(parent.is_symlink() for parent in path.parents if folder in parent.parents):
        return
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
    for parent in path.parents:
        if folder not in parent.parents:
            break
        _remove_if_empty(parent)


def remove_empty_folders(folder: str | os.PathLike[str]) -> None:
    """Removes a folder and those in it, as far as there are no files.

    Args:
        folder: path; may be missing.
    """
    for parent, _, _ in os.walk(folder, topdown=False):
        _remove_if_empty(parent)


def _remove_if_empty(folder):
    with contextlib.suppress(OSError):
        os.rmdir(folder)


def _belongs_to_a_command(name):
    return name == COMPLETE or temporary_for(name) is not None


def _make_folders(folder):
    """Makes a folder and those above it; returns the new ones, the topmost first."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    made = missing[::-1]
    for each in made:
        each.mkdir(exist_ok=True)
    return made


def _is_writable(folder):
    """Whether files can be made in a folder, tried rather than asked: root may do everything."""
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return stat.S_ISDIR(os.stat(folder).st_mode)
