"""Measurements of compression: of real servers, and of those that are wrong about it."""

from __future__ import annotations

import socket
import zlib
from collections.abc import Sequence
from itertools import islice
from threading import Event

import pytest

from tests.bench.conftest import ACCEPTED, accept, read_to_the_end
from tests.support.wire import frame
from wsmiddleware.bench import BenchError, Mode, Plan, measure
from wsmiddleware.bench.corpus import DOCUMENTS, documents
from wsmiddleware.bench.messages import frames

SECONDS = 0.5

CONTEXTS = ["shared", "dedicated"]

AGREEING = ACCEPTED[:-2] + (
    b"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; server_max_window_bits=12\r\n\r\n"
)

SENT = frames(Plan("ws://localhost/", deflate="shared"), documents())

CLOSE_SIZE = 8
"""Bytes of a masked close frame with a code."""

ANSWERS = [frame(0x2, document) for document in documents()]


def agree(sock: socket.socket) -> None:
    """Read a handshake and agree to shared contexts."""
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        request += sock.recv(4096)
    sock.sendall(AGREEING)


def echo(sock: socket.socket, count: int = DOCUMENTS, answers: Sequence[bytes] = ANSWERS) -> None:
    """Answer *count* messages."""
    for sent, answer in islice(zip(SENT, answers, strict=True), count):
        read(sock, len(sent))
        sock.sendall(answer)


def read(sock: socket.socket, size: int) -> None:
    while size and (data := sock.recv(size)):
        size -= len(data)


class TestOfOurServer:
    @pytest.mark.parametrize("contexts", CONTEXTS)
    @pytest.mark.parametrize("text", [False, True], ids=["binary", "text"])
    @pytest.mark.parametrize(("connections", "in_flight"), [(1, 1), (10, 1), (3, 40)])
    def test_messages_come_back(self, server, contexts, text, connections, in_flight):
        url = f"ws://127.0.0.1:{server.port}/{contexts}"
        plan = Plan(url, connections=connections, in_flight=in_flight, seconds=SECONDS, text=text, deflate=contexts)
        result = measure(plan)
        assert (result.failures, result.opened) == ({}, connections)
        assert result.messages > 0
        assert 0 < result.compressed_to <= 1
        assert result.megabytes > 0

    def test_over_tls(self, tls_server):
        url = f"wss://localhost:{tls_server.port}/dedicated"
        result = measure(Plan(url, connections=3, seconds=SECONDS, insecure=True, deflate="dedicated"))
        assert (result.failures, result.opened) == ({}, 3)
        assert 0 < result.compressed_to <= 1

    @pytest.mark.parametrize("contexts", CONTEXTS)
    def test_messages_come_to_all(self, server, contexts):
        url = f"ws://127.0.0.1:{server.port}/{contexts}/fanout"
        result = measure(Plan(url, Mode.FANOUT, connections=5, in_flight=3, seconds=SECONDS, deflate=contexts))
        assert (result.failures, result.opened) == ({}, 5)
        assert result.messages >= 15
        assert 0 < result.compressed_to <= 1

    @pytest.mark.parametrize("mode", [Mode.IDLE, Mode.CHURN])
    def test_connections_have_agreed(self, server, mode):
        url = f"ws://127.0.0.1:{server.port}/shared"
        result = measure(Plan(url, mode, connections=3, seconds=SECONDS, deflate="shared"))
        assert result.failures == {}
        assert (result.compressed_to is None) == (mode is Mode.IDLE)

    def test_that_does_not_compress(self, server):
        with pytest.raises(BenchError, match="^expected Sec-WebSocket-Extensions to agree .*, found none. Switch"):
            measure(Plan(f"ws://127.0.0.1:{server.port}/servlet", seconds=SECONDS, deflate="dedicated"))

    def test_that_shares_contexts_where_they_are_to_be_dedicated(self, server):
        """It has said so, and the client may rely on it."""
        url = f"ws://127.0.0.1:{server.port}/shared"
        assert measure(Plan(url, seconds=SECONDS, deflate="dedicated")).failures == {}


