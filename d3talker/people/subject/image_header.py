"""Size and wholeness of a JPEG or PNG file from its first and last bytes: thousands a second, no pixel decoded."""

from __future__ import annotations

import os
from pathlib import Path

from d3talker.errors import UserError

HEAD = 4096  # bytes; a frame's size stands within them unless a camera wrote its own data first
FRAMES = frozenset([*range(0xC0, 0xD0)]) - {0xC4, 0xC8, 0xCC}  # JPEG markers that hold the size (ITU-T T.81, table B.1)


def image_size(path: Path | str) -> tuple[int, int]:
    """(height, width).  Raises UserError for a file that is neither PNG nor JPEG, or that ends before it should."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from None
    try:
        length = os.fstat(handle).st_size
        head = os.pread(handle, HEAD, 0)
        tail = head[-32:] if length <= HEAD else os.pread(handle, 32, length - 32)
        if head[:8] == b"\x89PNG\r\n\x1a\n" and len(head) >= 24:
            if b"IEND" not in tail:
                raise UserError(f"{path} is cut off; make it again")
            return int.from_bytes(head[20:24], "big"), int.from_bytes(head[16:20], "big")
        if head[:2] != b"\xff\xd8":
            raise UserError(f"{path} is {'empty' if not length else 'neither PNG nor JPEG'}; make it again")
        if b"\xff\xd9" not in tail:
            raise UserError(f"{path} is cut off; make it again")
        size = _jpeg_size(head) or _jpeg_size(os.pread(handle, length, 0))
    finally:
        os.close(handle)
    if size is None:
        raise UserError(f"{path} is no whole JPEG; make it again")
    return size


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in FRAMES:
            return int.from_bytes(data[at + 5:at + 7], "big"), int.from_bytes(data[at + 7:at + 9], "big")
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2:at + 4], "big")
    return None
