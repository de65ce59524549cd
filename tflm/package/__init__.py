# SPDX-License-Identifier: Apache-2.0
"""The exported folder as a package: its places, build files, examples, README."""
