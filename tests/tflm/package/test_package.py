# SPDX-License-Identifier: Apache-2.0
"""The exported folder within other build systems, and several models in one program.

Zephyr and ESP-IDF are no packages: `zephyr.cmake` and `esp_idf.cmake` stand for the few of their
functions that an export calls, with their rules: C files only, all objects linked.
"""

import pathlib
import re
import shutil
import subprocess

import pytest

from tflm import command_line
from tflm.package import build_files

pytestmark = pytest.mark.slow

HERE = pathlib.Path(__file__).parent
WARNINGS = (
    *("-Wall", "-Wextra", "-Wconversion", "-Wundef", "-Wcast-align", "-Wcast-qual", "-pedantic"),
    "-Werror",
)
NAMES = ("alpha", "beta", "gamma_2")
RIGHT = "self-test: 3 of 3 right"
# A program of three models: it ends with 0 if all of them give their test vectors.
THREE_MODELS = """
#include <stdint.h>
#include <stdio.h>
%(includes)s
#ifdef __cplusplus
#define ALIGN alignas(16)
#else
#define ALIGN __attribute__((aligned(16)))
#endif
ALIGN static uint8_t arena[16384];
int main(void) {
  int wrong = 0;
%(calls)s
  return wrong;
}
"""
CALL = """  wrong += {n}_model_self_test(arena, sizeof(arena)) != {N}_MODEL_TEST_VECTORS;
  wrong += {N}_MODEL_SELF_TEST_ARENA_BYTES > sizeof(arena) || !{n}_model_class_names[0][0];
"""


@pytest.fixture(scope="session")
def exports(pictures_run, tmp_path_factory):
    """Folders of one model that was exported under three names."""
    folder = tmp_path_factory.mktemp("exports")
    for name in NAMES:
        words = [str(pictures_run), "--runtime", "static", "--name", name]
        assert command_line.main([*words, "--output", str(folder / name)]) == 0
    return {name: folder / name for name in NAMES}


def run(*command, **options):
    finished = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=300, **options
    )
    assert finished.returncode == 0, f"{finished.stdout}\n{finished.stderr}"
    return finished.stdout


def c_files(folder, *parts):
    return [path for part in parts for path in sorted((folder / part).glob("*.c"))]


def includes(folder):
    return ["-I", folder / "src", "-I", folder / "test"]


def three_models(folder, suffix):
    program = folder / f"three_models{suffix}"
    program.write_text(
        THREE_MODELS
        % {
            "includes": "".join(f'#include "{n}_model_self_test.h"\n' for n in NAMES)
            + "".join(f'#include "{n}_model_settings.h"\n' for n in NAMES),
            "calls": "".join(CALL.format(n=n, N=n.upper()) for n in NAMES),
        }
    )
    return program


# One folder


def test_folder_by_itself_runs_its_self_test(exports, tmp_path):
    """The README's commands."""
    folder = exports["alpha"]
    text = (folder / "README.md").read_text()
    (commands,) = re.findall(r"```sh\n(.*)\n```", text)
    copy = shutil.copytree(folder, tmp_path / "alpha")
    before = {path.relative_to(copy) for path in copy.rglob("*")}
    assert run("sh", "-c", commands, cwd=copy).splitlines()[-1] == RIGHT
    # Nothing is built within: a later export replaces a folder that holds an export alone.
    assert {path.relative_to(copy) for path in copy.rglob("*")} == before


def test_wrong_byte_fails_the_self_test(exports, tmp_path):
    copy = shutil.copytree(exports["alpha"], tmp_path / "alpha")
    source = copy / "src" / "alpha_model.c"
    text, count = re.subn(
        r"(\[\] WEIGHTS = \{\n)(-?\d+)", lambda m: f"{m[1]}{int(m[2]) + 9}", source.read_text()
    )
    assert count > 5
    source.write_text(text)
    sources = c_files(copy, "src", "src/kernels", "test", "examples")
    program = tmp_path / "program"
    run("gcc", "-std=c99", *includes(copy), *sources, "-o", program)
    finished = subprocess.run([program], capture_output=True, text=True, timeout=60)
    assert finished.returncode == 1 and finished.stdout != f"{RIGHT}\n"


