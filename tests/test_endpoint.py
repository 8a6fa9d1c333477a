"""What can be an endpoint, and what is said of what cannot."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from wsmiddleware.endpoint import Endpoint, check, is_class


class Chat(Endpoint):
    pass


def function(session):
    pass


def function_of_a_room(session, room):
    pass


class Callable:
    """Its instances are as good as functions."""

    def __call__(self, session, room="all"):
        pass

    def method(self, session):
        pass


class TestEndpoint:
    def test_has_methods_that_do_nothing_so_that_all_may_be_left_out(self):
        endpoint: Any = Endpoint()
        assert endpoint.on_open("session") is None
        assert endpoint.on_message("session", "message") is None
        assert endpoint.on_error("session", ValueError()) is None
        assert endpoint.on_close("session", "event") is None


class TestIsClass:
    @pytest.mark.parametrize("endpoint", [Endpoint, Chat])
    def test_is_true_of_subclasses(self, endpoint):
        assert is_class(endpoint)

    @pytest.mark.parametrize("endpoint", [function, Callable(), Callable, Chat(), "Chat"], ids=str)
    def test_is_false_of_all_else(self, endpoint):
        assert not is_class(endpoint)


class TestCheck:
    @pytest.mark.parametrize(
        ("endpoint", "parameters"),
        [
            pytest.param(Endpoint, (), id="Endpoint itself"),
            pytest.param(Chat, (), id="subclass"),
            pytest.param(Chat, {"room"}, id="subclass: it finds the parameters in session.params"),
            pytest.param(function, (), id="function"),
            pytest.param(function_of_a_room, {"room"}, id="function with the path's parameter"),
            pytest.param(lambda session, *, room: None, {"room"}, id="keyword-only parameter"),
            pytest.param(lambda session, room=None: None, (), id="default for what is not in the path"),
            pytest.param(lambda session, **params: None, {"room", "page"}, id="any parameters"),
            pytest.param(lambda *args, **kwargs: None, {"room"}, id="any arguments"),
            pytest.param(functools.partial(function_of_a_room, room="all"), (), id="partial"),
            pytest.param(Callable(), {"room"}, id="callable object"),
            pytest.param(Callable().method, (), id="bound method"),
            pytest.param(print, (), id="builtin function"),
            pytest.param(max, (), id="builtin function that does not tell its parameters"),
        ],
    )
    def test_accepts(self, endpoint, parameters):
        check(endpoint, parameters)

    @pytest.mark.parametrize(
        ("endpoint", "complaint"),
        [
            pytest.param(Callable, "found the class Callable$", id="another class"),
            pytest.param(None, "found None$", id="nothing"),
            pytest.param("chat", "found 'chat'$", id="text"),
        ],
    )
    def test_refuses_what_is_no_endpoint(self, endpoint, complaint):
        with pytest.raises(TypeError, match="expected a subclass of Endpoint or a function, " + complaint):
            check(endpoint, ())

    def test_refuses_an_instance_since_each_session_gets_its_own(self):
        class Called(Chat):
            def __call__(self, session):
                pass

        for instance in (Chat(), Called()):
            with pytest.raises(TypeError, match="expected .*, found "):
                check(instance, ())
        with pytest.raises(TypeError, match="expected the class of an Endpoint, of which each session gets its own"):
            check(Called(), ())

    def test_refuses_a_coroutine_function_and_says_that_it_may_just_block(self):
        async def chat(session):
            pass

        for endpoint in (chat, functools.partial(chat)):
            with pytest.raises(TypeError, match=r"found the coroutine function .*chat.*: endpoints .* may just block$"):
                check(endpoint, ())

    @pytest.mark.parametrize(
        ("endpoint", "parameters", "expected", "found"),
        [
            pytest.param(
                function, {"room"}, r"\(session, room\)", r"function\(session\): .*'room'", id="a parameter too many"
            ),
            pytest.param(
                function_of_a_room,
                (),
                r"\(session\)",
                r"function_of_a_room\(session, room\): .*'room'",
                id="a parameter too few",
            ),
            pytest.param(
                function_of_a_room,
                {"page", "number"},
                r"\(session, number, page\)",
                r"function_of_a_room\(session, room\): ",
                id="other names",
            ),
            pytest.param(lambda: None, (), r"\(session\)", r"<lambda>\(\): too many", id="no session"),
            pytest.param(Callable(), {"page"}, r"\(session, page\)", "object at .*'page'", id="callable object"),
        ],
    )
    def test_refuses_a_function_that_does_not_take_the_paths_parameters(self, endpoint, parameters, expected, found):
        complaint = f"expected a function that can be called with {expected}, as the path says, found .*{found}"
        with pytest.raises(TypeError, match=complaint):
            check(endpoint, parameters)

    def test_takes_the_first_argument_by_position_whatever_its_name(self):
        check(lambda ws, /: None, ())
        check(lambda ws, room: None, {"room"})

    def test_a_parameter_of_the_path_must_not_take_the_sessions_place(self):
        with pytest.raises(TypeError, match="multiple values for argument 'session'"):
            check(function, {"session"})
