# SPDX-License-Identifier: Apache-2.0
"""What is built for users: the wheel has what exports need, the sources what the README names."""

import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

from tflm.micro import wheel_kernels

ROOT = pathlib.Path(__file__).parents[1]
BUILT_FROM = (
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "LICENSE",
    "MANIFEST.in",
    "NOTICE",
    "README.md",
    "pyproject.toml",
    "setup.py",
    "benchmarks/results",
    "docs",
    "keras_micronet",
    "micronet_commands",
    "tflm",
    "training",
)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder with the wheel and the source distribution, built from a copy."""
    folder = tmp_path_factory.mktemp("distribution")
    for name in BUILT_FROM:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    command = [sys.executable, "setup.py", "--quiet"]
    command += ["sdist", "--dist-dir", "built", "bdist_wheel", "--dist-dir", "built"]
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    return folder / "built"


@pytest.fixture(scope="module")
def wheel(built):
    """Names of the wheel's files, and its metadata."""
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        (entry_points,) = [name for name in names if name.endswith("/entry_points.txt")]
        return set(names), archive.read(metadata).decode(), archive.read(entry_points).decode()


def files_of(folder, *suffixes):
    return {
        str(path.relative_to(ROOT))
        for path in (ROOT / folder).rglob("*")
        if path.suffix in suffixes
    }


@pytest.mark.parametrize("package", ["keras_micronet", "micronet_commands", "training", "tflm"])
def test_wheel_has_every_module_and_says_that_it_has_types(package, wheel):
    names, _, _ = wheel
    assert files_of(package, ".py") | {f"{package}/py.typed"} <= names


def test_wheel_has_all_that_exports_and_firmware_are_made_of(wheel):
    names, _, _ = wheel
    kernels = ("kernels/source", "kernels/glue", "kernels/wheel")
    for folder in (*kernels, "camera", "recognition/source", "firmware", "toolchains"):
        needed = files_of(f"tflm/{folder}", ".c", ".cc", ".h", ".cmake", ".ld")
        assert len(needed) > 3 and needed <= names
    assert "tflm/firmware/CMakeLists.txt" in names
    assert "tflm/static/library_caller.c" in names
    templates = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "tflm/package/templates").rglob("*")
        if path.is_file()
    }
    assert len(templates) > 15 and templates <= names


def test_wheel_has_nothing_of_tests(wheel):
    names, _, _ = wheel
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"keras_micronet", "micronet_commands", "training", "tflm"}
    parts = {part for name in names for part in pathlib.PurePosixPath(name).parts}
    assert not parts & {"tests", "benchmarks", "fuzz", "runner"}


def test_metadata(wheel):
    names, metadata, entry_points = wheel
    assert "License-Expression: Apache-2.0" in metadata or "License: Apache-2.0" in metadata
    assert "Author: keras_micronet contributors" in metadata
    assert any(name.endswith("/NOTICE") for name in names)
    assert "micronet = micronet_commands.micronet:main" in entry_points


def test_bounds_of_tflite_micro_are_those_of_the_refusal(wheel):
    _, metadata, _ = wheel
    required = re.findall(r"^Requires-Dist: (tflite-micro[^;]*);", metadata, re.MULTILINE)
    assert required
    for line in required:  # one for each extra
        name, *bounds = re.split("(?=[<>])", line.replace(" ", ""))
        assert {name, *(bound.strip(",") for bound in bounds)} == {
            part.strip(",") for part in re.split("(?=[<>])", wheel_kernels.RELEASES)
        }


def test_source_distribution_has_what_the_readme_names(built):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\]\((?!https?://)([^)#\s]+)", readme))
    assert len(named) > 10 and named - names == set()
