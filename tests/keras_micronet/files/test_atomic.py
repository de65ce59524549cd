# SPDX-License-Identifier: Apache-2.0
"""Writing one file."""

import json

from keras_micronet.files.archives import read_json
from keras_micronet.files.atomic import write_file


def test_text_is_utf_8(tmp_path):
    write_file(tmp_path / "a.txt", "Größe\r\n")
    assert (tmp_path / "a.txt").read_bytes() == "Größe\r\n".encode()


def test_names_of_files_that_are_no_text_do_not_end_a_run(tmp_path):
    """A path with a byte of another encoding, which Python gives as a lone surrogate."""
    path = "fotos/\udcfc"
    write_file(tmp_path / "run.json", json.dumps({"source": path}, ensure_ascii=False))
    assert read_json(tmp_path / "run.json") == {"source": path}
    assert b"\\udcfc" in (tmp_path / "run.json").read_bytes()
