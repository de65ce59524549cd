import io

import pytest

from training.progress import ProgressLines, format_duration


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


def run(stream, epochs=3, steps=4):
    """First step 100 s, every other 10 s; first validation 90 s, every other 20 s."""
    now = 0.0
    progress = ProgressLines(30, stream, clock=lambda: now)
    progress.set_params({"epochs": epochs, "steps": steps})
    logs = {"loss": 0.5, "accuracy": 0.75, "val_loss": 0.6, "val_accuracy": 0.5}
    for epoch in range(epochs):
        progress.on_epoch_begin(epoch)
        for step in range(steps):
            now += 10 if epoch or step else 100
            progress.on_train_batch_end(step, logs)
        now += 20 if epoch else 90
        progress.on_epoch_end(epoch, logs)
    return stream.getvalue()


MEASURES = "loss 0.5000  accuracy 75.00%  validation 50.00%"


def test_a_file_gets_one_line_an_epoch_with_the_time_left():
    # Neither the first step nor later the first validation counts, as they also build graphs:
    # after one epoch 3 steps took 120 s and 8 are left, after two 4 took 60 s and 4 are left.
    assert run(io.StringIO()).splitlines() == [
        f"epoch 1/3  {MEASURES}  220.0 s  3 images/s  5 min 20 s left",
        f"epoch 2/3  {MEASURES}  60.0 s  3 images/s  1 min 00 s left",
        f"epoch 3/3  {MEASURES}  60.0 s  3 images/s  0 s left",
    ]


def test_a_terminal_also_sees_the_steps_in_place():
    text = run(Terminal())
    assert text.count("\n") == 3
    assert "\repoch 1/3  step 1/4  time left unknown\x1b[K" in text
    # 2 steps of 30 images took 20 s, 6 are left.
    assert "\repoch 2/3  step 2/4  3 images/s  1 min 00 s left\x1b[K" in text


def test_a_single_step_has_no_estimate():
    text = run(io.StringIO(), epochs=1, steps=1)
    assert "time left unknown" in text
    assert "images/s" not in text
