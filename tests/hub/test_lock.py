"""The lock around a hub: for native threads, and never a standstill."""

import subprocess
import sys
import threading

import pytest

from wsmiddleware.hub.lock import SectionLock

WAIT = 10
"""Seconds after which a test gives up on something that takes milliseconds."""


@pytest.fixture
def lock():
    return SectionLock("this thread is inside already")


def test_lets_one_thread_in_at_a_time(lock):
    inside, go_on, entered = threading.Event(), threading.Event(), []

    def first():
        with lock:
            inside.set()
            assert go_on.wait(WAIT)
            entered.append("first")

    def second():
        assert inside.wait(WAIT)
        go_on.set()
        with lock:
            entered.append("second")

    threads = [threading.Thread(target=target) for target in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert entered == ["first", "second"]


def test_refuses_the_thread_that_is_inside(lock):
    with lock:
        with pytest.raises(RuntimeError, match="^this thread is inside already$"):
            with lock:
                raise AssertionError("entered twice")
    with lock:
        pass


def test_is_free_again_after_an_error(lock):
    with pytest.raises(ZeroDivisionError):
        with lock:
            raise ZeroDivisionError
    with lock:
        pass


class TestRun:
    def test_runs_at_once_when_the_thread_is_outside(self, lock):
        ran = []
        lock.run(lambda: ran.append("action"))
        assert ran == ["action"]

    def test_runs_inside_the_lock(self, lock):
        def action():
            with pytest.raises(RuntimeError, match="inside already"):
                lock.__enter__()
            ran.append("action")

        ran: list[str] = []
        lock.run(action)
        assert ran == ["action"]

    def test_runs_at_the_end_of_the_section_the_thread_is_in(self, lock):
        ran = []
        with lock:
            lock.run(lambda: ran.append("first"))
            lock.run(lambda: ran.append("second"))
            assert ran == []
        assert ran == ["first", "second"]

    def test_runs_although_the_section_failed(self, lock):
        ran = []
        with pytest.raises(ZeroDivisionError):
            with lock:
                lock.run(lambda: ran.append("action"))
                raise ZeroDivisionError
        assert ran == ["action"]

    def test_waits_for_another_thread_inside(self, lock):
        ran = []
        thread = threading.Thread(target=lambda: lock.run(lambda: ran.append("action")))
        with lock:
            thread.start()
            ran.append("section")
        thread.join(WAIT)
        assert ran == ["section", "action"]

    def test_frees_the_lock_although_an_action_broke_its_promise(self, lock):
        with pytest.raises(ZeroDivisionError):
            lock.run(lambda: 1 / 0)
        with lock:
            pass


IN_A_PATCHED_PROCESS = """
from gevent import monkey
monkey.patch_all()
import gevent, threading
from wsmiddleware.hub.lock import SectionLock

lock = SectionLock("refused")

def waits_inside():
    with lock:
        gevent.sleep(0.01)
    return "entered"

def wants_in():
    try:
        with lock:
            return "entered"
    except RuntimeError as error:
        return str(error)

greenlets = [gevent.spawn(waits_inside), gevent.spawn(wants_in)]
gevent.joinall(greenlets, timeout=10)
print(*[greenlet.value for greenlet in greenlets], threading.get_ident is monkey.get_original("_thread", "get_ident"))
print(gevent.get_hub().threadpool.apply(wants_in))
"""


def test_tells_threads_from_greenlets_in_a_patched_process():
    result = subprocess.run([sys.executable, "-c", IN_A_PATCHED_PROCESS], capture_output=True, text=True, timeout=60)
    assert result.stdout.splitlines() == ["entered refused False", "entered"], result.stderr
