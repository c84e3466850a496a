"""Lines of the spool: ``crc32 in hexadecimal, space, payload, newline``.

The checksum tells a line that a crash tore or a disk damaged from one that was written; it does not protect
against whoever changes lines on purpose. What a payload says, this module does not know.
"""

from __future__ import annotations

import os
import zlib
from typing import Final, NamedTuple

from understudy.ledger.errors import RecordRefusedError

__all__ = ["MAX_LINE_BYTES", "SpoolBatch", "check_size", "count_lines", "frame", "read_batch"]

MAX_LINE_BYTES: Final = 16 * 2**20
"""Longest payload, in bytes: a call with its texts."""

_BLOCK_BYTES = 2**20
_HEAD_BYTES = 9


class SpoolBatch(NamedTuple):
    """What was read in one go.

    Attributes
    ----------
    payloads
        The intact lines' payloads, in order.
    next_offset
        Where to read on, bytes; unchanged if no complete line was left.
    n_damaged
        Complete lines whose checksum is wrong: skipped.
    """

    payloads: list[bytes]
    next_offset: int
    n_damaged: int

    @property
    def n_lines(self) -> int:
        """Lines behind this batch, damaged ones among them."""
        return len(self.payloads) + self.n_damaged


def check_size(payload: bytes) -> None:
    """Refuse a payload that is longer than :data:`MAX_LINE_BYTES`.

    Raises
    ------
    RecordRefusedError
        If it is.
    """
    if len(payload) > MAX_LINE_BYTES:
        raise RecordRefusedError(
            "a call is too large to be recorded",
            given=f"{len(payload):,} bytes",
            todo=f"keep no texts for this task, or cut them below {MAX_LINE_BYTES:,} bytes",
        )


def frame(payload: bytes) -> bytes:
    """The line of a payload, which may not be longer than :data:`MAX_LINE_BYTES`.

    Raises
    ------
    RecordRefusedError
        If it is.
    """
    assert b"\n" not in payload, "a line break inside a line"
    check_size(payload)
    return b"%08x %b\n" % (zlib.crc32(payload), payload)


def _payload(line: bytes) -> bytes | None:
    """The payload of a line without its newline, or ``None`` if it is damaged."""
    if len(line) < _HEAD_BYTES or line[8:9] != b" ":
        return None
    payload = line[_HEAD_BYTES:]
    return payload if line[:8] == b"%08x" % zlib.crc32(payload) else None


def _complete_lines(fd: int, offset: int, end_offset: int) -> bytes:
    """Bytes from `offset` to the last newline of the next block; more than a block only for a longer line."""
    block = b""
    while True:
        wanted = min(_BLOCK_BYTES, end_offset - offset - len(block))
        more = os.pread(fd, wanted, offset + len(block)) if wanted > 0 else b""
        block += more
        last = block.rfind(b"\n", len(block) - len(more))
        if last >= 0:
            return block[: last + 1]
        if not more:
            return b""  # A torn last line: nothing of it was acknowledged.
        if len(block) > MAX_LINE_BYTES + _HEAD_BYTES:
            return block  # No line is that long: damage, to be skipped in bounded memory.


def read_batch(fd: int, offset: int, end_offset: int, most: int) -> SpoolBatch:
    """Up to `most` lines between two offsets of a file.

    Parameters
    ----------
    fd
        An open file.
    offset, end_offset
        Bytes; `offset` at the beginning of a line.
    most
        Most lines, at least 1. Fewer come if they fill about a mebibyte.
    """
    block = _complete_lines(fd, offset, end_offset)
    payloads: list[bytes] = []
    n_damaged = at = 0
    while at < len(block) and len(payloads) + n_damaged < most:
        end = block.find(b"\n", at)
        end = len(block) if end < 0 else end
        payload = _payload(block[at:end])
        if payload is None:
            n_damaged += 1
        else:
            payloads.append(payload)
        at = min(end + 1, len(block))
    return SpoolBatch(payloads, offset + at, n_damaged)


def count_lines(fd: int, end_offset: int) -> int:
    """Complete lines before `end_offset`, intact or not; reads the whole file in bounded memory."""
    count = at = 0
    while at < end_offset and (block := os.pread(fd, min(_BLOCK_BYTES, end_offset - at), at)):
        count += block.count(b"\n")
        at += len(block)
    return count
