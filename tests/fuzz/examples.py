"""For each kind of explained disagreement, and each library that it is with, a stream that shows it."""

from __future__ import annotations

import zlib
from random import Random

from fuzz.streams import Frame, Setting, Stream
from tests.support.wire import client_frame as frame
from tests.support.wire import squeeze

PLAIN = Setting(1000)
SMALL = Setting(20)
ALONE = Setting(1000, 15)
SHARED = Setting(1000, 15, takeover=True)


def stored(length: int, data: bytes, final: bool = False) -> bytes:
    """A block without compression, of which *data* is what is there of its *length*."""
    return bytes([final]) + length.to_bytes(2, "little") + (length ^ 0xFFFF).to_bytes(2, "little") + data


HELLO = squeeze(b"hello")
FINAL = squeeze(b"hello", mode=zlib.Z_FINISH) + b"\0"
HELD_BACK = frame(2, bytes.fromhex("5a 99 ee fe 8d ab 3f 87 4d d0 68"), rsv=4)
"""126 bytes, and two more for which zlib needs nothing else to read."""
FIRST = Random(1).randbytes(600)
FAR = frame(2, squeeze(FIRST + FIRST[:250]), rsv=4)
"""Refers to what was 600 bytes before, where the window has 512."""
MANY = frame(2, fin=False) + frame(0, fin=False) * 1001

EXAMPLES: dict[tuple[str, str], Stream] = {
    ("a header is judged when its frame is whole", "websockets"): Stream(PLAIN, frame(1, b"hello", rsv=2)[:-1]),
    ("the order of fragments is judged after some payload", "wsproto"): Stream(PLAIN, frame(0, b"hello")[:6]),
    ("a length in more bytes than it needs", "websockets"): Stream(PLAIN, Frame(1, b"hello", form=2).encode()),
    ("a header claims too much", "wsproto"): Stream(SMALL, frame(2, bytes(21))[:-1]),
    ("text is checked at the end of the message", "websockets"): Stream(PLAIN, frame(1, b"\xff", fin=False)),
    ("half a surrogate", "wsproto"): Stream(PLAIN, frame(1, b"\xed\xa0", fin=False)),
    ("more than 1,000 empty fragments", "websockets"): Stream(PLAIN, MANY),
    ("more than 1,000 empty fragments", "wsproto"): Stream(PLAIN, MANY),
    ("a compressed message without its end", "websockets"): Stream(ALONE, frame(2, stored(20, b"hello"), rsv=4)),
    ("a compressed message without its end", "wsproto"): Stream(ALONE, frame(2, stored(20, b"hello"), rsv=4)),
    ("which code tells that data is not DEFLATE", "websockets"): Stream(ALONE, frame(2, b"\xff\xff", rsv=4)),
    ("a control frame is measured with the message around it", "websockets"): Stream(SMALL, frame(9, bytes(21))),
    ("the limit holds for what is still compressed", "websockets"): Stream(
        Setting(20, 15), frame(2, stored(17, bytes(17)) + b"\0", rsv=4)
    ),
    ("what is put behind a compressed message is read as content", "websockets"): Stream(
        Setting(70_000, 15, True), frame(2, stored(3000, bytes(2100)), rsv=4)
    ),
    ("too much is told before the mask has come", "websockets"): Stream(SMALL, frame(2, bytes(21))[:2]),
    ("a close frame between two fragments", "websockets"): Stream(
        PLAIN, frame(1, b"he", fin=False) + frame(8, b"\x03\xe8")
    ),
    ("a close frame with a wrong code and a wrong reason", "websockets"): Stream(PLAIN, frame(8, b"\x03\xed\xff")),
    ("close code 1014", "wsproto"): Stream(PLAIN, frame(8, b"\x03\xf6")),
    ("a control frame between compressed fragments", "wsproto"): Stream(
        ALONE, frame(2, HELLO[:3], fin=False, rsv=4) + frame(9) + frame(0, HELLO[3:])
    ),
    ("data behind a final block", "websockets"): Stream(SHARED, frame(2, FINAL, rsv=4) + frame(2, HELLO, rsv=4)),
    ("data behind a final block", "wsproto"): Stream(SHARED, frame(2, FINAL, rsv=4) + frame(2, HELLO, rsv=4)),
    ("compressed data is read as it comes", "wsproto"): Stream(ALONE, frame(2, b"\xff\xff", rsv=4)[:-1]),
    ("a reference beyond the window, within one frame", "wsproto"): Stream(Setting(1000, 9), FAR, (len(FAR) - 8,)),
    ("half a character too much", "wsproto"): Stream(
        Setting(20, 15), frame(1, squeeze(bytes(19) + b"\xe2\x82"), fin=False, rsv=4)
    ),
    ("a compressed frame that comes to too much", "websockets"): Stream(Setting(126, 9, takeover=True), HELD_BACK),
}
