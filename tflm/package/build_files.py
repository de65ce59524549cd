# SPDX-License-Identifier: Apache-2.0
"""The files of an exported folder that no model decides but by its name and a few figures.

They lie in `templates`, as they will lie in the export: those of every export and those of each
runtime. `@WORD@` in a file or in its name stands for a value.
"""

import collections.abc
import pathlib
import re

TEMPLATES = pathlib.Path(__file__).resolve().parent / "templates"
EVERY = "every"
# The examples that only a model has which takes images row by row.
ROWS_EXAMPLES = ("examples/Camera/",)
_WORD = re.compile(r"@([A-Z_]+)@")


def build_files(
    runtime: str, words: collections.abc.Mapping[str, str], takes_rows: bool
) -> dict[str, str]:
    """The files, by name with slashes.

    Args:
        runtime: name of the runtime, of `settings.RUNTIMES`.
        words: what the words stand for.
        takes_rows: whether the model takes images row by row.

    Raises:
        KeyError: a file has a word that stands for nothing.
    """
    files = {}
    for folder in (TEMPLATES / EVERY, TEMPLATES / runtime):
        for path in sorted(folder.rglob("*")):
            name = _filled(path.relative_to(folder).as_posix(), words)
            if path.is_file() and (takes_rows or not name.startswith(ROWS_EXAMPLES)):
                files[name] = _filled(path.read_text(encoding="utf-8"), words)
    return files


def _filled(text, words):
    return _WORD.sub(lambda match: words[match[1]], text)
