"""How sessions end: every end is told once, last, and as what it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

import gevent
import pytest

from tests.support.loop import NO_CODE, SMALL, Recorder, Served, both_pollers, packets
from tests.support.wire import client_frame, frame
from tests.support.wsgi import in_thread, wait_until
from wsmiddleware.loop.settings import Settings
from wsmiddleware.protocol.close import Close, CloseCause
from wsmiddleware.protocol.errors import FramingError, InvalidText, MessageTooBig

CLIENT, SERVER, NETWORK = "client", "server", "network"


@dataclass(frozen=True)
class End:
    """An end: what makes a session come to it, and what its event says then."""

    name: str
    act: Callable[[Served], object]
    cause: CloseCause
    initiator: str
    received: Close | None = None
    sent: Close | None = None
    received_first: bool | None = None
    error: type[BaseException] | None = None
    settings: Settings = Settings()
    waits: float = 0
    """Seconds that it takes at least."""

    def __str__(self) -> str:
        return self.name


def answered(served: Served) -> None:
    """Wait for the server's close frame, and answer it."""
    wait_until(lambda: isinstance(served.peer.event(), Close))


def close_by_server(served: Served) -> None:
    served.session.close(4000, "done")
    answered(served)


def close_by_greenlet(served: Served) -> None:
    gevent.spawn(served.session.close, 4000, "done").get()
    answered(served)


def close_by_thread(served: Served) -> None:
    in_thread(served.session.close, 4000, "done")()
    answered(served)


def close_without_answer(served: Served) -> None:
    served.session.close(4000, "done")
    assert served.peer.raw_rest() == frame(0x8, b"\x0f\xa0done")


def close_answered_by_the_end(served: Served) -> None:
    served.session.close(4000, "done")
    served.peer.end_output()


def close_at_once(served: Served) -> None:
    """Both send a close frame before they can know of the other's."""
    served.session.close(4000, "done")
    served.peer.start_close(4001, "me too")
    assert served.peer.event() == Close(4000, "done")


def close_without_code(served: Served) -> None:
    served.session.close(1005)
    answered(served)


def shut_down(served: Served) -> None:
    served.channel.close(1012, "", CloseCause.SERVER_SHUTDOWN)
    answered(served)


def say_nothing_for_long(served: Served) -> None:
    """As if time had passed: a real timeout that is brief may pass before the messages that tests send first."""
    served.channel.on_time(monotonic() + 60)
    answered(served)


def offer_too_much(served: Served) -> None:
    for _ in range(100_000):  # How much a system takes, it decides anew for each connection.
        served.session.offer(frame(0x2, bytes(SMALL)))
        if served.session.close_event is not None:
            return


BRIEF = 0.05
SHORT = Settings(close_timeout=BRIEF)

