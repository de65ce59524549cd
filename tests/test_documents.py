# SPDX-License-Identifier: Apache-2.0
"""README.md and docs/: links lead somewhere, figures are the results', commands and names exist."""

import ast
import functools
import inspect
import pathlib
import re
import runpy
import shlex

import keras
import pytest
import setuptools

import keras_micronet
from tflm import command_line as export_command
from tflm.firmware import command_line as firmware_command
from training import command_line as training_command

ROOT = pathlib.Path(__file__).parents[1]
PAGES = {
    str(path.relative_to(ROOT)): path
    for folder in (ROOT, ROOT / "docs", ROOT / "docs" / "decisions")
    for path in sorted(folder.glob("*.md"))
}
RESULTS = ROOT / "benchmarks" / "results"
LINK = re.compile(r"\]\((?!https?://)([^)\s]+)\)")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Tables that repeat rows of results: the page, the heads of the first columns, the results.
REPEATED = [
    ("README.md", "| network | runtime |", "models.md"),
    ("docs/train.md", "| network | size |", "photographs.md"),
    ("docs/quantize.md", "| dataset | model |", "quantization_accuracy.md"),
    ("docs/export.md", "| | | operations |", "export_size.md"),
    ("docs/mlperf_tiny.md", "| task | network |", "mlperf_tiny.md"),
]
PARSERS = {
    "training": training_command._make_parser,
    "training quantize": training_command._make_quantize_parser,
    "training evaluate": training_command._make_evaluate_parser,
    "training predict": training_command._make_predict_parser,
    "tflm": export_command._parser,
    "tflm.firmware": firmware_command._parser,
}


@functools.cache
def text_of(path):
    return path.read_text(encoding="utf-8")


def anchors(path):
    """What a link may name behind `#`: headings in lower case, hyphens for spaces."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text_of(path)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    path = PAGES[page]
    for link in LINK.findall(FENCE.sub("", text_of(path))):
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_of_docs_is_linked_in_the_readme():
    linked = set(LINK.findall(text_of(ROOT / "README.md")))
    assert {page for page in PAGES if re.fullmatch(r"docs/\w+\.md", page)} <= linked


def test_readme_is_short():
    lines = text_of(ROOT / "README.md").splitlines()
    assert len(lines) <= 150
    assert [line for line in lines if len(line) > 100 and not line.startswith("|")] == []


def table(text, head):
    """Lines of the table that begins so."""
    return text[text.index(f"\n{head}") + 1 :].split("\n\n")[0].splitlines()


@pytest.mark.parametrize(("page", "head", "results"), REPEATED)
def test_repeated_rows_are_those_of_the_results(page, head, results):
    lines = table(text_of(PAGES[page]), head)
    assert len(lines) > 3
    assert set(lines) - set(table(text_of(RESULTS / results), head)) == set()


def column(results, head, name, row=""):
    """Numbers of a column, in the rows that begin so."""
    names, _, *rows = (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table(text_of(RESULTS / results), head)
        if not line.startswith("| ") or line.startswith((head, row))
    )
    return [
        float(re.match(r"[\d.,]+", cells[names.index(name)])[0].replace(",", "")) for cells in rows
    ]


def test_bullets_of_the_readme_have_the_figures_of_the_results():
    bullets = text_of(ROOT / "README.md").split("\n\n")[2]
    assert bullets.count("\n- ") == 3
    words = " ".join(bullets.split())
    rivals = functools.partial(column, "models.md", "| network | runtime |", row="| **MicroNet")
    costs, accuracies = rivals("multiply-adds"), rivals("top-1")
    assert f"{min(costs)} to {max(costs)} million multiply-adds" in words
    assert f"{min(accuracies)} to {max(accuracies)}% top-1" in words
    faster = column("training.md", "| network | images/s |", "times faster")
    assert f"at least {int(min(faster))} times as fast" in words
    photographs = functools.partial(
        column, "photographs.md", "| network | size |", row="| MicroNet M0 | 96 |"
    )
    (as_floats,), (as_int8,) = photographs("float"), photographs("int8, aware")
    assert f"{as_floats:.1f}% on CIFAR-10 as floats and {as_int8:.1f}% as int8" in words
    m0 = "| **MicroNet M0** | this library |"
    (cells,) = [line for line in text_of(RESULTS / "models.md").splitlines() if m0 in line]
    instructions, ram = (cell.strip() for cell in cells.split("|")[5:7])
    assert f"takes {instructions.split('M')[0]} million instructions of a Cortex-M4" in words
    milliseconds = re.search(r"about (\d+) ms", instructions)[1]
    assert f"(about {milliseconds} ms on an STM32L4R5, estimated)" in words
    assert f"and {ram.split(' or ')[1]} bytes of RAM" in words


def commands():
    """Every `python -m ...` of a shell block, as words behind the module's name."""
    for page, path in PAGES.items():
        for language, block in FENCE.findall(text_of(path)):
            if language != "sh":
                continue
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words[:2] == ["python", "-m"] and words[2] in PARSERS:
                    name, arguments = words[2], words[3:]
                    if " ".join((name, *arguments[:1])) in PARSERS:
                        name, arguments = f"{name} {arguments[0]}", arguments[1:]
                    yield pytest.param(name, arguments, id=f"{page}: {line}"[:80])


@pytest.mark.parametrize(("name", "arguments"), commands())
def test_commands_are_understood(name, arguments):
    PARSERS[name]().parse_args(arguments)


def code_blocks():
    for page, path in PAGES.items():
        for language, block in FENCE.findall(text_of(path)):
            if language == "python":
                yield pytest.param(block, id=page)


def named(node, names):
    """The object that an expression of names and attributes means, if `names` has its first."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = named(node.value, names)
        return None if owner is None else getattr(owner, node.attr)
    return None


@pytest.mark.parametrize("block", code_blocks())
def test_code_names_what_exists_with_the_arguments_that_it_has(block):
    names = {
        "keras": keras,
        "keras_micronet": keras_micronet,
        "grid": keras_micronet.grid,
        "quantization": keras_micronet.quantization,
    }
    calls = [node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Call)]
    checked = 0
    for call in calls:
        function = named(call.func, names)
        if function is not None:
            given = {keyword.arg: None for keyword in call.keywords}
            inspect.signature(function).bind(*call.args, **given)
            checked += 1
    assert checked > 0


def test_package_indexes_get_no_link_that_leads_nowhere(monkeypatch):
    given = {}
    monkeypatch.setattr(setuptools, "setup", lambda **arguments: given.update(arguments))
    runpy.run_path(str(ROOT / "setup.py"))
    readme, described = text_of(ROOT / "README.md"), given["long_description"]
    assert LINK.findall(readme) and not LINK.findall(described)
    assert "](https://arxiv.org/abs/2108.05894)" in described
    assert "Quantize, and train on with it: docs/quantize.md\n" in described
    assert "a file of weights (`docs/weights.md`) in" in described
    assert (
        "\nHandwritten digits under the classes that the int8 model gave them (`docs/" in described
    )
