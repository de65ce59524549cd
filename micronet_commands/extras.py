# SPDX-License-Identifier: Apache-2.0
"""What `pip install` must have brought for a command, told before anything is imported."""

import importlib.util
from collections.abc import Iterable


class MissingExtraError(ImportError):
    """Packages that a command needs are not installed."""


def require(extra: str, modules: Iterable[str]) -> None:
    """Raises `MissingExtraError` unless modules are installed; imports none of them.

    Args:
        extra: name of the extra of this project that brings them.
        modules: their names.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"this command needs the extra {extra}: pip install 'keras_micronet[{extra}]'. "
            f"Received: no {', '.join(missing)}"
        )
