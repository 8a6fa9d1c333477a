"""A loop on the test's own gevent hub, and sessions on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest

from tests.support.logs import logged
from tests.support.loop import Recorder, Service, open_sockets
from wsmiddleware.loop.loop import Loop
from wsmiddleware.loop.poller import EpollPoller


@pytest.fixture
def loop(request, monkeypatch) -> Iterator[Loop]:
    """A loop; its poller is epoll, or what ``both_pollers`` says. Nothing may be raised into the hub."""
    hub = gevent.get_hub()
    errors: list[Any] = []
    monkeypatch.setattr(hub, "handle_error", lambda *error: errors.append(error))
    loop = Loop(hub, getattr(request, "param", EpollPoller))
    yield loop
    loop.close()
    assert errors == []


@pytest.fixture
def serve(loop, caplog) -> Iterator[Service]:
    """Begins sessions. At the end of the test, none and nothing of them may be left."""
    before = open_sockets()
    service = Service(loop)
    yield service
    service.clean_up()
    assert open_sockets() == before
    assert not [message for message in logged(caplog) if "unexpected error" in message]


@pytest.fixture(params=["callbacks", "conversation"])
def style(request) -> Callable[[Recorder], Any]:
    """Makes an endpoint of a Recorder, in each style."""
    return {"callbacks": lambda recorder: recorder, "conversation": lambda recorder: recorder.talk}[request.param]
