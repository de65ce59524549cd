# SPDX-License-Identifier: Apache-2.0
"""The section of the report on "none of these": which threshold, and what it keeps and rejects."""

import dataclasses
from typing import Any

from tflm.recognition.scores import ONE
from tflm.recognition.thresholds import ThresholdChoice

# With fewer right answers, a few of them move the threshold far.
_FEW_RIGHT = 100


def section(choice: ThresholdChoice, classes: int, is_own_model: bool) -> str:
    """Markdown: a heading, what the threshold is, and a table of thresholds.

    Args:
        choice: `ThresholdChoice`.
        classes: number of classes.
        is_own_model: whether the run was written by other means than `python -m training`.
    """
    if classes == 1:
        return """## When the answer is none of these

Never: of a model with one class, every image is of that class to the device.

"""
    rows = "\n".join(_row(choice, row) for row in choice.rows)
    return f"""## When the answer is none of these

{_choice(choice, is_own_model)} `micronet_recognize` takes it as {choice.threshold}, in Q15.

| probability of the best class at least | right answers kept, validation | wrong ones rejected, \
validation | right answers kept, test | wrong ones rejected, test | right of those kept, test |
|---|---|---|---|---|---|
{rows}

Probabilities are those that the device computes of its int8 scores. No test image had a part in the
choice. Pictures of other things were not among these images: how many of them are rejected, only
such pictures tell.

"""


def _choice(choice, is_own_model):
    probability = f"**{choice.threshold / ONE:.1%}**"
    validation = choice.chosen_row.validation
    if choice.is_chosen:
        text = (
            "An answer is to be given if the best class's probability is at least "
            f"{probability}, the highest that keeps {choice.keep_right:g}% of the right answers "
            f"to {validation.images:,} validation images (`--keep-right`)."
        )
        if validation.right < _FEW_RIGHT:
            text += f" {validation.right:,} right answers are few: another choice may be as good."
        return text
    if validation is not None:
        reason = "no validation image gets a right answer"
    else:
        reason = "the run has no validation images (`validation.npz`) to choose it on"
    return (
        f"No threshold was chosen: {reason}. Until then it is {probability}, from which on the "
        "best class is more probable than all others together. "
        f"{_next_step(validation, is_own_model)}"
    )


def _next_step(validation, is_own_model):
    if validation is not None:
        return "Train longer, or give more validation images."
    if is_own_model:
        return "`keras_micronet.write_run_folder` takes some: `validation=(images, labels)`."
    return (
        "This version of `python -m training` keeps some in the run: give the command of the "
        "training again, with `--overwrite`."
    )


def _row(choice, row):
    probability = f"{row.threshold / ONE:.1%}"
    if row.threshold == 0:
        probability = "any"
    if row.threshold == choice.threshold:
        probability = f"**{probability}**"
    cells = [probability]
    for kept in (row.validation, row.test):
        if kept is None:
            cells += ["", ""]
        else:
            cells += [_part(kept.kept_right, kept.right), _part(kept.rejected_wrong, kept.wrong)]
    cells.append(_part(row.test.kept_right, row.test.kept))
    return f"| {' | '.join(cells)} |"


def _part(some, all_of_them):
    """A count of others, with the percentage if there are any."""
    if all_of_them == 0:
        return "0 of 0"
    return f"{some / all_of_them:.1%} ({some:,} of {all_of_them:,})"


def figures(choice: ThresholdChoice) -> dict[str, Any]:
    """All of a choice for `report.json`."""
    return {
        "threshold": choice.threshold / ONE,
        "threshold_q15": choice.threshold,
        "is_chosen": choice.is_chosen,
        "keep_right_percent": choice.keep_right,
        "thresholds": [
            {
                "threshold_q15": row.threshold,
                "validation": row.validation and dataclasses.asdict(row.validation),
                "test": dataclasses.asdict(row.test),
            }
            for row in choice.rows
        ],
    }
