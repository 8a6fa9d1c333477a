"""The targets, and the process that serves one."""

from __future__ import annotations

import json
import select
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

PROGRAM = Path(__file__).with_name("echo_server.py")

STYLES = ("servlet", "blocking")

PATIENCE = 30.0
"""Seconds that a server has to listen."""

LAST_WORDS = 5.0
"""Seconds that a server has to end when it is asked to."""


class ServerFailed(Exception):
    """A server has not started, or has ended. The text tells which, and what it has said."""


@dataclass(frozen=True)
class Target:
    """What is tested: a build, in one style, over one transport."""

    build: str
    """ "pure" or "compiled"."""
    style: str
    """One of STYLES."""
    tls: bool
    python: Path
    """The interpreter in which that build is installed."""

    @property
    def transport(self) -> str:
        """What the messages go over."""
        return "TLS" if self.tls else "plain"

    @property
    def compression(self) -> str:
        """The route's option: each of the two is tested with all builds and styles, for it has no part in TLS."""
        return "shared" if self.tls else "dedicated"

    @property
    def agent(self) -> str:
        """The name in reports of wstest, which uses small letters only in the names of its files."""
        return f"{self.build} {self.style} {self.transport.lower()}"


def targets(builds: Mapping[str, Path]) -> list[Target]:
    """Return all targets of builds; the values are the interpreters that have them."""
    return [
        Target(build, style, tls, python)
        for build, python in builds.items()
        for tls in (False, True)
        for style in STYLES
    ]


class Server:
    """The server of a target, in a process of its own: ``with Server(target, log) as server``."""

    def __init__(self, target: Target, log: Path) -> None:
        """What it writes to stderr goes to the file *log*.

        Raises ServerFailed if it does not start, FileNotFoundError if there is no such interpreter.
        """
        self.target = target
        self._log = log
        command: list[str | Path] = [target.python, PROGRAM, "--build", target.build, "--style", target.style]
        command += ["--compression", target.compression, *(["--tls"] if target.tls else [])]
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, text=True
            )
        line = self._first_line()
        if not line:
            status = self.stop()
            raise ServerFailed(
                f"expected the server of {target.agent} to listen, found that it has ended or is silent "
                f"(status {status}): {self.complaints() or 'it has said nothing'}"
            )
        told: dict[str, Any] = json.loads(line)
        self.versions: dict[str, str] = told["versions"]
        """Of Python and of what is installed there."""
        self.url = f"{'wss' if target.tls else 'ws'}://127.0.0.1:{told['port']}/echo"

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def complaints(self) -> str:
        """Return what it has written to stderr so far: nothing, unless something is wrong."""
        return self._log.read_text(encoding="utf-8", errors="replace").strip()

    def stop(self) -> int:
        """End it, unless it has ended; return its status, which is -SIGTERM for one that has run until now."""
        self._process.terminate()
        try:
            status = self._process.wait(LAST_WORDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        return status

    def _first_line(self) -> str:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], PATIENCE)[0]:
            return ""
        return self._process.stdout.readline()
