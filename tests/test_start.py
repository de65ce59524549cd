# SPDX-License-Identifier: Apache-2.0
"""How the commands start: at once, quietly, and on every terminal."""

import errno
import os
import pathlib
import re
import subprocess
import sys

import pytest

from micronet_commands import console, quiet_tensorflow
from tflm import command_line as export_command
from training import command_line as training_command

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[1]
COMMANDS = {
    "tflm": ["tflm"],
    "tflm.firmware": ["tflm.firmware"],
    "training": ["training"],
    "training evaluate": ["training", "evaluate"],
    "training predict": ["training", "predict"],
}
# What setup.py makes pip install, and takes long to import or may be missing.
INSTALLED = [
    "flatbuffers",
    "h5py",
    "importlib_resources",
    "keras",
    "keras_micronet",
    "matplotlib",
    "ml_dtypes",
    "numpy",
    "PIL",
    "sklearn",
    "tensorflow",
    "tensorflow_datasets",
    "tensorflow_model_optimization",
    "tflite_micro",
]
BLOCKING = """
import importlib.abc, runpy, sys
blocked, is_error = sys.argv[1].split(","), sys.argv[2] == "import"
class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in blocked:
            if is_error:
                sys.exit(f"{name} was imported")
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Block())
sys.argv[:] = sys.argv[3:]
runpy.run_module(sys.argv[0], run_name="__main__")
"""


def start(words, blocked=(), is_error=True, **environment):
    """Runs a command without some modules."""
    how = "import" if is_error else "missing"
    return subprocess.run(
        [sys.executable, "-c", BLOCKING, ",".join(blocked), how, *words],
        cwd=ROOT,
        env={name: text for name, text in os.environ.items() if not name.startswith("TF_")}
        | environment,
        capture_output=True,
        text=True,
        errors="surrogateescape",
    )


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_help_needs_nothing_that_is_installed(words):
    finished = start([*words, "--help"], INSTALLED)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith(f"usage: python -m {' '.join(words)} ")
    assert finished.stderr == ""


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_typing_errors_need_nothing_that_is_installed(words):
    finished = start([*words, "--no-such-option"], INSTALLED)
    assert finished.returncode == 2
    assert f"python -m {' '.join(words)}: error: " in finished.stderr


@pytest.mark.parametrize(
    ("words", "extra", "modules"),
    [
        (["tflm", "runs/x"], "tflm", ["matplotlib", "tflite_micro"]),
        (["training"], "training", ["matplotlib", "PIL", "sklearn"]),
        (["training", "predict", "runs/x", "a.png"], "training", ["PIL"]),
    ],
)
def test_missing_extra_is_named_at_once(words, extra, modules, tmp_path):
    """Before the folder is made, and before TensorFlow is imported."""
    sitecustomize = "import sys, importlib.util as u\nfind = u.find_spec\n"
    sitecustomize += f"u.find_spec = lambda n, p=None: None if n in {modules} else find(n, p)\n"
    (tmp_path / "sitecustomize.py").write_text(sitecustomize)
    finished = start(words, ["tensorflow", "keras"], PYTHONPATH=str(tmp_path))
    assert finished.returncode == 2
    assert f"pip install 'keras_micronet[{extra}]'. Received: no " in finished.stderr
    assert ", ".join(modules) in finished.stderr
    assert finished.stderr.count("\n") == 1


def test_what_an_extra_must_bring_is_what_setup_lists():
    text = (ROOT / "setup.py").read_text()
    lists = {
        name: re.findall(r'"([\w-]+)', re.search(rf"^{name} = \[(.*?)\]$", text, re.M | re.S)[1])
        for name in ("QUANTIZATION", "TRAINING", "TFLM")
    }
    imported = {"pillow": "PIL", "scikit-learn": "sklearn"}
    modules = {
        name: {imported.get(each, each.replace("-", "_")) for each in listed}
        for name, listed in lists.items()
    }
    assert set(export_command._MODULES) == modules["TFLM"] | modules["QUANTIZATION"]
    assert set(training_command._MODULES) < modules["TRAINING"]


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["tflm", "none"], 2),
        (["tflm.firmware", "--port", "none", "--images", "none"], 2),
        (["training", "evaluate", "none"], 2),
    ],
    ids=["tflm", "firmware", "evaluate"],
)
def test_a_sentence_is_all_that_a_refusal_writes(words, status, tmp_path):
    """Not TensorFlow's lines on what this computer has."""
    finished = start(words, PYTHONPATH=str(ROOT))
    assert finished.returncode == status
    assert finished.stdout == ""
    assert finished.stderr.count("\n") == 1
    assert finished.stderr.startswith(f"python -m {words[0]}")