def test_self_test_refuses_what_the_library_refuses(exports, tmp_path):
    folder = exports["alpha"]
    program = tmp_path / "refused.c"
    program.write_text("""
#include "alpha_model_self_test.h"
__attribute__((aligned(16))) static uint8_t arena[ALPHA_MODEL_SELF_TEST_ARENA_BYTES + 16];
int main(void) {
  const int32_t bytes = ALPHA_MODEL_SELF_TEST_ARENA_BYTES;
  if (alpha_model_self_test(arena, bytes) != ALPHA_MODEL_TEST_VECTORS) return 1;
  if (alpha_model_self_test(arena, bytes - 1) != -MICRONET_ARENA_SIZE) return 2;
  if (alpha_model_self_test(arena + 4, bytes) != -MICRONET_ARENA_ALIGNMENT) return 3;
  return alpha_model_self_test(0, bytes) != -MICRONET_NULL_POINTER;
}
""")
    sources = c_files(folder, "src", "src/kernels", "test")
    run("gcc", "-std=c99", *includes(folder), program, *sources, "-o", tmp_path / "refused")
    run(tmp_path / "refused")


@pytest.mark.parametrize("standard", ["c99", "c11"])
def test_sources_compile_without_warnings(exports, standard):
    folder = exports["alpha"]
    sources = c_files(folder, "src", "src/kernels", "test", "examples")
    assert len(sources) > 30
    run("gcc", f"-std={standard}", *WARNINGS, "-fsyntax-only", *includes(folder), *sources)


@pytest.mark.parametrize("standard", ["c++11", "c++14", "c++17", "c++20"])
def test_headers_are_cplusplus_too(exports, tmp_path, standard):
    folder = exports["alpha"]
    headers = [*folder.glob("src/*.h"), *folder.glob("test/*.h")]
    program = tmp_path / "headers.cc"
    program.write_text("".join(f'#include "{path.name}"\n' for path in headers))
    assert len(headers) > 8
    run("g++", f"-std={standard}", *WARNINGS, "-fsyntax-only", *includes(folder), program)


def test_namespace_of_c_is_clean(exports, tmp_path):
    """All that a linker sees begins with the model's name or with micronet_."""
    folder = exports["alpha"]
    run(
        "gcc", "-c", *includes(folder), *c_files(folder, "src", "src/kernels", "test"), cwd=tmp_path
    )
    lines = run("nm", "--defined-only", "--extern-only", *tmp_path.glob("*.o")).splitlines()
    symbols = [line.split()[-1] for line in lines if len(line.split()) == 3]
    assert len(symbols) > 50
    prefixes = ("alpha_model_", "micronet_")
    assert [symbol for symbol in symbols if not symbol.startswith(prefixes)] == []
    assert len(set(symbols)) == len(symbols)


def test_headers_define_no_data(exports, tmp_path):
    """Tables exist once, in however many files the headers are."""
    folder = exports["alpha"]
    own = [*folder.glob("src/alpha_*.h"), *folder.glob("test/alpha_*.h")]
    program = tmp_path / "headers.c"
    program.write_text("".join(f'#include "{path.name}"\n' for path in own))
    run("gcc", "-c", *includes(folder), program, cwd=tmp_path)
    assert run("nm", "--defined-only", tmp_path / "headers.o") == ""


# Several models


@pytest.mark.parametrize("standard", ["c99", "c++11", "c++20"])
def test_three_models_in_one_program(exports, tmp_path, standard):
    """As IDEs do it: every C file of every folder is an object of the program."""
    is_c = standard.startswith("c9")
    program = three_models(tmp_path, ".c" if is_c else ".cc")
    objects = []
    for name, folder in exports.items():
        place = tmp_path / name
        place.mkdir()
        sources = c_files(folder, "src", "src/kernels", "test")
        flags = ("-std=c99", "-Os", "-ffunction-sections", "-fdata-sections")
        run("gcc", *flags, "-c", *includes(folder), *sources, cwd=place)
        objects += place.glob("*.o")
    folders = [word for folder in exports.values() for word in includes(folder)]
    binary = tmp_path / "program"
    compiler = "gcc" if is_c else "g++"
    flags = (f"-std={standard}", *WARNINGS, "-Wl,--gc-sections", "-Wl,-Map=map")
    run(compiler, *flags, *folders, program, *objects, "-o", binary, cwd=tmp_path)
    run(binary)
    # Kernels are there once: of two of the three folders the linker has dropped them.
    kept = (tmp_path / "map").read_text().split("Memory Configuration")[1]
    pattern = r"^ \.text\.micronet_dense_s8\n? +0x[0-9a-f]+ +0x[0-9a-f]+ \S+$"
    assert len(re.findall(pattern, kept, re.MULTILINE)) == 1


