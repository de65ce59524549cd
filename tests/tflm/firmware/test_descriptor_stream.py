"""A stream to a process that does not do its part."""

import os
import threading
import time

import pytest

from tflm.firmware.descriptor_stream import DescriptorStream


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


def test_who_talks_without_end_and_takes_nothing_is_left(pipes):
    """Its words are not gathered without end, either."""
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


def test_who_takes_a_byte_now_and_then_is_left(pipes):
    """As long as some bytes are taken, it once went on."""
    source, _, taking_end, target = pipes
    is_over = threading.Event()

    def take():
        os.set_blocking(taking_end, False)
        while not is_over.wait(0.05):
            try:
                os.read(taking_end, 4096)
            except BlockingIOError:
                pass

    taker = threading.Thread(target=take)
    taker.start()
    try:
        with pytest.raises(TimeoutError, match="must be taken in 0.5 s"):
            DescriptorStream(source, target).write(b"y" * 10_000_000, seconds=0.5)
    finally:
        is_over.set()
        taker.join()
