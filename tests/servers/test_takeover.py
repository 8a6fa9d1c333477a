"""What is behind a start_response, and what a reader has read ahead."""

from __future__ import annotations

import os
import socket
import types
from functools import partial

import pytest
from werkzeug.local import LocalProxy

from wsmiddleware.servers.takeover import MAX_SEARCH, behind, held_by


class Handler:
    """Stands for a server's object, which start_response is a method of."""

    def start_response(self, status, headers):
        pass


def leads_to(start_response, handler: Handler) -> bool:
    return any(thing is handler for thing in behind(start_response))


class TestBehind:
    """How middleware wraps in practice is in test_pywsgi.py."""

    def test_comes_the_function_itself_first(self):
        start_response = Handler().start_response
        assert next(behind(start_response)) is start_response

    def test_comes_the_nearest_first(self):
        first, second = Handler(), Handler()

        def wrapped(*arguments):
            return second.start_response(*arguments)

        def start_response(*arguments):
            return first.start_response(*arguments) or wrapped(*arguments)

        assert [thing for thing in behind(start_response) if isinstance(thing, Handler)] == [first, second]

    def test_are_the_arguments_of_a_partial(self):
        handler = Handler()
        assert leads_to(partial(print, handler.start_response), handler)
        assert leads_to(partial(print, end=handler.start_response), handler)
        assert leads_to(partial(handler.start_response, "200 OK"), handler)

    def test_are_attributes_of_functions(self):
        def start_response(*arguments):
            pass

        start_response.__wrapped__ = Handler().start_response
        assert leads_to(start_response, start_response.__wrapped__.__self__)

    def test_are_the_variables_of_a_function_that_became_a_method(self):
        handler = Handler()

        def start_response(self, *arguments):
            return handler.start_response(*arguments)

        assert leads_to(types.MethodType(start_response, object()), handler)

    def test_is_not_what_a_variable_will_be(self):
        def start_response(*arguments):
            return later

        assert list(behind(start_response)) == [start_response]
        later = start_response

    def test_are_no_modules_and_no_classes(self):
        module = types.ModuleType("module")
        module.handler = Handler()

        class Class:
            handler = module.handler

        def start_response(*arguments):
            return module, Class

        assert not leads_to(start_response, module.handler)
        assert not leads_to(len, module.handler)

    def test_is_nothing_when_a_proxy_stands_for_nothing(self):
        def fail():
            raise RuntimeError("no current request")

        proxy = LocalProxy(fail)

        def start_response(*arguments):
            return proxy

        assert len(list(behind(start_response))) >= 2

    def test_may_be_a_circle(self):
        def start_response(*arguments):
            return start_response, other

        def other(*arguments):
            return start_response

        assert list(behind(start_response)) == [start_response, other]

    def test_is_not_searched_without_an_end(self):
        class Node:
            pass

        first = node = Node()
        for _ in range(10 * MAX_SEARCH):
            node.next = Node()
            node = node.next
        assert len(list(behind(first))) == MAX_SEARCH


class TestHeldBy:
    @pytest.fixture
    def ends(self):
        ours, theirs = socket.socketpair()
        theirs.settimeout(10)
        ours.settimeout(10)
        with ours, theirs:
            yield ours, theirs

    def test_is_what_has_been_read_ahead(self, ends):
        ours, theirs = ends
        reader = ours.makefile("rb")
        theirs.sendall(b"request\r\nearly")
        assert reader.readline() == b"request\r\n"
        ours.setblocking(False)
        assert held_by(reader) == b"early"
        assert held_by(reader) == b""

    def test_is_no_more_than_that_when_the_socket_has_been_detached(self, ends):
        ours, theirs = ends
        reader = ours.makefile("rb")
        theirs.sendall(b"request\r\nearly")
        assert reader.readline() == b"request\r\n"
        theirs.sendall(b"later")
        fd = ours.detach()
        assert held_by(reader) == b"early"
        assert held_by(reader) == b""
        assert os.read(fd, 100) == b"later"
        os.close(fd)

    def test_is_all_of_a_full_buffer(self, ends):
        ours, theirs = ends
        reader = ours.makefile("rb", 100)
        theirs.sendall(b"x" * 300)
        assert reader.read(1) == b"x"
        ours.setblocking(False)
        assert held_by(reader) == b"x" * 99

    def test_is_nothing_when_there_is_nothing(self, ends):
        ours, theirs = ends
        reader = ours.makefile("rb")
        ours.setblocking(False)
        assert held_by(reader) == b""

    def test_is_nothing_at_the_end(self, ends):
        ours, theirs = ends
        reader = ours.makefile("rb")
        theirs.close()
        ours.setblocking(False)
        assert held_by(reader) == b""
