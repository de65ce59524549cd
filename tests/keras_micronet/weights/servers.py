# SPDX-License-Identifier: Apache-2.0
"""A server on the loopback device that plays every kind of source."""

import contextlib
import functools
import http.server
import threading
import time

SLOW_SECONDS = 0.05


class Server:
    """Serves one content in one manner.

    Attributes:
        content: bytes of every file.
        manner: name of a method of `_Handler`.
        etag: what the content is known by, or `None`.
        requests: for each request the path and the `Range` header or `None`.
        released: set when the server shall let go of requests that it holds back.
    """

    def __init__(self, content, manner, etag='"first"'):
        self.content = content
        self.manner = manner
        self.etag = etag
        self.requests = []
        self.released = threading.Event()
        self.address = None


@contextlib.contextmanager
def serving(content, manner, **arguments):
    """A running `Server`; it takes any path below its `address`."""
    server = Server(content, manner, **arguments)
    handler = functools.partial(_Handler, server)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as listener:
        listener.daemon_threads = True
        server.address = f"http://127.0.0.1:{listener.server_port}"
        threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield server
        finally:
            server.released.set()
            listener.shutdown()


class _Handler(http.server.BaseHTTPRequestHandler):
    def __init__(self, played, *arguments):
        self._played = played
        super().__init__(*arguments)

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._played.requests.append((self.path, self.headers.get("Range")))
        with contextlib.suppress(OSError):  # the client may leave at any time
            getattr(self, self._played.manner)()

    def _head(self, status, length=None, **headers):
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        if self._played.etag is not None:
            self.send_header("ETag", self._played.etag)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def right(self):
        self._head(200, len(self._played.content))
        self.wfile.write(self._played.content)

    def without_length(self):
        self._head(200)
        self.wfile.write(self._played.content)

    def resumable(self):
        """With Range, as static file servers have it."""
        content, wanted = self._played.content, self.headers.get("Range")
        if wanted is None or self.headers.get("If-Range") != self._played.etag:
            return self.right()
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            return self._head(416, 0)
        span = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._head(206, len(content) - start, Content_Range=span)
        self.wfile.write(content[start:])

    def other_part(self):
        """Answers a Range with the wrong part."""
        if self.headers.get("Range") is None:
            return self.right()
        self._head(206, len(self._played.content), Content_Range="bytes 0-9/10")
        self.wfile.write(self._played.content)

    def truncated(self):
        self._head(200, len(self._played.content))
        self.wfile.write(self._played.content[: len(self._played.content) // 2])

    def silent(self):
        self._played.released.wait(30)

    def silent_in_between(self):
        self._head(200, len(self._played.content))
        self.wfile.write(self._played.content[:1000])
        self.wfile.flush()
        self._played.released.wait(30)

    def headers_by_the_byte(self):
        for byte in b"HTTP/1.0 200 OK\r\nX-Long: " + b"x" * 10_000:
            self._slowly(bytes([byte]))

    def slow(self):
        self._head(200, len(self._played.content))
        for index in range(0, len(self._played.content), 100):
            self._slowly(self._played.content[index : index + 100])

    def endless(self):
        self._head(200)
        while not self._played.released.is_set():
            self.wfile.write(bytes(2**16))

    def endless_chunks(self):
        self.protocol_version = "HTTP/1.1"
        self._head(200, Transfer_Encoding="chunked")
        while not self._played.released.is_set():
            self.wfile.write(b"10000\r\n" + bytes(2**16) + b"\r\n")

    def announces_too_much(self):
        self._head(200, 2**40)

    def says_more_than_it_announces(self):
        self._head(200, 10)
        self.wfile.write(self._played.content)

    def missing(self):
        self.send_error(404)

    def broken(self):
        self.send_error(500)

    def redirected(self):
        if self.path.startswith("/elsewhere"):
            return self.right()
        self._head(302, 0, Location=f"/elsewhere{self.path}")

    def redirected_in_circles(self):
        self._head(302, 0, Location=f"/x{self.path}"[:50])

    def redirected_to_a_file(self):
        self._head(302, 0, Location="file:///etc/hostname")

    def garbage(self):
        self.wfile.write(b"\x00\xff" * 200 + b"\r\n\r\n")

    def login_page(self):
        page = b"<html>Please log in to this network</html>"
        self._head(200, len(page))
        self.wfile.write(page)

    def _slowly(self, block):
        if self._played.released.is_set():
            raise OSError
        self.wfile.write(block)
        self.wfile.flush()
        time.sleep(SLOW_SECONDS)
