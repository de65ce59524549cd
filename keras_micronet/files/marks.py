# SPDX-License-Identifier: Apache-2.0
"""The mark of this project on a folder: which files in it one of its commands has written.

Names alone prove nothing: others, too, have a `report.json` or a folder `checkpoints`.
"""

import dataclasses
import json
import os
import pathlib

from keras_micronet.files.archives import DamagedFileError, read_json
from keras_micronet.files.atomic import write_file
from keras_micronet.files.locks import LOCK_NAME

MARK_NAME = ".keras_micronet.json"
_PROJECT = "keras_micronet"
_FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Mark:
    """What a folder's mark tells.

    Attributes:
        kind: what the folder is, such as `"export"`.
        files: names of the files, with slashes; the mark's own is not among them.
        replaced: names of the files of an earlier folder that these replace, while that happens.
    """

    kind: str
    files: tuple[str, ...]
    replaced: tuple[str, ...] = ()

    def to_text(self) -> str:
        """The content of the mark's file."""
        content = {"project": _PROJECT, "format": _FORMAT, **dataclasses.asdict(self)}
        return json.dumps(content, indent=1) + "\n"

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Writes the mark into a folder."""
        write_file(pathlib.Path(folder) / MARK_NAME, self.to_text())


def read_mark(folder: str | os.PathLike[str]) -> Mark | None:
    """Reads a folder's mark.

    Returns:
        A `Mark`, or `None` if the folder has none that this project wrote.
    """
    path = pathlib.Path(folder) / MARK_NAME
    if path.is_symlink() or not path.is_file():
        return None
    try:
        content = read_json(path)
    except DamagedFileError:
        return None
    kind, files, replaced = (content.get(key, ()) for key in ("kind", "files", "replaced"))
    is_ours = content.get("project") == _PROJECT and content.get("format") == _FORMAT
    if not is_ours or not isinstance(kind, str) or not _are_names(files, replaced):
        return None
    return Mark(kind, tuple(files), tuple(replaced))


def _are_names(*lists):
    """Whether these are lists of names of files in a folder, none of which leads out of it."""
    return all(isinstance(names, list) and all(map(_is_inside, names)) for names in lists)


def _is_inside(name):
    if not isinstance(name, str):
        return False
    parts = name.split("/")
    return "\0" not in name and not any(part in ("", ".", "..") for part in parts)


def list_files(folder: str | os.PathLike[str]) -> set[str]:
    """All that is in a folder: files and links by name, with slashes, and folders without files.

    Args:
        folder: path of a folder; links in it are not followed.

    Returns:
        A set of names; those of empty folders end in a slash. Locks are left out.

    Raises:
        OSError: if a folder in it cannot be read.
    """

    def refuse(error):
        raise error

    names: set[str] = set()
    for parent, folders, files in os.walk(folder, onerror=refuse):
        relative = pathlib.PurePosixPath(pathlib.Path(parent).relative_to(folder).as_posix())
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        names.update((relative / name).as_posix() for name in [*files, *links])
        if not folders and not files and relative.parts:
            names.add(f"{relative.as_posix()}/")
    return {name for name in names if not name.rsplit("/", 1)[-1].startswith(LOCK_NAME)}
