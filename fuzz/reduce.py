"""Makes a stream smaller that shows something."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

from fuzz.anatomy import dissect
from fuzz.streams import Frame, Stream

TRIES = 1500
"""After so many, what is found by then is small enough."""


def smaller(stream: Stream, shows: Callable[[Stream], bool]) -> Stream:
    """Return the smallest stream found of which *shows* still says yes, as it does of *stream*.

    Frames are left out or get a shorter payload and no mask, then bytes are left out or set to zero, then there are
    fewer chunks: whatever helps, until nothing does, or for TRIES tries.
    """
    tries = 0
    candidates = _simpler(stream)
    while tries < TRIES and (candidate := next(candidates, None)) is not None:
        tries += 1
        if shows(candidate):
            stream = candidate
            candidates = _simpler(stream)
    return stream


def _simpler(stream: Stream) -> Iterator[Stream]:
    if stream.cuts:
        yield stream._replace(cuts=())
    for start, stop, other in chain(_frames(stream), _bytes(stream.data)):
        cuts = (min(cut, start + len(other)) if start < cut <= stop else cut for cut in stream.cuts)
        moved = {cut - (stop - start - len(other)) if cut > stop else cut for cut in cuts}
        yield stream._replace(data=stream.data[:start] + other + stream.data[stop:], cuts=tuple(sorted(moved)))
    for cut in stream.cuts:
        yield stream._replace(cuts=tuple(other for other in stream.cuts if other != cut))


def _frames(stream: Stream) -> Iterator[tuple[int, int, bytes]]:
    """Return what could be in the place of a frame: where that begins and ends, and the bytes."""
    parts = [part for part in dissect(stream) if part.is_whole]
    for part in parts:
        yield part.start, part.end, b""
    for part in parts:
        if part.faults & {"unmasked", "length"}:
            continue
        rsv = stream.data[part.start] >> 4 & 7
        for start, stop, other in _bytes(part.payload):
            payload = part.payload[:start] + other + part.payload[stop:]
            yield part.start, part.end, Frame(part.opcode, payload, part.fin, rsv).encode()
        plain = Frame(part.opcode, part.payload, part.fin, rsv).encode()
        if plain != stream.data[part.start : part.end]:
            yield part.start, part.end, plain


def _bytes(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Return what could be left out or be zero, the largest pieces first."""
    size = len(data) // 2 or 1
    while data and size:
        for start in range(0, len(data), size):
            yield start, min(start + size, len(data)), b""
        size //= 2
    for at, byte in enumerate(data):
        if byte:
            yield at, at + 1, b"\0"
