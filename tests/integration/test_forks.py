"""Processes that fork, on a real server: the child has none of the parent's sessions, and disturbs none of them."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.program import BEGINNING, TIMEOUT
from tests.support.talk import CLOSE, TEXT, Talk
from tests.support.wire import client_frame
from tests.support.wsgi import PATIENCE, Client

BEGIN = (
    BEGINNING
    + """
import gevent, gevent.os, logging, os, socket
from gevent.pywsgi import WSGIServer
from tests.support.talk import echoing
from wsmiddleware import Endpoint

app = echoing()

def wait_for_the_end():
    gevent.os.tp_read(0, 1)
"""
)

FORKING_ENDPOINTS = (
    BEGIN
    + """
PARENT = os.getpid()

# gevent does it after the first fork only: who waits for a child that has ended before would wait for ever.
gevent.get_hub().loop.install_sigchld()

def fork(session, message):
    child = gevent.os.fork()
    if child:
        # Not before the child has ended: until then it could do harm.
        assert os.waitstatus_to_exitcode(gevent.os.waitpid(child, 0)[1]) == 0
        session.send(f"{message}, said the parent")
        return
    server.close()
    gevent.spawn_later(0.1, os._exit, 0)
    logging.disable()
    ACT

def complain_in_a_child():
    if os.getpid() != PARENT:
        os.write(1, b"a child has got a message\\n")

@app.route("/function")
def function(session):
    for message in session:
        complain_in_a_child()
        if message != "no more":
            fork(session, message)

@app.route("/class")
class Class(Endpoint):
    def on_message(self, session, message):
        complain_in_a_child()
        if message != "no more":
            fork(session, message)

server = WSGIServer(("127.0.0.1", 0), app, log=None)
server.start()
print(server.server_port, flush=True)
wait_for_the_end()
app.stop()
print("done")
"""
)

PRELOADED = (
    BEGIN
    + """
@app.route("/worker")
def worker(session):
    session.send(str(os.getpid()))
    session.receive()

listener = socket.create_server(("127.0.0.1", 0))
listener.setblocking(False)
workers = []
for _ in range(2):
    workers.append(gevent.os.fork())
    if not workers[-1]:
        server = WSGIServer(listener, app, log=None)
        server.start()
        wait_for_the_end()
        app.stop()
        os._exit(0)
print(listener.getsockname()[1], flush=True)
listener.close()
for worker in workers:
    assert os.waitstatus_to_exitcode(gevent.os.waitpid(worker, 0)[1]) == 0
print("done")
"""
)


@contextmanager
def serving(program: str, folder: Path) -> Iterator[int]:
    """Give the port that *program* prints; at the end it is told to end, and must have nothing to complain about."""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline() or -1)
            printed, complaints = process.communicate(timeout=TIMEOUT)
        finally:
            process.kill()
        assert (printed, complaints) == ("done\n", "")


def talk(port: int, path: str) -> Talk:
    return Talk(Client(socket.create_connection(("127.0.0.1", port), PATIENCE)), path)


@pytest.mark.parametrize("path", ["/function", "/class"])
@pytest.mark.parametrize(
    "act",
    [
        pytest.param("os._exit(0)", id="ends"),
        pytest.param("pass", id="goes on"),
        pytest.param("sys.exit()", id="ends in an orderly way"),
        pytest.param("session.send('said the child'); session.ping(); session.close(4000)", id="uses the session"),
        pytest.param("app.stop(timeout=0.05)", id="stops the middleware"),
        pytest.param("raise ValueError", id="raises"),
        pytest.param("gevent.sleep(60)", id="waits"),
    ],
)
def test_a_child_of_an_endpoint_does_no_harm(act: str, path: str, tmp_path: Path) -> None:
    with serving(FORKING_ENDPOINTS.replace("ACT", act), tmp_path) as port:
        with talk(port, "/echo") as other, talk(port, path) as session:
            session.write(client_frame(TEXT, b"fork") + client_frame(TEXT, b"no more"))
            assert session.receive() == (0x81, b"fork, said the parent")
            assert other.echoes()
            session.send(TEXT, b"fork again")
            assert session.receive() == (0x81, b"fork again, said the parent")
            session.send(CLOSE, b"\x03\xe8")
            assert session.receive_close() == (1000, "")
            assert session.receive() is None
            assert other.echoes()
        with talk(port, "/echo") as newcomer:
            assert newcomer.echoes()


def test_workers_of_a_preloaded_middleware_serve(tmp_path: Path) -> None:
    """As gunicorn's --preload does it: the middleware is made, the process forks, and the children serve."""
    with serving(PRELOADED, tmp_path) as port:
        seen = set()
        for _ in range(20):
            with talk(port, "/worker") as session, talk(port, "/echo") as other:
                received = session.receive()
                assert received is not None
                seen.add(received[1])
                assert other.echoes()
                session.send(TEXT, b"enough")
                assert session.receive_close() == (1000, "")
        assert 1 <= len(seen) <= 2
