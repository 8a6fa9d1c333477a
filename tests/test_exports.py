"""The public names, and what importing them does not do."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

import wsmiddleware
from tests.support.program import run

HOMES = {
    "endpoint": ["Endpoint"],
    "exceptions": ["ConnectionClosed", "ConnectionUnavailable", "WebSocketError"],
    "hub": ["Hub", "Joined", "Member", "Message", "Position"],
    "middleware": ["WebSocketMiddleware"],
    "options": ["RouteOptions"],
    "protocol.close": ["Close", "CloseCause", "CloseCode", "CloseEvent"],
    "session": ["Session"],
}
"""The public names, by the module that each comes from."""

NAMES = sorted(name for names in HOMES.values() for name in names)


def test_all_names_are_these_in_alphabetical_order() -> None:
    assert wsmiddleware.__all__ == NAMES


@pytest.mark.parametrize("home", HOMES)
def test_each_name_is_the_very_object_of_its_module(home: str) -> None:
    module = import_module(f"wsmiddleware.{home}")
    for name in HOMES[home]:
        assert getattr(wsmiddleware, name) is getattr(module, name)


def test_each_name_has_a_docstring() -> None:
    for name in NAMES:
        assert getattr(wsmiddleware, name).__doc__, name


def test_all_modules_begin_with_a_docstring() -> None:
    for path in Path(wsmiddleware.__file__).parent.rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


def test_the_package_says_that_it_is_typed() -> None:
    assert Path(wsmiddleware.__file__).with_name("py.typed").read_bytes() == b""


def test_importing_patches_nothing_and_starts_nothing(tmp_path: Path) -> None:
    program = """
import os, threading
descriptors = os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd") else []
import wsmiddleware
from wsmiddleware import *
import gevent.monkey
from gevent._hub_local import get_hub_if_exists

app = WebSocketMiddleware(lambda environ, start_response: [])
app.register("/", Endpoint)
assert not gevent.monkey.saved
assert threading.active_count() == 1
assert get_hub_if_exists() is None
if descriptors:
    assert os.listdir("/proc/self/fd") == descriptors
"""
    assert run(program, folder=tmp_path) == ""
