# SPDX-License-Identifier: Apache-2.0
"""Imports TensorFlow without the lines that it writes at every start.

Neither Python's nor TensorFlow's settings silence them all: its libraries write to the standard
error before they have read any. So a process beside this one reads the standard error meanwhile and
passes on what is no such line. A process, not a thread: what TensorFlow says when it crashes must
arrive.
"""

import contextlib
import os
import re
import signal
import sys
import time

_GRAPHICS_DRIVER = "/proc/driver/nvidia"
_MOST_BYTES = 1 << 16
_TRIES, _SECONDS_BETWEEN_TRIES = 400, 0.005
_CHATTER = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog\(\) is called|"
    rb"[IW]\d{4} \d\d:\d\d:|"
    rb"To enable the following instructions: "
)
_NO_GRAPHICS_CARD = re.compile(rb"E\d{4} \d\d:\d\d:\S+ +\d+ cuda_\w+\.cc:\d+\] ")


def import_tensorflow() -> None:
    """Imports TensorFlow and lets it look for devices, which is when it writes those lines.

    Warnings and notes are not shown later either, unless TF_CPP_MIN_LOG_LEVEL asks for them; errors
    always are, but for those that say that a computer without a graphics card has none.
    """
    if "tensorflow" in sys.modules:
        return
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ and os.environ["TF_CPP_MIN_LOG_LEVEL"] < "2":
        return  # who asks for them gets them
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _without_chatter():
        import tensorflow as tf

        tf.config.list_physical_devices()


@contextlib.contextmanager
def _without_chatter():
    if not hasattr(os, "fork"):
        yield
        return
    source, target = os.pipe()
    sys.stderr.flush()
    child = os.fork()  # only this thread is there yet
    if child == 0:
        os.close(target)
        _pass_on(source)
    os.close(source)
    standard_error = os.dup(2)
    os.dup2(target, 2, inheritable=True)
    os.close(target)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(standard_error, 2)
        os.close(standard_error)
        _wait_for(child)


def _wait_for(child):
    """Waits until all has been passed on; not for longer if another process keeps the pipe open."""
    for _ in range(_TRIES):
        if os.waitpid(child, os.WNOHANG)[0]:
            return
        time.sleep(_SECONDS_BETWEEN_TRIES)


def _pass_on(source):
    """Copies lines from a descriptor to the standard error until its end, and ends the process."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other process's end is this one's
        rest = b""
        while data := os.read(source, _MOST_BYTES):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                _write(line + b"\n")
        _write(rest)
    finally:
        os._exit(0)


def _write(line):
    if line and not is_chatter(line):
        os.write(2, line)


def is_chatter(line: bytes) -> bool:
    """Whether a line is one that TensorFlow writes at every start.

    Args:
        line: bytes.
    """
    if _CHATTER.match(line):
        return True
    return bool(_NO_GRAPHICS_CARD.match(line)) and not os.path.exists(_GRAPHICS_DRIVER)
