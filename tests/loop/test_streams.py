"""Both streams, over real sockets: what they promise, and what is special about TLS."""

from __future__ import annotations

import gc
import os
import select
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

import gevent.socket
import gevent.ssl
import pytest

from tests.support.wsgi import PATIENCE, client_context, in_thread, out_buffer, read_now, server_context, wait_until
from wsmiddleware.loop.streams import PlainStream, Stream, TLSStream


class Ends(NamedTuple):
    stream: Stream
    """The end under test."""
    peer: socket.socket
    """The other one: an ordinary blocking socket, with a timeout."""


def tcp_sockets() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = socket.create_connection(listener.getsockname(), PATIENCE)
        return listener.accept()[0], peer


def plain(pair: Callable[[], tuple[socket.socket, socket.socket]]) -> Ends:
    ours, peer = pair()
    peer.settimeout(PATIENCE)
    return Ends(PlainStream(ours.detach()), peer)


def tls_sockets(gevents: bool) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
    """Return a server's socket, of gevent or of the standard library, and a client's one that tells a truncated end."""
    ours, theirs = tcp_sockets()
    context = server_context(gevent.ssl.SSLContext if gevents else ssl.SSLContext)
    context.num_tickets = 0  # A client that closes without having read them resets the connection.
    handshake = in_thread(
        client_context().wrap_socket, theirs, server_hostname="localhost", suppress_ragged_eofs=False
    )
    if gevents:
        sock = gevent.socket.socket(fileno=ours.detach())
        server = context.wrap_socket(sock, server_side=True)
    else:
        ours.settimeout(PATIENCE)
        server = context.wrap_socket(ours, server_side=True)
    return server, handshake()


def tls(gevents: bool) -> Ends:
    server, peer = tls_sockets(gevents)
    return Ends(TLSStream(server, server.makefile("rb")), peer)


PLAIN = {"tcp": lambda: plain(tcp_sockets), "unix": lambda: plain(socket.socketpair)}
TLS = {"tls": lambda: tls(gevents=False), "gevent's tls": lambda: tls(gevents=True)}


def ends_of(makers: dict[str, Callable[[], Ends]], name: str) -> Iterator[Ends]:
    ends = makers[name]()
    yield ends
    ends.stream.close()
    ends.peer.close()


@pytest.fixture(params=[*PLAIN, *TLS])
def ends(request) -> Iterator[Ends]:
    yield from ends_of(PLAIN | TLS, request.param)


@pytest.fixture(params=TLS)
def tls_ends(request) -> Iterator[Ends]:
    yield from ends_of(TLS, request.param)


def is_readable(stream: Stream) -> bool:
    return bool(select.select([stream.fd], [], [], 0)[0])


def read(stream: Stream) -> bytes:
    """Read once, when there is something: bytes, or b"" for the end."""
    found: list[bytes | None] = []

    def has_read() -> bool:
        found[:] = [read_now(stream)]
        return found[0] is not None

    wait_until(has_read)
    assert found[0] is not None
    return found[0]


