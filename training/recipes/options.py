# SPDX-License-Identifier: Apache-2.0
"""The command line's options for the values of a recipe: one for each field of the dataclass."""

import argparse
import dataclasses
import re
import types
import typing
from collections.abc import Sequence
from typing import Any

from training.recipes.recipes import NOT_OF_GRIDS, GridRecipe, Recipe

# What a recipe is, rather than a value of it.
IDENTITY = ("name", "version", "task")


def option_fields() -> list[dataclasses.Field[Any]]:
    """The fields of `Recipe` that have an option, in their order."""
    return [field for field in dataclasses.fields(Recipe) if field.name not in IDENTITY]


def grid_option_fields() -> list[dataclasses.Field[Any]]:
    """The fields that only a `GridRecipe` has, in their order; each has an option."""
    others = {field.name for field in dataclasses.fields(Recipe)}
    return [field for field in dataclasses.fields(GridRecipe) if field.name not in others]


def recipe_fields(recipe: Recipe) -> list[dataclasses.Field[Any]]:
    """The fields of a recipe that have an option and a meaning for its task, in their order."""
    if not isinstance(recipe, GridRecipe):
        return option_fields()
    fields = [*option_fields(), *grid_option_fields()]
    return [field for field in fields if field.name not in NOT_OF_GRIDS]


def add_recipe_options(
    group: argparse._ArgumentGroup,
    example: Recipe,
    without: Sequence[str] = (),
    fields: Sequence[dataclasses.Field[Any]] | None = None,
) -> None:
    """Adds an option for each value of a recipe.

    Values that are not given stay out of the result: the named recipe has them.

    Args:
        group: of an `argparse` parser whose `argument_default` is `argparse.SUPPRESS`.
        example: the `Recipe` whose values the help shows.
        without: names of values that are left out.
        fields: those to add options for; by default `option_fields()`.
    """
    for field in option_fields() if fields is None else fields:
        if field.name in without:
            continue
        explanation = field.metadata.get("help", field.name.replace("_", " "))
        # argparse would read a percent sign as the start of one of its own formats.
        text = f"{explanation} [{format_field(field, example)}]".replace("%", "%%")
        group.add_argument(option_name(field.name), help=text, **_reading(field.type))


def option_name(name: str) -> str:
    """The option of a value, such as `"--batch-size"` of `"batch_size"`."""
    return "--" + name.replace("_", "-")


def format_field(field: dataclasses.Field[Any], recipe: Recipe) -> str:
    """A field's value in a recipe, as `format_value` writes it."""
    return format_value(getattr(recipe, field.name), field.metadata["separator"])


def format_value(value: object, separator: str = "x") -> str:
    """A recipe's value as it is given on the command line, such as `"32x32"` or `"no"`."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return separator.join(map(str, value)) if value else "no"
    return str(value)


def image_size(text: str) -> tuple[int, int]:
    """Reads `"64"` or `"48x96"` as a height and a width; a type of `argparse`."""
    match = re.fullmatch(r"(\d{1,6})(?:x(\d{1,6}))?", text)
    if match is None:
        raise argparse.ArgumentTypeError(
            f"must be a side such as 64, or a height and a width such as 48x64. Received: {text}"
        )
    height, width = match.groups()
    return int(height), int(width or height)


def block_numbers(text: str) -> bool | tuple[int, ...]:
    """Reads `"yes"`, `"no"` or numbers such as `"1,2,5"`; a type of `argparse`."""
    if text in ("yes", "no"):
        return text == "yes"
    if re.fullmatch(r"\d{1,3}(,\d{1,3})*", text) is None:
        raise argparse.ArgumentTypeError(
            f"must be yes, no, or numbers of blocks such as 1,2,5. Received: {text}"
        )
    return tuple(map(int, text.split(",")))


def _reading(annotation):
    """How `argparse` reads a value of a field: keyword arguments of `add_argument`."""
    if annotation is bool:
        return {"action": argparse.BooleanOptionalAction}
    if annotation == tuple[int, int]:
        return {"type": image_size, "metavar": "N|HxW"}
    if annotation == bool | tuple[int, ...]:
        return {"type": block_numbers, "metavar": "yes|no|N,N"}
    if isinstance(annotation, types.UnionType):
        (value_type,) = set(typing.get_args(annotation)) - {types.NoneType}
        return {"type": _optional(value_type), "metavar": f"none|{_METAVARS[value_type]}"}
    return {"type": annotation, "metavar": _METAVARS[annotation]}


_METAVARS = {int: "COUNT", float: "NUMBER", str: "NAME"}


def _optional(value_type):
    def read(text):
        return None if text == "none" else value_type(text)

    read.__name__ = value_type.__name__  # what argparse calls the type in its messages
    return read
