"""permessage-deflate from the handshake to the endpoint and back, with the client of the library ``websockets``."""

from __future__ import annotations

import json
import socket
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.sync.client import connect

from tests.support.talk import TEXT, echo, handshake, pages
from tests.support.wire import client_frame
from tests.support.wsgi import PATIENCE, Server
from wsmiddleware import Endpoint, Hub, WebSocketMiddleware

LIMIT = 1_000_000

TEXTS = [json.dumps({"user": number, "text": "Hello, how are you today? " * (number % 7)}) for number in range(40)]


class Echo(Endpoint):
    def on_message(self, session, message):
        session.send(message)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    app = WebSocketMiddleware(pages, max_message_size=LIMIT)
    hub = Hub()

    def listen(session):
        hub.join(session, "room")
        session.send("joined")
        for message in session:
            hub.publish("room", message)

    for mode in ("shared", "dedicated"):
        app.register(f"/servlet/{mode}", Echo, compression=mode)
        app.register(f"/blocking/{mode}", echo, compression=mode)
        app.register(f"/room/{mode}", listen, compression=mode)
    app.register("/room/none", listen)
    with Server(app) as server:
        yield server


def dial(server: Server, path: str, **offer: Any) -> Any:
    return connect(
        f"ws://127.0.0.1:{server.port}{path}",
        extensions=[ClientPerMessageDeflateFactory(**offer)],
        compression=None,
        sock=socket.create_connection(("127.0.0.1", server.port), PATIENCE),
        open_timeout=PATIENCE,
        close_timeout=PATIENCE,
    )


OFFERS: list[dict[str, Any]] = [
    {},
    {"client_max_window_bits": True},
    {"server_max_window_bits": 9, "client_max_window_bits": 9},
    {"server_no_context_takeover": True},
    {"client_no_context_takeover": True, "server_max_window_bits": 15},
]


@pytest.mark.parametrize("mode", ["shared", "dedicated"])
@pytest.mark.parametrize("style", ["servlet", "blocking"])
@pytest.mark.parametrize("offer", OFFERS, ids=str)
def test_messages_come_back_as_they_were(server: Server, style: str, mode: str, offer: dict[str, Any]) -> None:
    with dial(server, f"/{style}/{mode}", **offer) as client:
        assert client.protocol.extensions
        for text in TEXTS:
            client.send(text)
            client.send(iter([text, text, ""]))
            client.send(text.encode())
        for text in TEXTS:
            assert [client.recv(PATIENCE) for _ in range(3)] == [text, text + text, text.encode()]


def test_a_broadcast_reaches_all_kinds(server: Server) -> None:
    with (
        dial(server, "/room/shared") as shared,
        dial(server, "/room/dedicated") as dedicated,
        dial(server, "/room/dedicated", server_max_window_bits=9) as narrow,
        dial(server, "/room/none") as plain,
    ):
        clients = (shared, dedicated, narrow, plain)
        for client in clients:
            assert client.recv(PATIENCE) == "joined"
        for text in TEXTS:
            dedicated.send(text)
            for client in clients:
                assert client.recv(PATIENCE) == text


@pytest.mark.parametrize(
    ("mode", "answer"),
    [
        ("shared", "permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
        ("dedicated", "permessage-deflate; client_max_window_bits=12"),
    ],
)
def test_a_broadcast_goes_out_compressed(server: Server, mode: str, answer: str) -> None:
    request = handshake(
        f"/room/{mode}", {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
    )
    text = b"to all of you, " * 5
    with server.connect() as client:
        client.send(request + client_frame(TEXT, text))
        assert f"\r\nSec-WebSocket-Extensions: {answer}\r\n".encode() in client.receive_head()
        assert client.receive(2 + len("joined")) == b"\x81\x06joined"
        first, size = client.receive(2)
        assert first == 0x40 | 0x80 | TEXT
        assert zlib.decompressobj(-15).decompress(client.receive(size) + b"\x00\x00\xff\xff") == text


@pytest.mark.parametrize("mode", ["shared", "dedicated"])
def test_a_bomb_ends_its_session(server: Server, mode: str) -> None:
    with dial(server, f"/servlet/{mode}") as client:
        client.send(bytes(LIMIT))
        assert client.recv(PATIENCE) == bytes(LIMIT)
        client.send(bytes(LIMIT + 1))
        with pytest.raises(ConnectionClosedError) as ended:
            client.recv(PATIENCE)
        assert ended.value.rcvd is not None and ended.value.rcvd.code == 1009


def test_what_came_right_behind_the_handshake_may_be_compressed(server: Server) -> None:
    compressor = zlib.compressobj(wbits=-15)
    payload = compressor.compress(b"Hello " * 20) + compressor.flush(zlib.Z_SYNC_FLUSH)
    request = handshake("/servlet/shared", {"Sec-WebSocket-Extensions": "permessage-deflate"})
    with server.connect() as client:
        client.send(request + client_frame(TEXT, payload[:-4], rsv=4))
        assert b"\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover" in client.receive_head()
        first, size = client.receive(2)
        assert first == 0x40 | 0x80 | TEXT
        assert zlib.decompressobj(-15).decompress(client.receive(size) + payload[-4:]) == b"Hello " * 20
