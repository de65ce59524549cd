# SPDX-License-Identifier: Apache-2.0
"""The rooms of ARCHITECTURE.md: who may import whom, how full a folder may be."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PACKAGES = {  # each may import itself and those
    "keras_micronet": (),
    "micronet_commands": (),
    "training": ("keras_micronet", "micronet_commands"),
    "tflm": ("keras_micronet", "micronet_commands"),
}
# A room may import those behind it.
ROOMS = {
    "training": ("commands", "runs", "fitting", "datasets", "recipes"),
    "tflm": (
        "firmware",
        "report",
        "static",
        "verification",
        "micro",
        "sources",
        "passes",
        "graph",
        "kernels",
        "toolchains",
    ),
}
MOST_MODULES = 17


def modules(package):
    """Paths of a package's modules."""
    return sorted((ROOT / package).rglob("*.py"))


def imported(path):
    """Dotted names of all that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_one_way(package):
    others = set(PACKAGES) | {"tests", "benchmarks"}
    forbidden = others - {package, *PACKAGES[package]}
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules(package)
        for name in imported(path)
        if name.split(".")[0] in forbidden
    ]
    assert found == []


@pytest.mark.parametrize("package", ROOMS)
def test_rooms_import_one_way(package):
    rooms = ROOMS[package]
    found = []
    for place, room in enumerate(rooms):
        for path in modules(f"{package}/{room}"):
            for name in imported(path):
                _, target, *_ = [*name.split("."), ""]
                if name.startswith(f"{package}.") and target in rooms[:place]:
                    found.append(f"{path.relative_to(ROOT)}: {name}")
    assert found == []


@pytest.mark.parametrize("package", ROOMS)
def test_all_rooms_are_listed_and_described(package):
    folders = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
    assert folders == set(ROOMS[package])
    section = (ROOT / "ARCHITECTURE.md").read_text().split(f"## {package}: ")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)/` \|", section, re.MULTILINE)) == folders


@pytest.mark.parametrize("package", PACKAGES)
def test_no_folder_is_a_warehouse(package):
    counts = {}
    for path in modules(package):
        counts[path.parent] = counts.get(path.parent, 0) + (path.name != "__init__.py")
    full = {str(folder.relative_to(ROOT)): n for folder, n in counts.items() if n > MOST_MODULES}
    assert full == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_tests_mirror_the_rooms(package):
    tests = {
        path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")
    }
    missing = [
        folder
        for folder in tests
        if folder.parts[:1] == (package,) and not (ROOT / folder).is_dir()
    ]
    assert [path for path in missing if path.name != "golden"] == []
