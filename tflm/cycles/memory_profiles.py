# SPDX-License-Identifier: Apache-2.0
"""The memories that programs are read from on chips with a Cortex-M4: `memory_profiles.toml`."""

import dataclasses
import functools
import pathlib
import tomllib
import typing

DEFAULT = "stm32l4r5"
_MOST_MEGAHERTZ = 1000
_MOST_WAIT_STATES = 100
_TABLE = pathlib.Path(__file__).with_name("memory_profiles.toml")


@dataclasses.dataclass(frozen=True)
class FlashCache:
    """A cache between processor and flash.

    Attributes:
        lines: of the cache; 0 if there is none.
        ways: lines of a set, of which the least recently used one is replaced.
        line_bytes: size of a line.
        fill_bytes: what one read of the flash brings.
    """

    lines: int
    ways: int
    line_bytes: int
    fill_bytes: int


@dataclasses.dataclass(frozen=True)
class MemoryProfile:
    """A chip's clock and flash.

    Attributes:
        name: what `--chip` takes.
        title: of the chip, as its maker writes it.
        megahertz: of the clock.
        wait_states: cycles that each read of the flash takes beyond the first.
        instruction_cache, data_cache: `FlashCache`s.
        checked: whether cycles with this profile met published ones (docs/cycles.md).
        source: where the figures are from.
        note: what is not modelled.
    """

    name: str
    title: str
    megahertz: float
    wait_states: int
    instruction_cache: FlashCache
    data_cache: FlashCache
    checked: bool
    source: str
    note: str = ""

    def changed(self, megahertz: float | None, wait_states: int | None) -> typing.Self:
        """The same chip at another clock, or with other wait states; `None` keeps either."""
        return dataclasses.replace(
            self,
            checked=self.checked and megahertz is None and wait_states is None,
            megahertz=self.megahertz if megahertz is None else megahertz,
            wait_states=self.wait_states if wait_states is None else wait_states,
        )

    def milliseconds(self, cycles: int) -> float:
        """Time of so many cycles."""
        return cycles / self.megahertz / 1e3


@functools.lru_cache(maxsize=1)
def profiles() -> dict[str, MemoryProfile]:
    """All of the table, by name."""
    rows = tomllib.loads(_TABLE.read_text(encoding="utf-8"))["profiles"]
    return {row["name"]: MemoryProfile(**{**row, **_caches(row)}) for row in rows}


def chosen(
    name: str, megahertz: float | None = None, wait_states: int | None = None
) -> tuple[MemoryProfile, ...]:
    """All profiles, that of a chip first.

    Args:
        name: of that chip's profile.
        megahertz, wait_states: what differs from it; see `MemoryProfile.changed`.

    Raises:
        ValueError: there is no such profile, or no chip has such a clock or such wait states.
    """
    complaints = []
    if name not in profiles():
        complaints.append(f"chip must be one of {', '.join(profiles())}. Received: chip={name}")
    if megahertz is not None and not 0 < megahertz <= _MOST_MEGAHERTZ:
        complaints.append(
            f"clock must be above 0 MHz, at most {_MOST_MEGAHERTZ}. Received: clock={megahertz:g}"
        )
    if wait_states is not None and not 0 <= wait_states <= _MOST_WAIT_STATES:
        complaints.append(
            f"wait-states must be 0 to {_MOST_WAIT_STATES} cycles. "
            f"Received: wait-states={wait_states}"
        )
    if complaints:
        raise ValueError("\n".join(complaints))
    others = [profile for profile in profiles().values() if profile.name != name]
    return (profiles()[name].changed(megahertz, wait_states), *others)


def _caches(row):
    return {key: FlashCache(**row[key]) for key in ("instruction_cache", "data_cache")}
