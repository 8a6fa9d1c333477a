"""A middleware around an application that remembers, and clients of both."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.joined import Client, Legacy, joining
from wsmiddleware import WebSocketMiddleware


@pytest.fixture
def legacy() -> Legacy:
    return Legacy()


@pytest.fixture
def app(legacy: Legacy) -> WebSocketMiddleware:
    return WebSocketMiddleware(legacy)


@pytest.fixture
def join(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Client]]:
    """Makes clients whose requests come with a connection; they are closed at the end."""
    with joining(monkeypatch) as join:
        yield join
