"""Endpoints that do what they may, but should not: end others, end the process, send from everywhere."""

from __future__ import annotations

import subprocess
import sys

import gevent
import gevent.event
import pytest
from gevent import GreenletExit

from tests.support.loop import Message, Recorder, both_pollers, echo, narrow
from tests.support.wire import client_frame
from tests.support.wsgi import in_thread, wait_until
from wsmiddleware.loop.settings import Settings
from wsmiddleware.protocol.close import Close, CloseCause
from wsmiddleware.session import Session


class TestClosingAnother:
    @both_pollers
    def test_that_is_ready_in_the_same_round_lets_it_receive_nothing(self, serve, style):
        def close_others(session: Session, message: Message) -> None:
            for one in served:
                if one.session is not session:
                    one.session.close(4000, "by another")

        recorders = [Recorder(on_message=close_others) for _ in range(6)]
        served = [serve(style(recorder), Settings(close_timeout=60)) for recorder in recorders]
        wait_until(lambda: all(recorder.calls for recorder in recorders))
        for one in served:  # All of this arrives before the loop's next turn.
            one.peer.send("first", "second")
        wait_until(lambda: any(recorder.messages for recorder in recorders))
        # Who is the first is the system's choice.
        (closer,) = (number for number, recorder in enumerate(recorders) if recorder.messages)
        assert recorders[closer].messages == ["first", "second"]
        others = [number for number in range(6) if number != closer]
        assert [served[number].peer.event() for number in others] == [Close(4000, "by another")] * 5
        assert [recorders[number].event.cause for number in others] == [CloseCause.SERVER_CLOSED] * 5
        assert [recorders[number].messages for number in others] == [[]] * 5
        assert served[closer].session.close_event is None

    @both_pollers
    @pytest.mark.parametrize("waiting", [(), ("waits",), tuple("abcdefgh")], ids=len)
    def test_that_is_blocked_lets_it_end_its_call_and_receive_no_more(self, serve, style, waiting):
        go_on = gevent.event.Event()
        blocked_recorder = Recorder(on_message=lambda *_: go_on.wait())
        blocked = serve(style(blocked_recorder), Settings(receive_queue=2, close_timeout=60))
        closer = serve(style(Recorder(on_message=lambda *_: blocked.session.close(4000))))
        blocked.peer.send("block", *waiting)
        wait_until(lambda: blocked_recorder.messages)
        closer.peer.send("close it")
        assert blocked.peer.event() == Close(4000)
        assert blocked.event.clean
        go_on.set()
        assert blocked_recorder.event.cause is CloseCause.SERVER_CLOSED
        assert blocked_recorder.messages == ["block"]

    def test_whose_endpoint_waits_in_send_lets_it_go(self, serve, style):
        def flood(session: Session, message: Message) -> None:
            while True:
                session.send(bytes(4096))

        recorder = Recorder(on_message=flood)
        blocked = serve(recorder, Settings(send_queue=8192, close_timeout=0.05), connect=narrow)
        closer = serve(style(Recorder(on_message=lambda *_: blocked.session.close(4000))))
        blocked.peer.send("flood")
        wait_until(lambda: blocked.session.buffered >= 8192)
        closer.peer.send("close it")
        assert recorder.event.cause is CloseCause.SERVER_CLOSED
        assert recorder.event.error is None

    def test_and_itself_twice_counts_once(self, serve, style):
        def close_both(session: Session, message: Message) -> None:
            for code in (4001, 4002):
                other.session.close(code)
                session.close(code)

        recorders = [Recorder(on_message=close_both), Recorder()]
        served, other = (serve(style(recorder)) for recorder in recorders)
        served.peer.send("close", "not received")
        assert served.peer.rest() == other.peer.rest() == [Close(4001)]
        assert [recorder.event.code for recorder in recorders] == [4001, 4001]
        assert recorders[0].messages == ["close"]

    def test_from_on_close_may_go_round_in_a_circle(self, serve, style):
        def close_the_next(session: Session, event: object) -> None:
            number = next(number for number, one in enumerate(served) if one.session is session)
            served[(number + 1) % len(served)].session.close(4000)

        recorders = [Recorder(on_close=close_the_next) for _ in range(5)]
        served = [serve(style(recorder), Settings(close_timeout=60)) for recorder in recorders]
        for one in served:
            one.peer.send("message")
        served[2].peer.leave()
        for number in (3, 4, 0, 1):
            assert served[number].peer.rest() == [Close(4000)]
        causes = [recorder.event.cause for recorder in recorders]
        assert causes == [*[CloseCause.SERVER_CLOSED] * 2, CloseCause.NETWORK_LOST, *[CloseCause.SERVER_CLOSED] * 2]


