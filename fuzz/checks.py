"""What must hold for every input of the guided run, whatever it is.

An input is three bytes that choose what was agreed on and how the stream arrives, and the stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fuzz.builds import Build
from fuzz.ends import Ours
from fuzz.reading import Reading
from fuzz.streams import CLOSE, PONG, Frame, Setting, Stream

LIMITS = (5, 20, 125, 126, 300, 1000, 70_000)
BITS = (0, 0, 8, 9, 12, 15)

MAX_BYTE_BY_BYTE = 300
"""Longer streams are not read byte by byte, too."""


class Broken(AssertionError):
    """A rule does not hold for an input."""


def decode(data: bytes) -> Stream:
    """Return the stream that an input stands for."""
    head, stream = data[:3].ljust(3, b"\0"), data[3:]
    setting = Setting(LIMITS[head[0] % len(LIMITS)], BITS[head[1] % len(BITS)], head[1] >= 0x80)
    size = head[2] or len(stream) + 1
    return Stream(setting, stream, tuple(range(size, len(stream), size)))


def encode(stream: Stream) -> bytes:
    """Return an input for a stream, in chunks of the size of its first; its limit is the nearest that there is."""
    setting = stream.setting
    limit = min(range(len(LIMITS)), key=lambda index: abs(LIMITS[index] - setting.limit))
    bits = min(range(len(BITS)), key=lambda index: abs(BITS[index] - setting.bits))
    # What is added is 0 modulo the number of choices, and makes it a number above 127.
    takeover = len(BITS) * -(-0x80 // len(BITS)) if setting.takeover else 0
    size = min(255, stream.cuts[0]) if stream.cuts else 0
    return bytes([limit, takeover + bits, size]) + stream.data


class Checks:
    """The rules, for some builds."""

    def __init__(self, builds: Sequence[Build]) -> None:
        self._builds = builds

    def run(self, data: bytes) -> None:
        """Check an input. Raises Broken; what a connection raises is raised, too."""
        stream = decode(data)
        ways = [tuple(stream.chunks())]
        if stream.cuts:
            ways.append((stream.data,))
        if len(stream.data) <= MAX_BYTE_BY_BYTE:
            ways.append(tuple(bytes([byte]) for byte in stream.data))
        first: Reading | None = None
        for build in self._builds:
            for chunks in ways:
                reading = _read(build, stream.setting, chunks)
                if first is None:
                    first = reading
                elif reading != first:
                    raise Broken(
                        f"expected the same of all builds and chunks, found in {len(chunks)} chunks by {build.name}\n"
                        f"{reading}, not\n{first}\n{stream.options()}"
                    )


def _read(build: Build, setting: Setting, chunks: Iterable[bytes]) -> Reading:
    """Return what our connection hears, all of it, and check what it answers."""
    end = Ours(build, setting)
    for chunk in chunks:
        if end.end is not None:
            break
        end.receive(chunk)
    reading = Reading(tuple(end.events), end.end)
    _check_answers(bytes(end.sent()), reading)
    if reading.end is not None:
        end.connection.receive(b"\x82\x80\0\0\0\0")
        if (event := end.connection.next_event()) is not None:
            raise Broken(f"expected to hear nothing after the end, found {event!r}")
    return reading


def _check_answers(sent: bytes, reading: Reading) -> None:
    """Check that pings are answered with pongs, a close frame with its code, a broken rule with its own."""
    for kind, data in reading.events:
        if kind == "ping":
            assert isinstance(data, bytes)
            pong = Frame(PONG, data, mask=b"").encode()
            if not sent.startswith(pong):
                raise Broken(f"expected the pong {pong.hex()}, found {sent.hex()}")
            sent = sent[len(pong) :]
    if reading.end is None:
        if sent:
            raise Broken(f"expected no more answers, found {sent.hex()}")
        return
    payload = sent[2:]
    if sent[:2] != bytes([0x80 | CLOSE, len(payload)]) or len(payload) > 125:
        raise Broken(f"expected a close frame and nothing more, found {sent.hex()}")
    code = int.from_bytes(payload[:2], "big") if payload else 1005
    if code != reading.end.code:
        raise Broken(f"expected a close frame with {reading.end.code}, found {sent.hex()}")
    payload[2:].decode()
