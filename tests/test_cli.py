"""The command ``wsmiddleware``, in this process and in one of its own."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest
from click.testing import CliRunner, Result

from tests.support.program import BEGINNING
from tests.support.talk import echo, echoing
from tests.support.wsgi import Server
from wsmiddleware.cli import main

TIMEOUT = 20
"""Seconds after which a command is given up."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(echoing()) as server:
        yield server


@pytest.fixture
def url(server) -> str:
    return f"ws://127.0.0.1:{server.port}/echo"


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["bench", *arguments])


class TestHelp:
    def test_of_the_group_names_the_commands(self):
        result = CliRunner().invoke(main, ["--help"])
        assert result.exit_code == 0
        assert "bench" in result.output

    def test_of_the_command_explains_the_modes_and_the_exit_status(self):
        result = invoke("--help")
        assert result.exit_code == 0
        for word in ("echo", "fanout", "idle", "churn", "Examples:", "exit status"):
            assert word in result.output

    def test_is_not_needed_for_the_version(self):
        result = CliRunner().invoke(main, ["--version"])
        assert result.exit_code == 0
        assert result.output.startswith("main, version ") or result.output.startswith("wsmiddleware, version ")


class TestBench:
    def test_prints_what_it_has_measured(self, url):
        result = invoke(url, "-t", "0.2", "-c", "3", "-i", "2", "--text")
        assert result.exit_code == 0, result.output
        lines = result.output.splitlines()
        assert lines[0] == "echo: 3 connections, 2 in flight, 32 bytes of text"
        assert [line.split()[0] for line in lines[1:]] == ["connected", "messages", "latency", "client"]

    def test_prints_json(self, url):
        result = invoke(url, "--json", "--seconds", "0.2", "--size", "1000")
        told = json.loads(result.output)
        assert (told["mode"], told["failed"], told["opened"]) == ("echo", 0, 1)
        assert told["messages"] > 0

    def test_measures_compression(self):
        app = echoing()
        app.register("/compressed", echo, compression="dedicated")
        with Server(app) as server:
            url = f"ws://127.0.0.1:{server.port}/compressed"
            result = invoke(url, "-t", "0.2", "--text", "--deflate", "dedicated")
            assert result.exit_code == 0, result.output
            lines = result.output.splitlines()
            assert lines[0] == "echo: 1 connection, 1 in flight, JSON as text"
            (told,) = [line for line in lines if line.startswith("  compressed   to ")]
            assert told.endswith("%, dedicated contexts")
            assert json.loads(invoke(url, "-t", "0.2", "--json", "--deflate", "shared").output)["compressed_to"] < 1

    def test_says_that_a_server_does_not_compress(self, url):
        result = invoke(url, "-t", "0.2", "--deflate", "shared")
        assert result.exit_code == 1
        assert result.stderr.startswith("Error: expected Sec-WebSocket-Extensions to agree to 'permessage-deflate; ")

    @pytest.mark.parametrize("mode", ["idle", "churn"])
    def test_has_other_modes(self, url, mode):
        result = invoke(url, "--mode", mode, "-t", "0.2", "-c", "2")
        assert result.exit_code == 0, result.output
        assert result.output.startswith(f"{mode}: 2 connections\n")

    def test_sends_headers(self, url):
        result = invoke(url, "-t", "0.2", "-H", "Origin: https://elsewhere.example")
        assert result.exit_code == 1
        assert "403 Forbidden" in result.output

    def test_ends_with_1_when_connections_fail(self, server):
        result = invoke(f"ws://127.0.0.1:{server.port}/nowhere", "-c", "2")
        assert result.exit_code == 1
        assert "2 failed: expected the status 101, found 'HTTP/1.1 200 OK'." in result.stderr
        assert "connected    0 in" in result.stdout

    def test_ends_with_1_when_nothing_can_be_measured(self):
        result = invoke("ws://nowhere.invalid/")
        assert result.exit_code == 1
        assert result.stderr.startswith("Error: expected the host 'nowhere.invalid' to have an address")

    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            ((), "Missing argument 'URL'"),
            (("http://localhost/",), "expected a URL like ws://host:port/path"),
            (("ws://localhost/", "--mode", "x"), "'x' is not one of"),
            (("ws://localhost/", "-c", "0"), "-c"),
            (("ws://localhost/", "-t", "0"), "-t"),
            (("ws://localhost/", "-t", "inf"), "expected seconds to be more than 0, found inf"),
            (("ws://localhost/", "-H", "x"), "expected 'Name: value', found 'x'"),
            (("ws://localhost/", "-H", "a b: x"), "expected a header like 'Name: value', found 'a b: x'"),
        ],
    )
    def test_ends_with_2_when_it_is_given_wrongly(self, arguments, problem):
        result = invoke(*arguments)
        assert result.exit_code == 2
        assert problem in result.stderr


BLOCK_CLICK = """
class NoClick:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            raise ModuleNotFoundError("No module named 'click'", name="click")

sys.meta_path.insert(0, NoClick())
"""

MODULE = """
import runpy
runpy.run_module("wsmiddleware", run_name="__main__", alter_sys=True)
"""


class TestProcess:
    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", BEGINNING + program, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)

    def test_as_a_module(self, url):
        done = self.run(MODULE, "bench", url, "-t", "0.2")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("echo: 1 connection, 1 in flight, 32 bytes of binary\n")

    def test_says_what_to_install(self):
        done = self.run(BLOCK_CLICK + MODULE, "bench", "ws://localhost/")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == ("wsmiddleware: click is missing. Please install it: pip install 'wsmiddleware[cli]'\n")

    def test_shows_on_a_terminal_how_it_goes_on(self, url):
        ours, theirs = pty.openpty()
        command = [sys.executable, "-c", BEGINNING + MODULE, "bench", url, "-t", "0.5"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, text=True) as process:
            os.close(theirs)
            shown = b""
            with suppress(OSError):  # The end of a terminal is an error.
                while piece := os.read(ours, 4096):
                    shown += piece
            printed, _ = process.communicate(timeout=TIMEOUT)
        os.close(ours)
        assert process.returncode == 0
        assert b"\rmeasuring: 0 of 0.5 s, 1 connection" in shown
        assert shown.endswith(b" \r")  # and is wiped away
        assert printed.startswith("echo: 1 connection")
