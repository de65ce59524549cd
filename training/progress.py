"""Progress of a training, for people: one line an epoch, with throughput and time left."""

import sys
import time

import keras

_SECONDS_BETWEEN_UPDATES = 0.5


class ProgressLines(keras.callbacks.Callback):
    """Prints one line an epoch; on a terminal a line is also updated within the epoch.

    Args:
        batch_size: images a step, of all devices together.
        stream: where to write; `sys.stdout` by default.
        clock: function that gives seconds.
    """

    def __init__(self, batch_size, stream=None, clock=time.monotonic):
        super().__init__()
        self._batch_size = batch_size
        self._stream = sys.stdout if stream is None else stream
        self._clock = clock
        self._epoch = 0
        self._steps_done = 0
        self._timing_start = None
        self._steps_before_timing = 0
        self._epoch_start = 0.0
        self._pace_start = 0.0
        self._steps_before_pace = 0
        self._last_step_end = 0.0
        self._last_update = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        self._epoch_start = self._pace_start = self._clock()
        self._steps_before_pace = self._steps_done
        if self._steps_done == self.params["steps"]:
            # The first epoch also built the validation's graph: from now on the pace is steady.
            self._start_timing(self._epoch_start)

    def on_train_batch_end(self, batch, logs=None):
        now = self._last_step_end = self._clock()
        self._steps_done += 1
        if self._timing_start is None:
            # The first step also builds the training's graph, and would spoil the estimate.
            self._start_timing(now)
            self._pace_start, self._steps_before_pace = now, self._steps_done
        if self._stream.isatty() and now - self._last_update >= _SECONDS_BETWEEN_UPDATES:
            self._last_update = now
            step = f"step {batch + 1}/{self.params['steps']}"
            line = f"{self._epoch_label()}  {step}{self._pace()}  {self._time_left(now)}"
            self._write(f"\r{line}\x1b[K")

    def on_epoch_end(self, epoch, logs=None):
        now = self._clock()
        line = (
            f"{self._epoch_label()}  loss {logs['loss']:.4f}  accuracy {logs['accuracy']:.2%}"
            f"  validation {logs['val_accuracy']:.2%}"
            f"  {now - self._epoch_start:.1f} s{self._pace()}  {self._time_left(now)}"
        )
        self._write(f"\r{line}\x1b[K\n" if self._stream.isatty() else f"{line}\n")

    def _start_timing(self, now):
        self._timing_start = now
        self._steps_before_timing = self._steps_done

    def _epoch_label(self):
        epochs = self.params["epochs"]
        return f"epoch {self._epoch + 1:{len(str(epochs))}}/{epochs}"

    def _pace(self):
        """Images a second of this epoch's steps, without the validation."""
        images = (self._steps_done - self._steps_before_pace) * self._batch_size
        seconds = self._last_step_end - self._pace_start
        return f"  {images / seconds:,.0f} images/s" if images and seconds > 0 else ""

    def _time_left(self, now):
        steps_timed = self._steps_done - self._steps_before_timing
        if steps_timed < 1:
            return "time left unknown"
        steps_left = self.params["epochs"] * self.params["steps"] - self._steps_done
        seconds = (now - self._timing_start) / steps_timed * steps_left
        return f"{format_duration(seconds)} left"

    def _write(self, text):
        self._stream.write(text)
        self._stream.flush()


def format_duration(seconds):
    """Seconds as people say them, such as `"45 s"`, `"2 min 05 s"` or `"3 h 10 min"`."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min"
