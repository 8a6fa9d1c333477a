"""The chat as a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from threading import Timer

PATIENCE = 20.0
"""Seconds until a test gives up waiting for a process."""


class ChatProcess:
    """``python -m demo_flask``, which can be stopped and started again on the same port."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "demo_flask", "--port", str(self.port)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        too_late = Timer(PATIENCE, self._process.kill)
        too_late.start()
        line = self._process.stdout.readline()
        too_late.cancel()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
        if found is None:
            self._end()
            raise AssertionError(f"expected the chat to print its URL, found {line!r} (see its stderr)")
        self.port = int(found[1])

    def stop(self) -> int:
        """Send SIGTERM and return the exit status."""
        assert self._process is not None
        self._process.terminate()
        try:
            return self._process.wait(PATIENCE)
        finally:
            self._end()

    def _end(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