@pytest.mark.parametrize(
    ("line", "is_chatter"),
    [
        (b"WARNING: All log messages before absl::InitializeLog() is called are written to", True),
        (b"I0000 00:00:1796025058.404917   25856 port.cc:153] oneDNN custom operations are", True),
        (b"W0000 00:00:1796025058.404917   25856 cpu.cc:1] AVX2", True),
        (b"To enable the following instructions: AVX2 AVX512F FMA, in other operations,", True),
        (b"E0000 00:00:1796025063.262250   25856 cuda_platform.cc:52] failed call to cuInit", None),
        (b"E0000 00:00:1796025063.262250   25856 file.cc:52] no such file", False),
        (b"F0000 00:00:1796025063.262250   25856 cpu.cc:52] compiled to use AVX", False),
        (b"Traceback (most recent call last):", False),
        (b"ImportError: libfoo.so", False),
        (b"", False),
    ],
)
def test_errors_are_no_chatter(line, is_chatter, monkeypatch):
    for has_card in (False, True):
        monkeypatch.setattr(os.path, "exists", lambda path, has_card=has_card: has_card)
        # Who has a graphics card wants to know that it does not work.
        expected = not has_card if is_chatter is None else is_chatter
        assert quiet_tensorflow.is_chatter(line) == expected


CRASHING = """
import os, sys
from micronet_commands import quiet_tensorflow
with quiet_tensorflow._without_chatter():
    os.write(2, b"I0000 00:00:1.1 1 port.cc:1] hello\\nE0000 00:00:1.1 1 a.cc:1] err")
    os.write(2, b"or\\nF0000 00:00:1.1 1 a.cc:1] the last words")
    if sys.argv[1] == "crash":
        os.abort()
    if sys.argv[1] == "raise":
        raise ImportError("why")
os.write(2, b"\\nI0000 00:00:1.1 1 port.cc:1] afterwards\\n")
"""


@pytest.mark.parametrize("end", ["crash", "raise", "go on"])
def test_errors_of_tensorflow_arrive_also_when_it_crashes(end):
    finished = subprocess.run(
        [sys.executable, "-c", CRASHING, end], cwd=ROOT, capture_output=True, text=True
    )
    lines = finished.stderr.splitlines()
    assert (
        lines[:2]
        == [
            "E0000 00:00:1.1 1 a.cc:1] error",
            "F0000 00:00:1.1 1 a.cc:1] the last words",
        ]
        or end == "raise"
        and lines[1].startswith("F0000 00:00:1.1 1 a.cc:1] the last words")
    )
    assert "hello" not in finished.stderr
    assert ("afterwards" in finished.stderr) == (end == "go on")
    assert ("ImportError: why" in finished.stderr) == (end == "raise")


# Terminals


@pytest.mark.parametrize("words", [["tflm"], ["training", "evaluate"]], ids=["tflm", "evaluate"])
def test_paths_that_a_terminal_has_no_characters_for_are_escaped(words, tmp_path):
    run = tmp_path / "fotos für \udcff"
    finished = start([*words, str(run)], PYTHONIOENCODING="ascii", PYTHONPATH=str(ROOT))
    assert finished.returncode == 2
    assert r"fotos f\xfcr \udcff" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_output_that_has_no_character_is_escaped(tmp_path):
    program = (
        "from micronet_commands import console\n"
        "console.escape_output()\n"
        "print('Größe \\udcff')\n"
        "console.fail('program', 'a\\x1b[2J ü' + 'x' * 10**6, 1)\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert finished.stdout == "Gr\\xf6\\xdfe \\udcff\n"
    assert finished.stderr.startswith("program: a\\x1b[2J \\xfcxxx")
    assert len(finished.stderr) < 21_000


def test_a_full_disk_has_a_next_step(capsys):
    error = OSError(errno.ENOSPC, "No space left on device")
    assert console.fail("python -m tflm", error, 1) == 1
    training_command._complain(error)
    for line in capsys.readouterr().err.splitlines():
        assert "make room, then give the same command again. Received: [Errno 28]" in line


def test_other_outputs_are_left_alone(monkeypatch):
    for output in (None, object()):
        monkeypatch.setattr(sys, "stdout", output)
        console.escape_output()
