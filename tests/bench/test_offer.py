"""The offer of compression: what it asks for, and which answers agree to it."""

from __future__ import annotations

import pytest

from wsmiddleware.bench.errors import ReplyError
from wsmiddleware.bench.offer import Offer
from wsmiddleware.protocol.deflate import agree

DEDICATED = "permessage-deflate; client_no_context_takeover; server_max_window_bits=12; client_max_window_bits=12"
SHARED = DEDICATED.replace("; ", "; server_no_context_takeover; ", 1)


def answer(*fields: str) -> bytes:
    lines = "".join(f"{field}\r\n" for field in fields)
    return f"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\n{lines}\r\n".encode()


@pytest.mark.parametrize(("contexts", "expected"), [("shared", SHARED), ("dedicated", DEDICATED)])
def test_says_whether_messages_may_refer_to_those_before(contexts, expected):
    offer = Offer(contexts)
    assert offer.header == ("Sec-WebSocket-Extensions", expected)
    assert offer.takeover == (contexts == "dedicated")


@pytest.mark.parametrize("contexts", ["shared", "dedicated"])
def test_is_what_our_server_agrees_to(contexts):
    offer = Offer(contexts)
    agreed = agree([offer.extension], contexts)
    assert agreed is not None
    offer.expect_accepted(answer(f"Sec-WebSocket-Extensions: {agreed.extension}"))


@pytest.mark.parametrize(
    "fields",
    [
        ["Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12"],
        ["sec-websocket-extensions:permessage-deflate;server_max_window_bits=9;client_max_window_bits=12"],
        ["Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12; server_no_context_takeover"],
    ],
)
def test_may_be_answered_in_several_ways(fields):
    Offer("dedicated").expect_accepted(answer(*fields))


@pytest.mark.parametrize("contexts", ["shared", "dedicated"])
@pytest.mark.parametrize(
    ("fields", "found"),
    [
        pytest.param([], "none", id="no answer"),
        pytest.param(["Sec-WebSocket-Extensions: x-webkit; server_max_window_bits=12"], "'x-webkit; .*'", id="another"),
        pytest.param(["Sec-WebSocket-Extensions: permessage-deflate"], "'permessage-deflate'", id="larger windows"),
        pytest.param(
            ["Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=15"], "'.*=15'", id="other windows"
        ),
        pytest.param(
            ["Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12; client_max_window_bits=9"],
            "'.*=9'",
            id="windows that ours do not fit into",
        ),
        pytest.param(["Sec-WebSocket-Extensions: ;"], "';'", id="garbage"),
        pytest.param(
            ["Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12", "Sec-WebSocket-Extensions: x"],
            "'.*, x'",
            id="two",
        ),
    ],
)
def test_has_to_be_agreed_to(contexts, fields, found):
    with pytest.raises(ReplyError, match=f"^expected Sec-WebSocket-Extensions to agree to .*, found {found}. Switch"):
        Offer(contexts).expect_accepted(answer(*fields))


def test_of_shared_contexts_has_to_be_agreed_to():
    with pytest.raises(ReplyError, match="server_no_context_takeover.*, found"):
        Offer("shared").expect_accepted(
            answer("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12")
        )
