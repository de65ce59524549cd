# SPDX-License-Identifier: Apache-2.0
"""Tries the oldest and the newest dependencies that setup.py allows, on each Python there is.

    python .ci/try_dependencies.py --write

For each of Python 3.11 to 3.13 that is installed, uv (https://docs.astral.sh/uv) resolves the
requirements twice, to the lowest versions and to the highest ones, installs them in a temporary
environment, and the tests of `make test-fast` run there. `--write` puts what came out in the table
of CONTRIBUTING.md; a Python that is not installed keeps its rows. Gigabytes are downloaded.
"""

import argparse
import datetime
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "CONTRIBUTING.md"
PYTHONS = ("3.11", "3.12", "3.13")
RESOLUTIONS = {"oldest": "lowest-direct", "newest": "highest"}
NAMED = ("tensorflow", "keras", "numpy", "ai-edge-litert", "tflite-micro")
HEADS = ("Python", "dependencies", *NAMED, "quick tests", "tried")
NOT_TRIED = "not tried"
_MOST_SECONDS = 1800  # of the tests: a worker that dies can leave the others waiting
_BEGIN, _END = "<!-- dependencies -->", "<!-- end of dependencies -->"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", action="append", choices=PYTHONS, help="only this one")
    parser.add_argument("--dependencies", action="append", choices=RESOLUTIONS, help="only these")
    parser.add_argument("--write", action="store_true", help="write the table of CONTRIBUTING.md")
    options = parser.parse_args()
    rows = read_table(PAGE.read_text(encoding="utf-8"))
    failed = False
    for version in options.python or PYTHONS:
        interpreter = shutil.which(f"python{version}")
        if interpreter is None:
            print(f"Python {version} is not installed: its rows stay as they are", flush=True)
            continue
        for age in options.dependencies or RESOLUTIONS:
            row = try_versions(interpreter, version, age)
            rows[version, age] = row
            failed = failed or "failed" in row[-2]
            print(" | ".join(row), flush=True)
            if options.write:
                PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), rows), "utf-8")
    return failed


def try_versions(interpreter, version, age):
    """Installs one resolution, runs the quick tests, and returns the row that tells of it."""
    today = datetime.date.today().isoformat()
    with tempfile.TemporaryDirectory(prefix="dependencies_") as name:
        environment = pathlib.Path(name)
        uv = [sys.executable, "-m", "uv"]
        python = environment / "bin" / "python"
        try:
            _run([*uv, "venv", "--quiet", "--python", interpreter, environment])
            install = ["pip", "install", "--quiet", "--python", python]
            _run([*uv, *install, "--resolution", RESOLUTIONS[age], "--editable", ".[test]"])
        except subprocess.CalledProcessError:
            return (version, age, *("" for _ in NAMED), "failed to install", today)
        command = [python, "-c", f"from importlib.metadata import version as v\n{_PRINT}"]
        found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        tests = [python, "-m", "pytest", "--numprocesses", "2", "--dist", "loadfile"]
        try:
            finished = subprocess.run(
                [*tests, "-m", "not slow and not emulator"],
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=_MOST_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return (version, age, *found, "failed to end", today)
        print(finished.stdout[-3000:])
        return (version, age, *found, _outcome(finished.stdout, finished.returncode), today)


_PRINT = f"for name in {NAMED!r}: print(v(name))"


def _outcome(output, status):
    """Numbers of tests of pytest's last line, such as "3800 passed, 2 skipped"."""
    counts = re.findall(r"\d+ (?:passed|failed|errors?|skipped)", output.splitlines()[-1])
    counts = ", ".join(counts) or "no summary"
    return counts if status == 0 or "failed" in counts else f"failed: {counts}"


def _run(command):
    subprocess.run(list(map(str, command)), check=True, cwd=ROOT)


def read_table(text):
    """The rows of CONTRIBUTING.md's table by Python and age; those that are missing, not tried."""
    rows = {
        (version, age): (version, age, *("" for _ in NAMED), NOT_TRIED, "")
        for version in PYTHONS
        for age in RESOLUTIONS
    }
    for line in _table_of(text).splitlines()[2:]:
        cells = tuple(cell.strip() for cell in line.strip("|").split("|"))
        if cells[:2] in rows and len(cells) == len(HEADS):
            rows[cells[:2]] = cells
    return rows


def with_table(text, rows):
    """The page with these rows in the place of its table's."""
    lines = [HEADS, ["---"] * len(HEADS), *rows.values()]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return text.replace(_table_of(text), f"\n{table}\n")


def _table_of(text):
    return text[text.index(_BEGIN) + len(_BEGIN) : text.index(_END)]


if __name__ == "__main__":
    sys.exit(main())
