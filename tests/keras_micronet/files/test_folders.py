# SPDX-License-Identifier: Apache-2.0
"""Folders that are replaced as a whole: nobody's file goes, and never both the old and the new."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

from keras_micronet.files import folders
from keras_micronet.files.folders import OutputTakenError, WholeFolder
from keras_micronet.files.marks import MARK_NAME
from tests.keras_micronet.files.kill_everywhere import NEW, OLD, PLACES, as_bytes, content

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[3]


def write(folder, files, overwrite=False):
    target = WholeFolder(folder, "export")
    with target.reserved(overwrite):
        target.write(files, overwrite)


def test_a_new_folder_holds_the_files_and_nothing_is_beside_it(tmp_path):
    write(tmp_path / "deep" / "out", NEW)
    assert content(tmp_path / "deep" / "out") == as_bytes(NEW)
    assert os.listdir(tmp_path / "deep") == ["out"]
    assert os.listdir(tmp_path) == ["deep"]


def test_an_empty_folder_is_used(tmp_path):
    (tmp_path / "out").mkdir()
    write(tmp_path / "out", NEW)
    assert content(tmp_path / "out") == as_bytes(NEW)


def test_an_earlier_one_is_replaced_when_asked(tmp_path):
    write(tmp_path / "out", OLD)
    with pytest.raises(ValueError, match="must be a new or empty folder or, with --overwrite"):
        write(tmp_path / "out", NEW)
    assert content(tmp_path / "out") == as_bytes(OLD)
    write(tmp_path / "out", NEW, overwrite=True)
    assert content(tmp_path / "out") == as_bytes(NEW)
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("place", PLACES)
def test_every_place_gets_the_whole_new_folder(tmp_path, monkeypatch, place):
    folder = tmp_path / "out"
    write(folder, OLD)
    before = folder.stat().st_ino
    PLACES[place](folder, monkeypatch.setattr)
    monkeypatch.chdir(folder if place == "current" else tmp_path)
    write(pathlib.Path(".") if place == "current" else folder, NEW, overwrite=True)
    assert content(folder) == as_bytes(NEW)
    assert sorted(os.listdir(folder)) == sorted([MARK_NAME, "a.txt", "kernels", "only_new.txt"])
    assert (folder.stat().st_ino == before) == (place != "beside")
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("place", ["new", "beside", "current", "no exchange", "mount point"])
def test_a_kill_at_any_change_leaves_the_old_or_the_new_one(tmp_path, place):
    """Before and after each change; the next command cleans up, and finds the folder whole."""
    finished = subprocess.run(
        [sys.executable, "-m", "tests.keras_micronet.files.kill_everywhere", place, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    kills = int(finished.stdout)
    assert kills > 40


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    "names", [["report.json"], [".git/config"], ["report.json", "thesis.txt"], ["empty/"]]
)
def test_folders_of_others_are_refused(tmp_path, names, overwrite):
    for name in names:
        path = tmp_path / "out" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if name.endswith("/") else path.write_text("precious")
    before = content(tmp_path / "out")
    with pytest.raises(ValueError, match="output must be a new or empty folder.*which holds"):
        write(tmp_path / "out", NEW, overwrite)
    assert content(tmp_path / "out") == before
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("kind", ["file", "link", "linked folder"])
def test_an_earlier_one_with_files_of_others_is_refused_by_their_names(tmp_path, kind):
    folder = tmp_path / "out"
    write(folder, OLD)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "k.c").write_text("precious")
    if kind == "file":
        (folder / "thesis.txt").write_text("precious")
    elif kind == "link":
        (folder / "thesis.txt").symlink_to(tmp_path / "elsewhere")
    else:
        (folder / "kernels" / "k.c").unlink()
        (folder / "kernels").rmdir()
        (folder / "kernels").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=r"but an earlier export.*with (thesis.txt|kernels)$"):
        write(folder, NEW, overwrite=True)
    assert (tmp_path / "elsewhere" / "k.c").read_text() == "precious"


@pytest.mark.parametrize("text", ["", "{}", '{"project": "other"}', "[" * 100_000])
def test_a_mark_of_others_is_none(tmp_path, text):
    (tmp_path / MARK_NAME).write_text(text)
    (tmp_path / "a.txt").write_text("precious")
    with pytest.raises(ValueError, match="new or empty folder"):
        write(tmp_path, NEW, overwrite=True)


@pytest.mark.parametrize("name", ["../precious.txt", "/precious.txt", "a/../../precious.txt", "."])
def test_a_mark_cannot_name_files_elsewhere(tmp_path, name):
    folder = tmp_path / "out"
    write(folder, OLD)
    (tmp_path / "precious.txt").write_text("precious")
    mark = (folder / MARK_NAME).read_text()
    (folder / MARK_NAME).write_text(mark.replace("only_old.txt", name))
    with pytest.raises(ValueError, match="new or empty folder"):
        write(folder, NEW, overwrite=True)
    assert (tmp_path / "precious.txt").read_text() == "precious"


@pytest.mark.parametrize("overwrite", [False, True])
def test_files_that_came_meanwhile_stay_and_the_work_is_kept_beside(tmp_path, overwrite):
    folder = tmp_path / "out"
    if overwrite:
        write(folder, OLD)
    target = WholeFolder(folder, "export")
    (tmp_path / "out-1").write_text("taken")
    with target.reserved(overwrite):
        folder.mkdir(exist_ok=True)
        (folder / "thesis.txt").write_text("precious")
        with pytest.raises(OutputTakenError, match=rf"is in {tmp_path / 'out-2'}: rename it"):
            target.write(NEW, overwrite)
    assert (folder / "thesis.txt").read_text() == "precious"
    assert content(tmp_path / "out-2") == as_bytes(NEW)
    assert (tmp_path / "out-1").read_text() == "taken"


def test_files_that_come_at_the_moment_of_the_exchange_stay_too(tmp_path, monkeypatch):
    folder = tmp_path / "out"
    write(folder, OLD)
    exchange = folders.exchange
    calls = []

    def exchange_late(first, second):
        if not calls:
            (folder / "thesis.txt").write_text("precious")
        calls.append(second)
        return exchange(first, second)

    monkeypatch.setattr(folders, "exchange", exchange_late)
    with pytest.raises(OutputTakenError, match="out-1: rename it"):
        write(folder, NEW, overwrite=True)
    assert content(folder) == as_bytes(OLD) | {"thesis.txt": b"precious"}
    assert content(tmp_path / "out-1") == as_bytes(NEW)


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "link", NEW)
    write(tmp_path / "link", NEW, overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert content(tmp_path / "real") == as_bytes(NEW)


def test_a_dangling_link_gets_the_folder_it_names(tmp_path):
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "link", NEW)
    assert content(tmp_path / "real") == as_bytes(NEW)


def test_places_that_cannot_be_written_are_refused_before_any_work(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    for path in (tmp_path / "file", tmp_path / "file" / "out", tmp_path / "loop", "/proc/out"):
        with pytest.raises(ValueError, match=r"can be written to: give another --output.*\("):
            with WholeFolder(path, "export").reserved():
                raise AssertionError("no work may begin")
    assert sorted(os.listdir(tmp_path)) == ["file", "loop"]


def test_a_failed_write_leaves_the_old_one_and_nothing_else(tmp_path, monkeypatch):
    folder = tmp_path / "out"
    write(folder, OLD)

    def full(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folders, "flush_file", full)
    with pytest.raises(OSError, match="No space left"):
        write(folder, NEW, overwrite=True)
    assert content(folder) == as_bytes(OLD)
    assert os.listdir(tmp_path) == ["out"]


HOLDER = """
import sys
from keras_micronet.files.folders import WholeFolder
with WholeFolder(sys.argv[1], "export").reserved():
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_two_commands_never_share_a_folder_and_a_kill_frees_it(tmp_path):
    folder = tmp_path / "out"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        assert holder.stdout.readline() == b"ready\n"
        with pytest.raises(ValueError, match="no other command is writing to") as refusal:
            write(folder, NEW)
        holds = rf"kill {holder.pid}\).*in use by process {holder.pid} on .* since \d{{4}}-"
        assert re.search(holds, str(refusal.value))
    finally:
        holder.kill()
        holder.communicate()
    write(folder, NEW)
    assert os.listdir(tmp_path) == ["out"]
