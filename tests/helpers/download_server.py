"""A server on this machine that sends one file, as well or as badly as servers on the network do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """Serves `content`; `ranges` honoured or not; breaks off after `at_most` bytes of an answer."""

    def __init__(self, content: bytes, ranges: bool = True, at_most: int | None = None) -> None:
        self.content, self.ranges, self.at_most, self.asked = content, ranges, at_most, []

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        asked = handler.headers.get("Range")
        self.asked.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.ranges else 0
        if start >= len(self.content):
            handler.send_error(416)
            return
        body = self.content[start:]
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: self.at_most])

    @contextmanager
    def running(self) -> Iterator[str]:
        """Its address, while the block lasts."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, *args: object) -> None:
                """Quiet: the tests look at `asked`."""

        web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=web.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{web.server_port}/cifar-10-python.tar.gz"
        finally:
            web.shutdown()
            web.server_close()
