# SPDX-License-Identifier: Apache-2.0
"""How strictly the camera's C is compiled."""

from tflm.camera import camera_sources

WARNINGS = (
    "-pedantic",
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-Wundef",
    "-Wcast-align",
    "-Wcast-qual",
    "-Werror",
)
INCLUDES = tuple(f"-I{folder}" for folder in camera_sources.include_folders())
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