ENDS = [
    End(
        "the client closes",
        lambda served: served.peer.start_close(1000, "bye"),
        CloseCause.CLIENT_CLOSED,
        CLIENT,
        received=Close(1000, "bye"),
        sent=Close(1000),
        received_first=True,
    ),
    End(
        "the client closes with a code of its own",
        lambda served: served.peer.start_close(4711, "\N{SNOWMAN}"),
        CloseCause.CLIENT_CLOSED,
        CLIENT,
        received=Close(4711, "\N{SNOWMAN}"),
        sent=Close(4711),
        received_first=True,
    ),
    End(
        "the client leaves the page",
        lambda served: served.peer.start_close(1001),
        CloseCause.CLIENT_LEFT,
        CLIENT,
        received=Close(1001),
        sent=Close(1001),
        received_first=True,
    ),
    End(
        "the client closes without a code",
        lambda served: served.peer.start_close(1005),
        CloseCause.CLIENT_CLOSED,
        CLIENT,
        received=NO_CODE,
        sent=NO_CODE,
        received_first=True,
    ),
    End(
        "the client leaves the page and is gone",
        lambda served: (served.peer.start_close(1001), served.peer.reset()),
        CloseCause.CLIENT_LEFT,
        CLIENT,
        received=Close(1001),
        sent=Close(1001),
        received_first=True,
    ),
    End(
        "the client leaves the page while it is being written to",
        lambda served: (served.peer.start_close(1001), served.peer.reset(), served.session.send("late")),
        CloseCause.CLIENT_LEFT,
        CLIENT,
        received=Close(1001),
        sent=Close(1001),
        received_first=True,
    ),
    End("the stream ends", lambda served: served.peer.leave(), CloseCause.NETWORK_LOST, NETWORK),
    End("the stream ends in one direction", lambda served: served.peer.end_output(), CloseCause.NETWORK_LOST, NETWORK),
    End(
        "the stream ends in a frame",
        lambda served: (served.peer.write(client_frame(0x1, b"hello")[:-2]), served.peer.end_output()),
        CloseCause.NETWORK_LOST,
        NETWORK,
    ),
    End(
        "the connection is reset",
        lambda served: served.peer.reset(),
        CloseCause.NETWORK_LOST,
        NETWORK,
        error=ConnectionResetError,
    ),
    End(
        "the client breaks a rule",
        lambda served: served.peer.write(frame(0x1, b"not masked")),
        CloseCause.PROTOCOL_ERROR,
        SERVER,
        sent=Close(1002, "expected a client's frame to be masked, found one that is not"),
        received_first=False,
        error=FramingError,
    ),
    End(
        "the client sends a close frame of one byte",
        lambda served: served.peer.write(client_frame(0x8, b"\x03")),
        CloseCause.PROTOCOL_ERROR,
        SERVER,
        sent=Close(1002, "expected a close frame with a code of two bytes or with nothing, found one byte"),
        received_first=False,
        error=FramingError,
    ),
    End(
        "the client sends text that is none",
        lambda served: served.peer.write(client_frame(0x1, b"\xff")),
        CloseCause.PROTOCOL_ERROR,
        SERVER,
        sent=Close(1007, "expected a text message to be UTF-8, found something else"),
        received_first=False,
        error=InvalidText,
    ),
    End(
        "the client sends too much",
        lambda served: served.peer.write(client_frame(0x2, bytes(101))),
        CloseCause.MESSAGE_TOO_BIG,
        SERVER,
        sent=Close(1009, "expected a message of at most 100 bytes, found a longer one"),
        received_first=False,
        error=MessageTooBig,
        settings=Settings(max_message_size=100),
    ),
    End(
        "the server closes",
        close_by_server,
        CloseCause.SERVER_CLOSED,
        SERVER,
        received=Close(4000),
        sent=Close(4000, "done"),
        received_first=False,
    ),
    End(
        "another greenlet closes",
        close_by_greenlet,
        CloseCause.SERVER_CLOSED,
        SERVER,
        received=Close(4000),
        sent=Close(4000, "done"),
        received_first=False,
    ),
    End(
        "another thread closes",
        close_by_thread,
        CloseCause.SERVER_CLOSED,
        SERVER,
        received=Close(4000),
        sent=Close(4000, "done"),
        received_first=False,
    ),
    End(
        "the server closes without a code",
        close_without_code,
        CloseCause.SERVER_CLOSED,
        SERVER,
        received=NO_CODE,
        sent=NO_CODE,
        received_first=False,
    ),
    End(
        "the server closes and the client does not answer",
        close_without_answer,
        CloseCause.SERVER_CLOSED,
        SERVER,
        sent=Close(4000, "done"),
        received_first=False,
        settings=SHORT,
        waits=BRIEF,
    ),
    End(
        "the server closes and the stream ends",
        close_answered_by_the_end,
        CloseCause.SERVER_CLOSED,
        SERVER,
        sent=Close(4000, "done"),
        received_first=False,
    ),
    End(
        "both close at once",
        close_at_once,
        CloseCause.SERVER_CLOSED,
        SERVER,
        received=Close(4001, "me too"),
        sent=Close(4000, "done"),
        received_first=False,
    ),
    End(
        "the middleware is stopped",
        shut_down,
        CloseCause.SERVER_SHUTDOWN,
        SERVER,
        received=Close(1012),
        sent=Close(1012),
        received_first=False,
    ),
    End(
        "nobody says anything",
        say_nothing_for_long,
        CloseCause.IDLE_TIMEOUT,
        SERVER,
        received=Close(1001),
        sent=Close(1001, "idle for too long"),
        received_first=False,
        settings=Settings(idle_timeout=30),
    ),
    End(
        "the client does not read",
        offer_too_much,
        CloseCause.SLOW_CONSUMER,
        SERVER,
        sent=Close(1013),
        received_first=False,
        settings=Settings(send_queue=SMALL, close_timeout=BRIEF),
    ),
]


