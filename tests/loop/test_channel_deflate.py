"""A channel whose peer compresses: a few bytes of input can be a lot of messages."""

from __future__ import annotations

import gevent.event
import pytest

from tests.support.loop import Recorder
from tests.support.wire import client_frame
from tests.support.wsgi import wait_until
from wsmiddleware.loop.settings import Settings
from wsmiddleware.protocol.deflate import Deflate, compress_alone

SIZE = 100_000


class Counting(Deflate):
    """Compression without takeover. Notes how many bytes all messages came to."""

    def __init__(self) -> None:
        super().__init__(out_takeover=False, out_bits=15, in_takeover=False, in_bits=15)
        self.inflated = 0

    def decompress(self, data: bytes, final: bool, limit: int, before: bytes | bytearray) -> bytes:
        made = super().decompress(data, final, limit, before)
        self.inflated += len(made)
        return made


@pytest.mark.parametrize("early", [False, True])
def test_what_waits_for_a_busy_endpoint_is_bounded_in_bytes(serve, style, early):
    """20 messages come in some 2 KB, of which one read holds more."""

    def block(session, message):
        go_on.wait()

    go_on = gevent.event.Event()
    recorder = Recorder(on_message=block)
    deflate = Counting()
    bomb = client_frame(0x2, compress_alone(bytes(SIZE)), rsv=4)
    bombs = bomb * 20
    served = serve(
        style(recorder),
        Settings(max_message_size=SIZE, receive_queue=1000),
        early=bombs if early else b"",
        deflate=deflate,
    )
    if not early:
        served.peer.write(bombs)
    served.peer.write(bomb)
    wait_until(lambda: recorder.messages)
    for _ in range(10):
        gevent.sleep(0.001)
    assert deflate.inflated <= 3 * SIZE
    go_on.set()
    wait_until(lambda: len(recorder.messages) == 21)
    assert recorder.messages == [bytes(SIZE)] * 21