@pytest.mark.parametrize("count", [1, 3])
def test_what_comes_is_set_in_relation_to_the_messages_that_it_stands_for(rogue, count):
    payloads = [bytes(number) for number in range(DOCUMENTS)]
    checked = Event()

    def script(sock: socket.socket) -> None:
        agree(sock)
        if checked.is_set():
            # Nobody inflates these.
            echo(sock, count, [frame(0x2, payload, rsv=4) for payload in payloads])
            read_to_the_end(sock)
        else:
            checked.set()
            echo(sock)
            read(sock, CLOSE_SIZE)
            sock.sendall(frame(0x8, b"\x03\xe8"))

    result = measure(Plan(rogue(script).url, seconds=SECONDS, deflate="shared"))
    assert result.messages == count
    assert result.compressed_to == sum(map(len, payloads[:count])) / sum(map(len, documents()[:count]))


class TestOfOthers:
    def measure(self, url: str) -> None:
        measure(Plan(url, seconds=SECONDS, deflate="shared", patience=0.3))

    def test_without_anybody(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        with pytest.raises(BenchError, match=f"^expected a server at 127.0.0.1, port {port}, found none: "):
            self.measure(f"ws://127.0.0.1:{port}/")

    def test_that_agrees_to_nothing(self, rogue):
        with pytest.raises(BenchError, match="found none. Switch compression on for this path, with such contexts.$"):
            self.measure(rogue(accept).url)

    def test_that_agrees_at_first(self, rogue):
        """The connections of the load look, too."""
        count = 0

        def script(sock: socket.socket) -> None:
            nonlocal count
            count += 1
            if count > 1:
                accept(sock)
                return
            agree(sock)
            echo(sock)
            read(sock, CLOSE_SIZE)
            sock.sendall(frame(0x8, b"\x03\xe8"))

        result = measure(Plan(rogue(script).url, seconds=5, deflate="shared", patience=2))
        (reason,) = result.failures
        assert result.failed == 1
        assert "found none. Switch compression on" in reason

    @pytest.mark.parametrize(
        ("answer", "problem"),
        [
            pytest.param(frame(0x2, documents()[1]), "message 0 to come back as it was sent", id="another message"),
            pytest.param(frame(0x1, documents()[0]), "message 0 to come back as it was sent", id="of another kind"),
            pytest.param(frame(0x2, b"\xff\xff", rsv=4), "a compressed message to be DEFLATE", id="garbage"),
            pytest.param(frame(0x8, b"\x03\xe9enough"), "found a close frame: 1001 'enough'", id="a close frame"),
            pytest.param(frame(0x9, b"hi") + frame(0xA), "within 0.3 seconds, found one that did not", id="nothing"),
        ],
    )
    def test_that_does_not_send_back_what_it_gets(self, rogue, answer, problem):
        def script(sock: socket.socket) -> None:
            agree(sock)
            read(sock, len(SENT[0]))
            sock.sendall(answer)
            read_to_the_end(sock)

        with pytest.raises(BenchError, match=f"expected .*{problem}"):
            self.measure(rogue(script).url)

    def test_that_refers_to_what_is_gone(self, rogue):
        """It has agreed to shared contexts, and has dedicated ones."""

        def script(sock: socket.socket) -> None:
            agree(sock)
            compressor = zlib.compressobj(wbits=-12)
            payloads = [compressor.compress(document) + compressor.flush(zlib.Z_SYNC_FLUSH) for document in documents()]
            echo(sock, answers=[frame(0x2, payload[:-4], rsv=4) for payload in payloads])

        with pytest.raises(BenchError, match="expected a compressed message to be DEFLATE, found .* too far back"):
            self.measure(rogue(script).url)

    def test_that_ends(self, rogue):
        with pytest.raises(BenchError, match="^expected a close frame before the connection ends, found none$"):
            self.measure(rogue(lambda sock: (agree(sock), read(sock, len(SENT[0])))).url)

    def test_that_ends_instead_of_answering(self, rogue):
        with pytest.raises(BenchError, match="^expected an answer to the handshake, found the end of the connection$"):
            self.measure(rogue(lambda sock: sock.recv(4096)).url)
