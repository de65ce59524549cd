# SPDX-License-Identifier: Apache-2.0
"""Chips, and what can be asked of them."""

import pytest

from tflm.cycles import memory_profiles


def test_the_default_comes_first_with_its_own_clock():
    first, *others = memory_profiles.chosen(memory_profiles.DEFAULT)
    assert (first.name, first.megahertz, first.wait_states) == ("stm32l4r5", 120, 5)
    assert {each.name for each in others} == set(memory_profiles.profiles()) - {first.name}


def test_a_changed_chip_is_not_called_checked():
    first = memory_profiles.chosen("stm32l4r5", 80, 4)[0]
    assert (first.megahertz, first.wait_states, first.checked) == (80, 4, False)
    assert first.milliseconds(80_000) == 1


def test_all_complaints_come_at_once():
    with pytest.raises(ValueError) as complaint:
        memory_profiles.chosen("stm32", float("nan"), -1)
    text = str(complaint.value)
    assert "Received: chip=stm32" in text
    assert "Received: clock=nan" in text
    assert "Received: wait-states=-1" in text


def test_each_profile_has_a_source():
    for profile in memory_profiles.profiles().values():
        assert profile.source
        assert profile.checked or profile.note, profile.name
