"""What goes wrong is counted and named, and whatever a server does, the measurement ends."""

from __future__ import annotations

import socket
import struct
import time

import pytest

from tests.bench.conftest import ACCEPTED, accept, answering, read_to_the_end
from tests.support.wire import frame
from wsmiddleware.bench import BenchError, Mode, Plan, Result, measure
from wsmiddleware.bench.load import QUIET

SECONDS = 0.2

ENDLESS = 5
"""Seconds for which nothing is measured that fails at once."""


def only_failure(result: Result, count: int = 1) -> str:
    """Return why *count* connections have failed, all for one reason."""
    assert result.failed == count, result
    ((reason, number),) = result.failures.items()
    assert number == count
    return reason


class TestBeforeItIsOpen:
    @pytest.mark.parametrize("mode", Mode)
    def test_another_status(self, server, mode):
        begun = time.monotonic()
        result = measure(Plan(f"ws://127.0.0.1:{server.port}/nowhere", mode, connections=3, seconds=ENDLESS))
        assert "expected the status 101, found 'HTTP/1.1 200 OK'" in only_failure(result, 3)
        assert (result.opened, result.messages) == (0, 0)
        assert time.monotonic() - begun < ENDLESS

    @pytest.mark.parametrize("mode", Mode)
    def test_nobody_there(self, mode):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        result = measure(Plan(f"ws://127.0.0.1:{port}/", mode, connections=3, seconds=ENDLESS))
        assert only_failure(result, 3) == (
            f"expected a server at 127.0.0.1, port {port}, found none: Connection refused. Start it, or check the URL."
        )

    def test_no_such_host(self):
        with pytest.raises(BenchError, match="^expected the host 'nowhere.invalid' to have an address"):
            measure(Plan("ws://nowhere.invalid/"))

    @pytest.mark.parametrize("url", ["http://localhost/", "ws://"])
    def test_no_url(self, url):
        with pytest.raises(ValueError, match="^expected a URL like"):
            measure(Plan(url))

    def test_no_answer(self, rogue):
        begun = time.monotonic()
        result = measure(Plan(rogue(read_to_the_end).url, connections=3, seconds=ENDLESS, patience=0.2))
        assert only_failure(result, 3).startswith("expected an answer to the handshake within 0.2 seconds, found none.")
        assert time.monotonic() - begun < ENDLESS

    def test_an_end_instead_of_an_answer(self, rogue):
        result = measure(Plan(rogue(lambda sock: sock.recv(4096)).url, seconds=ENDLESS))
        assert only_failure(result) == "expected an answer to the handshake, found the end of the connection"

    def test_an_answer_in_another_language(self, rogue):
        result = measure(Plan(rogue(lambda sock: sock.sendall(b"220 mail.example.org ESMTP\r\n")).url, seconds=ENDLESS))
        assert only_failure(result).startswith("expected an answer in HTTP, found b'220 mail.example.org ESMTP")

    def test_a_certificate_that_is_not_trusted(self, tls_server):
        result = measure(Plan(f"wss://localhost:{tls_server.port}/echo", seconds=ENDLESS))
        reason = only_failure(result)
        assert reason.startswith("expected a certificate for localhost that this machine trusts, found another: ")
        assert "--insecure" in reason

    def test_no_tls(self, server):
        result = measure(Plan(f"wss://localhost:{server.port}/echo", seconds=ENDLESS, insecure=True))
        assert only_failure(result).startswith("expected a server that speaks TLS, found none: ")

    def test_a_handshake_in_pieces_is_none(self, rogue):
        def script(sock: socket.socket) -> None:
            sock.recv(4096)
            for byte in ACCEPTED + frame(0x9, b"early"):
                sock.sendall(bytes([byte]))
            read_to_the_end(sock)

        result = measure(Plan(rogue(script).url, Mode.IDLE, seconds=SECONDS))
        assert (result.opened, result.failed) == (1, 0)


