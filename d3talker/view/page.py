"""The page around viser's scene: sound whose clock moves the head, ground truth, the talker's own picture."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from d3talker.errors import UserError
from d3talker.people.media.soundtrack import SAMPLE_RATE, to_int16
from d3talker.people.media.video import FPS

LOOPBACK = {"127.0.0.1", "localhost"}
JPEG_QUALITY = 92


@dataclass
class Page:
    """What the page asks for.  view: anything with `speaking`, `server`, `at`, `drawn`, `show` and `picture`."""

    view: Any
    host: str

    @cached_property
    def sound(self) -> bytes:
        """The driving sound as a .wav file."""
        from scipy.io import wavfile

        file = io.BytesIO()
        wavfile.write(file, SAMPLE_RATE, to_int16(self.view.speaking.shot.sound))
        return file.getvalue()

    def facts(self) -> dict[str, Any]:
        """What the page has to know."""
        speaking = self.view.speaking
        return {
            "fps": FPS, "frames": len(speaking), "scene": self.view.server.get_port(), "at": self.view.at, "drawn": self.view.drawn,
            "other": speaking.shot.setting == "cross", "name": speaking.subject.name,
        }

    def answer(self, path: str, asked: dict[str, list[str]]) -> tuple[bytes, str] | None:
        """Content and its type for a path; None where there is nothing."""
        if path == "/":
            return (Path(__file__).parent / "page.html").read_bytes(), "text/html; charset=utf-8"
        if path == "/sound.wav":
            return self.sound, "audio/wav"
        at = asked.get("at", [""])[0]
        if at.isdigit():
            self.at = min(int(at), len(self.view.speaking) - 1)
            if path == "/show":
                self.view.show(self.at)
            elif path == "/truth.jpg":
                return _jpeg(self.view.speaking.truth(self.at)), "image/jpeg"
            elif path == "/picture.jpg":
                return _jpeg(self.view.picture(self.at)), "image/jpeg"
        return (json.dumps(self.facts()).encode(), "application/json") if path in ("/facts", "/show") else None


def _jpeg(picture: Any) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


class Handler(BaseHTTPRequestHandler):
    """GET alone, of `Page.answer`; requests under another host's name are refused (DNS rebinding)."""

    page: Page

    def do_GET(self) -> None:
        """Answer, sound with byte ranges so that it can be moved in."""
        host = self.headers.get("Host", "").rsplit(":", 1)[0]
        if self.page.host in LOOPBACK and host not in LOOPBACK:
            return self.send_error(HTTPStatus.FORBIDDEN)
        parts = urlsplit(self.path)
        found = self.page.answer(parts.path, parse_qs(parts.query))
        if found is None:
            return self.send_error(HTTPStatus.NOT_FOUND)
        content, kind = found
        first, _, _ = self.headers.get("Range", "").removeprefix("bytes=").partition("-")
        start = min(int(first), len(content)) if first.isdigit() else 0
        self.send_response(HTTPStatus.PARTIAL_CONTENT if first.isdigit() else HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Cache-Control", "no-store")
        if first.isdigit():
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        self.wfile.write(content[start:])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serve_page(page: Page, port: int) -> Iterator[str]:
    """The page's address while it is served.  Raises UserError when the port is taken."""
    try:
        server = ThreadingHTTPServer((page.host, port), type("PageHandler", (Handler,), {"page": page}))
    except OSError as error:
        raise UserError(f"port {port} of {page.host} cannot be used ({error.strerror}); give another --port") from None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{page.host}:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
