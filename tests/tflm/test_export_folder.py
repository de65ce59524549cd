# SPDX-License-Identifier: Apache-2.0
"""Where exports go: nobody's file is lost, and what is refused never takes an export's place."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from keras_micronet.files import locks
from keras_micronet.files.folders import OutputTakenError
from keras_micronet.files.marks import MARK_NAME
from tests.tflm.kill_export import PLACES
from tflm import command_line, earlier_export, trained_run
from tflm.export_folder import ExportFolder

pytestmark = pytest.mark.slow

OLD = {"report.json": "{}", "model_data.cc": "old", "kernels/k.c": "old"}
NEW = {"report.json": "{}", "model_data.cc": "new"}
REPORT = {"report.json": '{"refused": true}', "report.md": "refused"}
ROOT = pathlib.Path(__file__).parents[2]


def write(path, files, overwrite=False, is_refused=False):
    folder = ExportFolder(path, overwrite)
    with folder.reserved():
        return folder.write(files, is_refused)


def content(folder):
    """Texts by name, without the mark."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MARK_NAME
    }


def test_an_export_replaces_an_earlier_one_only_when_asked(tmp_path):
    output = tmp_path / "out"
    assert write(output, OLD) == output
    with pytest.raises(ValueError, match="with --overwrite, that of an earlier export"):
        write(output, NEW)
    assert content(output) == OLD
    write(output, NEW, overwrite=True)
    assert content(output) == NEW
    assert os.listdir(tmp_path) == ["out"]


def test_report_of_a_refused_export_makes_way_without_being_asked(tmp_path):
    output = tmp_path / "out"
    assert write(output, REPORT, is_refused=True) == output
    assert write(output, REPORT | {"report.md": "again"}, is_refused=True) == output
    assert content(output)["report.md"] == "again"
    write(output, NEW)
    assert content(output) == NEW
    assert os.listdir(tmp_path) == ["out"]


def test_report_of_a_refused_export_goes_beside_an_earlier_one(tmp_path):
    output = tmp_path / "out"
    write(output, OLD)
    for text in ("once", "twice"):
        report = REPORT | {"report.md": text}
        beside = write(output, report, overwrite=True, is_refused=True)
        assert beside == tmp_path / "out-refused"
        assert content(beside) == report
    assert content(output) == OLD
    assert sorted(os.listdir(tmp_path)) == ["out", "out-refused"]


@pytest.mark.parametrize("kind", ["export", "other"])
def test_folder_beside_is_nobody_elses(tmp_path, kind):
    output, beside = tmp_path / "out", tmp_path / "out-refused"
    write(output, OLD)
    if kind == "export":
        write(beside, OLD)
    else:
        beside.mkdir()
        (beside / "thesis.txt").write_text("precious")
    before = content(beside)
    with pytest.raises(ValueError, match="beside output there must be room.*out-refused"):
        with ExportFolder(output, overwrite=True).reserved():
            pytest.fail("the work would begin")
    assert content(beside) == before


@pytest.mark.parametrize("mine", ["thesis.txt", ".git/config", "kernels/mine.c"])
def test_report_of_a_refused_export_with_more_is_not_replaced(tmp_path, mine):
    output = tmp_path / "out"
    write(output, REPORT, is_refused=True)
    (output / mine).parent.mkdir(exist_ok=True)
    (output / mine).write_text("precious")
    for overwrite in (False, True):
        with pytest.raises(ValueError, match=f"nothing but an earlier export.*with {mine}"):
            write(output, NEW, overwrite)
    assert content(output) == {**REPORT, mine: "precious"}


@pytest.mark.parametrize("is_refused", [False, True])
def test_files_that_came_during_the_work_stay(tmp_path, is_refused):
    output = tmp_path / "out"
    folder = ExportFolder(output)
    with folder.reserved():
        output.mkdir()
        (output / "thesis.txt").write_text("precious")
        with pytest.raises(OutputTakenError, match=f"what was made is in {output}-1: rename it"):
            folder.write(NEW, is_refused)
    assert content(output) == {"thesis.txt": "precious"}
    assert content(tmp_path / "out-1") == NEW


def test_two_exports_never_share_a_folder(tmp_path):
    """Nor does a second one take the place of the report beside it."""
    program = (
        "import sys, pathlib\n"
        "from tflm.export_folder import ExportFolder\n"
        "try:\n"
        "    with ExportFolder(sys.argv[1], overwrite=True).reserved():\n"
        "        print('reserved')\n"
        "except ValueError as error:\n"
        "    print(error)\n"
    )
    output = tmp_path / "out"
    write(output, OLD)
    with ExportFolder(output, overwrite=True).reserved():
        finished = subprocess.run(
            [sys.executable, "-c", program, str(output)], cwd=ROOT, capture_output=True, text=True
        )
    assert "must be a folder that no other command is writing to" in finished.stdout
    assert f"in use by process {os.getpid()}" in finished.stdout
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("where", ["unmade", "made", "linked", "dangling", "current"])
def test_special_places_get_the_export(tmp_path, monkeypatch, where):
    output, given = tmp_path / "out", tmp_path / "out"
    if where in ("made", "linked", "current"):
        output.mkdir()
    if where in ("linked", "dangling"):
        given = tmp_path / "link"
        given.symlink_to("out")
    if where == "current":
        monkeypatch.chdir(output)
        given = "."
    for files in (NEW, OLD):
        assert write(given, files, overwrite=True) == output
        assert content(output) == files
    assert sorted(os.listdir(tmp_path)) == (["out"] if given in (output, ".") else ["link", "out"])


