# SPDX-License-Identifier: Apache-2.0
"""A stream to a process that does not do its part."""

import os
import threading
import time

import pytest

from tflm.firmware.link import descriptor_stream
from tflm.firmware.link.descriptor_stream import DescriptorStream


@pytest.fixture
def pipes():
    """Two pipes, closed afterwards."""
    ends = [*os.pipe(), *os.pipe()]
    yield ends
    for end in ends:
        os.close(end)


def talk(target, is_over):
    """Writes without end."""
    os.set_blocking(target, False)
    while not is_over.is_set():
        try:
            os.write(target, b"x" * 65536)
        except BlockingIOError:
            time.sleep(0.001)


def test_who_talks_without_end_and_takes_nothing_is_left(pipes, monkeypatch):
    """Its words are not gathered without end, either."""
    monkeypatch.setattr(descriptor_stream, "_MOST_UNREAD_BYTES", 1 << 20)
    source, talking_end, _, target = pipes
    is_over = threading.Event()
    talker = threading.Thread(target=talk, args=(talking_end, is_over))
    talker.start()
    try:
        stream = DescriptorStream(source, target)
        with pytest.raises(TimeoutError, match="must be taken in 1 s. Received: "):
            stream.write(b"y" * 1_000_000, seconds=1.0)
        assert len(stream.read(1.0)) <= (1 << 20) + (1 << 16)
    finally:
        is_over.set()
        talker.join()
