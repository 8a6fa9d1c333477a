"""README's Python examples, run as they stand: each in a process of its own, on a free port."""

import os
import re
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import TypeAlias

import pytest
import trustme
from websockets.exceptions import ConnectionClosedOK, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

import wsmiddleware

ROOT = Path(__file__).parents[1]
PACKAGES = Path(wsmiddleware.__file__).parents[1]
"""Where what is tested comes from, the checkout or an installed wheel."""

BLOCKS = re.findall(
    r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
)

WAIT = 20
"""Seconds after which a test gives up on something that takes milliseconds."""

ADDRESS = '("127.0.0.1", 8000)'
ANY_PORT = '("127.0.0.1", 0)'

TELL_PORT = """
from gevent.pywsgi import WSGIServer

def start(server, start=WSGIServer.start):
    start(server)
    print(server.server_port)

WSGIServer.start = start
"""
"""Goes before an example, which then prints its port as soon as it listens."""


def program(block: str) -> str:
    """Return an example as a program. All but the first stand before the first one's last line, or in its place."""
    if block != BLOCKS[0]:
        beginning, last_line = BLOCKS[0].rstrip("\n").rsplit("\n", 1)
        block = beginning + "\n\n" + block + ("" if "serve_forever()" in block else "\n" + last_line)
    assert block.count(ADDRESS) == block.count("serve_forever()") == 1, block
    return TELL_PORT + block.replace(ADDRESS, ANY_PORT)


class Example:
    """A running example. With *context* it speaks TLS."""

    def __init__(self, block: str, folder: Path, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._lines: Queue[str | None] = Queue()  # what it prints; None at the end
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-c", program(block)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(PACKAGES)},
            text=True,
            stdout=subprocess.PIPE,
        )
        self._reader = Thread(target=self._read)
        self._reader.start()
        port = self.printed()
        assert port is not None, f"the example ended with status {self.stop()} (see its stderr)"
        self._port = int(port)

    def get(self, path: str) -> str:
        url = f"{'https' if self._context else 'http'}://localhost:{self._port}{path}"
        with urllib.request.urlopen(url, timeout=WAIT, context=self._context) as answer:
            return answer.read().decode()

    def connect(
        self, path: str, *, origin: str | None = None, headers: dict[str, str] | None = None
    ) -> ClientConnection:
        """Connect to *path*; for a ``with`` statement."""
        return connect(
            f"{'wss' if self._context else 'ws'}://localhost:{self._port}{path}",
            origin=Origin(origin) if origin else None,
            additional_headers=headers,
            ssl=self._context,
            open_timeout=WAIT,
            close_timeout=WAIT,
        )

    def printed(self) -> str | None:
        return self._lines.get(timeout=WAIT)

    def stop(self) -> int:
        self._process.kill()
        self._reader.join()
        return self._process.wait(WAIT)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line.rstrip("\n"))
        self._lines.put(None)


Run: TypeAlias = Callable[[str], Example]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A folder with the certificate and the key that the example with TLS names, and a context that trusts them."""
    folder = tmp_path_factory.mktemp("certificate")
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    context = ssl.create_default_context()
    # With TLS 1.3 the client's reader and writer get in each other's way.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    authority.configure_trust(context)
    return folder, context


@pytest.fixture
def run(certificate: tuple[Path, ssl.SSLContext]) -> Iterator[Run]:
    """Return a function that runs the one example that contains a text."""
    running = []

    def run(text: str) -> Example:
        (block,) = (block for block in BLOCKS if text in block)
        folder, context = certificate
        running.append(Example(block, folder, context if "certfile" in block else None))
        return running[-1]

    yield run
    for example in running:
        example.stop()


@pytest.mark.parametrize("block", BLOCKS, ids=range(1, len(BLOCKS) + 1))
def test_every_example_echoes_and_leaves_the_application_what_it_had(run: Run, block: str) -> None:
    example = run(block)
    assert example.get("/").startswith("Hello world!")
    with example.connect("/echo") as client:
        client.send("text")
        assert client.recv(WAIT) == "text"
        client.send(b"binary")
        assert client.recv(WAIT) == b"binary"
    assert "Hello world!" in example.get("/elsewhere")


def test_wrapping_takes_six_lines() -> None:
    lines = [line for line in BLOCKS[0].splitlines() if line and not line.startswith(("from", "import"))]
    assert len(lines) == 6


def test_the_endpoint_is_told_everything(run: Run) -> None:
    example = run("class Greeter")
    with example.connect("/greet/Ada") as client:
        assert client.recv(WAIT) == "Hello Ada!"
        client.send("abc")
        assert client.recv(WAIT) == "cba"
        client.close(4000, "enough")
    assert example.printed() == "closed: client_closed 4000 enough"


def test_leaving_the_page_and_losing_the_connection_are_two_things(run: Run) -> None:
    example = run("class Presence")
    with example.connect("/presence") as client:
        client.close(1001)
    assert example.printed() == "left the page"
    with example.connect("/presence") as client:
        client.socket.shutdown(socket.SHUT_RDWR)  # no close frame
    assert example.printed() == "lost the connection"


def test_a_room_is_for_those_who_are_in_it(run: Run) -> None:
    example = run("class Room")
    with example.connect("/rooms/a") as ada, example.connect("/rooms/a") as bob, example.connect("/rooms/b") as eve:
        assert [client.recv(WAIT) for client in (ada, bob, eve)] == ["1 here", "2 here", "1 here"]
        ada.send("one")
        assert bob.recv(WAIT) == "one"
        bob.send("two")
        assert ada.recv(WAIT) == "two"
        eve.send("three")  # to herself alone, and she is left out
        bob.send("four")
        assert ada.recv(WAIT) == "four"


def test_the_options_decide_who_may_connect(run: Run) -> None:
    example = run("def signed_in")
    signed_in = {"Authorization": "Bearer secret"}
    with example.connect("/news", origin="https://example.org", headers=signed_in) as client:
        assert client.recv(WAIT) == "Nothing new."
        with pytest.raises(ConnectionClosedOK):
            client.recv(WAIT)
    with pytest.raises(InvalidStatus) as refusal, example.connect("/news", origin="https://example.org"):
        pass
    assert refusal.value.response.status_code == 401
    with pytest.raises(InvalidStatus) as refusal, example.connect(
        "/news", origin="https://example.com", headers=signed_in
    ):
        pass
    assert refusal.value.response.status_code == 403
