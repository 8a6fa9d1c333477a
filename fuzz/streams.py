"""Streams of client frames, from a seed: conversations, and what becomes of them when something goes wrong on the way.

Nothing here uses the code under test: frames are built as RFC 6455 section 5.2 draws them.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from random import Random
from typing import NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
RSV1 = 0x4

TAIL = b"\x00\x00\xff\xff"
"""What a flush ends with and is not sent (RFC 7692 section 7.2.1)."""


class Setting(NamedTuple):
    """What was agreed on before the stream."""

    limit: int
    """Bytes of the largest message."""

    bits: int = 0
    """The client's window, 8 to 15, a power of two in bytes; 0: no compression."""

    takeover: bool = False
    """Whether the client's messages may refer to earlier ones."""


class Stream(NamedTuple):
    """What a client sends, and in which chunks it arrives."""

    setting: Setting
    data: bytes
    cuts: tuple[int, ...] = ()
    """Positions at which a new chunk begins, ascending."""

    def chunks(self) -> Iterator[bytes]:
        """Return the data piece by piece; a piece may be empty."""
        for start, end in zip((0, *self.cuts), (*self.cuts, len(self.data)), strict=True):
            yield self.data[start:end]

    def options(self) -> str:
        """Return the command line that reads it again: ``python -m fuzz read`` with this."""
        words = [f"--limit {self.setting.limit}"]
        if self.setting.bits:
            words.append(f"--bits {self.setting.bits}")
        if self.setting.takeover:
            words.append("--takeover")
        if self.cuts:
            words.append(f"--cuts {','.join(map(str, self.cuts))}")
        return " ".join([*words, self.data.hex() or "''"])


@dataclass
class Frame:
    """A frame that may be wrong in any way."""

    opcode: int
    payload: bytes = b""
    fin: bool = True
    rsv: int = 0
    mask: bytes = field(default=bytes(4))
    """Empty: not masked."""
    claimed: int | None = None
    """The length in the header, if it is not the payload's."""
    form: int = 0
    """Bytes of the extended length, 0, 2 or 8, if it is not the shortest that will do: 0 leaves the choice."""

    def encode(self) -> bytes:
        length = len(self.payload) if self.claimed is None else self.claimed
        form = self.form or (0 if length < 126 else 2 if length < 1 << 16 else 8)
        first = self.fin << 7 | self.rsv << 4 | self.opcode
        short = length if not form else 126 if form == 2 else 127
        header = bytes([first, bool(self.mask) << 7 | short])
        if form:
            header += (length & ((1 << 8 * form) - 1)).to_bytes(form, "big")
        return header + self.mask + (xor(self.payload, self.mask) if self.mask else self.payload)


