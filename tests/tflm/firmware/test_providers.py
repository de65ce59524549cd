# SPDX-License-Identifier: Apache-2.0
"""PROVIDER as the path of a folder: on this computer."""

import pathlib
import re
import shutil
import subprocess

import numpy as np
import pytest

from tests.tflm.firmware.conftest import HEIGHT, WIDTH
from tests.tflm.firmware.test_application import refusal
from tflm.firmware import build
from tflm.firmware.link.serial_packets import Recognition, parse_line

pytestmark = pytest.mark.emulator

STRIPES = pathlib.Path(__file__).parent / "stripes_provider"
PICTURES = 3


def stripes(picture):
    """What `DrawStripes` draws."""
    y, x, channel = np.indices((HEIGHT, WIDTH, 3))
    return (50 * picture + 23 * y + 11 * x + 90 * channel).astype(np.uint8)


@pytest.fixture(scope="module")
def build_folder(tmp_path_factory):
    """One for all, so that only what was changed is compiled."""
    return tmp_path_factory.mktemp("build")


@pytest.fixture(params=["sources", "provider.cmake"])
def provider(request, tmp_path):
    if request.param == "sources":
        return STRIPES
    folder = tmp_path / "a camera"
    shutil.copytree(STRIPES, folder / "parts")
    for name in ("stripes.c", "image_provider_stripes.cc"):
        (folder / f"not_compiled_{name}").write_text("#error\n")
    (folder / "provider.cmake").write_text(
        "set(PROVIDER_SOURCES ${PROVIDER_FOLDER}/parts/stripes.c\n"
        "    ${PROVIDER_FOLDER}/parts/image_provider_stripes.cc)\n"
        "target_include_directories(firmware PRIVATE ${PROVIDER_FOLDER}/parts)\n"
    )
    return folder


def test_provider_of_ones_own_gives_images(small_model, build_folder, provider):
    program = build.build(
        small_model.folder,
        build.HOST,
        build.STATIC,
        build_folder,
        definitions={"PROVIDER": str(provider)},
    )
    finished = subprocess.run([program], stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert finished.returncode == 0, finished.stderr.decode()
    _, *answers = [parse_line(line) for line in finished.stdout.splitlines()]
    assert all(isinstance(answer, Recognition) for answer in answers)
    expected = [small_model.scores(stripes(picture)) for picture in range(PICTURES)]
    assert [answer.scores for answer in answers] == expected
    assert len(set(expected)) == PICTURES


@pytest.mark.parametrize("kind", ["relative", "missing", "empty", "headers"])
def test_folder_without_a_provider_is_refused(small_model, tmp_path, kind):
    folder = tmp_path / "camera"
    if kind != "missing":
        folder.mkdir()
    if kind == "headers":
        (folder / "camera.h").write_text("")
    provider = "camera" if kind == "relative" else folder
    message = refusal(tmp_path, {"MODEL": small_model.folder, "PROVIDER": provider})
    rule = "PROVIDER must be serial or test_vectors, or the absolute path of a folder with"
    assert re.search(f"{rule} provider.cmake, .* Received: '{re.escape(str(provider))}'", message)


def test_provider_file_without_sources_is_refused(small_model, tmp_path):
    folder = tmp_path / "camera"
    folder.mkdir()
    (folder / "provider.cmake").write_text("set(SOURCES camera.cc)\n")
    message = refusal(tmp_path, {"MODEL": small_model.folder, "PROVIDER": folder})
    assert "provider.cmake must set PROVIDER_SOURCES to the paths of what defines" in message
    assert f"Received: none, in '{folder}/provider.cmake'" in message
