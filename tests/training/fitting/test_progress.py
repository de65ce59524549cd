# SPDX-License-Identifier: Apache-2.0
import io
import types

import pytest

from training.fitting.progress import ProgressLines, format_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3599.7, "1 h 00 min"),
        (11_400, "3 h 10 min"),
    ],
)
def test_durations_read_like_people_say_them(seconds, text):
    assert format_duration(seconds) == text


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(stream, epochs=3, steps=4, first_epoch=0, recompiled_at=None):
    """Compiling takes 100 s, every other step 10 s; the first validation 90 s, others 20 s."""
    now = 0.0
    progress = ProgressLines(30, 150, stream, clock=lambda: now)
    progress.set_params({"epochs": epochs, "steps": steps})
    model = types.SimpleNamespace(train_function=object())
    progress.set_model(model)
    logs = {"loss": 0.5, "accuracy": 0.75, "val_loss": 0.6, "val_accuracy": 0.5}
    is_compiled = False
    for epoch in range(first_epoch, epochs):
        progress.on_epoch_begin(epoch)
        for step in range(steps):
            if (epoch, step) == recompiled_at:
                model.train_function, is_compiled = object(), False
            progress.on_train_batch_begin(step)
            if not is_compiled:
                assert stream.getvalue().rstrip("\x1b[K\n").endswith(ANNOUNCEMENT)
            now += 10 if is_compiled else 100
            is_compiled = True
            progress.on_train_batch_end(step, logs)
        now += 20 if epoch > first_epoch else 90
        progress.on_epoch_end(epoch, logs)
    return stream.getvalue()


ANNOUNCEMENT = "Compiling the training step, which takes a while ..."
COMPILED = "Compiled it and took its first step in 100.0 s."
MEASURES = "loss 0.5000  accuracy 75.00%  validation 50.00%"


def test_a_file_gets_one_line_an_epoch_with_the_time_left():
    # Compiling counts nowhere. A step takes 10 s, and a validation of five batches no longer than
    # five of them, until it is known: after one epoch 8 steps and 2 validations are left.
    assert run(io.StringIO()).splitlines() == [
        ANNOUNCEMENT,
        COMPILED,
        f"epoch 1/3  {MEASURES}  120.0 s  3 images/s  3 min 00 s left",
        f"epoch 2/3  {MEASURES}  60.0 s  3 images/s  1 min 00 s left",
        f"epoch 3/3  {MEASURES}  60.0 s  3 images/s  0 s left",
    ]


def test_a_validation_that_is_known_replaces_the_estimate():
    # It takes 20 s, where five steps take 50 s.
    text = run(io.StringIO(), epochs=4)
    assert [line.split("  ")[-1] for line in text.splitlines()[2:]] == [
        "4 min 30 s left",
        "2 min 00 s left",
        "1 min 00 s left",
        "0 s left",
    ]


def test_a_continued_training_counts_what_is_left():
    lines = run(io.StringIO(), epochs=5, first_epoch=3).splitlines()
    assert lines[2] == f"epoch 4/5  {MEASURES}  120.0 s  3 images/s  1 min 30 s left"


def test_a_step_that_is_compiled_anew_is_announced_and_not_counted():
    lines = run(io.StringIO(), recompiled_at=(1, 2)).splitlines()
    assert lines.count(ANNOUNCEMENT) == lines.count(COMPILED) == 2
    assert lines[-2:] == [
        f"epoch 2/3  {MEASURES}  50.0 s  3 images/s  1 min 00 s left",
        f"epoch 3/3  {MEASURES}  60.0 s  3 images/s  0 s left",
    ]


def test_a_terminal_also_sees_the_steps_in_place():
    text = run(Terminal())
    assert text.count("\n") == 5
    assert f"\r{COMPILED}\x1b[K\n\repoch 1/3  step 1/4  time left unknown\x1b[K" in text
    # 6 steps of 10 s and 2 validations of 50 s are left.
    assert "\repoch 2/3  step 2/4  3 images/s  2 min 40 s left\x1b[K" in text


def test_a_single_step_has_no_estimate():
    text = run(io.StringIO(), epochs=1, steps=1)
    assert "time left unknown" in text
    assert "images/s" not in text
