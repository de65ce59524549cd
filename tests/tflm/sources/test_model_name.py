# SPDX-License-Identifier: Apache-2.0
"""Names of models in C."""

import pytest

from tflm.sources import model_name


@pytest.mark.parametrize("name", ["a", "person", "front_door_2", "micronet", "a" * 24])
def test_names_of_c_are_taken(name):
    model_name.check(name)


@pytest.mark.parametrize(
    "name", ["", "Person", "2nd", "a-b", "a__b", "a_", "_a", "a" * 25, "é", "a\n", "micronet_x"]
)
def test_other_names_are_refused(name):
    with pytest.raises(ValueError, match="A model's name must be .* Received: name="):
        model_name.check(name)


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("runs/digits", "digits"),
        ("runs/Front door (2)", "front_door_2"),
        ("runs/Café-Grün", "cafe_grun"),
        ("runs/2026-11-30", "my_2026_11_30"),
        ("runs/micronet_m0", "my_micronet_m0"),
        ("runs/日本", "my"),
        ("runs/" + "ab-" * 20, "ab_ab_ab_ab_ab_ab_ab_ab"),
        ("runs/1" + "x" * 40, "my_1" + "x" * 20),
    ],
)
def test_names_of_runs_become_names_of_c(folder, name):
    assert model_name.of_run(folder) == name
    model_name.check(name)


def test_prefix_and_title():
    assert model_name.library_of("front_door") == "front_door_model"
    assert model_name.title_of("front_door_model") == "FrontDoorModel"
