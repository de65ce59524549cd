# SPDX-License-Identifier: Apache-2.0
"""What a report says of a model's answers: the interface that `tflm.tasks` fulfils a task each."""

import collections.abc
import typing


class Cost(typing.Protocol):
    """What int8 costs, of whatever is measured.

    Attributes:
        images: number of test images.
        points_lost: percentage points lost on the device; negative if they are gained.
        points_lost_interval: the pair (low, high) between which these are, with the confidence of
            `paired_interval`.
    """

    # Read only, so that frozen classes and properties may give them.
    @property
    def images(self) -> int: ...
    @property
    def points_lost(self) -> float: ...
    @property
    def points_lost_interval(self) -> tuple[float, float]: ...


class TaskAnswers(typing.Protocol):
    """A model's answers without rounding and on the device, compared.

    Attributes:
        cost: `Cost` of the device beside the float model, on the test images. The float side of a
            quantization-aware model is that of its own weights without rounding.
        measure: what is lost by points: "accuracy".
        classes: number of classes, or of joints.
        about: what the model answers, a few words: "10 classes".
        examples_png: test images with what the exported model says, or `None`.
    """

    @property
    def cost(self) -> Cost: ...
    @property
    def measure(self) -> str: ...
    @property
    def classes(self) -> int: ...
    @property
    def about(self) -> str: ...
    @property
    def examples_png(self) -> bytes | None: ...

    # For a terminal.

    def headline(self, title: str) -> str:
        """The verdict in a line.

        Args:
            title: of the runtime: "as a C99 library".
        """
        ...

    def agreement(self) -> str:
        """How often the device answers as float does."""
        ...

    def warnings(self) -> collections.abc.Iterable[str]:
        """What else is to be known at once, lines."""
        ...

    # For `report.md` and the export's README, in Markdown.

    def on_device(self) -> str:
        """How good the device's answers are, with what int8 costs, for a row of a table."""
        ...

    def rows(self) -> collections.abc.Iterable[tuple[str, str]]:
        """Pairs of a label and a text."""
        ...

    def cost_text(self) -> str:
        """What int8 costs: lines."""
        ...

    def learned_remark(self) -> str:
        """What a quantization-aware model's answers are with the rounding that it has learned."""
        ...

    def remarks(self) -> collections.abc.Iterable[str]:
        """What else must be known of the cost, paragraphs."""
        ...

    def outputs_note(self, library: str) -> str:
        """What the scores are of, for a comment.

        Args:
            library: prefix of files, functions and constants.
        """
        ...

    def examples_section(self) -> str:
        """What `examples_png` shows, or nothing."""
        ...

    def choices_section(self, is_own_model: bool) -> str:
        """The thresholds that were chosen, and what they do.

        Args:
            is_own_model: whether the run was written by other means than `python -m training`.
        """
        ...

    # For `report.json`.

    def values(self) -> dict[str, typing.Any]:
        """How good the answers are."""
        ...

    def details(self) -> dict[str, typing.Any]:
        """In which they differ."""
        ...

    def choices(self) -> dict[str, typing.Any]:
        """The thresholds."""
        ...
