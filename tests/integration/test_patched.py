"""Processes that gevent has patched, and processes that it has not: endpoints of both styles, and native threads."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.program import run

BEGIN = """
import gevent
from gevent import monkey

HOW = sys.argv[1]
if HOW == "patched":
    monkey.patch_all()

import queue, threading, time
import gevent.event, gevent.queue, gevent.socket
from gevent.monkey import get_original
from gevent.pywsgi import WSGIServer
from tests.support.talk import CLOSE, TEXT, Talk, pages
from tests.support.wsgi import Client
from wsmiddleware import CloseCause, Endpoint, Hub, WebSocketMiddleware

if HOW == "patched late":
    monkey.patch_all()

PATCHED = HOW != "unpatched"
assert bool(monkey.saved) == PATCHED
sleep = time.sleep if PATCHED else gevent.sleep
Queue = queue.Queue if PATCHED else gevent.queue.Queue
Event = threading.Event if PATCHED else gevent.event.Event
start_native_thread = get_original("_thread", "start_new_thread")
native_sleep = get_original("time", "sleep")
native_ident = get_original("_thread", "get_ident")
MAIN = native_ident()

app = WebSocketMiddleware(pages, close_timeout=1)
server = WSGIServer(("127.0.0.1", 0), app, log=None)
server.start()

def talk(path, fields=None):
    sock = gevent.socket.create_connection(("127.0.0.1", server.server_port), 10)
    return Talk(Client(sock), path, fields)

def native(function):
    "Call function in a native thread; return what waits for its result."
    results = []
    def call():
        assert native_ident() != MAIN
        try:
            results.append(function())
        except BaseException as error:
            results.append(error)
    start_native_thread(call, ())
    def result():
        with gevent.Timeout(10):
            while not results:
                gevent.sleep(0.001)
        return results[0]
    return result
"""

END = """
app.stop(timeout=5)
server.stop()
print("done")
"""

BLOCKING_STYLE = """
SESSIONS = 20
arrived = 0

@app.route("/echo/<name>")
def echo(session, name):
    global arrived
    assert native_ident() == MAIN
    for message in session:
        arrived += 1
        while arrived < SESSIONS * (int(message) + 1):  # None goes on before all are here: they sleep at the same time.
            sleep(0.001)
        session.send(f"{name}: {message}")

@app.route("/patient")
def patient(session):
    try:
        session.receive(timeout=0.05)
    except TimeoutError:
        session.send("gave up")
    session.send(session.receive(timeout=10))

sessions = [talk(f"/echo/{number}") for number in range(SESSIONS)]
for turn in range(3):
    for session in sessions:
        session.send(TEXT, b"%d" % turn)
    for number, session in enumerate(sessions):
        assert session.receive() == (0x81, b"%d: %d" % (number, turn))
for session in sessions:
    session.send(CLOSE, b"\\x03\\xe8")
    assert session.receive_close() == (1000, "")
    session.client.close()

with talk("/patient") as session:
    assert session.receive() == (0x81, b"gave up")
    session.send(TEXT, b"here I am")
    assert session.receive() == (0x81, b"here I am")
    assert session.receive_close() == (1000, "")
"""

SERVLET_STYLE = """
letters = Queue()
events = []

@app.route("/letters")
class Letters(Endpoint):
    def on_open(self, session):
        assert native_ident() == MAIN
        self.read = 0

    def on_message(self, session, message):
        if message == "wait":  # for another session's
            session.send(letters.get(timeout=10))
        elif message == "sleep":
            sleep(0.2)
            session.send("slept")
        else:
            letters.put(message)

    def on_close(self, session, event):
        sleep(0.01)
        events.append(event)

with talk("/letters") as one, talk("/letters") as two, talk("/letters") as three:
    one.send(TEXT, b"wait")
    three.send(TEXT, b"sleep")
    gevent.sleep(0.02)
    two.send(TEXT, b"a letter")
    assert one.receive() == (0x81, b"a letter")
    assert three.receive() == (0x81, b"slept")
    for session in (one, two, three):
        session.send(CLOSE, b"\\x03\\xe9")
        assert session.receive_close() == (1001, "")
with gevent.Timeout(10):
    while len(events) < 3:
        gevent.sleep(0.001)
assert {event.cause for event in events} == {CloseCause.CLIENT_LEFT}
"""

NATIVE_THREADS = """
hub = Hub()
sessions = []

@app.route("/servlet")
class Servlet(Endpoint):
    def on_open(self, session):
        hub.join(session, "room")
        sessions.append(session)

@app.route("/blocking")
def blocking(session):
    # A native thread receives and answers; the function waits for it as greenlets do.
    def answer():
        native_sleep(0.01)
        session.send(session.receive(timeout=10).upper())
        try:
            session.receive(timeout=0.01)
        except TimeoutError:
            session.send("gave up")
    assert native(answer)() is None

with talk("/servlet") as client:
    while not sessions:
        gevent.sleep(0.001)
    session = sessions[0]

    # Several at once, while the loop has other things to do.
    waiting = [
        native(lambda name=name: [session.send(f"{name}{number}") for number in range(50)] and None) for name in "abc"
    ]
    received = [client.receive()[1].decode() for _ in range(150)]
    for name in "abc":
        assert [text for text in received if text[0] == name] == [f"{name}{number}" for number in range(50)]
    assert [wait() for wait in waiting] == [None] * 3

    # What is wrong is an error there.
    assert isinstance(native(lambda: session.close(1))(), ValueError)
    assert isinstance(native(session.receive)(), RuntimeError)

    # By way of a hub too, and by the module threading, whatever that is here.
    native(lambda: hub.publish("room", "to all"))()
    assert client.receive() == (0x81, b"to all")
    thread = threading.Thread(target=session.send, args=("from threading",))
    thread.start()
    assert client.receive() == (0x81, b"from threading")
    thread.join(10)

    native(lambda: session.close(4000, "thread"))()
    assert client.receive_close() == (4000, "thread")

with talk("/blocking") as client:
    client.send(TEXT, b"hello")
    assert client.receive() == (0x81, b"HELLO")
    assert client.receive() == (0x81, b"gave up")
    assert client.receive_close() == (1000, "")

client = talk("/servlet")
stopped = native(lambda: app.stop(timeout=5))
assert client.receive_close() == (1001, "")
client.send(CLOSE, b"\\x03\\xe9")
assert client.receive() is None
client.client.close()
assert stopped() is None
"""


@pytest.mark.parametrize("how", ["unpatched", "patched", "patched late"])
@pytest.mark.parametrize(
    "program",
    [
        pytest.param(BLOCKING_STYLE, id="blocking style"),
        pytest.param(SERVLET_STYLE, id="servlet style"),
        pytest.param(NATIVE_THREADS, id="native threads"),
    ],
)
def test_works(program: str, how: str, tmp_path: Path) -> None:
    assert run(BEGIN + program + END, how, folder=tmp_path) == "done\n"
