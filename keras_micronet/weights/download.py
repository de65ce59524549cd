# SPDX-License-Identifier: Apache-2.0
"""Downloads that end: in time, within a size, and where an earlier one stopped.

A download is written to a partial file. One that was interrupted goes on from there if the server
says that it still has the same file (its `ETag` or `Last-Modified`) and takes a `Range`.
"""

import dataclasses
import json
import os
import queue
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from keras_micronet.weights.messages import one_line

SCHEMES = ("https", "http", "file")
_BLOCK = 2**16
_PARTIAL_CONTENT = 206
_RANGE_NOT_SATISFIABLE = 416
_NOT_THERE = (403, 404, 410)


@dataclasses.dataclass(frozen=True)
class Limits:
    """What one download may take.

    Attributes:
        silent_seconds: without a byte.
        seconds: from the first request to the last byte.
        size: of the file, in bytes.
    """

    silent_seconds: float = 20.0
    seconds: float = 600.0
    size: int = 64 * 2**20


class DownloadError(OSError):
    """Why an address gave nothing, in one sentence."""


class NotThereError(DownloadError):
    """The server answers, but has no such file."""


def download(address: str, path: str | os.PathLike[str], limits: Limits = Limits()) -> None:
    """Writes what is at an address to a file.

    Args:
        address: an `https`, `http` or `file` URL. A redirection from https to anything else is
            refused.
        path: of the partial file. What is in it of the same address is continued; what arrived
            stays in it after an error that another try may mend.
        limits: what it may take.

    Raises:
        NotThereError: if there is no such file.
        DownloadError: if the address cannot be asked, gives too much or takes too long.
        OSError: if `path` cannot be written.
    """
    if urllib.parse.urlsplit(address).scheme not in SCHEMES:
        raise DownloadError(f"the address must begin with one of {', '.join(SCHEMES)}")
    transfer = _Transfer(address, path, limits)
    try:
        transfer.run()
    except _RangeRefused:
        remove_partial(path)
        transfer.run()


def remove_partial(path: str | os.PathLike[str]) -> None:
    """Removes a partial file and what is known of it."""
    for name in (path, _validator_path(path)):
        if os.path.exists(name):
            os.remove(name)


class _RangeRefused(DownloadError):
    """The server has not the rest of what a partial file begins."""


class _Transfer:
    """One download: a thread that receives, and its caller, who waits no longer than allowed.

    Names that do not resolve and headers that come by the byte cannot be interrupted where they
    wait. So they wait in a thread, which is left behind: it owns nothing but its connection.
    """

    def __init__(self, address, path, limits):
        self._address = address
        self._path = path
        self._limits = limits

    def run(self):
        self._deadline = time.monotonic() + self._limits.seconds
        self._items = queue.SimpleQueue()
        self._stop = threading.Event()
        start, request = self._request()
        threading.Thread(target=self._receive, args=(request,), daemon=True).start()
        try:
            self._write(start)
        finally:
            self._stop.set()

    def _request(self):
        """The number of bytes that are there already, and the request for the rest."""
        headers = {"User-Agent": "keras_micronet", "Accept-Encoding": "identity"}
        validator = _read_validator(self._path, self._address)
        start = os.path.getsize(self._path) if validator and os.path.exists(self._path) else 0
        if start:
            headers |= {"Range": f"bytes={start}-", "If-Range": validator}
        return start, urllib.request.Request(self._address, headers=headers)

    def _receive(self, request):
        opener = urllib.request.build_opener(_Redirections)
        put, received = self._items.put, 0
        try:
            with opener.open(request, timeout=self._limits.silent_seconds) as response:
                put(response)
                while not self._stop.is_set() and received <= self._limits.size:
                    block = response.read1(_BLOCK)
                    received += len(block)
                    put(block)
                    if not block:
                        return
        except Exception as error:  # for the caller, whatever it is
            put(error)

    def _next(self):
        wait = min(self._limits.silent_seconds, self._deadline - time.monotonic())
        try:
            item = self._items.get(timeout=max(wait, 0.0))
        except queue.Empty:
            raise self._too_slow() from None
        if isinstance(item, Exception):
            raise self._reason(item) from item
        return item

    def _write(self, start):
        response = self._next()
        start, size = self._check_answer(response, start)
        with open(self._path, "r+b" if start else "wb") as file:
            file.seek(start)
            file.truncate()
            if not start:
                _write_validator(self._path, self._address, response.headers)
            while block := self._next():
                self._check_size(file.tell() + len(block))
                file.write(block)
            received = file.tell()
        if size is not None and received < size:
            raise DownloadError(f"the connection ended after {received:,} of {size:,} bytes")
        if size is not None and received > size:
            remove_partial(self._path)
            raise DownloadError(f"more than the announced {size:,} bytes came")

    def _check_answer(self, response, start):
        """Where the answer begins, and the size of the whole file or `None`."""
        length = response.headers.get("Content-Length", "")
        length = int(length) if length.isdecimal() and len(length) < 20 else None
        if getattr(response, "status", None) != _PARTIAL_CONTENT:
            start = 0
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            raise _RangeRefused("the server answered with another part than the one asked for")
        size = None if length is None else start + length
        self._check_size(size or 0)
        return start, size

    def _check_size(self, size):
        if size > self._limits.size:
            remove_partial(self._path)
            raise DownloadError(f"it is larger than {self._limits.size:,} bytes")

    def _too_slow(self):
        if time.monotonic() >= self._deadline:
            return DownloadError(
                f"it took longer than {self._limits.seconds:g} seconds; the next try goes on from "
                "there, if the server can"
            )
        return DownloadError(f"nothing came within {self._limits.silent_seconds:g} seconds")

    def _reason(self, error):
        if isinstance(error, DownloadError):
            return error
        if isinstance(error, urllib.error.HTTPError):
            if error.code == _RANGE_NOT_SATISFIABLE:
                return _RangeRefused("the server has not the rest of the partial file")
            kind = NotThereError if error.code in _NOT_THERE else DownloadError
            return kind(f"the server answered {error.code} {one_line(error.reason)}")
        cause = getattr(error, "reason", error)  # of a URLError
        if isinstance(cause, TimeoutError):
            return DownloadError(f"nothing came within {self._limits.silent_seconds:g} seconds")
        if isinstance(cause, FileNotFoundError):
            return NotThereError("no such file")
        return DownloadError(one_line(cause) or type(cause).__name__)


class _Redirections(urllib.request.HTTPRedirectHandler):
    """Follows redirections, but never from https to an address that others can read and change."""

    def redirect_request(self, request, file, code, message, headers, new_address):
        scheme = urllib.parse.urlsplit(new_address).scheme
        if scheme != "https" and (scheme != "http" or request.type == "https"):
            raise DownloadError(f"it leads to {one_line(new_address)}, which is not https")
        return super().redirect_request(request, file, code, message, headers, new_address)


def _validator_path(path):
    return f"{path}.json"


def _read_validator(path, address):
    """What the server called the file that the partial file begins; `None` if that is not known."""
    try:
        with open(_validator_path(path), encoding="utf-8") as file:
            known = json.load(file)
        return known["validator"] if known["address"] == address else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _write_validator(path, address, headers):
    tag = headers.get("ETag") or ""
    validator = tag if tag.startswith('"') else headers.get("Last-Modified")
    if not validator:
        known = {"address": None, "validator": None}
    else:
        known = {"address": address, "validator": validator}
    with open(_validator_path(path), "w", encoding="utf-8") as file:
        json.dump(known, file)
