# SPDX-License-Identifier: Apache-2.0
"""Reading files of annotations that nobody has checked: none is larger than it may be, and none
leads out of its folder."""

import json
import os
import pathlib
import stat
import xml.etree.ElementTree
import xml.parsers.expat
from collections.abc import Iterator
from typing import Any

import yaml

from keras_micronet.files.archives import parse_json
from keras_micronet.files.text import shorten

# COCO's own annotations of 118,287 photographs take 448 MB.
_MOST_JSON_BYTES = 2**29
_MOST_XML_BYTES = 2**24
_MOST_TEXT_BYTES = 2**26
_MOST_YAML_BYTES = 2**16
_DEEPEST_XML = 20
_DEEPEST_YAML = 10


def read_bytes(path: pathlib.Path, most_bytes: int) -> bytes:
    """The contents of a file.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no file, such as a pipe, which might never end, or too large.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError("no regular file")
    with open(path, "rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(f"more than {most_bytes:,} bytes")
    return content


def read_lines(path: pathlib.Path) -> list[str]:
    """The lines of a text in UTF-8, without spaces around them, empty ones left out.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no text, or too large.
    """
    text = read_bytes(path, _MOST_TEXT_BYTES).decode("utf-8-sig")
    return [line.strip() for line in text.splitlines() if line.strip()]


def read_json_object(path: pathlib.Path) -> dict[str, Any]:
    """The object that a JSON file holds; all its numbers are finite.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is damaged, too large or no object.
    """
    try:
        return parse_json(read_bytes(path, _MOST_JSON_BYTES))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"damaged: {error}") from error


def read_yaml_object(path: pathlib.Path) -> dict[Any, Any]:
    """The mapping that a YAML file holds; all values and keys are texts, lists or mappings.

    A class called no stays that, which YAML itself takes for false.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is damaged, too large, too deep or no mapping, or repeats parts of itself
            by aliases, a few of which can stand for billions of values.
    """
    text = read_bytes(path, _MOST_YAML_BYTES).decode("utf-8-sig")
    try:
        _check_events(yaml.parse(text, yaml.BaseLoader))
        value = yaml.load(text, yaml.BaseLoader)  # noqa: S506, knows texts alone
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"damaged: {error}") from error
    if not isinstance(value, dict):
        raise ValueError("no mapping of names to values")
    return value


def _check_events(events):
    """Reads no further than to what is not allowed: the time that PyYAML takes grows with the
    square of the depth."""
    depth = 0
    for event in events:
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("aliases (*name) are not allowed")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST_YAML:
            raise ValueError("nested too deeply")


def read_xml(path: pathlib.Path) -> xml.etree.ElementTree.Element:
    """The root of an XML file, which must declare no document type, and so no entities.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is damaged, too large, too deep or declares a document type.
    """
    # ElementTree's own parser expands entities, and lets nobody forbid their declaration.
    builder = xml.etree.ElementTree.TreeBuilder()
    parser = xml.parsers.expat.ParserCreate()
    depth = 0

    def start(tag, attributes):
        nonlocal depth
        depth += 1
        if depth > _DEEPEST_XML:
            raise ValueError("nested too deeply")
        builder.start(tag, attributes)

    def end(tag):
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(*_):
        raise ValueError("a document type (<!DOCTYPE ...>) is not allowed")

    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(read_bytes(path, _MOST_XML_BYTES), True)
    except xml.parsers.expat.ExpatError as error:
        raise ValueError(f"damaged: {error}") from error
    return builder.close()


def path_inside(folder: pathlib.Path, name: str) -> pathlib.Path:
    """The path of a file that somebody's annotations name.

    Args:
        folder: that the file has to be in.
        name: its path in there, with / or \\ between folders.

    Raises:
        ValueError: if the name leads out of the folder, or over a symbolic link.
    """
    parts = name.replace("\\", "/").split("/")
    is_whole = parts[0] == "" or ":" in parts[0]
    if not name.isprintable() or is_whole or ".." in parts:
        raise ValueError(f"{shorten(repr(name), 100)} leads out of the folder")
    path = folder.joinpath(*parts)
    steps = [path, *path.parents[: len(path.parts) - len(folder.parts) - 1]]
    if any(step.is_symlink() for step in steps):
        raise ValueError(f"{shorten(name, 100)} is a symbolic link")
    return path


def is_hidden(name: str) -> bool:
    """Whether a file or folder is not meant for people."""
    # macOS leaves __MACOSX beside what it packs.
    return name.startswith(".") or name == "__MACOSX"


def visible_entries(folder: pathlib.Path) -> list[os.DirEntry]:
    """What is in a folder, in the order of the names; nothing if there is no such folder."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        visible = [entry for entry in entries if not is_hidden(entry.name)]
    return sorted(visible, key=lambda entry: entry.name)


def entries_below(folder: pathlib.Path, is_deep: bool = True) -> Iterator[os.DirEntry]:
    """All files and links in a folder and its sub-folders, in the order of their names.

    Args:
        folder: where to look; symbolic links to folders are not followed.
        is_deep: whether sub-folders are looked at, too.
    """
    for entry in visible_entries(folder):
        if entry.is_dir(follow_symlinks=False):
            if is_deep:
                yield from entries_below(pathlib.Path(entry.path))
        else:
            yield entry
