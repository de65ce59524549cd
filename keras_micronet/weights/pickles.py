# SPDX-License-Identifier: Apache-2.0
"""Pickles of plain data, read without running code.

A pickle is a program for a small stack machine. Python's own `pickle` runs it with the whole
interpreter at hand; even with its look-up of names restricted, a damaged or hostile file makes it
allocate gigabytes (a length or a memo index that it believes) or hash for ever. Here each
instruction is one of a closed list that builds dictionaries, lists, tuples, texts and numbers; a
name stands for what the caller's table has under it and nothing else is called. Lengths are held
against what is left of the content, and the number of instructions is limited, so that time and
memory are.
"""

import io
import itertools
import pickletools
import types
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from keras_micronet.weights.messages import one_line

LARGEST_INSTRUCTION_COUNT = 1_000_000
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_LITERALS = {
    "BINBYTES",
    "BINBYTES8",
    "BINFLOAT",
    "BININT",
    "BININT1",
    "BININT2",
    "BINUNICODE",
    "BINUNICODE8",
    "LONG1",
    "SHORT_BINBYTES",
    "SHORT_BINUNICODE",
}
_IGNORED = {"PROTO", "FRAME"}
_TUPLE_LENGTHS = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def read_pickle(
    content: bytes | BinaryIO,
    names: Mapping[str, Any],
    persistent: Callable[[Any], Any] | None = None,
) -> Any:
    """The value that a pickle describes.

    Args:
        content: the pickle as bytes, or a file (`io.BytesIO`) that stands at its start and is left
            behind its end.
        names: what each global name, such as `"collections OrderedDict"`, stands for: a Python
            function, which the pickle may call with its own data, or a value. Objects that a
            function returns may have a method `set_state` for the pickle's `BUILD`.
        persistent: function from a persistent identifier to the object that it stands for; `None`
            if the pickle must not have any.

    Raises:
        ValueError: if the pickle is damaged or wants anything else.
    """
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    machine = _Machine(names, persistent)
    try:
        instructions = itertools.islice(pickletools.genops(file), LARGEST_INSTRUCTION_COUNT)
        for instruction, argument, _ in instructions:
            if instruction.name == "STOP":
                return machine.result()
            machine.run(instruction.name, argument)
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:
        raise ValueError(f"its pickle is damaged: {error}") from error
    raise ValueError(f"its pickle has more than {LARGEST_INSTRUCTION_COUNT:,} instructions")


class _Machine:
    """Stack, marks and memo of a pickle that is being read."""

    def __init__(self, names, persistent):
        self._names = names
        self._persistent = persistent
        self._stack = []
        self._marks = []
        self._memo = {}
        self._handlers = {
            "APPEND": self._append,
            "APPENDS": self._appends,
            "BINGET": self._get,
            "BINPERSID": self._find_persistent,
            "BINPUT": self._put,
            "BUILD": self._build,
            "GLOBAL": self._global,
            "LONG_BINGET": self._get,
            "LONG_BINPUT": self._put,
            "MARK": self._mark,
            "MEMOIZE": self._memoize,
            "REDUCE": self._reduce,
            "SETITEM": self._set_item,
            "SETITEMS": self._set_items,
            "STACK_GLOBAL": self._stack_global,
            "TUPLE": self._tuple,
        }

    def run(self, name, argument):
        if name in _LITERALS:
            self._stack.append(argument)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            self._stack.append(_EMPTY[name]())
        elif name in _TUPLE_LENGTHS:
            self._stack.append(tuple(self._pop(_TUPLE_LENGTHS[name])))
        elif name in self._handlers:
            self._handlers[name](argument)
        elif name not in _IGNORED:
            raise ValueError(f"its pickle has the instruction {name}: plain data does not need it")

    def result(self):
        (value,) = self._stack
        return value

    def _pop(self, count):
        if count > len(self._stack) - (self._marks[-1] if self._marks else 0):
            raise ValueError("its pickle is damaged: the stack is empty")
        values = self._stack[len(self._stack) - count :]
        del self._stack[len(self._stack) - count :]
        return values

    def _pop_to_mark(self):
        return self._pop(len(self._stack) - self._marks[-1]), self._marks.pop()

    def _mark(self, _):
        self._marks.append(len(self._stack))

    def _tuple(self, _):
        values, _ = self._pop_to_mark()
        self._stack.append(tuple(values))

    def _append(self, _):
        self._extend(self._pop(1))

    def _appends(self, _):
        values, _ = self._pop_to_mark()
        self._extend(values)

    def _extend(self, values):
        _exactly(list, self._stack[-1]).extend(values)

    def _set_item(self, _):
        self._update(self._pop(2))

    def _set_items(self, _):
        values, _ = self._pop_to_mark()
        self._update(values)

    def _update(self, values):
        target = _exactly(dict, self._stack[-1])
        for key, value in zip(values[::2], values[1::2], strict=True):
            # Only these: the hash of a tuple of tuples of tuples may take for ever.
            if type(key) not in (str, int):
                raise ValueError(f"its pickle has a key of type {type(key).__name__}")
            target[key] = value

    def _get(self, index):
        self._stack.append(self._memo[index])

    def _put(self, index):
        self._memo[index] = self._stack[-1]

    def _memoize(self, _):
        self._put(len(self._memo))

    def _global(self, name):
        if name not in self._names:
            raise ValueError(f"it asks for {one_line(name, 80)!r}, which is no plain data or array")
        self._stack.append(self._names[name])

    def _stack_global(self, _):
        module, name = self._pop(2)
        self._global(f"{_exactly(str, module)} {_exactly(str, name)}")

    def _reduce(self, _):
        function, arguments = self._pop(2)
        self._stack.append(_exactly(types.FunctionType, function)(*_exactly(tuple, arguments)))

    def _build(self, _):
        target, state = self._pop(2)
        if type(target) is not dict:  # attributes of a dictionary are no part of its data
            target.set_state(state)
        self._stack.append(target)

    def _find_persistent(self, _):
        if self._persistent is None:
            raise ValueError("its pickle refers to something outside")
        (identifier,) = self._pop(1)
        self._stack.append(self._persistent(identifier))


def _exactly(kind, value):
    if type(value) is not kind:
        raise ValueError(
            f"its pickle is damaged: a {type(value).__name__} stands for a {kind.__name__}"
        )
    return value
