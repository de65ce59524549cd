# SPDX-License-Identifier: Apache-2.0
"""Where benchmarks keep their results, and how they write them."""

import json
import pathlib

from keras_micronet.files.atomic import write_file

RESULTS = pathlib.Path(__file__).parent / "results"


def write_text(path, text):
    """Writes a file in one step: it is there in full or not at all."""
    write_file(path, text)


class StoredFigures:
    """Figures of a study by keys, as JSON with a line for each; stored when they change.

    Args:
        path: `pathlib.Path` of the file to keep them in.
        earlier: the same of figures that were stored before, which that file's own replace.
        key: names of the values that a key consists of; no figure may be called so.
        order: function from a key to what the lines are sorted by.
    """

    def __init__(self, path, earlier, key, order):
        self._path, self._key, self._order = path, key, order
        self._figures = {}
        for source in (earlier, path):
            self._read(source)

    def _read(self, source):
        if source.is_file():
            for row in json.loads(source.read_text()):
                key = tuple(row.pop(name) for name in self._key)
                self._figures[key] = row

    def items(self):
        """Pairs of a key and its figures by name."""
        return self._figures.items()

    def at(self, key):
        """Figures by name, `None` if there are none."""
        return self._figures.get(key)

    def store(self, key, figures):
        """Stores figures, whose names are none of the key's."""
        taken = set(self._key) & set(figures)
        if taken:
            names = ", ".join(self._key)
            raise ValueError(f"Figures must not be called {names}. Received: {taken}")
        self._read(self._path)  # others may have measured something else meanwhile
        self._figures[key] = figures
        write_text(self._path, self.text())

    def text(self):
        """JSON text, of one line for the figures of a key."""
        rows = [
            json.dumps(dict(zip(self._key, key, strict=True)) | figures)
            for key, figures in sorted(self.items(), key=lambda item: self._order(item[0]))
        ]
        return "[\n" + ",\n".join(rows) + "\n]\n"
