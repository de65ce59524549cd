# SPDX-License-Identifier: Apache-2.0
"""A device of MLPerf Tiny in Python, written from the protocol alone.

It tells what a device must answer to any bytes, and stands in for one in tests of the runner.
"""

import re

import numpy as np

NUMBER = re.compile(r"[0-9]+")
MOST_CHARACTERS = 80
MOST_INFERENCES = 1_000_000
START = ["m-timestamp-mode-performance", "m-lap-us-#", "m-init-done", "m-ready"]
ALONE = ("name", "profile", "help", "timestamp", "results")


class ReferenceBenchmark:
    """Takes bytes, gives lines without their ends.

    The words of an error are free: it is "e-[]" here. So are timestamps, "m-lap-us-#", and what
    `help` tells, nothing here.
    """

    def __init__(self, task, input_bytes, classify):
        """Has no image yet.

        Args:
            task: the benchmark's name of it.
            input_bytes: of an image.
            classify: function of an image's bytes -> probabilities.
        """
        self._task = task
        self._input_bytes = input_bytes
        self._classify = classify
        self._characters = ""
        self._expected = 0
        self._image = b""
        self._probabilities = None

    def take(self, data):
        """Lines that answer bytes."""
        lines = []
        for byte in data:
            if byte in b"\r\n\0":
                continue
            if byte != ord("%"):
                self._characters += chr(byte)
                continue
            command, self._characters = self._characters, ""
            lines += self._run(command) or ["e-[]"]
            lines.append("m-ready")
        return [line for line in lines if line]

    def _run(self, command):
        """Lines; none if it is an error."""
        if len(command) > MOST_CHARACTERS:
            return []
        words = [word for word in command.split(" ") if word]
        if not words:
            return [""]
        name, rest = words[0], words[1:]
        if name in ALONE:
            return [] if rest else getattr(self, f"_{name}")()
        return {"db": self._db, "infer": self._infer}.get(name, lambda rest: [])(rest)

    def _name(self):
        return ["m-name-dut-[keras_micronet]"]

    def _profile(self):
        return ["m-profile-[keras_micronet, MLPerf Tiny]", f"m-model-[{self._task}]"]

    def _help(self):
        return [""]

    def _timestamp(self):
        return ["m-lap-us-#"]

    def _results(self):
        if self._probabilities is None:
            return []
        return [f"m-results-[{','.join(f'{each:.3f}' for each in self._probabilities)}]"]

    def _db(self, words):
        if not words:
            return []
        if words[0] in ("load", "print"):
            numbers = [int(word) if NUMBER.fullmatch(word) else -1 for word in words[1:]]
            return getattr(self, f"_{words[0]}")(numbers)
        return self._append(words[0]) if len(words) == 1 else []

    def _load(self, numbers):
        if len(numbers) != 1 or not 1 <= numbers[0] <= self._input_bytes:
            return []
        (self._expected,), self._image = numbers, b""
        return [f"m-[Expecting {self._expected} bytes]"]

    def _append(self, digits):
        if len(digits) % 2 or not re.fullmatch("[0-9a-fA-F]+", digits):
            return []
        data = bytes.fromhex(digits)
        if len(self._image) + len(data) > self._expected:
            return []
        self._image += data
        return ["m-load-done" if len(self._image) == self._expected else ""]

    def _print(self, numbers):
        there = len(self._image)
        count, first = [*numbers, *(min(16, there), 0)[len(numbers) :]][:2]
        if len(numbers) > 2 or count < 0 or first < 0 or first + count > there:
            return []
        shown = self._image[first : first + count]
        return [f"m-buffer-{shown[i : i + 8].hex('-')}" for i in range(0, count, 8)] or [""]

    def _infer(self, words):
        numbers = [int(word) if NUMBER.fullmatch(word) else -1 for word in words]
        count, warmups = [*numbers, *(1, 10)[len(numbers) :]][:2]
        if len(numbers) > 2 or not 1 <= count <= MOST_INFERENCES:
            return []
        if not 0 <= warmups <= MOST_INFERENCES or len(self._image) != self._input_bytes:
            return []
        self._probabilities = self._classify(self._image)
        return [
            f"m-warmup-start-{warmups}",
            "m-warmup-done",
            f"m-infer-start-{count}",
            "m-lap-us-#",
            "m-lap-us-#",
            "m-infer-done",
            *self._results(),
        ]


def softmax(model, data):
    """Probabilities of an image's bytes by a `SmallModel`, computed in floating point."""
    values = np.array(model.scores(np.frombuffer(data, np.uint8))) * model.output_scale
    powers = np.exp(values - values.max())
    return powers / powers.sum()
