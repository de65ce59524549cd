# SPDX-License-Identifier: Apache-2.0
"""How strictly the camera's C is compiled."""

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
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