def read_exactly(stream: Stream, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = read(stream)
        assert piece, f"ended after {len(data)} of {count} bytes"
        data += piece
    return data


def read_to_the_end(stream: Stream) -> bytes:
    return b"".join(iter(lambda: read(stream), b""))


def receive_to_the_end(peer: socket.socket) -> bytes:
    received = bytearray()
    with suppress(ssl.SSLZeroReturnError):  # The end is orderly, and it is the second one.
        while data := peer.recv(65536):
            received += data
    return bytes(received)


class TestReading:
    def test_returns_what_has_arrived(self, ends):
        ends.peer.sendall(b"one")
        assert read(ends.stream) == b"one"
        ends.peer.sendall(b"two")
        assert read(ends.stream) == b"two"

    def test_says_none_when_nothing_has(self, ends):
        assert read_now(ends.stream) is None
        assert read_now(ends.stream) is None

    def test_says_nothing_at_the_end_for_ever(self, ends):
        ends.peer.sendall(b"last")
        ends.peer.close()
        assert read(ends.stream) == b"last"
        assert [read(ends.stream), read_now(ends.stream)] == [b"", b""]


class TestWriting:
    def test_sends(self, ends):
        assert ends.stream.write(out_buffer(b"data")) == 4
        assert ends.peer.recv(100) == b"data"

    def test_takes_what_goes_and_never_waits(self, ends):
        data = os.urandom(1 << 14) * 1024
        left = out_buffer(data)
        while count := ends.stream.write(left):
            left.consume(count)
        assert 0 < len(left) < len(data)
        received = in_thread(receive_to_the_end, ends.peer)
        while len(left):
            select.select([], [ends.stream.fd], [], PATIENCE)
            left.consume(ends.stream.write(left))
        ends.stream.end_output()
        assert received() == data

    def test_raises_when_the_peer_has_gone(self, ends):
        ends.peer.close()
        with pytest.raises(OSError):
            wait_until(lambda: ends.stream.write(out_buffer(b"x")) == 0)


class TestEndOfOutput:
    def test_shows_the_peer_an_orderly_end(self, ends):
        ends.stream.write(out_buffer(b"last words"))
        ends.stream.end_output()
        # This client's socket of TLS raises SSLEOFError if the end is not signed by the server (close_notify).
        assert receive_to_the_end(ends.peer) == b"last words"

    def test_goes_on_reading(self, ends):
        ends.stream.end_output()
        assert receive_to_the_end(ends.peer) == b""
        ends.peer.sendall(b"still here")
        assert read(ends.stream) == b"still here"
        end_output(ends.peer)
        assert read(ends.stream) == b""

    def test_after_the_peer_s_end(self, ends):
        end_output(ends.peer)
        assert read(ends.stream) == b""
        ends.stream.write(out_buffer(b"last words"))
        ends.stream.end_output()
        assert receive_to_the_end(ends.peer) == b"last words"
        ends.peer.close()
        assert read(ends.stream) == b""

    def test_while_the_peer_is_sending_keeps_the_connection_until_its_end(self, ends):
        # The case of a message that is too big: if the rest were not read, the last words would be lost in a reset.
        sending = in_thread(ends.peer.sendall, b"x" * (4 << 20))
        wait_until(lambda: is_readable(ends.stream))
        ends.stream.write(out_buffer(b"too big"))
        ends.stream.end_output()
        came = in_thread(lambda: (sending(), receive_to_the_end(ends.peer), ends.peer.close())[1])
        assert set(read_to_the_end(ends.stream)) <= {ord("x")}
        assert came() == b"too big"
        assert not ends.stream.has_buffered()

    def test_raises_nothing_ever(self, ends):
        ends.stream.end_output()
        ends.stream.end_output()
        if ends.peer.family != socket.AF_UNIX:
            reset(ends.peer)
            wait_until(lambda: is_readable(ends.stream))
        ends.stream.end_output()
        ends.stream.close()
        ends.stream.end_output()


class TestClose:
    def test_gives_the_descriptor_back(self, ends):
        fd = ends.stream.fd
        ends.stream.close()
        assert ends.stream.fd == -1
        wait_until(lambda: is_closed(fd))

    def test_ends_the_connection(self, ends):
        fd = ends.stream.fd
        ends.stream.close()
        wait_until(lambda: is_closed(fd))
        try:
            assert ends.peer.recv(1) == b""
        except ssl.SSLEOFError:  # Not an orderly end: there has been no end_output.
            pass

    def test_a_second_time_does_nothing(self, ends):
        fd = ends.stream.fd
        ends.stream.close()
        wait_until(lambda: is_closed(fd))
        with socket.socket() as other:  # It may have got the same number.
            ends.stream.close()
            assert not is_closed(other.fileno())


class TestPlainStream:
    def test_raises_when_the_connection_has_broken(self):
        stream, peer = plain(tcp_sockets)
        reset(peer)
        wait_until(lambda: is_readable(stream))
        with pytest.raises(ConnectionResetError):
            read_now(stream)
        stream.close()

    def test_makes_the_descriptor_non_blocking(self):
        ours, peer = socket.socketpair()
        with peer:
            assert os.get_blocking(ours.fileno())
            stream = PlainStream(ours.detach())
            assert not os.get_blocking(stream.fd)
            stream.close()

    def test_has_nothing_buffered(self):
        stream, peer = plain(socket.socketpair)
        peer.sendall(b"data")
        assert not stream.has_buffered()
        stream.close()
        peer.close()


class TestTLSStream:
    def test_ends_or_raises_when_the_connection_has_broken(self, tls_ends):
        # To Python's ssl module, a reset is the same as an end without close_notify: it depends on the version.
        reset(tls_ends.peer)
        wait_until(lambda: is_readable(tls_ends.stream))
        try:
            assert read_now(tls_ends.stream) == b""
        except OSError:
            pass

    @pytest.mark.parametrize("gevents", [False, True])
    def test_tells_what_the_descriptor_does_not(self, gevents):
        server, peer = tls_sockets(gevents)
        peer.sendall(b"1234567890")
        assert server.recv(4) == b"1234"
        stream = TLSStream(server)
        assert not is_readable(stream)
        assert stream.has_buffered()
        assert read_now(stream) == b"567890"
        assert not stream.has_buffered()
        stream.close()
        peer.close()

    def test_wants_to_be_read_from_once(self, tls_ends):
        assert tls_ends.stream.has_buffered()
        assert read_now(tls_ends.stream) is None
        assert not tls_ends.stream.has_buffered()

    @pytest.mark.parametrize("gevents", [False, True])
    def test_tells_of_an_end_that_the_server_s_reader_has_met(self, gevents):
        server, peer = tls_sockets(gevents)
        reader = server.makefile("rb")
        end_output(peer)
        assert reader.peek() == b""
        stream = TLSStream(server, reader)
        assert not is_readable(stream)
        assert stream.has_buffered()
        assert read_now(stream) == b""
        stream.close()
        peer.close()

    @pytest.mark.parametrize("gevents", [False, True])
    def test_gives_up_what_it_holds_at_the_end_of_output(self, gevents):
        server, peer = tls_sockets(gevents)
        peer.sendall(b"1234567890")
        assert server.recv(4) == b"1234"
        stream = TLSStream(server)
        stream.end_output()
        assert read_now(stream) is None
        assert not stream.has_buffered()
        assert receive_to_the_end(peer) == b""
        peer.close()
        assert read(stream) == b""
        stream.close()

    def test_takes_nothing_for_data_that_comes_after_tls(self, tls_ends):
        end_output(tls_ends.peer)
        assert read(tls_ends.stream) == b""
        tls_ends.stream.end_output()
        socket.socket.sendall(tls_ends.peer, b"not encrypted")
        wait_until(lambda: is_readable(tls_ends.stream))
        assert read_now(tls_ends.stream) is None

    def test_hides_no_whole_record(self, tls_ends):
        for _ in range(20):
            tls_ends.peer.sendall(b"x" * 100)
        wait_until(lambda: is_readable(tls_ends.stream))
        count = 0
        while count < 2000:
            wait_until(lambda: tls_ends.stream.has_buffered() or is_readable(tls_ends.stream))
            count += len(read_now(tls_ends.stream) or b"")

    @pytest.mark.parametrize("gevents", [False, True])
    def test_lives_on_when_the_server_closes_its_socket(self, gevents):
        server, peer = tls_sockets(gevents)
        stream = TLSStream(server, server.makefile("rb"))
        server.close()
        gc.collect()
        peer.sendall(b"ping")
        assert read(stream) == b"ping"
        stream.write(out_buffer(b"pong"))
        assert peer.recv(100) == b"pong"
        stream.close()
        peer.close()

    @pytest.mark.parametrize("gevents", [False, True])
    def test_closes_although_others_refer_to_the_server_s_reader(self, gevents):
        server, peer = tls_sockets(gevents)
        reader = server.makefile("rb")
        stream = TLSStream(server, reader)
        server.close()
        fd = stream.fd
        stream.close()
        wait_until(lambda: is_closed(fd))
        assert reader.closed
        peer.close()


def end_output(peer: socket.socket) -> None:
    """Do as the peer what end_output does; with TLS, without a FIN."""
    if isinstance(peer, ssl.SSLSocket):
        peer.setblocking(False)
        with suppress(ssl.SSLWantReadError):
            peer.unwrap()
        peer.settimeout(PATIENCE)
    else:
        peer.shutdown(socket.SHUT_WR)


def reset(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def is_closed(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return True
    return False
