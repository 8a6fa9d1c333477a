"""Loops: one for each hub, none in a forked child."""

from __future__ import annotations

import subprocess
import sys

import gevent
import pytest

from tests.support.wsgi import in_thread, wait_until
from wsmiddleware.loop.loops import Loops


def test_a_hub_has_one_loop():
    loops = Loops()
    loop = loops.here()
    assert loops.here() is loop
    assert gevent.spawn(loops.here).get() is loop
    assert loop.hub is gevent.get_hub()
    assert loop.is_here()
    loops.drop()


def test_another_thread_has_a_hub_of_its_own():
    def there() -> object:
        loop = loops.here()
        assert loops.here() is loop
        assert loop.hub is gevent.get_hub()
        assert loop.is_here()
        return loop

    loops = Loops()
    here = loops.here()
    loop = in_thread(there)()
    assert loop is not here
    assert loops.here() is here
    loops.drop()


def test_collections_of_loops_do_not_share_them():
    one, other = Loops(), Loops()
    assert one.here() is not other.here()
    one.drop()
    other.drop()


def test_dropped_loops_are_made_anew():
    loops = Loops()
    loop = loops.here()
    loops.drop()
    assert loops.here() is not loop
    loops.drop()
    loops.drop()


FORK = """
import os, socket, sys
import gevent
from gevent import monkey
if "patched" in sys.argv:
    monkey.patch_all()
from contextvars import Context
from tests.support.loop import Recorder, Service, echo
from tests.support.wsgi import wait_until
from wsmiddleware.loop.loops import Loops

loops = Loops()
here = loops.here()
serve = Service(here)

def fork_and_wait(in_child):
    pid = os.fork()
    if pid == 0:
        try:
            in_child()
            gevent.sleep(0.05)  # What there is to be done would be done now.
            os.write(1, b"child has seen nothing\\n" if not seen else b"child has seen %r\\n" % seen)
        finally:
            os._exit(0)
    # Not a wait of gevent's: the parent must not serve before the child has had its chance.
    (monkey.get_original("os", "waitpid") if "patched" in sys.argv else os.waitpid)(pid, 0)

seen = []
"""

IN_BETWEEN = (
    FORK
    + """
def note(session, message):
    seen.append(message)
    session.send(message)

idle = serve(Recorder(on_message=note))
busy = serve(Recorder(on_message=note))
gevent.sleep(0.001)
busy.peer.send("before")
print(busy.peer.event())
del seen[:]
busy.peer.send("during")      # is ready at the time of the fork
idle.session.send("sent")     # is to be written at the time of the fork

def in_child():
    assert loops.here() is not here

sys.stdout.flush()
fork_and_wait(in_child)
print(busy.peer.event(), idle.peer.event())
for one in (idle, busy):
    one.peer.send("after")
    print(one.peer.event())
    one.peer.start_close()
    print(one.peer.rest())
"""
)

WHILE_OTHERS_WAIT = (
    FORK
    + """
def wait_and_send(session, message):
    gevent.sleep(0.02)
    session.send(message)

served = serve(Recorder(on_message=wait_and_send))
served.peer.send("once")
gevent.sleep(0.001)

fork_and_wait(lambda: None)
print(served.peer.event())
served.peer.start_close()
print(served.peer.rest())
"""
)

IN_AN_ENDPOINT = (
    FORK
    + """
def fork_in_endpoint(session, message):
    session.send("sent before the fork")
    fork_and_wait(lambda: None)
    session.send("sent after the fork")

def note(session, message):
    seen.append(message)
    session.send(message)

others = [serve(Recorder(on_message=note)) for _ in range(3)]
forking = serve(Recorder(on_message=fork_in_endpoint))
others += [serve(Recorder(on_message=note)) for _ in range(3)]
gevent.sleep(0.001)
for one in (forking, *others):
    one.peer.send("message")  # All are ready in the turn that forks.
print([forking.peer.event() for _ in range(2)])
print([one.peer.event() for one in others])
for one in (forking, *others):
    one.peer.start_close()
print([one.peer.rest() for one in (forking, *others)])
"""
)

IN_THE_CHILD = (
    FORK
    + """
served = serve(Recorder(on_message=echo))
gevent.sleep(0.001)

def serve_in_child():
    other = Service(loops.here())(Recorder(on_message=echo))
    other.peer.send("of the child")
    os.write(1, other.peer.event().encode() + b"\\n")

sys.stdout.flush()
fork_and_wait(serve_in_child)
served.peer.send("of the parent")
print(served.peer.event())
"""
)

ENDS_MEANWHILE = (
    FORK
    + """
served = serve(Recorder())
gevent.sleep(0.001)
read, write = os.pipe()
pid = os.fork()
if pid == 0:
    os.close(write)
    os.read(read, 1)  # until the parent has closed it
    os._exit(0)
served.peer.end_output()
print(served.peer.raw_rest())
os.close(write)
os.waitpid(pid, 0)
"""
)

CLOSE = "Close(code=1000, reason='')"


SCRIPTS = [
    pytest.param(
        IN_BETWEEN,
        ["before", "child has seen nothing", "during sent", "after", f"[{CLOSE}]", "after", f"[{CLOSE}]"],
        id="in between",
    ),
    pytest.param(WHILE_OTHERS_WAIT, ["child has seen nothing", "once", f"[{CLOSE}]"], id="while other endpoints wait"),
    pytest.param(
        IN_AN_ENDPOINT,
        [
            "child has seen nothing",
            "['sent before the fork', 'sent after the fork']",
            str(["message"] * 6),
            f"[{', '.join([f'[{CLOSE}]'] * 7)}]",
        ],
        id="in an endpoint",
    ),
    pytest.param(ENDS_MEANWHILE, ["b''"], id="a session ends meanwhile"),
    pytest.param(IN_THE_CHILD, ["of the child", "child has seen nothing", "of the parent"], id="child serves, too"),
]


@pytest.mark.parametrize(("script", "expected"), SCRIPTS)
def test_a_forked_child_leaves_the_parent_s_connections_alone(script, expected):
    assert run(script) == expected


def test_a_forked_child_of_a_patched_process_does_so_too():
    script, expected = SCRIPTS[2].values
    assert run(script, "patched") == expected


def run(script: object, *arguments: str) -> list[str]:
    command = [sys.executable, "-c", str(script), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.stderr == ""
    return result.stdout.splitlines()


def test_loops_of_threads_that_have_ended_are_closed():
    loops = Loops()
    ended = in_thread(loops.here)()
    wait_until(ended.has_ended)
    assert loops.here() is not ended
    assert ended.closed
    loops.drop()
