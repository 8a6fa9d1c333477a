"""Before compression is measured: does every message come back as it was sent? The load itself never looks inside."""

from __future__ import annotations

import os
import socket

from wsmiddleware.bench.connection import Owner
from wsmiddleware.bench.errors import BenchError, ReplyError, broken, closed, nobody_there
from wsmiddleware.bench.offer import Offer
from wsmiddleware.bench.target import answer_size
from wsmiddleware.protocol.close import Close, CloseCode
from wsmiddleware.protocol.connection import Connection, Failed, Ping, Pong

_READ = 64 * 1024
"""Bytes at once."""


def check_echo(owner: Owner, offer: Offer, messages: list[bytes], text: bool, patience: float) -> None:
    """Send all *messages*, the owner's bursts of one, one after the other, and inflate and compare what comes back.

    On a connection of its own; *text* says what kind of messages it has to be. Raises BenchError, also after *patience*
    seconds without an answer.
    """
    try:
        with _connected(owner, patience) as sock:
            _check(_Talk(sock, owner.request, offer, max(map(len, messages))), owner, messages, text)
    except TimeoutError:
        raise BenchError(
            f"expected each message to come back within {patience:g} seconds, found one that did not. Does this path "
            "send back what it gets?"
        ) from None
    except OSError as error:
        raise BenchError(broken(error)) from None
    except ReplyError as error:
        raise BenchError(str(error)) from None


def _connected(owner: Owner, patience: float) -> socket.socket:
    sock = socket.socket(owner.family, socket.SOCK_STREAM)
    try:
        sock.settimeout(patience)
        try:
            sock.connect(owner.address)
        except OSError as error:
            raise BenchError(nobody_there(owner.address, error)) from None
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return owner.context.wrap_socket(sock, server_hostname=owner.host) if owner.context else sock
    except BaseException:
        sock.close()
        raise


def _check(talk: _Talk, owner: Owner, messages: list[bytes], text: bool) -> None:
    for number, message in enumerate(messages):
        talk.send(owner.bursts.of(number, 1).data)
        found = talk.next_message()
        if found != (message.decode() if text else message):
            raise BenchError(
                f"expected message {number} to come back as it was sent, a {'str' if text else 'bytes'} of "
                f"{len(message)} bytes, found another. Does this path send back what it gets?"
            )
    talk.close()


class _Talk:
    """A connection that waits for what comes."""

    def __init__(self, sock: socket.socket, request: bytes, offer: Offer, size: int) -> None:
        """Shake hands. *size* is the largest message's."""
        self._sock = sock
        self._connection = Connection(
            max_message_size=size, new_mask=lambda: os.urandom(4), deflate=offer.deflate()
        )
        sock.sendall(request)
        answer = b""
        while not (end := answer_size(answer)):
            received = sock.recv(_READ)
            if not received:
                answer_size(answer, ended=True)
            answer += received
        offer.expect_accepted(answer[:end])
        self._connection.receive(answer[end:])

    def send(self, frame: bytes) -> None:
        self._sock.sendall(frame)

    def next_message(self) -> str | bytes:
        """Wait for a message."""
        while True:
            event = self._connection.next_event()
            if isinstance(event, (str, bytes)):
                return event
            if isinstance(event, Ping):
                self._connection.pong(event.data)
            elif isinstance(event, Failed):
                raise ReplyError(str(event.error))
            elif isinstance(event, Close):
                raise ReplyError(closed(event))
            elif not isinstance(event, Pong):
                self._receive()

    def close(self) -> None:
        """Close it, as a client should."""
        self._connection.close(CloseCode.NORMAL)
        self._flush()
        while not isinstance(self._connection.next_event(), (Close, Failed)):
            self._receive()

    def _receive(self) -> None:
        self._flush()
        data = self._sock.recv(_READ)
        if not data:
            raise ReplyError("expected a close frame before the connection ends, found none")
        self._connection.receive(data)

    def _flush(self) -> None:
        out = self._connection.out
        self._sock.sendall(bytes(out))
        out.consume(out.size())
