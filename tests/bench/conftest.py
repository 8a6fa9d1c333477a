"""Servers to measure: our middleware, and some that do what no server should."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Thread

import pytest

from tests.support.talk import echoing
from tests.support.wsgi import PATIENCE, Server, wait_until
from wsmiddleware import Endpoint, Hub, WebSocketMiddleware
from wsmiddleware.bench.target import ACCEPT

ACCEPTED = f"HTTP/1.1 101 Yes\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n".encode()


class EchoEndpoint(Endpoint):
    def on_message(self, session, message):
        session.send(message)


class FanOut(Endpoint):
    hub: Hub

    def on_open(self, session):
        self.hub.join(session, "all")

    def on_message(self, session, message):
        self.hub.publish("all", message)


def application() -> WebSocketMiddleware:
    """Return a middleware with /echo (a function), /servlet (an endpoint) and /fanout; /shared, /dedicated and their
    /fanout are endpoints with compression."""
    app = echoing()
    app.register("/servlet", EchoEndpoint)
    app.register("/fanout", type("Room", (FanOut,), {"hub": Hub()}))
    for contexts in ("shared", "dedicated"):
        app.register(f"/{contexts}", EchoEndpoint, compression=contexts)
        app.register(f"/{contexts}/fanout", type("Room", (FanOut,), {"hub": Hub()}), compression=contexts)
    return app


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(application()) as server:
        yield server


@pytest.fixture(scope="module")
def tls_server() -> Iterator[Server]:
    with Server(application(), tls=True) as server:
        yield server


class Rogue:
    """A server on sockets: *script* gets each connection, in a thread of its own, and has it to itself."""

    def __init__(self, script: Callable[[socket.socket], object]) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}/"
        self._threads: list[Thread] = []
        self._accepting = Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        wait_until(lambda: not any(thread.is_alive() for thread in [self._accepting, *self._threads]))

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock = self._listener.accept()[0]
                sock.settimeout(PATIENCE)
                self._threads.append(Thread(target=self._serve, args=(sock,), daemon=True))
                self._threads[-1].start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, suppress(OSError):
            self._script(sock)


@pytest.fixture
def rogue() -> Iterator[Callable[[Callable[[socket.socket], object]], Rogue]]:
    """Return what starts a server with a script."""
    running: list[Rogue] = []

    def start(script: Callable[[socket.socket], object]) -> Rogue:
        running.append(Rogue(script))
        return running[-1]

    yield start
    for server in running:
        server.stop()


def accept(sock: socket.socket) -> None:
    """Read a handshake and accept it."""
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        request += sock.recv(4096)
    sock.sendall(ACCEPTED)


def read_to_the_end(sock: socket.socket) -> None:
    while sock.recv(65536):
        pass


def answering(*frames: bytes) -> Callable[[socket.socket], None]:
    """Return a script that accepts, and answers the first message with *frames*."""

    def script(sock: socket.socket) -> None:
        accept(sock)
        sock.recv(65536)
        sock.sendall(b"".join(frames))
        read_to_the_end(sock)

    return script
