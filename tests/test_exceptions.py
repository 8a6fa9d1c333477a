"""What the exceptions say and carry."""

import pytest

from wsmiddleware.exceptions import ConnectionClosed, ConnectionUnavailable, WebSocketError
from wsmiddleware.protocol.close import Close, CloseCause, CloseEvent, close_event


@pytest.fixture
def event() -> CloseEvent:
    return close_event(
        CloseCause.CLIENT_LEFT,
        received=Close(1001, "bye"),
        sent=Close(1001),
        received_first=True,
        began=0.0,
        last_in=1.0,
        last_out=1.0,
        now=1.0,
    )


@pytest.mark.parametrize("exception", [ConnectionClosed, ConnectionUnavailable])
def test_all_can_be_caught_as_one(exception: type[Exception]) -> None:
    assert issubclass(exception, WebSocketError)
    assert WebSocketError.__bases__ == (Exception,)


def test_of_a_session_that_is_over_says_how_it_ended(event: CloseEvent) -> None:
    closed = ConnectionClosed(event)
    assert closed.event is event
    assert str(closed) == "the session is over: client_left, close code 1001, 'bye'"


def test_of_a_session_that_is_closing_has_no_event_yet() -> None:
    closed = ConnectionClosed(None)
    assert closed.event is None
    assert str(closed) == "the session is closing"


def test_an_unavailable_connection_is_diagnosed() -> None:
    unavailable = ConnectionUnavailable("waitress gives no connection away.")
    assert unavailable.diagnosis == str(unavailable) == "waitress gives no connection away."
