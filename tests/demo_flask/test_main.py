"""``python -m demo_flask`` as a process: starting, talking, stopping, and what it says when it cannot start."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Any
from urllib.request import urlopen

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

PATIENCE = 20.0
"""Seconds until a test gives up waiting for something that takes a moment."""


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "demo_flask", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the chat on a free port; yields the process and its URL."""
    process = start("--port", "0", *arguments)
    too_late = Timer(PATIENCE, process.kill)
    too_late.start()
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        too_late.cancel()
        found = re.search(r"http://\S+/", line)
        assert found, f"expected a URL, found {line!r}"
        yield process, found[0]
    finally:
        too_late.cancel()
        process.kill()
        process.communicate()


@contextmanager
def enter(url: str, name: str) -> Iterator[ClientConnection]:
    """Connect to the room and say hello; yields when the welcome has been received."""
    with connect(socket_url(url), open_timeout=PATIENCE, close_timeout=PATIENCE) as client:
        assert ask(client, type="hello", name=name)["type"] == "welcome"
        yield client


def socket_url(url: str) -> str:
    return url.replace("http:", "ws:") + "ws/tea"


def ask(client: ClientConnection, **request: Any) -> dict[str, Any]:
    client.send(json.dumps(request))
    return hear(client)


def hear(client: ClientConnection) -> dict[str, Any]:
    message = json.loads(client.recv(timeout=PATIENCE))
    assert isinstance(message, dict)
    return message


def test_it_serves_the_pages_and_the_chat() -> None:
    with running() as (_, url):
        with urlopen(url, timeout=PATIENCE) as page:
            assert page.status == 200
        with enter(url, "Ada") as ada, enter(url, "Bob") as bob:
            assert hear(ada)["type"] == "came"
            said = ask(bob, type="say", text="Hello Ada", id="1")
            assert hear(ada) == said
            bob.close(1001)
            assert hear(ada)["reason"] == "left the page"


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda client: client.close(1001), "left the page"),
        (lambda client: client.close(1000), "signed off"),
        (lambda client: client.socket.shutdown(socket.SHUT_RDWR), "lost the connection"),
        (lambda client: client.send("x" * 20_000), "was disconnected for a message that was too big"),
    ],
    ids=["page left", "closed", "network lost", "message too big"],
)
def test_the_others_read_why_somebody_went(end: Any, reason: str) -> None:
    with running() as (_, url), enter(url, "Ada") as ada, enter(url, "Bob") as bob:
        assert hear(ada)["type"] == "came"
        end(bob)
        assert hear(ada)["reason"] == reason


def test_a_client_that_says_nonsense_harms_nobody() -> None:
    with running() as (_, url), enter(url, "Ada") as ada, enter(url, "Bob") as bob:
        assert hear(ada)["type"] == "came"
        for nonsense in ("", "[" * 16_000, "null", b"\x00\xff"):
            bob.send(nonsense)
            assert hear(bob)["type"] == "error"
        said = ask(bob, type="say", text="Sorry", id="1")
        assert hear(ada) == said


def test_a_page_of_another_origin_is_refused() -> None:
    with running() as (_, url), pytest.raises(InvalidStatus) as refusal:
        with connect(socket_url(url), origin=Origin("http://elsewhere.example"), open_timeout=PATIENCE):
            pass
    assert refusal.value.response.status_code == 403


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_sessions_and_then_the_process(number: signal.Signals) -> None:
    with running() as (process, url), enter(url, "Ada") as ada:
        process.send_signal(number)
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                hear(ada)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1001
        assert process.wait(PATIENCE) == 0
        assert process.stderr is not None and "Traceback" not in process.stderr.read()


def test_a_port_in_use_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        process = start("--port", str(port))
        output, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, output) == (1, "")
    assert re.fullmatch(
        rf"demo_flask: cannot listen on 127\.0\.0\.1, port {port}: Address already in use\..*\n", errors
    )


def test_a_hub_that_is_not_supported_is_one_clear_line() -> None:
    process = start("--port", "0", "--hub", "carrier-pigeon://loft")
    output, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, output) == (1, "")
    assert re.fullmatch(r"demo_flask: --hub: .*carrier-pigeon.*\n", errors)


def test_without_flask_it_is_one_clear_line() -> None:
    script = (
        "import runpy, sys\n"
        "sys.modules['flask'] = None\n"  # Now importing it fails.
        "runpy.run_module('demo_flask', run_name='__main__')\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "demo_flask: Flask is missing. Please install it: pip install 'wsmiddleware[flask]'\n"


@pytest.mark.parametrize("port", ["65536", "-1", "http", ""])
def test_a_port_that_is_none_is_a_usage_error(port: str) -> None:
    process = start(f"--port={port}")
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert "expected a number from 0 to 65535" in errors
