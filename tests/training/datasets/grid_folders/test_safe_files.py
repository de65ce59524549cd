# SPDX-License-Identifier: Apache-2.0
import os

import pytest

from training.datasets.grid_folders import safe_files
from training.datasets.grid_folders.safe_files import (
    entries_below,
    path_inside,
    read_json_object,
    read_lines,
    read_xml,
    read_yaml_object,
)


def written(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_xml_is_read(tmp_path):
    root = read_xml(written(tmp_path, "<a><b>  x &amp; y</b><b/></a>"))
    assert [element.text for element in root.iter("b")] == ["  x & y", None]


# Nine levels of ten each stand for a billion of them.
BILLION_LAUGHS = "<!DOCTYPE a [<!ENTITY l0 'lol'>" + "".join(
    f"<!ENTITY l{level} '{f'&l{level - 1};' * 10}'>" for level in range(1, 10)
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"{BILLION_LAUGHS}]><a>&l9;</a>", "DOCTYPE"),
        ("<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>", "DOCTYPE"),
        ("<!DOCTYPE a SYSTEM 'http://example.invalid/a.dtd'><a/>", "DOCTYPE"),
        ("<a>&unknown;</a>", "damaged"),
        ("<a>" * 100 + "</a>" * 100, "nested too deeply"),
        ("<a><b></a>", "damaged"),
        ("", "damaged"),
        (b"\xff\xfe\x00", "damaged"),
        (b"<?xml version='1.0' encoding='nonsense'?><a/>", "encoding"),
    ],
)
def test_hostile_xml_is_refused(tmp_path, content, message):
    with pytest.raises((ValueError, LookupError), match=message):
        read_xml(written(tmp_path, content))


def test_yaml_is_read(tmp_path):
    content = "names: [no, 'yes', 007]  # a comment\nnc: 2\nmore: {0: a}"
    assert read_yaml_object(written(tmp_path, content)) == {
        "names": ["no", "yes", "007"],
        "nc": "2",
        "more": {"0": "a"},
    }


LAUGHS = "a: &a {x: 1}\n" + "".join(
    f"{chr(98 + level)}: &{chr(98 + level)} {{<<: [{', '.join([f'*{chr(97 + level)}'] * 9)}]}}\n"
    for level in range(20)
)


def test_yaml_makes_no_objects(tmp_path):
    content = "names: !!python/object/apply:os.mkdir ['made']"
    assert read_yaml_object(written(tmp_path, content)) == {"names": ["made"]}
    assert os.listdir(tmp_path) == ["file"] and not os.path.exists("made")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LAUGHS, "aliases"),
        ("- a", "no mapping"),
        ("a: [", "damaged"),
        ("[" * 20_000, "nested too deeply"),
        ("a: " + "- " * 20_000, "nested too deeply|damaged"),
        (b"\xff", "decode"),
    ],
)
def test_hostile_yaml_is_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read_yaml_object(written(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[" * 200_000, "nested too deeply"),
        ('{"a": NaN}', "finite"),
        ('{"a": 1e999}', "finite"),
        ('{"a": ' + "9" * 10_000 + "}", "digits"),
        ("[]", "object was expected"),
        ('{"a": ', "damaged"),
    ],
)
def test_hostile_json_is_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read_json_object(written(tmp_path, content))


@pytest.mark.parametrize(
    ("limit", "read"),
    [
        ("_MOST_JSON_BYTES", read_json_object),
        ("_MOST_XML_BYTES", read_xml),
        ("_MOST_TEXT_BYTES", read_lines),
        ("_MOST_YAML_BYTES", read_yaml_object),
    ],
)
def test_large_files_and_pipes_are_refused(tmp_path, monkeypatch, limit, read):
    monkeypatch.setattr(safe_files, limit, 10)
    with pytest.raises(ValueError, match="more than 10 bytes"):
        read(written(tmp_path, " " * 11))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ValueError, match="no regular file"):
        read(pipe)


def test_names_lead_to_files_of_the_folder(tmp_path):
    for name in ("a.jpg", "b/c.jpg", "b\\c.jpg", "./a.jpg"):
        assert path_inside(tmp_path, name) == tmp_path / name.replace("\\", "/")


@pytest.mark.parametrize(
    "name",
    [
        "../a.jpg",
        "b/../../a.jpg",
        "b\\..\\..\\a.jpg",
        "/etc/passwd",
        "\\\\host\\a.jpg",
        "C:\\a.jpg",
        "https://example.invalid/a.jpg",
        "a\0.jpg",
        "",
    ],
)
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="leads out of the folder"):
        path_inside(tmp_path, name)


def test_symbolic_links_are_not_followed(tmp_path):
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    folder.mkdir()
    (outside / "a.jpg").touch()
    (folder / "link").symlink_to(outside)
    (folder / "a.jpg").symlink_to(outside / "a.jpg")
    for name in ("link/a.jpg", "a.jpg"):
        with pytest.raises(ValueError, match="symbolic link"):
            path_inside(folder, name)
    # Nor where the folder itself is looked through: links are seen, and not entered.
    assert sorted(entry.name for entry in entries_below(folder)) == ["a.jpg", "link"]
    assert list(entries_below(folder / "link")) == []
    # The folder of the dataset itself may be reached by one.
    (tmp_path / "way").symlink_to(outside)
    assert path_inside(tmp_path / "way", "a.jpg").is_file()
