"""Where benchmarks keep their results, and how they write them."""

import os
import pathlib
import tempfile

RESULTS = pathlib.Path(__file__).parent / "results"


def write_text(path, text):
    """Writes a file in one step: it is there in full or not at all."""
    path = pathlib.Path(path)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
    os.replace(file.name, path)
