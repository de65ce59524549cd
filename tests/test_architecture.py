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
    "training": ("commands", "tasks", "runs", "fitting", "datasets", "recipes"),
    "tflm": (
        "firmware",
        "package",
        "tasks",
        "report",
        "static",
        "verification",
        "micro",
        "recognition",
        "sources",
        "passes",
        "graph",
        "camera",
        "kernels",
        "cycles",
        "toolchains",
    ),
}
MOST_MODULES = 17
HINTED = ("keras_micronet", "micronet_commands", "tflm", "training")
# Besides the names without an underscore, what calls, blocks and loops lead to.
SPECIAL_METHODS = ("__init__", "__call__", "__enter__", "__exit__", "__getitem__", "__iter__")


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


def public_functions(body, owner=""):
    """Yields each function and method that others may call: its name, whether it is a method, and
    its node."""
    for node in body:
        if isinstance(node, (ast.If, ast.Try, ast.With)):
            for blocks in ("body", "orelse", "finalbody"):
                yield from public_functions(getattr(node, blocks, ()), owner)
            for handler in getattr(node, "handlers", ()):
                yield from public_functions(handler.body, owner)
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body, f"{owner}{node.name}.")
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and (
            not node.name.startswith("_") or owner and node.name in SPECIAL_METHODS
        ):
            yield f"{owner}{node.name}", bool(owner), node


def without_hints(function, is_method):
    """Names of a function's parameters without a hint, and "return" if what it returns has none."""
    given = function.args
    named = [*given.posonlyargs, *given.args]
    decorators = {each.id for each in function.decorator_list if isinstance(each, ast.Name)}
    if is_method and "staticmethod" not in decorators:
        named = named[1:]  # self or cls
    names = [each.arg for each in [*named, *given.kwonlyargs] if each.annotation is None]
    return names if function.returns is not None else [*names, "return"]


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


@pytest.mark.parametrize("package", HINTED)
def test_public_functions_have_type_hints(package):
    functions = [
        (path, *function)
        for path in modules(package)
        for function in public_functions(ast.parse(path.read_text(encoding="utf-8")).body)
    ]
    found = [
        f"{path.relative_to(ROOT)}: {name}: {', '.join(missing)}"
        for path, name, is_method, node in functions
        if (missing := without_hints(node, is_method))
    ]
    assert functions
    assert found == []


@pytest.mark.parametrize(
    "source, missing",
    [
        ("def f(a: int, /, b: int, *args, c: int = 0, **kwargs) -> None: ...", []),
        ("def f(a, /, b, *, c=0): ...", ["a", "b", "c", "return"]),
        ("class A:\n def __init__(self, a) -> None: ...", ["a"]),
        ("class A:\n @staticmethod\n def f(a) -> None: ...", ["a"]),
        ("class A:\n @classmethod\n def f(cls, a: int): ...", ["return"]),
        ("try:\n def f(a: int) -> None: ...\nexcept E:\n def f(a) -> None: ...", ["a"]),
        ("def _f(a): ...\nclass _A:\n def f(self, a): ...\nclass A:\n def _f(self): ...", []),
    ],
)
def test_missing_hints_are_found(source, missing):
    functions = public_functions(ast.parse(source).body)
    found = [name for _, is_method, node in functions for name in without_hints(node, is_method)]
    assert found == missing
