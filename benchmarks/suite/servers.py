"""The servers: which there are, and how one is started, watched and stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, TracebackType

from suite.cells import Cell, Kind
from suite.machine import CAN_PIN, SERVER_CPU, is_listening
from suite.peers import BENCHMARKS

PATIENCE = 15.0
"""Seconds that a server has to listen."""

LAST_WORDS = 1.0
"""Seconds that a server has to end after it has complained."""

STYLES: Mapping[str, str] = MappingProxyType({"servlet": "/echo", "blocking": "/echo/blocking"})
"""The paths of our servers."""

PEERS: Mapping[str, frozenset[Kind]] = MappingProxyType(
    {
        name: frozenset({Kind.ECHO, Kind.TEXT, Kind.IDLE, Kind.CHURN, *more})
        for name, more in {
            "picows": (Kind.FANOUT,),
            "websockets": (Kind.FANOUT, Kind.DEFLATE),
            "aiohttp": (Kind.FANOUT, Kind.TLS, Kind.DEFLATE),
            "gevent_websocket": (Kind.FANOUT,),
            "flask_sock": (),
            "socketify": (Kind.FANOUT,),
        }.items()
    }
)
"""The peers, each a file in peers/, and what they are measured with."""

TITLES: Mapping[str, str] = MappingProxyType(
    {
        "picows": "picows + uvloop",
        "websockets": "websockets + uvloop",
        "aiohttp": "aiohttp + uvloop",
        "gevent_websocket": "gevent-websocket",
        "flask_sock": "flask-sock",
        "socketify": "socketify (uWebSockets)",
    }
)

DEFLATE_OPTIONS: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "websockets": {"": ("--deflate",)},
        "aiohttp": {", its level 1": ("--deflate", "1"), ", our level 6": ("--deflate", "6")},
    }
)
"""What switches compression on, by what is put behind the title. aiohttp has the level 1 and no option for another."""

FLOOR = "C floor (no WebSocket)"


class ServerFailed(Exception):
    """A server has ended, or has complained. The text is the last line of what it has said."""


@dataclass(frozen=True)
class Server:
    """A server to be started."""

    name: str
    command: tuple[str, ...]
    """The port is put behind it, and *options* behind that."""
    path: str = "/"
    options: tuple[str, ...] = ()
    style: str = ""
    """Of ours only: a key of STYLES."""
    is_floor: bool = False
    environ: Mapping[str, str] = field(default_factory=dict)
    """Variables to add."""


def ours(cell: Cell, build: str, certificate: tuple[Path, Path] | None, folder: Path | None = None) -> list[Server]:
    """Return our servers, in both styles. *build* says which it is; *folder* is where it is if it is not installed."""
    script = "fanout_server.py" if cell.kind is Kind.FANOUT else "echo_server.py"
    options: tuple[str, ...] = ()
    if certificate is not None:
        options = ("--certfile", str(certificate[0]), "--keyfile", str(certificate[1]))
    if cell.deflate is not None:
        options += ("--compression", cell.deflate)
    return [
        Server(
            name=f"**wsmiddleware, {style}** ({build})",
            command=(sys.executable, str(BENCHMARKS / script)),
            path=path,
            options=options,
            style=style,
            environ={"PYTHONPATH": str(folder)} if folder else {},
        )
        for style, path in STYLES.items()
    ]


def peer(name: str, cell: Cell, python: Path, certificate: tuple[Path, Path] | None) -> list[Server]:
    """Return a peer, once for each way in which it is measured; *python* is the interpreter that has it.

    The contexts that it compresses with are those that the client asks for.
    """
    ways = {"": tuple(map(str, certificate or ()))} if cell.deflate is None else DEFLATE_OPTIONS[name]
    return [
        Server(
            name=TITLES[name] + way,
            command=(str(python), str(BENCHMARKS / "peers" / f"{name}_server.py")),
            path="/fanout" if cell.kind is Kind.FANOUT else "/echo",
            options=options,
        )
        for way, options in ways.items()
    ]


class Running:
    """A server that runs: ``with Running(server) as running``. It has a process group of its own, and CPU 0."""

    def __init__(self, server: Server) -> None:
        """Raises ServerFailed if it does not listen."""
        self.port = _free_port()
        self._said = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [*server.command, str(self.port), *server.options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
            start_new_session=True,
            env={**os.environ, **server.environ},
            preexec_fn=(lambda: os.sched_setaffinity(0, {SERVER_CPU})) if CAN_PIN else None,
        )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    @property
    def group(self) -> int:
        """The process group."""
        return self._process.pid

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def check(self) -> None:
        """Raise ServerFailed if it has ended or has complained."""
        status, lines = self._process.poll(), self._lines()
        if lines and status is None:
            # It may be about to end, and not have said all yet.
            with suppress(subprocess.TimeoutExpired):
                status = self._process.wait(LAST_WORDS)
            lines = self._lines()
        if status is not None:
            raise ServerFailed(f"it ended with status {status}: {lines[-1] if lines else 'without a word'}")
        if lines:
            raise ServerFailed(f"it said: {lines[-1]}")

    def stop(self) -> None:
        """End all of it."""
        with suppress(ProcessLookupError):
            os.killpg(self.group, signal.SIGKILL)
        self._process.wait()
        self._said.close()

    def _lines(self) -> list[str]:
        """Return what it has said so far."""
        self._said.seek(0)
        return self._said.read().decode(errors="replace").strip().splitlines()

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not is_listening(self.port):
            self.check()
            if time.monotonic() > deadline:
                raise ServerFailed(f"it does not listen after {PATIENCE:g} seconds")
            time.sleep(0.02)
        time.sleep(0.2)  # Some are not through with starting.


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
