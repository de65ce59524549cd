# SPDX-License-Identifier: Apache-2.0
"""Writing one file: whoever reads it finds the old one or the new one, whole, after a kill too."""

import contextlib
import hashlib
import os
import pathlib
import re
import uuid
from collections.abc import Iterator
from typing import BinaryIO

_TEMPORARY = re.compile(r"\.micronet-[0-9a-f]{32}-(.+)", re.DOTALL)
_LONGEST_NAME = 150  # bytes; with the prefix it stays below what file systems take


@contextlib.contextmanager
def atomic_file(destination: str | os.PathLike[str], is_durable: bool = True) -> Iterator[BinaryIO]:
    """Gives a file to write to, which takes its final name only if the block succeeds.

    Args:
        destination: path of the file to appear, or to be replaced, at once. If it is a link, the
            link stays and what it leads to is replaced.
        is_durable: whether it must survive a power cut, too, which takes time.

    Yields:
        A binary file.

    Raises:
        OSError: if it cannot be written; the old file is as it was.
    """
    destination = pathlib.Path(os.path.realpath(destination))
    temporary = destination.with_name(temporary_name(destination.name))
    try:
        with open(temporary, "xb") as file:
            yield file
            if is_durable:
                flush_file(file)
        os.replace(temporary, destination)
        if is_durable:
            flush_folder(destination.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_file(
    destination: str | os.PathLike[str], contents: bytes | str, is_durable: bool = True
) -> None:
    """Writes a whole file at once.

    Args:
        destination, is_durable: as for `atomic_file`.
        contents: bytes, or text that is stored as UTF-8 with its line feeds as they are.

    Raises:
        OSError: as `atomic_file`.
    """
    with atomic_file(destination, is_durable) as file:
        file.write(as_bytes(contents))


def as_bytes(contents: bytes | str) -> bytes:
    """Bytes as they are, text as UTF-8.

    What stands for bytes of a file's name that are no text is escaped, in JSON as JSON has it.
    """
    return contents.encode("utf-8", "backslashreplace") if isinstance(contents, str) else contents


def flush_file(file: BinaryIO) -> None:
    """Brings a file's bytes to the disk: a power cut could leave a name without them."""
    file.flush()
    os.fsync(file.fileno())


def flush_folder(folder: str | os.PathLike[str]) -> None:
    """Brings a folder's names to the disk, where the system can."""
    # Some systems and network file systems cannot open or flush folders; the data is written.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def temporary_name(name: str) -> str:
    """A new hidden name, of which `temporary_for` knows that it stands for `name`."""
    return f".micronet-{uuid.uuid4().hex}-{short_name(name)}"


def temporary_for(name: str) -> str | None:
    """The name that a temporary name stands for; `None` for all other names."""
    match = _TEMPORARY.fullmatch(name)
    return match.group(1) if match else None


def is_leftover_of(name: str, final_name: str) -> bool:
    """Whether `name` is a temporary name that stands for `final_name`."""
    return temporary_for(name) == short_name(final_name)


def remove_temporary_files(folder: str | os.PathLike[str]) -> None:
    """Removes what a killed process has left half written in a folder.

    Args:
        folder: path of a folder that nobody else is writing to, as a lock makes sure.
    """
    for path in pathlib.Path(folder).glob(".micronet-*"):
        if temporary_for(path.name) and path.is_file() and not path.is_symlink():
            path.unlink(missing_ok=True)


def short_name(name: str) -> str:
    """A name, or a digest of one that is too long to get a prefix."""
    encoded = os.fsencode(name)
    return name if len(encoded) <= _LONGEST_NAME else hashlib.sha256(encoded).hexdigest()