class TestClosingInTheMiddleOfABatch:
    @pytest.mark.parametrize("queue", [1, 16])
    @pytest.mark.parametrize("behind", [b"", client_frame(0x9, b"?")], ids=["nothing", "ping"])
    def test_is_the_end_of_the_messages_behind_it(self, serve, style, queue, behind):
        def close(session: Session, message: Message) -> None:
            if message == "b":
                session.close(4000)

        recorder = Recorder(on_message=close)
        served = serve(style(recorder), Settings(receive_queue=queue, close_timeout=60))
        wait_until(lambda: recorder.calls)
        served.peer.write(served.peer.frames(*"abcd") + behind)
        wait_until(lambda: recorder.messages)
        served.peer.leave()
        assert recorder.event
        assert recorder.messages == ["a", "b"]


class TestSendingFromElsewhere:
    @pytest.mark.parametrize("run", [gevent.spawn, in_thread], ids=["greenlet", "thread"])
    def test_while_the_endpoint_waits_for_it(self, serve, style, run):
        def ask(session: Session, message: Message) -> None:
            sending = run(session.send, f"{message} from elsewhere")
            sending.get() if isinstance(sending, gevent.Greenlet) else sending()
            session.send(f"{message} from the endpoint")

        served = serve(style(Recorder(on_message=ask)))
        served.peer.send("a", "b")
        assert served.peer.events(4) == [
            f"{message} from {where}" for message in "ab" for where in ("elsewhere", "the endpoint")
        ]

    @pytest.mark.parametrize("run", [gevent.spawn, in_thread], ids=["greenlet", "thread"])
    def test_and_closing_while_the_endpoint_goes_on(self, serve, style, run):
        def hand_over(session: Session, message: Message) -> None:
            run(lambda: (session.send("last words"), session.close(4000)))

        recorder = Recorder(on_message=hand_over)
        served = serve(style(recorder))
        served.peer.send("go")
        assert served.peer.rest() == ["last words", Close(4000)]
        assert recorder.event.cause is CloseCause.SERVER_CLOSED


class TestRaising:
    @pytest.mark.parametrize("name", ["on_open", "on_message"])
    def test_what_kills_greenlets_is_an_orderly_end(self, serve, style, caplog, name):
        def leave(*_: object) -> None:
            raise GreenletExit

        other = serve(style(Recorder(on_message=echo)))
        served = serve(style(Recorder(**{name: leave})))
        served.peer.send("message")
        assert served.peer.rest() == [Close(1001)]
        assert served.event.cause is CloseCause.SERVER_CLOSED
        assert caplog.records == []
        other.peer.send("alive")
        assert other.peer.event() == "alive"

    def test_in_a_function_what_ends_the_process_reaches_the_main_greenlet(self):
        result = subprocess.run([sys.executable, "-c", ENDS_THE_PROCESS], capture_output=True, text=True, timeout=60)
        assert result.stdout.splitlines() == [
            f"{name}: main got {error}, the session has ended with 1011, others are alive"
            for name in ("on_open", "on_message", "on_close")
            for error in ("KeyboardInterrupt()", "SystemExit(3)")
        ], result.stderr

    @pytest.mark.parametrize("error", ["SystemExit(3)", "KeyboardInterrupt()"])
    def test_ends_a_process_that_serves_in_its_main_greenlet(self, error):
        script = SERVES.replace("ERROR", error)
        result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
        assert result.stdout == f"ended by {error}\n", result.stderr


ENDS_THE_PROCESS = """
import logging
import gevent
from tests.support.loop import Recorder, Service, echo
from wsmiddleware.loop.loop import Loop

def run(name, error):
    def end(*_):
        raise error

    served = serve(Recorder(**{name: end}).talk)
    served.peer.send("message")
    if name == "on_close":
        served.peer.start_close(1011)
    try:
        gevent.sleep(10)
    except BaseException as raised:
        assert raised is error, raised
    else:
        raise AssertionError(f"{name}: main got nothing")
    served.leave()
    code = served.event.code
    other.peer.send("alive")
    assert other.peer.event() == "alive"
    print(f"{name}: main got {error!r}, the session has ended with {code}, others are alive")

logging.disable()
serve = Service(Loop(gevent.get_hub()))
other = serve(Recorder(on_message=echo).talk)
for name in ("on_open", "on_message", "on_close"):
    for error in (KeyboardInterrupt(), SystemExit(3)):
        run(name, error)
"""

SERVES = """
import logging, os, socket, threading
from gevent.pywsgi import WSGIServer
from tests.support.talk import TEXT, Talk, pages
from tests.support.wsgi import Client
from wsmiddleware import WebSocketMiddleware

app = WebSocketMiddleware(pages)

@app.route("/end")
def end(session):
    session.receive()
    raise ERROR

def be_a_client():
    Talk(Client(socket.create_connection(("127.0.0.1", server.server_port), 10)), "/end").send(TEXT, b"end")

logging.disable()
server = WSGIServer(("127.0.0.1", 0), app, log=None)
server.start()
threading.Thread(target=be_a_client).start()
try:
    server.serve_forever()
except BaseException as error:
    print(f"ended by {error!r}", flush=True)
os._exit(0)
"""
