"""Show a report on this machine's loopback address, for use through an SSH tunnel; videos can be seeked."""

from __future__ import annotations

import re
import sys
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from d3talker.errors import UserError

HOST = "127.0.0.1"
KNOWN_HOSTS = {"127.0.0.1", "localhost", "[::1]"}
BLOCK = 1 << 16


class Handler(SimpleHTTPRequestHandler):
    """Files of one folder, with byte ranges; requests under another host's name are refused (DNS rebinding)."""

    def do_GET(self) -> None:
        """Answer a whole file, or the part that `Range: bytes=a-b` asks for."""
        if self._foreign():
            return
        path = Path(self.translate_path(self.path))
        found = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if not found or not any(found.groups()) or not path.is_file() or not self._inside(path):
            super().do_GET()
            return
        size = path.stat().st_size
        first, last = span(found[1], found[2], size)
        if first > last:
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self.send_header("Content-Range", f"bytes */{size}")
            self.end_headers()
            return
        self.send_response(HTTPStatus.PARTIAL_CONTENT)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        with path.open("rb") as stream:
            stream.seek(first)
            left = last - first + 1
            while left and (block := stream.read(min(BLOCK, left))):
                self.wfile.write(block)
                left -= len(block)

    def do_HEAD(self) -> None:
        """Answer the headers alone."""
        if not self._foreign():
            super().do_HEAD()

    def send_head(self):  # type: ignore[no-untyped-def]
        """Refuse links that lead out of the folder, and folders, whose listing nobody needs."""
        path = Path(self.translate_path(self.path))
        if not self._inside(path) or (path.is_dir() and not (path / "index.html").is_file()):
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        return super().send_head()

    def end_headers(self) -> None:
        """Say that ranges are served, and let the page load nothing from elsewhere."""
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the terminal quiet."""

    def _inside(self, path: Path) -> bool:
        return path.resolve().is_relative_to(Path(self.directory).resolve())

    def _foreign(self) -> bool:
        name = re.sub(r":\d+$", "", self.headers.get("Host", "localhost"))
        if name not in KNOWN_HOSTS:
            self.send_error(HTTPStatus.FORBIDDEN)
        return name not in KNOWN_HOSTS


def span(first: str, last: str, size: int) -> tuple[int, int]:
    """First and last byte of a range; "-n" asks for the last n.  An empty range has first > last."""
    if not first:
        return max(0, size - int(last)), size - 1
    return int(first), min(int(last) if last else size - 1, size - 1)


def make_server(folder: Path, port: int) -> ThreadingHTTPServer:
    """A server on the loopback address; port 0 takes a free one.  Raises UserError when the port is taken."""
    try:
        return ThreadingHTTPServer((HOST, port), partial(Handler, directory=str(folder)))
    except (OSError, OverflowError) as error:
        raise UserError(f"port {port} cannot be used ({error}); choose another with --port") from None


def serve(folder: Path, port: int) -> None:
    """Serve until interrupted."""
    with make_server(folder, port) as server:
        chosen = server.server_address[1]
        print(f"http://{HOST}:{chosen}/ (Ctrl-C ends; from afar: ssh -L {chosen}:{HOST}:{chosen} ...)", file=sys.stderr)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("ended", file=sys.stderr)
