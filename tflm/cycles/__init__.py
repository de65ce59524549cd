# SPDX-License-Identifier: Apache-2.0
"""Cycles of programs on Cortex-M4, estimated before anything is flashed.

QEMU executes a program, a plugin (`plugin/`) counts which instructions follow which and how often
the flash is read past the caches, and tables of timings and memories (`cortex_m4.toml`,
`memory_profiles.toml`) make cycles of the counts. `python -m tflm.cycles PROGRAM` does it for any
program; `library_cycles.py` for an exported library. docs/cycles.md tells how good the estimate is.
"""