@both_pollers
@pytest.mark.parametrize("how", ENDS, ids=str)
def test_every_end_is_told_once_and_as_what_it_was(serve, style, how, caplog):
    recorder = Recorder()
    begin = monotonic()
    served = serve(style(recorder), how.settings)
    served.session.add_end_callback(lambda: recorder.calls.append(("hub", served.session.close_event)))
    served.peer.send("hello", b"\x00")
    wait_until(lambda: len(recorder.calls) == 3)
    how.act(served)
    event = recorder.event
    took = monotonic() - begin
    calls = [("open",), ("message", "hello"), ("message", b"\x00"), ("hub", event), ("close", event)]
    assert recorder.calls == calls
    assert served.session.close_event is event

    assert event.cause is how.cause
    assert event.initiator == how.initiator
    assert event.received == how.received
    assert (event.sent and event.sent.code) == (how.sent and how.sent.code)
    if event.cause is not CloseCause.SLOW_CONSUMER:  # Its reason has numbers in it.
        assert event.sent == how.sent
    assert event.received_first is how.received_first
    assert event.clean is (how.received is not None and how.sent is not None)
    first = event.received if event.received_first else event.sent
    assert (event.code, event.reason) == (first or Close(1006))
    assert type(event.error) is (how.error or type(None))
    assert event.suspected is None

    assert 0 <= event.silent_in <= event.duration <= took
    assert 0 <= event.silent_out <= event.duration
    assert event.duration >= how.waits

    served.leave()
    gevent.sleep(0)
    assert recorder.calls == calls
    assert served.done == [served.channel]
    assert served.session.close_event is event
    assert caplog.records == []  # No end is an error of the application.


@pytest.mark.parametrize("how", ENDS, ids=str)
def test_while_the_endpoint_is_busy_it_is_told_afterwards(serve, style, how):
    def block(session, message):
        if message == "block":
            go_on.wait()

    go_on = gevent.event.Event()
    recorder = Recorder(on_message=block)
    served = serve(style(recorder), how.settings)
    served.peer.send("block")
    wait_until(lambda: len(recorder.calls) == 2)
    how.act(served)
    event = served.event
    assert event.cause is how.cause
    served.peer.leave()
    served.wait_closed()
    assert recorder.calls == [("open",), ("message", "block")]
    assert served.done == []
    go_on.set()
    served.wait()
    assert recorder.calls == [("open",), ("message", "block"), ("close", event)]
    assert recorder.returned == 3


@pytest.mark.parametrize("how", ENDS, ids=str)
def test_before_on_open_has_run_it_comes_after_it(serve, style, how):
    recorder = Recorder()
    served = serve(style(recorder), how.settings)
    how.act(served)
    event = recorder.event
    assert recorder.calls == [("open",), ("close", event)]
    assert event.cause is how.cause
    served.leave()


def test_callbacks_of_hubs_are_called_in_order_and_at_once_if_it_is_over(serve, style):
    recorder = Recorder()
    served = serve(style(recorder))
    for name in "ab":
        served.session.add_end_callback(lambda name=name: recorder.calls.append((name,)))
    served.peer.start_close()
    event = recorder.event
    assert recorder.calls == [("open",), ("a",), ("b",), ("close", event)]
    served.session.add_end_callback(lambda: recorder.calls.append(("late",)))
    assert recorder.calls[-1] == ("late",)


def test_an_error_in_a_hubs_callback_is_logged_and_harms_nobody(serve, style, caplog):
    recorder = Recorder()
    served = serve(style(recorder))
    served.session.add_end_callback(lambda: 1 / 0)
    served.session.add_end_callback(lambda: recorder.calls.append(("second",)))
    served.peer.start_close()
    assert recorder.event.cause is CloseCause.CLIENT_CLOSED
    assert ("second",) in recorder.calls
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "error in a callback at the end of a session" in caplog.text


def test_what_has_been_sent_before_the_client_ended_its_side_is_written(serve):
    recorder = Recorder()
    served = serve(recorder, connect=packets)
    wait_until(lambda: recorder.calls)
    served.peer.end_output()
    served.channel.loop.schedule(served.channel)  # Somebody has asked for a turn, so the end is read before the flush.
    served.session.send("last")
    assert served.peer.raw_rest() == frame(0x1, b"last")
