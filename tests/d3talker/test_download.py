"""Downloads from a server that is slow, cuts off, lies, moves or is not there: one file, whole and checked, or a sentence."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from d3talker import cli, download, weights
from d3talker.errors import UserError
from d3talker.weights import WeightFile, fetch

CONTENT = np.random.default_rng(0).bytes(300_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Answers by the first part of the path; notes every request with its range."""

    def do_GET(self) -> None:
        way = self.path.split("/")[1]
        asked = self.headers.get("Range", "")
        self.server.seen.append((way, asked))  # type: ignore[attr-defined]
        if way == "absent":
            self.send_error(404)
        elif way == "moved":
            self.send_response(302)
            self.send_header("Location", "/whole/file.bin")
            self.end_headers()
        else:
            self.answer(way, int(asked[6:-1]) if asked and way != "norange" else 0)

    def answer(self, way: str, start: int) -> None:
        content = b"x" * len(CONTENT) if way == "wrong" else CONTENT
        if start >= len(content):
            return self.send_error(416)
        rest = content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if way == "slow":
            for at in range(0, len(rest), 60_000):
                self.wfile.write(rest[at:at + 60_000])
                time.sleep(0.05)
        elif way == "cut":
            self.wfile.write(rest[:100_000])
        elif way == "stall":
            self.wfile.write(rest[:100_000])
            time.sleep(1)
        elif way == "dead":
            self.wfile.write(rest[:50_000] if not start else b"")
        else:
            self.wfile.write(rest)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    """A local server, and an empty machine that knows one weights file, at its address `absent`."""
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.seen = []  # type: ignore[attr-defined]
    made.url = f"http://127.0.0.1:{made.server_address[1]}"  # type: ignore[attr-defined]
    threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True).start()
    for name in ("D3TALKER_WEIGHTS", "D3TALKER_OFFLINE", "D3TALKER_MIRROR", "TORCH_HOME", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "STALL_SECONDS", 0.3)
    monkeypatch.setattr(download, "BLOCK", 10_000)  # a block that is not whole is asked for again
    monkeypatch.setattr(download.time, "sleep", lambda _: None)
    toy = WeightFile(("toy.pth",), DIGEST, f"{made.url}/absent/toy.pth", "a test", 0.3, "none")  # type: ignore[attr-defined]
    monkeypatch.setitem(weights.FILES, "toy", toy)
    yield made
    made.shutdown()
    made.server_close()


@pytest.mark.parametrize("way", ["whole", "slow", "moved", "cut", "stall", "norange"])
def test_the_file_arrives_whole(server, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: real(min(seconds, 0.6)))
    target = tmp_path / "got" / "toy.pth"
    if way == "norange":
        (tmp_path / "got").mkdir()
        (tmp_path / "got" / ".toy.pth.part").write_bytes(CONTENT[:1000])
    download.download([f"{server.url}/{way}/toy.pth"], target, DIGEST)
    assert target.read_bytes() == CONTENT and not list(target.parent.glob("*.part"))
    if way in ("cut", "stall"):  # each time what was lacking was asked for, no byte twice
        assert [asked for _, asked in server.seen] == ["", "bytes=100000-", "bytes=200000-"]


def test_an_earlier_part_is_gone_on_with_and_a_wrong_one_begun_anew(server, tmp_path: Path) -> None:
    target, part = tmp_path / "toy.pth", tmp_path / ".toy.pth.part"
    part.write_bytes(CONTENT[:250_000])
    download.download([f"{server.url}/whole/toy.pth"], target, DIGEST)
    assert target.read_bytes() == CONTENT and server.seen == [("whole", "bytes=250000-")]
    target.unlink()
    part.write_bytes(b"of another file")
    download.download([f"{server.url}/whole/toy.pth"], target, DIGEST)
    assert target.read_bytes() == CONTENT and [asked for _, asked in server.seen[1:]] == ["bytes=15-", ""]
    target.unlink()
    part.write_bytes(CONTENT)  # killed between the last byte and the name
    download.download([f"{server.url}/whole/toy.pth"], target, DIGEST)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(("way", "words"), [
    ("wrong", "gives another file than the published one"), ("absent", r"answers 404 \(Not Found\)"),
    ("dead", r"breaks off after 0\.1 MB, 4 times"),
])
def test_what_cannot_be_had_is_one_sentence_and_leaves_no_file(server, tmp_path: Path, way: str, words: str) -> None:
    target = tmp_path / "toy.pth"
    with pytest.raises(UserError, match=words) as told:
        download.download([f"{server.url}/{way}/toy.pth"], target, DIGEST)
    assert "elsewhere and put it into" in str(told.value) and not target.exists()
    assert (tmp_path / ".toy.pth.part").exists() == (way == "dead")  # what is good is kept


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_without_a_route_it_says_so_at_once(server, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(UserError, match=r"no way to 127\.0\.0\.1 .*[Rr]efused.*; no way to no\.such\.host\.invalid"):
        download.download([f"http://127.0.0.1:{free_port()}/a", "http://no.such.host.invalid/a"], tmp_path / "a", DIGEST)
    assert time.monotonic() - began < 15
    assert not download.reachable(f"http://127.0.0.1:{free_port()}/a", 2) and download.reachable(server.url, 2)


def test_a_mirror_is_asked_first_and_may_lack_the_file(server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("D3TALKER_MIRROR", f"{server.url}/whole/")
    assert fetch("toy").read_bytes() == CONTENT and server.seen == [("whole", "")]
    fetch("toy").unlink()
    monkeypatch.setenv("D3TALKER_MIRROR", f"{server.url}/absent")
    monkeypatch.setitem(weights.FILES, "toy", WeightFile(("toy.pth",), DIGEST, f"{server.url}/whole/toy.pth"))
    assert fetch("toy").read_bytes() == CONTENT
    monkeypatch.setenv("D3TALKER_MIRROR", "ftp://elsewhere")
    with pytest.raises(UserError, match="begins with http"):
        fetch("toy")


def test_the_command_lists_and_fetches(server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    assert cli.main(["weights", "fetch", "toy"]) == 1
    assert "404 (Not Found)" in capsys.readouterr().err
    monkeypatch.setenv("D3TALKER_MIRROR", f"{server.url}/whole")
    assert cli.main(["weights", "fetch", "toy", "toy"]) == 0
    assert cli.main(["weights", "list"]) == 0
    out = capsys.readouterr().out
    assert "cache/d3talker/toy.pth" in out and "missing; from https://download.pytorch.org" in out and "244 MB" in out
    for words, wrong in ((["nothing"], "no weights called 'nothing'"), ([], "nothing is named")):
        assert cli.main(["weights", "fetch", *words]) == 2
        assert wrong in capsys.readouterr().err
    assert cli.main(["weights", "fetch", "bfm"]) == 1 and "sign its agreement" in capsys.readouterr().err
    monkeypatch.setenv("D3TALKER_OFFLINE", "1")
    fetch_again = weights.cache_folder() / "toy.pth"
    fetch_again.unlink()
    assert cli.main(["weights", "fetch", "toy"]) == 1 and "D3TALKER_OFFLINE is set" in capsys.readouterr().err