def xor(data: bytes, mask: bytes) -> bytes:
    """Mask *data* (section 5.3)."""
    if not any(mask):
        return data
    key = (mask * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(len(data), "big")


def generate(seed: int | str) -> Stream:
    """Return the stream of a seed, always the same."""
    return _Generator(Random(seed)).stream()


_LIMITS = (5, 20, 125, 126, 126, 300, 1000, 1000, 1000, 70_000)
_SIZES = (0, 1, 2, 3, 7, 8, 20, 50, 124, 125, 126, 127)
_LARGE = (65_535, 65_536, 69_999)
_CODES = (*range(999, 1018), 0, 1, 255, 1100, 1999, 2000, 2999, 3000, 3999, 4000, 4999, 5000, 65_535)

_TEXT = (
    "a",
    "hello ",
    '{"id": 1}',
    "\0",
    "\x7f",
    "é",
    "ß\u07ff",
    "\u0800",
    "€",
    "\ud7ff",
    "\ue000",
    "\uffff",
    "😀",
    "\U0010ffff",
)
_ODD = tuple(
    bytes.fromhex(text)
    for text in (
        "80", "bf", "c0 80", "c1 bf", "c2", "df", "e0 80 80", "e0 9f bf", "e0 a0", "e2 82", "ed a0 80", "ed bf bf",
        "ed a0", "ed", "ef bf", "f0 80 80 80", "f0 8f bf bf", "f0 90 80", "f0 9f", "f0", "f4 90 80 80", "f4 8f bf",
        "f4 90", "f5 80 80 80", "f8 88 80 80 80", "fe", "ff", "c2 41", "e2 82 41",
    )
)  # fmt: skip
"""No UTF-8, or the beginning of some."""

_WORDS = (b"abc", b"the same again ", b'{"type": "position", "x": 1}', b"\x00" * 30, bytes(range(40)))


class _Generator:
    def __init__(self, random: Random) -> None:
        self._random = random
        chosen = self._setting()
        self._setting_of_stream = chosen
        self._compressor = self._new_compressor() if chosen.bits else None

    def stream(self) -> Stream:
        random = self._random
        frames = [frame for _ in range(random.choice((1, 1, 2, 3, 4, 6))) for frame in self._turn()]
        if random.random() < 0.3:
            frames.append(Frame(CLOSE, self._close(), mask=self._mask()))
        if random.random() < 0.45:
            for _ in range(random.choice((1, 1, 1, 2))):
                frames = random.choice(_FRAME_MUTATIONS)(random, frames)
        data = b"".join(frame.encode() for frame in frames)
        if random.random() < 0.35:
            for _ in range(random.choice((1, 1, 1, 2, 4))):
                data = random.choice(_BYTE_MUTATIONS)(random, data)
        return Stream(self._setting_of_stream, data, self._cuts(len(data)))

    def _setting(self) -> Setting:
        random = self._random
        limit = random.choice(_LIMITS)
        if random.random() < 0.5:
            return Setting(limit)
        return Setting(limit, random.choice((8, 9, 10, 12, 15, 15, 15)), random.random() < 0.5)

    def _cuts(self, size: int) -> tuple[int, ...]:
        random = self._random
        way = random.random()
        if way < 0.35:
            return ()
        if way < 0.45 and size < 400:
            return tuple(range(1, size))
        return tuple(sorted(random.randint(0, size) for _ in range(random.choice((1, 2, 3, 8)))))

    def _mask(self) -> bytes:
        return self._random.choice(
            (bytes(4), b"\xff\xff\xff\xff", self._random.randbytes(4), self._random.randbytes(4))
        )

    def _size(self) -> int:
        random = self._random
        limit = self._setting_of_stream.limit
        way = random.random()
        if way < 0.12:
            return max(0, limit + random.choice((-1, 0, 0, 1, 2))) if limit <= 1000 else random.choice(_LARGE)
        if way < 0.5:
            return random.choice(_SIZES)
        return random.randint(0, min(limit, 60))

    def _turn(self) -> list[Frame]:
        way = self._random.random()
        if way < 0.14:
            return [self._control()]
        opcode = self._random.choice((TEXT, BINARY))
        payload = self._text() if opcode == TEXT else self._binary()
        if self._compressor is not None and self._random.random() < 0.8:
            return self._fragments(opcode, self._compress(payload), RSV1)
        return self._fragments(opcode, payload, 0)

    def _control(self) -> Frame:
        random = self._random
        opcode = random.choice((PING, PING, PING, PONG, PONG, PONG, CLOSE))
        payload = self._close() if opcode == CLOSE else random.randbytes(random.choice((0, 1, 4, 20, 124, 125)))
        return Frame(opcode, payload, mask=self._mask())

    def _close(self) -> bytes:
        random = self._random
        way = random.random()
        if way < 0.15:
            return b""
        if way < 0.2:
            return random.randbytes(1)
        reason = self._text(random.choice((0, 0, 5, 60, 123)))[:123]
        code: int = random.choice(_CODES)
        return code.to_bytes(2, "big") + reason

    def _fragments(self, opcode: int, payload: bytes, rsv: int) -> list[Frame]:
        random = self._random
        count = random.choice((1, 1, 1, 2, 3, 5))
        cuts = sorted(random.randint(0, len(payload)) for _ in range(count - 1))
        frames = []
        for index, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(payload)], strict=True)):
            if index and random.random() < 0.2:
                frames.append(self._control())
            frames.append(
                Frame(
                    CONTINUATION if index else opcode,
                    payload[start:end],
                    fin=index == count - 1,
                    rsv=0 if index else rsv,
                    mask=self._mask(),
                )
            )
        return frames

    def _binary(self) -> bytes:
        size = self._size()
        way = self._random.random()
        if way < 0.4:
            return self._random.randbytes(size)
        word = self._random.choice(_WORDS)
        return (word * (size // len(word) + 1))[:size]

    def _text(self, size: int | None = None) -> bytes:
        random = self._random
        size = self._size() if size is None else size
        words: list[bytes] = [random.choice(_TEXT).encode() for _ in range(random.randint(0, min(size, 12)))]
        if random.random() < 0.15:
            words.insert(random.randint(0, len(words)), random.choice(_ODD))
        data = b"".join(words)
        if len(data) < size:
            data += random.choice((b"x", "ü".encode(), "€".encode())) * (size - len(data))
        return data if random.random() < 0.2 else _cut_at_character(data, size)

    def _new_compressor(self) -> zlib._Compress:
        random = self._random
        bits = max(9, self._setting_of_stream.bits)
        strategy = random.choice((zlib.Z_DEFAULT_STRATEGY, zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED, zlib.Z_HUFFMAN_ONLY))
        if self._setting_of_stream.bits == 8 and random.random() < 0.7:
            strategy = zlib.Z_HUFFMAN_ONLY  # Refers to nothing: zlib has no window as small as this.
        return zlib.compressobj(random.choice((0, 1, 6, 6, 9)), zlib.DEFLATED, -bits, 5, strategy)

    def _compress(self, payload: bytes) -> bytes:
        """Return a message's payload, in one of the ways that RFC 7692 section 7.2.1 and 7.2.3 tell of, or wrong."""
        random = self._random
        if not self._setting_of_stream.takeover or random.random() < 0.05:
            self._compressor = self._new_compressor()
        compressor = self._compressor
        assert compressor is not None
        half = random.randint(0, len(payload)) if random.random() < 0.2 else 0
        data: bytes = compressor.compress(payload[:half])
        if half:
            data += compressor.flush(random.choice((zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH)))
        data += compressor.compress(payload[half:])
        way = random.random()
        if way < 0.1:
            data += compressor.flush(zlib.Z_FINISH)
            self._compressor = self._new_compressor()
            # Section 7.2.3.4: a final block, and behind it one without content.
            return data + random.choice((b"\x00", b"\x00", b"", b"\x02\x00", b"\x00\x00\xff\xff\x00"))
        data += compressor.flush(random.choice((zlib.Z_SYNC_FLUSH, zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH)))
        if way < 0.15:
            return data
        data = data.removesuffix(TAIL)
        if way < 0.2:
            return data[: random.randint(0, len(data))]
        return data


def _cut_at_character(data: bytes, size: int) -> bytes:
    while 0 < size < len(data) and data[size] & 0xC0 == 0x80:
        size -= 1
    return data[:size]


def _one(change: Callable[[Random, Frame], Frame]) -> Callable[[Random, list[Frame]], list[Frame]]:
    def mutate(random: Random, frames: list[Frame]) -> list[Frame]:
        at = random.randrange(len(frames)) if frames else 0
        return [*frames[:at], *(change(random, frame) for frame in frames[at : at + 1]), *frames[at + 1 :]]

    return mutate


def _claim(random: Random, frame: Frame) -> Frame:
    length = len(frame.payload)
    claimed = random.choice((0, 1, 125, 126, 65_535, 65_536, 1 << 31, 1 << 62, 1 << 63, (1 << 64) - 1, length + 1))
    return replace(frame, claimed=max(0, claimed))


def _reform(random: Random, frame: Frame) -> Frame:
    return replace(frame, form=2 if len(frame.payload) < 1 << 16 and random.random() < 0.5 else 8)


def _swap(random: Random, frames: list[Frame]) -> list[Frame]:
    frames = frames[:]
    if frames:
        frames.insert(random.randrange(len(frames)), frames.pop(random.randrange(len(frames))))
    return frames


def _repeat(random: Random, frames: list[Frame]) -> list[Frame]:
    return frames and [*frames, random.choice(frames)]


def _drop(random: Random, frames: list[Frame]) -> list[Frame]:
    at = random.randrange(len(frames)) if frames else 0
    return frames[:at] + frames[at + 1 :]


def _many_empty(random: Random, frames: list[Frame]) -> list[Frame]:
    if random.random() > 0.02:
        return frames
    count = random.choice((999, 1000, 1001))
    return [*frames, Frame(BINARY, fin=False), *[Frame(CONTINUATION, fin=False)] * count, Frame(CONTINUATION)]


_FRAME_MUTATIONS: tuple[Callable[[Random, list[Frame]], list[Frame]], ...] = (
    _one(lambda random, frame: replace(frame, opcode=random.randrange(16))),
    _one(lambda random, frame: replace(frame, rsv=random.randrange(8))),
    _one(lambda random, frame: replace(frame, fin=not frame.fin)),
    _one(lambda random, frame: replace(frame, mask=b"")),
    _one(lambda random, frame: replace(frame, payload=frame.payload + random.randbytes(random.choice((1, 126, 1500))))),
    _one(_claim),
    _one(_reform),
    _swap,
    _repeat,
    _drop,
    _many_empty,
)


def _flip(random: Random, data: bytes) -> bytes:
    if not data:
        return data
    at = random.randrange(min(len(data), random.choice((12, 200, 1 << 20))))
    return data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]


def _cut(random: Random, data: bytes) -> bytes:
    return data[: random.randint(0, len(data))]


def _remove(random: Random, data: bytes) -> bytes:
    at = random.randint(0, len(data))
    return data[:at] + data[at + random.choice((1, 2, 4, 9)) :]


def _insert(random: Random, data: bytes) -> bytes:
    at = random.randint(0, len(data))
    return data[:at] + random.randbytes(random.choice((1, 2, 4, 9))) + data[at:]


def _splice(random: Random, data: bytes) -> bytes:
    start, end = sorted((random.randint(0, len(data)), random.randint(0, len(data))))
    at = random.randint(0, len(data))
    return data[:at] + data[start:end] + data[at:] if end - start < 2000 else data


_BYTE_MUTATIONS: tuple[Callable[[Random, bytes], bytes], ...] = (
    _flip,
    _flip,
    _flip,
    _cut,
    _cut,
    _remove,
    _insert,
    _splice,
)