def test_kernels_of_two_versions_are_refused_by_the_preprocessor(exports, tmp_path):
    other = shutil.copytree(exports["beta"], tmp_path / "beta")
    for path in other.rglob("*.[ch]"):
        text = path.read_text()
        path.write_text(re.sub(r"(MICRONET_VERSION (?:!= )?0x)[0-9a-f]{8}", r"\g<1>12345678", text))
    program = tmp_path / "both.c"
    program.write_text('#include "alpha_model.h"\n#include "beta_model.h"\n')
    command = ["gcc", "-fsyntax-only", *includes(exports["alpha"]), *includes(other), program]
    finished = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert finished.returncode != 0
    assert "The models of a program must have kernels of one version" in finished.stderr
    # In files that know one model each, nothing is seen before the program runs.
    (tmp_path / "main.c").write_text("""
#include "beta_model.h"
#include <string.h>
__attribute__((aligned(16))) static uint8_t arena[BETA_MODEL_ARENA_BYTES];
int main(void) {
  const micronet_status status = beta_model_init(arena, sizeof(arena));
  return status != MICRONET_KERNELS_VERSION || !strstr(micronet_status_message(status), "versions");
}
""")
    sources = [
        *c_files(exports["alpha"], "src/kernels", "src"),
        *c_files(other, "src", "src/kernels"),
    ]
    run("gcc", *includes(other), tmp_path / "main.c", *sources, "-o", tmp_path / "late")
    run(tmp_path / "late")


def test_generic_names_are_of_one_model(exports, tmp_path):
    alpha, beta = exports["alpha"], exports["beta"]
    program = tmp_path / "generic.c"
    text = f'#include "{alpha}/src/micronet_model.h"\n#include "{beta}/src/micronet_model.h"\n'
    program.write_text(text)
    command = ["gcc", "-fsyntax-only", str(program)]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode != 0
    assert "Only one model can have the generic names. Include beta_model.h" in finished.stderr


def test_weights_go_to_a_section_of_ones_own(exports, tmp_path):
    folder = exports["alpha"]
    for macro in ("ALPHA_MODEL_WEIGHTS_SECTION", "MICRONET_WEIGHTS_SECTION"):
        place = tmp_path / macro
        place.mkdir()
        source = folder / "src" / "alpha_model.c"
        run("gcc", "-c", f'-D{macro}=".external"', *includes(folder), source, cwd=place)
        sizes = run("size", "-A", place / "alpha_model.o")
        (external,) = re.findall(r"^\.external +(\d+)", sizes, re.MULTILINE)
        assert int(external) > 2500  # of the 3,036 bytes of constants; some are padding
        (rest,) = re.findall(r"^\.rodata +(\d+)", sizes, re.MULTILINE) or ["0"]
        assert int(rest) < 100


# Processors

# QEMU's machines with their processors as the compiler names them, the addresses of memories for
# code and data, and of another one that only one of them has.
HARD = "-mfloat-abi=hard"
PROCESSORS = {
    "Cortex-M0": ("microbit", ("-mcpu=cortex-m0",), 0x0, 0x20000000),
    "Cortex-M3": ("mps2-an385", ("-mcpu=cortex-m3",), 0x0, 0x20000000),
    "Cortex-M4": ("mps2-an386", ("-mcpu=cortex-m4", HARD), 0x0, 0x20000000),
    "Cortex-M7": ("mps2-an500", ("-mcpu=cortex-m7", HARD), 0x0, 0x20000000),
    "Cortex-M33": ("mps2-an505", ("-mcpu=cortex-m33", HARD), 0x10000000, 0x38000000),
    "Cortex-M55": ("mps3-an547", ("-mcpu=cortex-m55", HARD), 0x0, 0x20000000),
}
EXTERNAL = {"mps2-an386": 0x21000000}
VECTORS = 3


