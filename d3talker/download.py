"""Fetch one published file over HTTP: a bar, resumed where it broke off, checked before it gets its name, from a mirror first."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from d3talker.errors import UserError
from d3talker.files import sha256_file
from d3talker.progress import Bar

if TYPE_CHECKING:
    import requests

MIRROR = "D3TALKER_MIRROR"
CONNECT_SECONDS, STALL_SECONDS = 5.0, 20.0
TRIES = 4  # without a byte more, one after the other
BLOCK, MEGA = 1 << 16, 1_000_000


class Broken(Exception):
    """The answer ended early or stood still; what came is kept, and asking for the rest may do."""


def mirrored(url: str, name: str) -> list[str]:
    """Addresses to ask, in order: $D3TALKER_MIRROR/NAME where it is set, then the publisher's.

    Raises UserError for a mirror that is no http address.
    """
    mirror = os.environ.get(MIRROR, "")
    if mirror and urlsplit(mirror).scheme not in ("http", "https"):
        raise UserError(f"${MIRROR} is {mirror}; give an address that begins with http:// or https://")
    return [*([f"{mirror.rstrip('/')}/{name}"] if mirror else []), url]


def download(urls: Sequence[str], target: Path, sha256: str) -> None:
    """Fetch `target` from the first of `urls` that has it; what an earlier call left of it is gone on with.

    sha256: of the whole file, or how it begins.  Raises UserError, which says what each address answered; a file whose checksum is
    wrong is not kept.
    """
    from filelock import FileLock

    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    with FileLock(f"{part}.lock"):
        if target.is_file():  # another process has fetched it meanwhile
            return
        said = []
        for url in urls:
            fault = _from(url, part, target.name, sha256)
            if not fault:
                part.replace(target)
                return
            said.append(fault)
    raise UserError(
        f"{target.name} was not downloaded: {'; '.join(said)}; fetch it from {urls[-1]} elsewhere and put it into {target.parent}, "
        f"or name a mirror in ${MIRROR}"
    )


def reachable(url: str, seconds: float = CONNECT_SECONDS) -> bool:
    """Whether the host of an address answers within some seconds, however slow name servers are."""
    parts, answered = urlsplit(url), threading.Event()

    def knock() -> None:
        with suppress(OSError), socket.create_connection(
            (parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)), timeout=seconds
        ):
            answered.set()

    proxied = os.environ.get(f"{parts.scheme}_proxy") or os.environ.get(f"{parts.scheme}_proxy".upper())
    if proxied:
        parts = urlsplit(proxied)
    threading.Thread(target=knock, daemon=True).start()
    return answered.wait(seconds)


def _from(url: str, part: Path, name: str, sha256: str) -> str:
    """Fill `part` from one address; what went wrong, nothing if all went well."""
    import requests

    resumed = part.exists()
    failed, size = 0, -1
    while True:
        try:
            _stream(url, part, name)
        except (Broken, requests.exceptions.ReadTimeout) as error:
            now = part.stat().st_size if part.exists() else 0
            failed, size = (0 if now > size else failed + 1), now
            if failed == TRIES:
                why = _short(error)
                return f"{url} breaks off after {now / MEGA:.1f} MB, {TRIES} times ({why}); the same command goes on from there"
            time.sleep(min(failed, 1))
            continue
        except requests.exceptions.HTTPError as error:
            code = 0 if error.response is None else error.response.status_code
            reason = HTTPStatus(code).phrase if code in HTTPStatus._value2member_map_ else "unknown"
            return f"{url} answers {code} ({reason})"
        except (requests.exceptions.RequestException, OSError) as error:
            return f"no way to {urlsplit(url).hostname or url} ({_short(error)})"
        if sha256_file(part).startswith(sha256):
            return ""
        part.unlink()
        if not resumed:
            return f"{url} gives another file than the published one (its sha256 should begin {sha256[:16]})"
        resumed, failed, size = False, 0, -1  # the beginning was of another file: once more, from nothing


def _stream(url: str, part: Path, name: str) -> None:
    """One request for what `part` lacks.  Raises Broken when less comes than was announced."""
    import requests

    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
    with requests.get(url, headers=headers, stream=True, timeout=(CONNECT_SECONDS, STALL_SECONDS)) as answer:
        if answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # nothing is lacking: the checksum tells
        answer.raise_for_status()
        if answer.status_code != HTTPStatus.PARTIAL_CONTENT:
            have = 0  # the server knows no ranges and begins anew
        length = answer.headers.get("Content-Length", "")
        total = have + int(length) if length.isdigit() else None
        _write(answer, part, have, total, name)
    if total is not None and part.stat().st_size != total:
        raise Broken(f"{part.stat().st_size} of {total} bytes came")


def _write(answer: requests.Response, part: Path, have: int, total: int | None, name: str) -> None:
    """Append the answer's bytes behind the first `have`, with a bar in megabytes."""
    import requests

    began, size = time.monotonic(), have
    with part.open("ab" if have else "wb") as file, Bar(
        f"{name}, MB", None if total is None else -(-total // MEGA), have // MEGA
    ) as bar:
        try:
            for block in answer.iter_content(BLOCK):
                file.write(block)
                before, size = size // MEGA, size + len(block)
                rate = (size - have) / MEGA / max(time.monotonic() - began, 1e-3)
                bar.step(size // MEGA - before, f"{rate:.1f} MB/s")
        except requests.exceptions.RequestException as error:  # it stands still, or was cut off
            raise Broken(_short(error)) from None


def _short(error: Exception) -> str:
    """The innermost reason of an error of requests, on one line."""
    reason: object = error
    while isinstance(reason, BaseException):
        inner = getattr(reason, "reason", None) or reason.__cause__ or next(
            (argument for argument in reason.args if isinstance(argument, BaseException)), None
        )
        if inner is None:
            break
        reason = inner
    return " ".join(str(reason).split())[:160] or type(error).__name__
