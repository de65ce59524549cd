# SPDX-License-Identifier: Apache-2.0
"""Fused int8 kernels for Cortex-M, in C, and the Python that packs and checks them.

Each operator has one name everywhere: `residual_add.py` holds its integers, packs them for the
kernel and computes it a second time in NumPy; in `source/residual_add`, `residual_add_s8.h` says
what the C function takes, and `residual_add_s8*.c` are the functions, one a file. `glue` makes
operators of TensorFlow Lite Micro of them.
"""