@pytest.mark.parametrize("mode", Mode)
class TestWhileItIsOpen:
    def measure(self, url: str, mode: Mode) -> Result:
        begun = time.monotonic()
        result = measure(Plan(url, mode, size=1, seconds=ENDLESS))
        assert time.monotonic() - begun < ENDLESS
        assert result.opened == 1
        return result

    def test_a_close_frame(self, rogue, mode):
        def script(sock: socket.socket) -> None:
            accept(sock)
            sock.sendall(frame(0x8, b"\x03\xe9enough"))
            read_to_the_end(sock)

        reason = only_failure(self.measure(rogue(script).url, mode))
        assert reason == "expected the connection to stay open, found a close frame: 1001 'enough'"

    def test_an_end_without_a_close_frame(self, rogue, mode):
        reason = only_failure(self.measure(rogue(accept).url, mode))
        assert reason.startswith(
            ("expected a close frame before the connection ends", "expected the connection to stay")
        )

    def test_a_reset(self, rogue, mode):
        def script(sock: socket.socket) -> None:
            accept(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        reason = only_failure(self.measure(rogue(script).url, mode))
        assert reason.startswith("expected the connection to stay open, found it broken: ")

    def test_garbage(self, rogue, mode):
        def script(sock: socket.socket) -> None:
            accept(sock)
            sock.sendall(b"\xff" * 100)
            read_to_the_end(sock)

        reason = only_failure(self.measure(rogue(script).url, mode))
        assert reason.startswith(
            "expected a frame of RFC 6455, found one that begins with ff ff: reserved bits are set"
        )


class TestWhatIsNoEcho:
    def test_another_message(self, rogue):
        result = measure(Plan(rogue(answering(frame(0x1, b"welcome"))).url, size=1, seconds=ENDLESS))
        assert only_failure(result).startswith("expected messages of 1 bytes, found one with 7 bytes.")

    def test_a_message_too_many(self, rogue):
        result = measure(Plan(rogue(answering(frame(0x2, b"x") * 2)).url, size=1, seconds=ENDLESS))
        assert only_failure(result) == "expected every message to come back once, found 1 more"

    def test_a_message_too_many_from_a_fan_out(self, rogue):
        result = measure(Plan(rogue(answering(frame(0x2, b"x") * 2)).url, Mode.FANOUT, size=1, seconds=ENDLESS))
        assert only_failure(result) == "expected every message to come once, found 1 more"

    @pytest.mark.parametrize("mode", [Mode.ECHO, Mode.FANOUT, Mode.CHURN])
    def test_silence(self, rogue, mode):
        result = measure(Plan(rogue(answering()).url, mode, connections=2, seconds=SECONDS))
        assert only_failure(result, 2).startswith(
            "expected messages to come back all the time, found none in the last 0.2 seconds."
        )

    @pytest.mark.parametrize(("seconds", "fails"), [(SECONDS, False), (2 * QUIET + SECONDS, True)])
    def test_silence_behind_the_first_message(self, rogue, seconds, fails):
        """For a moment, it may be the machine's fault."""
        result = measure(Plan(rogue(answering(frame(0x2, b"x"))).url, size=1, seconds=seconds))
        assert result.messages == 1
        assert bool(result.failures) is fails

    def test_an_end_of_the_publisher(self, rogue):
        """The others cannot be waited for."""

        def script(sock: socket.socket) -> None:
            accept(sock)
            sock.recv(7)

        begun = time.monotonic()
        result = measure(Plan(rogue(script).url, Mode.FANOUT, connections=3, size=1, seconds=ENDLESS))
        assert result.failed >= 1
        assert time.monotonic() - begun < ENDLESS


def test_those_that_have_failed_do_not_keep_the_others_from_going_on(rogue):
    connections: list[socket.socket] = []

    def script(sock: socket.socket) -> None:
        connections.append(sock)
        if len(connections) == 2:
            sock.recv(4096)
            sock.sendall(b"HTTP/1.1 503 No\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nfull")
            return
        accept(sock)
        while data := sock.recv(7):
            sock.sendall(frame(0x2, b"x") if data[0] == 0x82 else frame(0x8))

    result = measure(Plan(rogue(script).url, connections=3, size=1, seconds=SECONDS))
    assert (result.opened, result.failed) == (2, 1)
    assert only_failure(result).endswith("Use fewer connections, or raise its limit. It says: 'full'")
    assert result.messages > 2


def test_reasons_are_kept_as_far_as_there_are_not_too_many(rogue):
    count = 0

    def script(sock: socket.socket) -> None:
        nonlocal count
        sock.recv(4096)
        count += 1
        sock.sendall(f"HTTP/1.1 500 {count}\r\n\r\n".encode())

    result = measure(Plan(rogue(script).url, connections=30, seconds=SECONDS))
    assert result.failed == 30
    assert len(result.failures) == 10
