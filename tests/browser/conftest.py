"""A real browser, a real chat process, and a wire between them that can be cut."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.process import ChatProcess
from tests.browser.wire import Wire

FIND = Path(__file__).parents[2] / "tools" / "browser"

ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]


@pytest.fixture(scope="session")
def browser_path() -> str:
    """The browser's executable. Without one, tests are skipped; but in CI, where nothing may skip, they fail."""
    found = subprocess.run([FIND, "--find"], text=True, stdout=subprocess.PIPE)
    if found.returncode == 0:
        return found.stdout.strip()
    problem = "no browser: expected Chromium or Chrome, found none. tools/browser installs one, or says what is missing"
    if os.environ.get("CI"):
        pytest.fail(problem)
    pytest.skip(problem)


@pytest.fixture
def chat() -> Iterator[ChatProcess]:
    process = ChatProcess()
    yield process
    process.stop()


@pytest.fixture
def wire(chat: ChatProcess) -> Iterator[Wire]:
    relay = Wire(chat.port)
    yield relay
    relay.close()
