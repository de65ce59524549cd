# SPDX-License-Identifier: Apache-2.0
"""Files that are no images for training, told by name and content, and what to do about them."""

import dataclasses
import os
from collections.abc import Iterable

# Enough of a file's beginning to tell what it is.
HEAD_BYTES = 512


@dataclasses.dataclass(frozen=True)
class FileKind:
    """A kind of file that people have among their pictures.

    Attributes:
        name: what it is called.
        suffixes: lower-case endings of its files' names.
        remedy: what turns it into images that are read.
        is_read: whether it is read as it is.
    """

    name: str
    suffixes: tuple[str, ...]
    remedy: str
    is_read: bool = False


def _converted(ending):
    return f"`magick mogrify -format jpg *.{ending}` (ImageMagick) converts them"


_READ = tuple(
    FileKind(name, suffixes, f"give their names the ending {suffixes[0]}", is_read=True)
    for name, suffixes in (
        ("JPEG", (".jpg", ".jpeg", ".jfif", ".jpe")),
        ("PNG", (".png",)),
        ("BMP", (".bmp",)),
        ("WebP", (".webp",)),
    )
)
_JPEG, _PNG, _BMP, _WEBP = _READ
_HEIC = FileKind(
    "HEIC",
    (".heic", ".heif", ".hif"),
    "`magick mogrify -format jpg *.heic` (ImageMagick) converts them, on a Mac `sips -s format "
    "jpeg *.heic --out .`",
)
_AVIF = FileKind("AVIF", (".avif",), _converted("avif"))
_GIF = FileKind("GIF", (".gif",), _converted("gif"))
_TIFF = FileKind("TIFF", (".tif", ".tiff"), _converted("tif"))
_JPEG_XL = FileKind("JPEG XL", (".jxl",), _converted("jxl"))
_JPEG_2000 = FileKind("JPEG 2000", (".jp2", ".j2k", ".jpx"), _converted("jp2"))
_PHOTOSHOP = FileKind("Photoshop", (".psd",), "export them as JPEG or PNG")
_VIDEO = FileKind(
    "video",
    (".mov", ".mp4", ".m4v", ".avi", ".mkv", ".webm"),
    "`ffmpeg -i VIDEO -vf fps=1 VIDEO-%04d.jpg` takes a picture of each second",
)
_ARCHIVE = FileKind("archive", (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"), "unpack them")
_WEB_PAGE = FileKind("web page", (".html", ".htm"), "download the image that it shows instead")
_LARGE_FILE = FileKind("Git LFS pointer", (), "`git lfs pull` brings the images themselves")
_RAW = FileKind(
    "raw photo",
    (".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2"),
    "export them as JPEG with the program that develops them",
)
_OTHER_PICTURES = FileKind(
    "other picture",
    (".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".ico", ".svg", ".exr", ".pcx"),
    "`magick INPUT OUTPUT.png` (ImageMagick) converts them",
)
_KINDS = (
    *_READ,
    _HEIC,
    _AVIF,
    _GIF,
    _TIFF,
    _JPEG_XL,
    _JPEG_2000,
    _PHOTOSHOP,
    _VIDEO,
    _ARCHIVE,
    _WEB_PAGE,
    _RAW,
    _OTHER_PICTURES,
)

SUFFIXES = frozenset(suffix for kind in _READ for suffix in kind.suffixes)
_BY_SUFFIX = {suffix: kind for kind in reversed(_KINDS) for suffix in kind.suffixes}

_BEGINNINGS = (
    (b"\xff\xd8\xff", _JPEG),
    (b"\x89PNG\r\n\x1a\n", _PNG),
    (b"BM", _BMP),
    (b"GIF8", _GIF),
    (b"II*\0", _TIFF),
    (b"MM\0*", _TIFF),
    (b"\xff\x0a", _JPEG_XL),
    (b"\0\0\0\x0cJXL ", _JPEG_XL),
    (b"\0\0\0\x0cjP  ", _JPEG_2000),
    (b"8BPS", _PHOTOSHOP),
    (b"PK\x03\x04", _ARCHIVE),
    (b"\x1f\x8b", _ARCHIVE),
    (b"\x1aE\xdf\xa3", _VIDEO),
    (b"version https://git-lfs", _LARGE_FILE),
)
# Of the container of HEIC, AVIF and videos: the brand at bytes 8 to 12.
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"), _HEIC),
    **dict.fromkeys((b"avif", b"avis"), _AVIF),
}


def kind_of_name(path: str | os.PathLike[str]) -> FileKind | None:
    """The `FileKind` that a file's name tells, or `None`."""
    return _BY_SUFFIX.get(os.path.splitext(path)[1].lower())


def kind_of_content(head: bytes) -> FileKind | None:
    """The `FileKind` that a file's first `HEAD_BYTES` bytes tell, or `None`."""
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], _VIDEO)
    if head[:4] == b"RIFF":
        return _WEBP if head[8:12] == b"WEBP" else _VIDEO
    if head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return _WEB_PAGE
    return next((kind for beginning, kind in _BEGINNINGS if head.startswith(beginning)), None)


def kind_of_file(path: str | os.PathLike[str]) -> FileKind | None:
    """The `FileKind` of a file that a name does not make an image, by content before name."""
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        head = b""
    by_content, by_name = kind_of_content(head), kind_of_name(path)
    # Raw photos are TIFF files that only their cameras' makers read.
    return by_name or by_content if by_content in (None, _TIFF) else by_content


def remedies(kinds: Iterable[FileKind | None]) -> str:
    """What to do about files of these kinds (`None` is left out), as a sentence's part."""
    distinct = sorted({kind for kind in kinds if kind is not None}, key=lambda kind: kind.name)
    return "; ".join(f"{kind.name}: {kind.remedy}" for kind in distinct)
