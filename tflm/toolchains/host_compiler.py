# SPDX-License-Identifier: Apache-2.0
"""The C and C++ compiler of this computer."""

import collections.abc
import os
import pathlib
import shutil
import stat
import subprocess
import tempfile
import time

_UNFINISHED = ".micronet-unfinished-"
_MOST_SECONDS = 24 * 60 * 60
_OTHERS_CAN_WRITE = stat.S_IWGRP | stat.S_IWOTH
C = (("gcc", "cc"),)
# gcc compiles a file in the language of its name. For C++ it needs g++.
C_AND_CPLUSPLUS = (("gcc",), ("g++",))


class HostCompilerError(RuntimeError):
    """There is no compiler, or it refuses the sources. The message holds its words."""


def build(
    target: os.PathLike[str] | str,
    arguments: collections.abc.Iterable[os.PathLike[str] | str],
    languages: tuple[tuple[str, ...], ...] = C,
) -> None:
    """Makes a program or a library, which appears as a whole or not at all.

    Args:
        target: path of what is made; its folder is created if missing.
        arguments: the compiler's, without the output's name.
        languages: `C` or `C_AND_CPLUSPLUS`, that of the sources among the arguments.

    Raises:
        HostCompilerError: if there is no compiler or it does not succeed.
    """
    compiler = [_find(*names) for names in languages][0]
    target = pathlib.Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(target.parent)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=_UNFINISHED) as folder:
        unfinished = pathlib.Path(folder) / target.name
        command = [compiler, *map(str, arguments), "-o", str(unfinished)]
        finished = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False
        )
        if finished.returncode != 0:
            raise HostCompilerError(f"{' '.join(command)}\n{finished.stderr}")
        os.chmod(unfinished, stat.S_IMODE(unfinished.stat().st_mode) & ~_OTHERS_CAN_WRITE)
        os.replace(unfinished, target)


def _remove_leftovers(folder):
    """Removes what compilations have left that were killed: nobody compiles for a day."""
    for path in folder.glob(f"{_UNFINISHED}*"):
        is_folder = path.is_dir() and not path.is_symlink()
        if is_folder and time.time() - path.stat().st_mtime > _MOST_SECONDS:
            shutil.rmtree(path, ignore_errors=True)


def _find(*names):
    """Path of the first of these compilers that is installed."""
    for name in names:
        path = shutil.which(name)
        if path is not None:
            return path
    raise HostCompilerError(
        f"{names[0]} must be installed. Received: no such program in the PATH. "
        f"On Debian: apt-get install {names[0]}"
    )
