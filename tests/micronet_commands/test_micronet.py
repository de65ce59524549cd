# SPDX-License-Identifier: Apache-2.0
"""`micronet`: each word reaches the command that it stands for."""

import subprocess
import sys
import types

import pytest

from micronet_commands import micronet


@pytest.fixture
def reached(monkeypatch):
    """What commands are called with, instead of their work."""
    calls = []

    def import_module(name):
        return types.SimpleNamespace(main=lambda words: calls.append((name, words)) or 7)

    monkeypatch.setattr(micronet.importlib, "import_module", import_module)
    return calls


@pytest.mark.parametrize("word", micronet.COMMANDS)
def test_words_reach_their_commands(word, reached):
    command = micronet.COMMANDS[word]
    assert micronet.main([word, "RUN", "--help"]) == 7
    assert reached == [(command.module, [*command.words, "RUN", "--help"])]


def test_unknown_command_names_the_nearest(capsys):
    assert micronet.main(["exprot"]) == 2
    message = capsys.readouterr().err
    assert "Did you mean export?" in message
    assert message.rstrip().endswith("Received: exprot")


def test_missing_extra_is_named(monkeypatch, capsys):
    def import_module(name):
        raise ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib")

    monkeypatch.setattr(micronet.importlib, "import_module", import_module)
    assert micronet.main(["export", "RUN"]) == 2
    assert "matplotlib: pip install 'keras_micronet[tflm]'" in capsys.readouterr().err


def test_help_lists_all_and_imports_nothing_else():
    code = (
        "import sys; from micronet_commands import micronet; micronet.main(['--help']); "
        "assert not {'keras', 'tensorflow', 'numpy', 'tflm'} & set(sys.modules)"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert all(f"  {word} " in finished.stdout for word in micronet.COMMANDS)
