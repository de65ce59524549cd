# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a folder of annotated pictures, and what was left out, collected by kind."""

import collections

from keras_micronet.files.text import list_some, shorten

_MOST_NAMED = 10


class Findings:
    """Collects complaints and notes, so that all of a kind become one sentence."""

    def __init__(self) -> None:
        self._complaints: dict[str, list[str]] = collections.defaultdict(list)
        self._notes: dict[str, list[str]] = collections.defaultdict(list)

    def complain(self, rule: str, received: object) -> None:
        """Adds what does not keep to a rule; the rule says what to do, without a full stop."""
        self._complaints[rule].append(shorten(received, 160))

    def note(self, text: str, item: object) -> None:
        """Adds something to a sentence that names what was done with it.

        Args:
            text: the sentence without a full stop.
            item: a file, or a place in one.
        """
        self._notes[text].append(shorten(item, 160))

    @property
    def complaints(self) -> list[str]:
        """A sentence for each rule that was broken."""
        return [
            f"{rule}. Received: {list_some(items, _MOST_NAMED)}"
            for rule, items in self._complaints.items()
        ]

    @property
    def notes(self) -> list[str]:
        """A sentence for each kind of note."""
        return [
            f"{text} ({len(items)}): {list_some(items, _MOST_NAMED)}."
            for text, items in self._notes.items()
        ]
