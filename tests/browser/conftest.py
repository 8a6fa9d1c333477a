"""A real browser, a real chat process, and a wire between them that can be cut."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.browser.process import ChatProcess
from tests.browser.wire import Wire

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

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
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    problem = f"no browser: expected one of {', '.join(BROWSERS)} on the PATH, found none. Please install Chromium."
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
