"""Options as they are given, and what becomes of them."""

from __future__ import annotations

import math
import sys
from typing import Any

import pytest

from wsmiddleware.loop.settings import Settings
from wsmiddleware.options import MOST, Options, RouteOptions, complete

NUMBERS = ["max_message_size", "receive_queue", "send_queue"]
SECONDS = ["idle_timeout", "close_timeout"]


def complete_one(name: str, value: Any) -> Options:
    return complete({name: value})  # type: ignore[misc]


def refuse(environ: Any) -> None:
    return None


class TestDefaults:
    def test_are_those_of_the_readme(self):
        options = complete({})
        assert options.authorize is None
        assert options.subprotocols == ()
        assert options.compression is None
        assert options.settings == Settings(
            max_message_size=1024 * 1024,
            receive_queue=16,
            send_queue=1024 * 1024,
            idle_timeout=None,
            close_timeout=5,
        )

    def test_allow_pages_of_the_own_host(self):
        origins = complete({}).origins
        assert origins.allow("https://example.org", "example.org")
        assert not origins.allow("https://example.com", "example.org")


class TestValues:
    def test_are_used_as_they_are(self):
        options = complete(
            {
                "origins": ["https://example.com"],
                "authorize": refuse,
                "subprotocols": ["b", "a"],
                "compression": "dedicated",
                "max_message_size": 1,
                "receive_queue": 2,
                "send_queue": 3,
                "idle_timeout": 4,
                "close_timeout": 0.5,
            }
        )
        assert options.origins.allow("https://example.com", "example.org")
        assert options.authorize is refuse
        assert options.subprotocols == ("b", "a")
        assert options.compression == "dedicated"
        assert options.settings == Settings(1, 2, 3, 4, 0.5)

    def test_none_stands_for_the_default_where_there_is_no_other_sense(self):
        assert complete({"authorize": None, "idle_timeout": None})[1:] == complete({})[1:]
        assert complete({"origins": None}).origins.named is None

    def test_a_list_that_changes_later_changes_nothing(self):
        subprotocols = ["a"]
        options = complete({"subprotocols": subprotocols})
        subprotocols.append("b")
        assert options.subprotocols == ("a",)


class TestUnknown:
    def test_is_refused_with_a_list_of_those_that_exist(self):
        with pytest.raises(TypeError) as refusal:
            complete({"origin": "*", "max_size": 1})
        assert str(refusal.value) == (
            "expected options among authorize, close_timeout, compression, idle_timeout, max_message_size, origins, "
            "receive_queue, send_queue, subprotocols, found max_size, origin"
        )

    @pytest.mark.parametrize("name", sorted(RouteOptions.__annotations__))
    def test_is_no_option_that_the_type_names(self, name):
        try:
            complete_one(name, object())
        except (TypeError, ValueError) as error:
            assert "expected options among" not in str(error)


def test_the_type_names_all_options() -> None:
    others = {"origins", "authorize", "subprotocols", "compression"}
    assert set(RouteOptions.__annotations__) == {*others, *NUMBERS, *SECONDS}


class TestNumbers:
    @pytest.mark.parametrize("name", NUMBERS)
    @pytest.mark.parametrize("value", [None, 1.0, "1", True, math.inf])
    def test_are_ints(self, name, value):
        with pytest.raises(TypeError, match=f"^expected {name} to be an int, found {type(value).__name__}$"):
            complete_one(name, value)

    @pytest.mark.parametrize("name", NUMBERS)
    @pytest.mark.parametrize("value", [0, -1])
    def test_are_positive(self, name, value):
        with pytest.raises(ValueError, match=f"^expected {name} to be 1 or more, found {value}$"):
            complete_one(name, value)

    @pytest.mark.parametrize("name", NUMBERS)
    @pytest.mark.parametrize("value", [MOST + 1, sys.maxsize])
    def test_are_not_without_limit(self, name, value):
        with pytest.raises(ValueError, match=f"^expected {name} to be at most {MOST}, found {value}$"):
            complete_one(name, value)


class TestSeconds:
    @pytest.mark.parametrize("name", SECONDS)
    @pytest.mark.parametrize("value", ["1", True, [1]])
    def test_are_numbers(self, name, value):
        with pytest.raises(
            TypeError, match=f"^expected {name} to be a number of seconds, found {type(value).__name__}$"
        ):
            complete_one(name, value)

    @pytest.mark.parametrize("name", SECONDS)
    @pytest.mark.parametrize("value", [0, -0.5, math.nan])
    def test_are_positive(self, name, value):
        with pytest.raises(ValueError, match=f"^expected {name} to be more than 0 seconds.*, found {value}$"):
            complete_one(name, value)

    @pytest.mark.parametrize("name", SECONDS)
    def test_are_finite_for_no_clock_gets_to_infinity(self, name):
        with pytest.raises(ValueError, match=f"^expected {name} to be .*, found inf$"):
            complete_one(name, math.inf)

    def test_no_close_timeout_would_keep_a_silent_client_for_ever(self):
        with pytest.raises(TypeError, match="^expected close_timeout to be a number of seconds, found None$"):
            complete_one("close_timeout", None)


class TestOrigins:
    @pytest.mark.parametrize("value", ["https://example.org", ["https://example.org/path"], ["null"], [1]])
    def test_are_checked(self, value):
        with pytest.raises(ValueError, match="expected .*origins to be"):
            complete_one("origins", value)

    def test_may_be_any(self):
        assert complete({"origins": "*"}).origins.allow("null", "example.org")

    def test_may_be_none_at_all(self):
        assert not complete({"origins": []}).origins.allow("https://example.org", "example.org")


class TestAuthorize:
    def test_is_a_function(self):
        with pytest.raises(TypeError, match="^expected authorize to be a function, found bool$"):
            complete_one("authorize", True)


class TestSubprotocols:
    def test_are_a_list_and_not_one_name(self):
        with pytest.raises(TypeError, match="^expected subprotocols to be a list of names, found the str 'chat'$"):
            complete_one("subprotocols", "chat")

    @pytest.mark.parametrize("value", [b"chat", [b"chat"], [None], [1]])
    def test_are_names(self, value):
        with pytest.raises(TypeError, match="^expected subprotocols to be a list of names, found "):
            complete_one("subprotocols", value)

    def test_may_come_from_an_iterator(self):
        assert complete_one("subprotocols", iter(["a", "b"])).subprotocols == ("a", "b")


@pytest.mark.parametrize("value", ["", "deflate", True, 1])
def test_compression_is_one_of_two(value: object) -> None:
    with pytest.raises(ValueError, match='^expected compression to be "shared", "dedicated" or None, found '):
        complete_one("compression", value)
