# SPDX-License-Identifier: Apache-2.0
"""Progress of a training, for people: one line an epoch, with throughput and time left."""

import math
import sys
import time
from collections.abc import Callable
from typing import TextIO

import keras

from training.fitting.epoch_record import ACCURACY, Score

_SECONDS_BETWEEN_UPDATES = 0.5


class _Pace:
    """Mean duration of what takes about as long each time."""

    def __init__(self):
        self.count = 0
        self.seconds = 0.0

    def add(self, seconds):
        self.count += 1
        self.seconds += seconds

    @property
    def mean(self):
        return self.seconds / self.count


class ProgressLines(keras.callbacks.Callback):
    """Prints one line an epoch; on a terminal a line is also updated within the epoch.

    A step that TensorFlow has to trace and compile takes as long as hundreds of others: it is
    announced, and neither its epoch's seconds nor the time left count it.

    Args:
        batch_size: images a step, of all devices together.
        validation_images: images of a validation, of which a batch takes no longer than a step.
        stream: where to write; `sys.stdout` by default.
        clock: function that gives seconds.
        score: what is measured besides the loss.
    """

    def __init__(
        self,
        batch_size: int,
        validation_images: int,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        score: Score = ACCURACY,
    ) -> None:
        super().__init__()
        self._batch_size = batch_size
        self._score = score
        self._validation_steps = math.ceil(validation_images / batch_size)
        self._stream = sys.stdout if stream is None else stream
        self._clock = clock
        self._epoch = 0
        self._epoch_steps_done = 0
        self._compiled = None  # the training step that has been announced
        self._compilation_start: float | None = None
        self._all_steps = _Pace()
        self._epoch_steps = _Pace()
        self._validations = _Pace()
        self._is_first_validation = True
        self._epoch_start = 0.0
        self._last_step_end = 0.0
        self._last_update = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._epoch = epoch
        self._epoch_steps_done = 0
        self._epoch_steps = _Pace()
        self._epoch_start = self._last_step_end = self._clock()

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        function = self.model.train_function
        if function is not self._compiled:
            self._compiled = function
            self._write_line("Compiling the training step, which takes a while ...")
            self._compilation_start = self._clock()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        now = self._clock()
        self._epoch_steps_done += 1
        if self._compilation_start is not None:
            seconds = now - self._compilation_start
            self._compilation_start = None
            self._epoch_start += seconds
            self._write_line(f"Compiled it and took its first step in {seconds:.1f} s.")
        else:
            for pace in (self._all_steps, self._epoch_steps):
                pace.add(now - self._last_step_end)
        self._last_step_end = now
        if self._stream.isatty() and now - self._last_update >= _SECONDS_BETWEEN_UPDATES:
            self._last_update = now
            step = f"step {batch + 1}/{self.params['steps']}"
            validations = self.params["epochs"] - self._epoch
            line = f"{self._epoch_label()}  {step}{self._rate()}  {self._time_left(validations)}"
            self._write(f"\r{line}\x1b[K")

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        now = self._clock()
        validation = now - self._last_step_end
        # The first one also builds a graph, but goes forward only: a step takes longer.
        if self._is_first_validation and self._all_steps.count:
            validation = min(validation, self._validation_steps * self._all_steps.mean)
        if not self._is_first_validation and self._validations.count == 1:
            self._validations = _Pace()  # what is measured is better than that estimate
        self._validations.add(validation)
        self._is_first_validation = False
        validations = self.params["epochs"] - self._epoch - 1
        self._write_line(
            f"{self._epoch_label()}  loss {logs['loss']:.4f}  {self._scores(logs)}"
            f"  {now - self._epoch_start:.1f} s{self._rate()}  {self._time_left(validations)}"
        )

    def _scores(self, logs):
        """The score on both kinds of images, or where only validation's is known, on those."""
        score = self._score
        validation = score.text(logs[f"val_{score.key}"])
        if score.key not in logs:
            return f"validation {score.title} {validation}"
        return f"{score.title} {score.text(logs[score.key])}  validation {validation}"

    def _epoch_label(self):
        epochs = self.params["epochs"]
        return f"epoch {self._epoch + 1:{len(str(epochs))}}/{epochs}"

    def _rate(self):
        """Images a second of this epoch's steps, without the validation."""
        pace = self._epoch_steps
        return f"  {self._batch_size / pace.mean:,.0f} images/s" if pace.seconds > 0 else ""

    def _time_left(self, validations_left):
        if not self._all_steps.count:
            return "time left unknown"
        step = self._all_steps.mean
        validation = (
            self._validations.mean if self._validations.count else self._validation_steps * step
        )
        steps_left = (self.params["epochs"] - self._epoch) * self.params["steps"]
        steps_left -= self._epoch_steps_done
        return f"{format_duration(steps_left * step + validations_left * validation)} left"

    def _write_line(self, text):
        self._write(f"\r{text}\x1b[K\n" if self._stream.isatty() else f"{text}\n")

    def _write(self, text):
        self._stream.write(text)
        self._stream.flush()


def format_duration(seconds: float) -> str:
    """Seconds as people say them, such as `"45 s"`, `"2 min 05 s"` or `"3 h 10 min"`."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min"
