"""The server: loopback only, ranges for video, nothing from outside the report."""

from __future__ import annotations

import http.client
import threading

import pytest

from d3talker.errors import UserError
from reports.serve import make_server, span


@pytest.fixture
def port(tmp_path):
    folder = tmp_path / "report"
    (folder / "videos").mkdir(parents=True)
    (folder / "index.html").write_text("<p>report</p>")
    (folder / "videos" / "a.mp4").write_bytes(bytes(range(200)))
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    with make_server(folder, 0) as server:
        assert server.server_address[0] == "127.0.0.1"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def get(port, path, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def test_page_and_ranges(port):
    answer, body = get(port, "/")
    assert answer.status == 200 and b"report" in body
    answer, body = get(port, "/videos/a.mp4", Range="bytes=10-19")
    assert answer.status == 206 and body == bytes(range(10, 20))
    assert answer.headers["Content-Range"] == "bytes 10-19/200" and answer.headers["Content-Length"] == "10"
    assert get(port, "/videos/a.mp4", Range="bytes=190-")[1] == bytes(range(190, 200))
    assert get(port, "/videos/a.mp4", Range="bytes=-5")[1] == bytes(range(195, 200))
    assert get(port, "/videos/a.mp4", Range="bytes=500-")[0].status == 416
    assert len(get(port, "/videos/a.mp4", Range="cows=1-2")[1]) == 200


@pytest.mark.parametrize("path", [
    "/../secret.txt", "/%2e%2e/secret.txt", "//secret.txt", "/link.txt", "/videos/", "/videos", "/none.html",
])
@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-5"}])
def test_nothing_else_is_served(port, path, headers):
    answer, body = get(port, path, **headers)
    assert answer.status in (301, 404) and b"secret" not in body and b"a.mp4" not in body


def test_other_host_names_are_refused(port):
    assert get(port, "/", Host=f"evil.example:{port}")[0].status == 403
    assert get(port, "/", Host=f"localhost:{port}")[0].status == 200


def test_a_taken_port_is_one_sentence(port, tmp_path):
    for taken in (port, 70000):
        with pytest.raises(UserError, match="choose another with --port"):
            make_server(tmp_path, taken)


@pytest.mark.parametrize(("first", "last", "expected"), [
    ("0", "", (0, 99)), ("5", "7", (5, 7)), ("5", "700", (5, 99)), ("", "10", (90, 99)), ("", "700", (0, 99)),
    ("", "0", (100, 99)),
])
def test_spans(first, last, expected):
    assert span(first, last, 100) == expected
