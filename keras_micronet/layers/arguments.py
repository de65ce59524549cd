# SPDX-License-Identifier: Apache-2.0
"""Checks of layer arguments: each returns a plain Python value or states the rule."""

import math
import operator
from typing import Any


def positive_integer(name: str, value: object) -> int:
    """`value` as an `int` of at least 1."""
    number = _integer(name, value, "a positive integer")
    if number < 1:
        raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value!r}")
    return number


def integers(name: str, values: Any, length: int, minimum: int = 1) -> tuple[int, ...]:
    """`values` as a tuple of `length` integers of at least `minimum`."""
    rule = f"{length} integers of at least {minimum}"
    try:
        numbers = tuple(_integer(name, value, rule) for value in values)
    except TypeError:
        numbers = ()
    if len(numbers) != length or min(numbers) < minimum:
        raise ValueError(f"`{name}` must be {rule}. Received: {name}={values!r}")
    return numbers


def finite_numbers(name: str, values: Any, length: int) -> tuple[float, ...]:
    """`values` as a tuple of `length` finite floats."""
    try:
        numbers = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != length or not all(math.isfinite(number) for number in numbers):
        raise ValueError(f"`{name}` must be {length} finite numbers. Received: {name}={values!r}")
    return numbers


def odd_integer(name: str, value: object) -> int:
    """`value` as an odd positive `int`: symmetric padding needs a middle tap."""
    number = positive_integer(name, value)
    if number % 2 == 0:
        raise ValueError(f"`{name}` must be odd. Received: {name}={value!r}")
    return number


def require_divides(divisor_name: str, divisor: int, number_name: str, number: int) -> None:
    """Raises unless `divisor` divides `number`."""
    if number % divisor:
        raise ValueError(
            f"`{divisor_name}` must divide the number of {number_name}. "
            f"Received: {divisor_name}={divisor}, {number_name}={number}"
        )


def _integer(name, value, rule):
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise ValueError(f"`{name}` must be {rule}. Received: {name}={value!r}") from None