def run_on(processor, folder, place, *more):
    """What the self-test gives on an emulated processor, and the program."""
    machine, flags, code, data = PROCESSORS[processor]
    places = {"CODE": code, "DATA": data, "EXTERNAL": EXTERNAL.get(machine, code + 0x20000)}
    program = place / "program.elf"
    run(
        *("arm-none-eabi-gcc", "-mthumb", "-std=c99", "-Os", "-Wall", "-Wextra", "-Werror", *flags),
        *("-ffreestanding", "-ffunction-sections", "-nostartfiles", "-Wl,--gc-sections", *more),
        *('-DHEADER="alpha_model_self_test.h"', "-DSELF_TEST=alpha_model_self_test"),
        *("-DARENA_BYTES=ALPHA_MODEL_SELF_TEST_ARENA_BYTES", *includes(folder)),
        *(HERE / "bare_metal.c", *c_files(folder, "src", "src/kernels", "test")),
        *(f"-Wl,--defsym={name}_START={address}" for name, address in places.items()),
        *("-T", HERE / "bare_metal.ld", "-o", program),
    )
    command = ["qemu-system-arm", "-M", machine, "-kernel", str(program), "-display", "none"]
    command += ["-semihosting-config", "enable=on,target=native"]  # to the standard error
    finished = subprocess.run(
        [*command, "-monitor", "none", "-serial", "null"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    return finished.stdout, program


@pytest.mark.emulator
@pytest.mark.parametrize("processor", PROCESSORS)
def test_self_test_on_every_processor(exports, tmp_path, processor):
    """On the M0 an unaligned access is a fault."""
    answer, program = run_on(processor, exports["alpha"], tmp_path)
    assert answer == f"{VECTORS}"
    symbols = run("arm-none-eabi-nm", program)
    assert ("_dsp" in symbols) == (processor not in ("Cortex-M0", "Cortex-M3"))
    assert ("_mve" in symbols) == (processor == "Cortex-M55")


@pytest.mark.emulator
def test_weights_in_another_memory_of_a_board(exports, tmp_path):
    section = '-DMICRONET_WEIGHTS_SECTION=".external"'
    answer, program = run_on("Cortex-M4", exports["alpha"], tmp_path, section)
    assert answer == f"{VECTORS}"
    sections = run("arm-none-eabi-size", "-A", program)
    (size, address) = re.findall(r"^\.external +(\d+) +(\d+)", sections, re.MULTILINE)[0]
    assert int(address) == EXTERNAL["mps2-an386"] and int(size) > 2500


# Build systems


def test_cmake_takes_folders_in_both_ways(exports, tmp_path):
    alpha, beta, gamma = exports.values()
    three_models(tmp_path, ".c")
    (tmp_path / "CMakeLists.txt").write_text(f"""
cmake_minimum_required(VERSION 3.16)
project(three LANGUAGES C)
list(APPEND CMAKE_PREFIX_PATH {gamma})
add_subdirectory({alpha} alpha)
set(beta_model_DIR {beta})
find_package(beta_model REQUIRED)
find_package(gamma_2_model REQUIRED)
add_executable(three three_models.c)
target_compile_options(three PRIVATE {" ".join(WARNINGS)})
target_link_libraries(three PRIVATE alpha_model::self_test beta_model::self_test
  gamma_2_model::self_test)
""")
    run("cmake", "-S", tmp_path, "-B", tmp_path / "build")
    run("cmake", "--build", tmp_path / "build", "--parallel", "2")
    run(tmp_path / "build" / "three")


def test_zephyr_application_with_two_modules(exports, tmp_path):
    alpha, beta = exports["alpha"], exports["beta"]
    sample = shutil.copytree(alpha, tmp_path / "alpha") / "samples" / "selftest"
    # As a user adds the second one, on the command line.
    definitions = [f"-DZephyr_DIR={HERE / 'zephyr'}", f"-DZEPHYR_EXTRA_MODULES={beta}"]
    run("cmake", "-S", sample, "-B", tmp_path / "build", *definitions)
    run("cmake", "--build", tmp_path / "build", "--parallel", "2")
    assert run(tmp_path / "build" / "app").splitlines() == [RIGHT]
    configured = (tmp_path / "build" / "CMakeCache.txt").read_text()
    assert "CONFIG_ALPHA_MODEL_SELF_TEST:INTERNAL=y" in configured
    assert "CONFIG_BETA_MODEL:INTERNAL=y" in configured


def test_esp_idf_project_with_a_component(exports, tmp_path):
    folder = shutil.copytree(exports["alpha"], tmp_path / "components" / "alpha")
    project = folder / "examples" / "esp-idf"
    environment = {"IDF_PATH": str(HERE / "esp_idf"), "PATH": "/usr/bin:/bin:/usr/local/bin"}
    run("cmake", "-S", project, "-B", tmp_path / "build", env=environment)
    run("cmake", "--build", tmp_path / "build", "--parallel", "2", env=environment)
    assert run(tmp_path / "build" / "selftest").splitlines() == [RIGHT]


needs_arduino = pytest.mark.skipif(
    shutil.which("arduino-builder") is None, reason="Debian's arduino-builder is not installed"
)


@pytest.fixture
def arduino(exports, tmp_path):
    """Function of a sketch -> what it prints, with two models in the sketchbook's libraries."""
    libraries = tmp_path / "libraries"
    for name, title in (("alpha", "AlphaModel"), ("beta", "BetaModel")):
        shutil.copytree(exports[name], libraries / title)
    tools = "/usr/share/arduino-builder"

    def build_and_run(sketch):
        build = tmp_path / "build"
        build.mkdir()
        folders = ("-hardware", HERE / "arduino" / "hardware", "-hardware", tools, "-tools", tools)
        run(
            *("arduino-builder", "-compile", *folders, "-libraries", libraries),
            *("-fqbn", "micronet:host:host", "-build-path", build, "-ide-version", "10819"),
            *("-warnings", "all", libraries / sketch),
        )
        (program,) = build.glob("*.elf")
        return run(program)

    return build_and_run


@needs_arduino
def test_arduino_example(arduino):
    assert arduino("AlphaModel/examples/SelfTest/SelfTest.ino").strip() == RIGHT


@needs_arduino
def test_arduino_example_of_a_camera(arduino):
    """No camera is connected: it waits for the first line."""
    assert arduino("AlphaModel/examples/Camera/Camera.ino") == ""


def test_example_of_a_camera_has_its_models_names(exports):
    """Whatever other model a program includes first."""
    texts = [path.read_text() for path in (exports["alpha"] / "examples" / "Camera").iterdir()]
    text = "".join(texts)
    assert "alpha_model_rows_push" in text and "ALPHA_MODEL_INPUT_WIDTH" in text
    assert not re.search(
        r"micronet_model|MICRONET_MODEL|model_settings\.h\"|ConvertRow|kInput",
        (text.replace("alpha_model_settings.h", "")),
    )


@needs_arduino
def test_arduino_sketch_with_two_models(arduino, tmp_path):
    sketch = tmp_path / "libraries" / "both"
    sketch.mkdir(parents=True, exist_ok=True)
    (sketch / "both.ino").write_text("""
#include <AlphaModel.h>
#include <BetaModel.h>
alignas(16) static uint8_t arena[ALPHA_MODEL_ARENA_BYTES];
void setup() { Serial.println(alpha_model_class_names[1]); }
void loop() {
  int status = alpha_model_rows_init(arena, sizeof(arena));
  status += beta_model_rows_init(arena, sizeof(arena));
  Serial.println(micronet_status_message((micronet_status)status));
}
""")
    assert arduino("both/both.ino").splitlines() == ["dawn", "no error"]


def test_what_registries_read_is_whole(exports):
    """What arduino-lint and PlatformIO ask for."""
    folder = exports["gamma_2"]
    lines = (folder / "library.properties").read_text().splitlines()
    properties = dict(line.split("=", 1) for line in lines)
    assert properties["name"] == "Gamma2Model" and properties["includes"] == "Gamma2Model.h"
    needed = "name version author maintainer sentence paragraph category url architectures includes"
    assert list(properties) == needed.split() and all(properties.values())
    assert (folder / "src" / properties["includes"]).is_file()
    assert (folder / "examples" / "SelfTest" / "SelfTest.ino").is_file()
    left = [
        path.name
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".png" and b"@LIBRARY@" in path.read_bytes()
    ]
    assert left == []


def test_places_differ_in_more_than_case(exports):
    """Some file systems do not tell capitals."""
    names = [
        str(path.relative_to(exports["alpha"])).lower() for path in exports["alpha"].rglob("*")
    ]
    assert len(set(names)) == len(names)


def test_licence_of_the_kernels_is_the_projects():
    own = pathlib.Path(build_files.TEMPLATES, "every", "licences", "Apache-2.0.txt")
    assert own.read_text() == (HERE.parents[2] / "LICENSE").read_text()
