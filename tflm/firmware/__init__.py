# SPDX-License-Identifier: Apache-2.0
"""Firmware that recognises images: its build, the emulated boards, and the serial line to it."""
