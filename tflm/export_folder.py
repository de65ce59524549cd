# SPDX-License-Identifier: Apache-2.0
"""The folder that an export is written to, as a whole.

An export takes a new or empty folder or, if the user says so, that of an earlier one. One that is
refused leaves its report alone there; or, if an earlier export is there, beside it, in a folder
with "-refused" behind the name. Nobody needs that report afterwards, so that the next export,
refused or not, replaces it without being told to.
"""

import collections.abc
import contextlib
import os
import pathlib

from keras_micronet.files.folders import WholeFolder
from tflm import earlier_export

_EXPORT = "export"
_REFUSED = "report of a refused export"


class ExportFolder:
    """Where an export goes.

    Args:
        path: the folder; links are followed.
        overwrite: whether an earlier export in it may be replaced.
    """

    def __init__(self, path: os.PathLike[str] | str, overwrite: bool = False) -> None:
        self._given = path
        self._overwrite = overwrite
        self._export = WholeFolder(path, _EXPORT, earlier_export.file_names, (_REFUSED,))
        self._refused: WholeFolder  # once it is reserved

    @contextlib.contextmanager
    def reserved(self) -> collections.abc.Iterator[None]:
        """Keeps other commands out while in the block; before it, makes sure of the folder.

        For use before the work begins, which may take minutes.

        Raises:
            ValueError: if an export must not or cannot be written to the folder, or the report of
                a refused one beside it; or if another command is writing there.
        """
        with self._export.reserved(self._overwrite):
            self._refused, is_beside = self._folder_of_refused()
            with contextlib.ExitStack() as beside:
                if is_beside:
                    beside.enter_context(self._reserved_beside())
                yield

    def _folder_of_refused(self):
        """The folder of a report, and whether it is another one than the export's."""
        path = self._export.path
        is_beside = self._export.holds_earlier()
        path = path.with_name(f"{path.name}-refused") if is_beside else path
        return WholeFolder(path, _REFUSED, disposable=(_REFUSED,)), is_beside

    @contextlib.contextmanager
    def _reserved_beside(self):
        with contextlib.ExitStack() as reserved:
            try:
                reserved.enter_context(self._refused.reserved())
            except ValueError as error:
                raise ValueError(
                    "beside output there must be room for a report, as an export that is refused "
                    f"leaves the earlier one where it is. Received: output={self._given}; of the "
                    f"folder beside it: {error}"
                ) from error
            yield

    def write(
        self, files: collections.abc.Mapping[str, str | bytes], is_refused: bool = False
    ) -> pathlib.Path:
        """Writes an export, or the report of a refused one; for use while the folder is reserved.

        Args:
            files: contents, text or bytes, by name with slashes.
            is_refused: whether they are such a report.

        Returns:
            `pathlib.Path` of the folder that holds these files and no others now.

        Raises:
            ValueError: if somebody's files have come there since; the message says where the new
                ones are.
            OSError: if they cannot be written; an earlier export is as it was.
        """
        if is_refused:
            self._refused.write(files)
            return self._refused.path
        self._export.write(files, self._overwrite)
        return self._export.path
