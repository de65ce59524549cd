# SPDX-License-Identifier: Apache-2.0
"""docs/firmware.md: what it names exists, and its example does what it says."""

import re
import subprocess

from tests.tflm.firmware.conftest import WIDTH
from tflm.camera import camera_sources
from tflm.firmware import build, command_line
from tflm.firmware.link import serial_packets

REPOSITORY = build.SOURCES_FOLDER.parents[1]
PAGE = REPOSITORY / "docs" / "firmware.md"
TEXT = PAGE.read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE_SPAN = re.compile(r"`([^`\n]+)`")
_ENDINGS = "h|c|cc|py|md|cmake|tflite|txt|json"
FILE_NAME = re.compile(rf"[\w./-]*\w\.(?:{_ENDINGS})(?![\w.])")
# Of build systems that are not here, of an export for the other runtime, or of every export.
OTHER_FILES = {
    "model.tflite",
    "platform.cmake",
    "provider.cmake",
    "library.json",
    "report.json",
    "report.md",
    "src/person_model_rows.h",
}
WARNINGS = ("-pedantic", "-Wall", "-Wextra", "-Werror")


def fences(language):
    return [text for name, text in FENCE.findall(TEXT) if name == language]


def spans():
    """Texts between single backquotes."""
    return CODE_SPAN.findall(FENCE.sub("", TEXT))


def table(first_cell):
    """Rows of the table whose first heading is `first_cell`, without the two lines of its head."""
    lines = TEXT[TEXT.index(f"\n| {first_cell} |") + 1 :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_lines_are_short():
    assert [line for line in TEXT.splitlines() if len(line) > 100] == []


def test_files_exist(small_model):
    roots = (
        REPOSITORY,
        build.SOURCES_FOLDER,
        build.APPLICATION_FOLDER,
        small_model.folder,
        small_model.folder / "src",
    )
    named = {word for span in spans() for word in FILE_NAME.findall(span)}
    missing = {name for name in named if not any((root / name).exists() for root in roots)}
    assert missing - OTHER_FILES == set()
    assert OTHER_FILES - named == set()


def test_options_are_those_of_the_build():
    folder = build.SOURCES_FOLDER
    text = "".join(
        path.read_text() for path in (folder / "CMakeLists.txt", *folder.glob("cmake/*.cmake"))
    )
    options = set(re.findall(r"^set\((\w+) \S+ CACHE (?!INTERNAL)", text, re.MULTILINE))
    assert {option.strip("`") for option, _ in table("option")} == options
    assert set(re.findall(r"-D([A-Z_]+)=", TEXT)) <= options


def test_platforms_are_those_of_the_firmware():
    rows = {name.strip("`"): (processor, done) for name, processor, _, done in table("platform")}
    assert sorted(rows) == build.platforms()
    for name, (processor, done) in rows.items():
        is_run = build.is_for_this_computer(name) or build.emulation(name) is not None
        assert done.startswith("run") == is_run and ("**never run**" in done) != is_run
        settings = build._platform_settings(name)
        assert processor.lower() == settings.get("PLATFORM_PROCESSOR", "this computer")


def test_variables_of_a_platform_are_those_that_the_build_reads():
    text = (build.SOURCES_FOLDER / "CMakeLists.txt").read_text()
    expected = set(re.findall(r"^#   (?:and if needed )?(PLATFORM_\w+)", text, re.MULTILINE))
    named = {word for span in spans() for word in re.findall(r"PLATFORM_\w+", span)}
    assert named >= expected > set()
    assert [word for word in named if word not in text] == []


def test_functions_are_declared(small_model):
    platform = (build.SOURCES_FOLDER / "platforms" / "platform.h").read_text()
    functions = set(re.findall(r"\b(Platform\w+)\(", platform))
    assert {name.strip("`") for name, _, _ in table("function")} == functions
    files = small_model.folder.rglob("*.[ch]")
    declared = "".join(path.read_text() for path in files).replace("SMALL_", "PERSON_")
    declared = declared.replace("small_", "person_")
    named = set(re.findall(r"\b(?:person_model_\w+|micronet_status\w*|[A-Z]+_MODEL_\w+)", TEXT))
    named |= set(re.findall(r"\bMICRONET_\w+", TEXT))
    assert len(named) > 10
    named -= {"person_model_self_test"}  # of whole exports
    assert [name for name in sorted(named) if not re.search(rf"\b{name}\b", declared)] == []


def test_arguments_are_those_of_the_command():
    section = TEXT[TEXT.index("python -m tflm.firmware") : TEXT.index("## Another board")]
    described = set(re.findall(r"(--[a-z-]+)", section))
    accepted = set(command_line._parser()._option_string_actions) - {"-h", "--help"}
    assert described == accepted


def test_errors_are_those_of_the_firmware():
    sources = "".join(path.read_text() for path in build.APPLICATION_FOLDER.glob("*.cc"))
    lines = [line.strip("`").split() for line, _ in table("line | what it means")]
    codes = {words[1] for words in lines if words[0] == "error"}
    faults = (build.SOURCES_FOLDER / "cortex_m" / "faults.c").read_text()
    told = {*re.findall(r'RespondError\("(\w+)"', sources), *re.findall(r'"error (\w+) ', faults)}
    assert codes == told


def example():
    """The example's packets, and the lines that answer them."""
    (text,) = [text for text in fences("text") if text.startswith("> ")]
    lines = text.splitlines()
    packets = [bytes.fromhex(line[2:].split("  ")[0]) for line in lines if line[0] == ">"]
    return packets, [line[2:] for line in lines if line[0] == "<"]


def test_example_of_the_protocol_is_what_the_firmware_answers(firmware):
    packets, expected = example()
    finished = subprocess.run(
        [firmware(build.HOST)], input=b"".join(packets), capture_output=True, timeout=60
    )
    assert finished.returncode == 0, finished.stderr.decode()
    ready, *answers = finished.stdout.decode("ascii").splitlines()
    assert answers[0].split()[1:] == ready.split()[1:]
    assert [re.sub(r"(cycles|scores)=[^ ]+", r"\1=...", line) for line in answers] == expected


def test_ring_holds_every_packet():
    shrink = 4
    row = serial_packets.END * (3 * shrink * WIDTH)  # every byte is escaped
    assert "`6 * LARGEST_SHRINK * width + 20`" in TEXT
    assert len(serial_packets.frame_row(0xC0C0, row)) <= 6 * shrink * WIDTH + 20


def test_memory_of_the_resizer_is_as_said(tmp_path):
    formula = "(32 * LARGEST_SHRINK + 7) * width"
    assert f"`{formula}`" in TEXT
    checks = "".join(
        f"static_assert(MICRONET_IMAGE_RESIZER_BYTES({width}, 3, {shrink}) =="
        f' (32 * {shrink} + 7) * {width}, "");\n'
        for width, shrink in ((96, 1), (224, 4), (160, 16))
    )
    program = tmp_path / "size.cc"
    program.write_text(f'#include "micronet_image_resizer.h"\n{checks}')
    folders = [f"-I{folder}" for folder in camera_sources.include_folders()]
    command = ["g++", "-std=c++17", *WARNINGS, "-fsyntax-only", *folders, program]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
