# SPDX-License-Identifier: Apache-2.0
"""Downloads from servers of every kind end in a file or in one sentence, in time."""

import json
import urllib.request

import numpy as np
import pytest

from keras_micronet.weights import download
from tests.keras_micronet.weights.servers import serving

CONTENT = np.random.default_rng(3).bytes(5000)
# Patient with servers that answer, as the machine may be busy.
LIMITS = download.Limits(silent_seconds=10.0, seconds=60.0, size=2**20)
IMPATIENT = download.Limits(silent_seconds=0.5, seconds=60.0, size=2**20)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "file.part")


def fetch(server, path, limits=LIMITS):
    download.download(f"{server.address}/file", path, limits)


def assert_fetched(path):
    with open(path, "rb") as file:
        assert file.read() == CONTENT


def begin(path, server, content, etag='"first"'):
    """Leaves a partial file as an interrupted download does."""
    with open(path, "wb") as file:
        file.write(content)
    with open(f"{path}.json", "w") as file:
        json.dump({"address": f"{server.address}/file", "validator": etag}, file)


@pytest.mark.parametrize(
    "manner", ["right", "without_length", "slow", "redirected", "resumable", "other_part"]
)
def test_servers_that_give_the_file(manner, path):
    with serving(CONTENT, manner) as server:
        fetch(server, path)
    assert_fetched(path)
    assert server.requests[0] == ("/file", None)


@pytest.mark.parametrize(
    ("manner", "reason"),
    [
        ("silent", "nothing came within 0.5 seconds"),
        ("silent_in_between", "nothing came within 0.5 seconds"),
        ("headers_by_the_byte", "nothing came within 0.5 seconds"),
        ("truncated", "the connection ended after 2,500 of 5,000 bytes"),
        ("endless", "it is larger than 1,048,576 bytes"),
        ("endless_chunks", "it is larger than 1,048,576 bytes"),
        ("announces_too_much", "it is larger than 1,048,576 bytes"),
        ("missing", "the server answered 404 Not Found"),
        ("broken", "the server answered 500 Internal Server Error"),
        ("redirected_in_circles", "redirect"),
        ("redirected_to_a_file", "'file:///etc/hostname' is not allowed"),
        ("garbage", ""),
    ],
)
def test_servers_that_do_not(manner, reason, path):
    limits = IMPATIENT if reason.startswith("nothing came") else LIMITS
    with serving(CONTENT, manner) as server:
        with pytest.raises(download.DownloadError) as caught:
            fetch(server, path, limits)
    message = str(caught.value)
    assert reason in message
    assert message.isprintable() and 0 < len(message) < 400
    assert isinstance(caught.value, download.NotThereError) == (manner == "missing")


def test_the_overall_limit_ends_a_server_that_is_only_slow(path):
    with serving(CONTENT, "slow") as server:
        with pytest.raises(download.DownloadError, match="longer than 1.5 seconds; the next try"):
            fetch(server, path, download.Limits(silent_seconds=10.0, seconds=1.5, size=2**20))
        server.manner = "resumable"
        fetch(server, path)
    assert_fetched(path)
    assert server.requests[1][1].startswith("bytes=")


def test_nobody_listens(path):
    with pytest.raises(download.DownloadError, match="refused"):
        download.download("http://127.0.0.1:9/file", path, LIMITS)


@pytest.mark.parametrize("address", ["nonsense", "ftp://127.0.0.1/file", "data:,x", ""])
def test_other_schemes(address, path):
    with pytest.raises(download.DownloadError, match="must begin with one of https, http, file"):
        download.download(address, path, LIMITS)


def test_files(tmp_path, path):
    (tmp_path / "source").write_bytes(CONTENT)
    download.download((tmp_path / "source").as_uri(), path, LIMITS)
    assert_fetched(path)
    with pytest.raises(download.NotThereError, match="no such file"):
        download.download((tmp_path / "nothing").as_uri(), path, LIMITS)
    with pytest.raises(download.DownloadError):
        download.download(tmp_path.as_uri(), path, LIMITS)
    with pytest.raises(download.DownloadError, match="larger than"):
        download.download("file:///dev/zero", path, LIMITS)


def test_an_interrupted_download_goes_on(path):
    with serving(CONTENT, "truncated") as server:
        with pytest.raises(download.DownloadError, match="ended after 2,500"):
            fetch(server, path)
        server.manner = "resumable"
        fetch(server, path)
    assert_fetched(path)
    assert server.requests == [("/file", None), ("/file", "bytes=2500-")]


def test_another_file_under_the_same_address_is_not_appended(path):
    with serving(CONTENT, "resumable", etag='"second"') as server:
        begin(path, server, bytes(1000), etag='"first"')
        fetch(server, path)
    assert_fetched(path)


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_what_the_server_does_not_know_again_is_not_continued(etag, path):
    with serving(CONTENT, "truncated", etag=etag) as server:
        with pytest.raises(download.DownloadError, match="ended after 2,500"):
            fetch(server, path)
        server.manner = "resumable"
        fetch(server, path)
    assert_fetched(path)
    assert server.requests == [("/file", None), ("/file", None)]


@pytest.mark.parametrize(("manner", "length"), [("other_part", 1000), ("resumable", 5000)])
def test_a_range_that_the_server_has_not_starts_anew(manner, length, path):
    with serving(CONTENT, manner) as server:
        begin(path, server, bytes(length))
        fetch(server, path)
    assert_fetched(path)
    assert [wanted for _, wanted in server.requests] == [f"bytes={length}-", None]


@pytest.mark.parametrize("damage", ["not json", "[]", '{"address": 5}', ""])
def test_a_damaged_note_of_a_partial_file(damage, path):
    with serving(CONTENT, "resumable") as server:
        begin(path, server, bytes(1000))
        with open(f"{path}.json", "w") as file:
            file.write(damage)
        fetch(server, path)
    assert_fetched(path)
    assert server.requests == [("/file", None)]


@pytest.mark.parametrize("new", ["http://other/x", "ftp://other/x", "file:///x"])
def test_https_is_never_left(new):
    redirections = download._Redirections()
    request = urllib.request.Request("https://first/x")
    with pytest.raises(download.DownloadError, match=f"it leads to {new}, which is not https"):
        redirections.redirect_request(request, None, 302, "Found", {}, new)
    followed = redirections.redirect_request(request, None, 302, "Found", {}, "https://other/x")
    assert followed.full_url == "https://other/x"
