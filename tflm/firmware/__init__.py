"""Firmware that recognises images: its build, the emulated boards, and the serial line to it."""