def test_export_from_inside_the_one_that_it_replaces(tmp_path, monkeypatch):
    """And of a sibling: both once vanished into a hidden folder."""
    output = tmp_path / "deploy" / "a"
    write(output, OLD)
    write(tmp_path / "deploy" / "b", OLD)
    monkeypatch.chdir(output / "kernels")
    write(output, NEW, overwrite=True)
    monkeypatch.chdir(output)
    write("../b", NEW, overwrite=True)
    assert sorted(os.listdir(tmp_path / "deploy")) == ["a", "b"]
    for name in "ab":
        assert content(tmp_path / "deploy" / name) == NEW


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda path: path.write_text("precious"), "it is no folder"),
        (lambda path: (path.mkdir(), (path / "a").write_text("")), "new or empty folder"),
        (lambda path: path.parent.rmdir() or path.parent.write_text(""), "can be written to"),
        (lambda path: write(path / "out", OLD), "new or empty folder.*which holds out/"),
    ],
    ids=["file", "folder of others", "below a file", "around an export"],
)
def test_places_that_cannot_be_used_are_told_before_the_run_is_read(
    tmp_path, monkeypatch, capsys, make, rule
):
    output = tmp_path / "deep" / "out"
    output.parent.mkdir()
    make(output)
    monkeypatch.setattr(trained_run.TrainedRun, "load", lambda folder: pytest.fail("read"))
    assert command_line.main(["run", "--output", str(output), "--overwrite"]) == 2
    error = capsys.readouterr().err
    assert re.search(rule, error)
    assert "give another --output" in error or "new or empty folder" in error


def test_interruption_is_a_sentence_and_leaves_nothing(tmp_path, monkeypatch, capsys):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(trained_run.TrainedRun, "load", interrupt)
    assert command_line.main(["run", "--output", str(tmp_path / "deep" / "out")]) == 130
    error = capsys.readouterr().err
    assert error.startswith("python -m tflm: interrupted; ") and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", PLACES)
def test_a_kill_at_any_change_leaves_the_old_or_the_new_export(tmp_path, place):
    """Before and after each change, of an export and of a refused one's report."""
    finished = subprocess.run(
        [sys.executable, "-m", "tests.tflm.kill_export", place, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    assert int(finished.stdout) > 40


# Exports of versions without marks


@pytest.fixture
def unmarked(tmp_path):
    """Figures as `tflm.report.report` has always written them."""
    figures = dict.fromkeys(
        ("agreement", "int8_accuracy", "keras_model", "model_name", "operations")
    )
    folder = tmp_path / "unmarked"
    write(folder, {**OLD, "report.json": json.dumps(figures)})
    (folder / MARK_NAME).unlink()
    shutil.rmtree(folder / "kernels")
    return folder


def test_export_of_a_version_without_marks_may_be_replaced(unmarked):
    with pytest.raises(ValueError, match="with --overwrite"):
        write(unmarked, NEW)
    write(unmarked, NEW, overwrite=True)
    assert content(unmarked) == NEW


@pytest.mark.parametrize("mine", ["thesis.txt", ".git/config", "kernels/my_kernel.c"])
def test_export_without_a_mark_is_refused_if_it_holds_more(unmarked, mine):
    (unmarked / mine).parent.mkdir(exist_ok=True)
    (unmarked / mine).write_text("precious")
    with pytest.raises(ValueError, match=f"nothing but an earlier export.*with {mine}"):
        write(unmarked, NEW, overwrite=True)
    assert (unmarked / mine).read_text() == "precious"


@pytest.mark.parametrize("text", ['{"model_name": "theirs", "agreement": 1}', "[", "7", "{}"])
def test_report_of_others_makes_no_export(tmp_path, text):
    (tmp_path / "report.json").write_text(text)
    assert earlier_export.file_names(tmp_path) == set()
    with pytest.raises(ValueError, match="new or empty folder"):
        write(tmp_path, NEW, overwrite=True)
    assert content(tmp_path) == {"report.json": text}


def test_lock_of_a_killed_export_is_no_obstacle(tmp_path):
    (tmp_path / f"{locks.LOCK_NAME}-out").write_text('{"process": 1}')
    write(tmp_path / "out", NEW)
    assert os.listdir(tmp_path) == ["out"]
