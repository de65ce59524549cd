# SPDX-License-Identifier: Apache-2.0
"""Zip archives from anywhere."""

import io
import zipfile

LARGEST_MEMBER_COUNT = 20_000
_DIRECTORY_ENTRY = b"PK\x01\x02"


def open_zip(content: bytes) -> zipfile.ZipFile:
    """The archive in `content`, bytes, as a `zipfile.ZipFile` to read.

    Its directory is counted first: millions of members fit into a file, and Python makes an object
    of each. What its members claim to hold is for the caller to look at (`file_size`) before he
    reads them.

    Raises:
        ValueError: if it has too many members.
    """
    if content.count(_DIRECTORY_ENTRY) > LARGEST_MEMBER_COUNT:
        raise ValueError(f"it has more than {LARGEST_MEMBER_COUNT:,} members")
    return zipfile.ZipFile(io.BytesIO(content))
