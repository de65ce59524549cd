# SPDX-License-Identifier: Apache-2.0
"""What a model is called in C: the prefix of its files, functions and constants.

A model "person" has `person_model.h`, `person_model_init`, `PERSON_MODEL_INPUT_WIDTH`. All that
several models share begins with `micronet_`; the generic names of one model, for programs with a
single one, are those of a model "micronet".
"""

import os
import pathlib
import re
import unicodedata

GENERIC = "micronet"
MOST_CHARACTERS = 24
_NAME = re.compile(rf"[a-z][a-z0-9_]{{0,{MOST_CHARACTERS - 1}}}")
_RULE = (
    f"A model's name must be a lower-case letter and up to {MOST_CHARACTERS - 1} lower-case "
    f"letters, digits and single underscores, and not begin with {GENERIC}_. Received: "
)


def check(name: str) -> None:
    """Raises `ValueError` unless a model can have this name."""
    possible = _NAME.fullmatch(name) and "__" not in name and not name.endswith("_")
    if not possible or name.startswith(f"{GENERIC}_"):
        raise ValueError(f"{_RULE}name={name}")


def of_run(folder: os.PathLike[str] | str) -> str:
    """The name of a run's model, from the run's folder: "Front door 2" gives "front_door_2"."""
    text = unicodedata.normalize("NFKD", pathlib.Path(folder).resolve().name)
    words = re.findall(r"[a-z0-9]+", text.encode("ascii", "ignore").decode().lower())
    name = "_".join(words)[:MOST_CHARACTERS].rstrip("_")
    try:
        check(name)
    except ValueError:
        name = f"my_{name}"[:MOST_CHARACTERS].rstrip("_")
    return name


def library_of(name: str) -> str:
    """The prefix of files and functions: "person_model"."""
    return f"{name}_model"


def title_of(library: str) -> str:
    """The library's name where words are joined by capitals: "PersonModel"."""
    return "".join(word.capitalize() for word in library.split("_"))
