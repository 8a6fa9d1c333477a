"""The opening handshake: which requests are answered with a 101, and what the others are told."""

from wsgiref.util import is_hop_by_hop

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsmiddleware.protocol.forwarded import TrustedProxies
from wsmiddleware.protocol.handshake import Accepted, Refused, is_upgrade, shake_hands
from wsmiddleware.protocol.origin import Origins

CHROME = """\
GET /chat HTTP/1.1
Host: server.example.com
Connection: Upgrade
Pragma: no-cache
Cache-Control: no-cache
Upgrade: websocket
Origin: https://server.example.com
Sec-WebSocket-Version: 13
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits
"""
FIREFOX = """\
GET /chat HTTP/1.1
Host: server.example.com
Sec-WebSocket-Version: 13
Origin: https://server.example.com
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
Connection: keep-alive, Upgrade
Upgrade: websocket
"""
HIXIE_75 = """\
GET /demo HTTP/1.1
Upgrade: WebSocket
Connection: Upgrade
Host: example.com
Origin: http://example.com
WebSocket-Protocol: sample
"""
HIXIE_76 = """\
GET /demo HTTP/1.1
Host: example.com
Connection: Upgrade
Sec-WebSocket-Key2: 12998 5 Y3 1  .P00
Sec-WebSocket-Protocol: sample
Upgrade: WebSocket
Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5
Origin: http://example.com
"""
HYBI_07 = """\
GET /chat HTTP/1.1
Host: server.example.com
Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
Sec-WebSocket-Origin: http://evil.example
Sec-WebSocket-Version: 7
"""

ACCEPT = ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")


def environ(request=CHROME, **changes):
    """The environ of a request, with some fields changed: ``origin="null"``, or left out: ``origin=None``."""
    start, *fields = request.splitlines()
    method, path, protocol = start.split(" ")
    found = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "SERVER_PROTOCOL": protocol,
        "REMOTE_ADDR": "203.0.113.7",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
    }
    for field in fields:
        name, _, value = field.partition(": ")
        found["HTTP_" + name.upper().replace("-", "_")] = value
    for name, value in changes.items():
        found["HTTP_" + name.upper()] = value
    return {name: value for name, value in found.items() if value is not None}


def shake(request, *, origins=None, subprotocols=(), trusted=(), **options):
    return shake_hands(
        request, origins=Origins(origins), subprotocols=subprotocols, proxies=TrustedProxies(trusted), **options
    )


def refusal(request, status, **options):
    """Return what the client is told, after a look at the rest of the response."""
    refused = shake(request, **options)
    assert isinstance(refused, Refused)
    assert refused.status == status
    headers = dict(refused.headers)
    assert len(headers) == len(refused.headers)
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert headers["Content-Length"] == str(len(refused.body))
    assert not any(map(is_hop_by_hop, headers))
    assert headers.get("Sec-WebSocket-Version") == ("13" if status == "426 Upgrade Required" else None)
    assert headers.get("Allow") == ("GET" if status == "405 Method Not Allowed" else None)
    text = refused.body.decode("ascii")
    assert text.endswith(".\n") and text.strip("\n").isprintable()
    return text.strip("\n")


class TestIsUpgrade:
    @pytest.mark.parametrize(
        "value", ["websocket", "WebSocket", "WEBSOCKET", "h2c, websocket", "websocket ,\th2c", ",websocket"]
    )
    def test_to_a_websocket_is_one(self, value):
        assert is_upgrade({"HTTP_UPGRADE": value})

    @pytest.mark.parametrize("value", ["", "h2c", "websockets", "web socket", "websocket/13", "TLS/1.0, h2c"])
    def test_to_something_else_is_none(self, value):
        assert not is_upgrade({"HTTP_UPGRADE": value})

    def test_is_not_asked_for_without_the_field(self):
        assert not is_upgrade({})

    @pytest.mark.parametrize("request_", [CHROME, FIREFOX, HIXIE_75, HIXIE_76, HYBI_07])
    def test_is_all_that_it_looks_at(self, request_):
        assert is_upgrade(environ(request_))


class TestAccepted:
    @pytest.mark.parametrize("request_", [CHROME, FIREFOX])
    def test_is_what_browsers_send(self, request_):
        headers = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ACCEPT]
        assert shake(environ(request_)) == Accepted(headers, None)

    def test_accepts_the_key(self):
        accepted = shake(environ(sec_websocket_key="x3JJHMbDL1EzLkh9GBhXDw=="))
        assert accepted.headers[-1] == ("Sec-WebSocket-Accept", "HSmrc0sMlYUkAGmm5OPpG2HaGWk=")

    def test_reads_lists_in_any_case(self):
        assert isinstance(shake(environ(connection="TE,\tUPGRADE", upgrade="h2c, WEBsocket")), Accepted)

    def test_takes_later_versions_of_http_1(self):
        assert isinstance(shake(environ() | {"SERVER_PROTOCOL": "HTTP/1.2"}), Accepted)


class TestRefused:
    @pytest.mark.parametrize("method", ["POST", "HEAD", "CONNECT", "get", ""])
    def test_for_another_method(self, method):
        text = refusal(environ() | {"REQUEST_METHOD": method}, "405 Method Not Allowed")
        assert text == f"Expected the method GET, found {method!r}."

    @pytest.mark.parametrize(
        "protocol", ["HTTP/1.0", "HTTP/0.9", "HTTP/2", "HTTP/2.0", "HTTP/3", "HTTP/1.1 ", "INCLUDED", ""]
    )
    def test_for_another_protocol(self, protocol):
        text = refusal(environ() | {"SERVER_PROTOCOL": protocol}, "400 Bad Request")
        assert text == (
            f"Expected HTTP/1.1, found {protocol!r}: HTTP/1.0 and HTTP/2 have no Upgrade. Connect with HTTP/1.1, and "
            "tell a proxy in between to do so too (nginx: proxy_http_version 1.1)."
        )

    @pytest.mark.parametrize(("upgrade", "found"), [(None, "none"), ("", "''"), ("h2c", "'h2c'")])
    def test_for_no_upgrade_to_a_websocket(self, upgrade, found):
        text = refusal(environ(upgrade=upgrade), "426 Upgrade Required")
        assert text == (
            f"Expected Upgrade: websocket, found {found}. This URL is for WebSockets (ws://, wss://). "
            "A proxy takes this field away unless it is told to pass on both Upgrade and Connection."
        )

    @pytest.mark.parametrize(
        ("connection", "found"),
        [(None, "none"), ("close", "'close'"), ("keep-alive, upgrades", "'keep-alive, upgrades'")],
    )
    def test_for_a_connection_that_is_not_to_be_upgraded(self, connection, found):
        text = refusal(environ(connection=connection), "400 Bad Request")
        assert text == (
            f"Expected Connection: Upgrade, found {found}. "
            "A proxy takes this field away unless it is told to pass on both Upgrade and Connection."
        )

    @pytest.mark.parametrize(
        ("request_", "found"),
        [
            pytest.param(environ(sec_websocket_version=None), "none", id="missing"),
            pytest.param(environ(sec_websocket_version="14"), "'14'", id="future"),
            pytest.param(environ(sec_websocket_version="13, 13"), "'13, 13'", id="twice"),
            pytest.param(environ(sec_websocket_version="013"), "'013'", id="another spelling"),
            pytest.param(environ(sec_websocket_version="8"), "'8'", id="hybi-08"),
            pytest.param(environ(HYBI_07), "'7'", id="hybi-07"),
            pytest.param(
                environ(HIXIE_76), "none, and Sec-WebSocket-Key1, as in the drafts hixie-76 and hybi-00", id="hixie-76"
            ),
            pytest.param(environ(HIXIE_75), "none, and WebSocket-Protocol, as in the draft hixie-75", id="hixie-75"),
        ],
    )
    def test_for_another_version(self, request_, found):
        text = refusal(request_, "426 Upgrade Required")
        assert text == (
            f"Expected Sec-WebSocket-Version: 13, found {found}. "
            "Use a client that speaks RFC 6455: its drafts are not spoken here."
        )

    @pytest.mark.parametrize(
        "key",
        [
            None,
            "",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25jZQ===",
            "dGhlIHNhbXBsZSBub25jZT0=",
            "dGhlIHNhbXBsZSBub25j",
            "dGhlIHNhbXBsZSBub25j ZQ==",
            "dGhlIHNhbXBsZSBub25-ZQ==",
            "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
            "dGhlIHNhbXBsZSBub25jZQ==\n",
            "é" * 22 + "==",
        ],
    )
    def test_for_a_key_that_is_not_one_of_sixteen_bytes(self, key):
        text = refusal(environ(sec_websocket_key=key), "400 Bad Request")
        assert text == (
            "Expected one Sec-WebSocket-Key, 16 random bytes in base64, found "
            f"{'none' if key is None else ascii(key)}. Use a client that speaks RFC 6455."
        )

    @pytest.mark.parametrize("names", ["chat room", "chat; v=1", '"chat"', "chat, {}", "chat@2", "chât", "chat\x00"])
    def test_for_subprotocols_that_are_no_list_of_tokens(self, names):
        text = refusal(environ(sec_websocket_protocol=names), "400 Bad Request", subprotocols=["chat"])
        assert text == (
            f"Expected Sec-WebSocket-Protocol to be a list of names, found {ascii(names)}. "
            "Name subprotocols with letters, digits, '.' and '-', and put commas between them."
        )

    @pytest.mark.parametrize("host", [{}, {"HTTP_HOST": ""}], ids=["none", "empty"])
    def test_for_no_host(self, host):
        """4.2.1: "A |Host| header field containing the server's authority"."""
        request = environ()
        del request["HTTP_HOST"]
        text = refusal(request | host, "400 Bad Request")
        assert text == "Expected a Host, found none. Use a client that speaks HTTP/1.1."

    @pytest.mark.parametrize("body", [{"CONTENT_LENGTH": "5"}, {"HTTP_TRANSFER_ENCODING": "chunked"}], ids=repr)
    def test_for_a_body(self, body):
        """Its bytes would pass for frames that came early."""
        assert refusal(environ() | body, "400 Bad Request") == (
            "Expected a handshake without a body, found one. Send no Content-Length."
        )

    @pytest.mark.parametrize("length", ["", "0"])
    def test_for_no_body_that_is_empty(self, length):
        assert isinstance(shake(environ() | {"CONTENT_LENGTH": length}), Accepted)

    def test_for_the_first_fault_there_is(self):
        """A request with all that can be wrong, put right one by one."""
        right = environ(sec_websocket_protocol="chat")
        request = {"HTTP_HOST": right["HTTP_HOST"], "HTTP_SEC_WEBSOCKET_PROTOCOL": "@", "HTTP_ORIGIN": "null"}
        statuses = []
        for name in [
            "REQUEST_METHOD",
            "SERVER_PROTOCOL",
            "HTTP_UPGRADE",
            "HTTP_CONNECTION",
            "HTTP_SEC_WEBSOCKET_VERSION",
            "HTTP_SEC_WEBSOCKET_KEY",
            "HTTP_SEC_WEBSOCKET_PROTOCOL",
            "HTTP_ORIGIN",
        ]:
            statuses.append(shake(request).status[:3])
            request[name] = right[name]
        assert statuses == ["405", "400", "426", "400", "426", "400", "400", "403"]
        assert isinstance(shake(request), Accepted)


class TestOrigin:
    OTHERS = (
        "Expected Origin to be that of a page of this host, {host}, found {found}. To allow it, name it in the option "
        "origins. Behind a proxy that changes Host, name that in trusted_proxies."
    )

    @pytest.mark.parametrize("options", [{}, {"origins": ["https://example.org"]}], ids=["by default", "with a list"])
    def test_null_is_refused_with_the_one_remedy_there_is(self, options):
        text = refusal(environ(origin="null"), "403 Forbidden", **options)
        assert text.endswith("It stands for any page that hides where it comes from; only origins=\"*\" allows it.")

    @pytest.mark.parametrize("origin", ["https://evil.example", "", "server.example.com", "file://"])
    def test_is_the_request_s_host_by_default(self, origin):
        text = refusal(environ(origin=origin), "403 Forbidden")
        assert text == self.OTHERS.format(host="'server.example.com'", found=repr(origin))

    @pytest.mark.parametrize("scheme", ["https", "http"])
    def test_of_any_scheme_is_allowed_behind_a_proxy_that_ends_tls(self, scheme):
        assert isinstance(shake(environ(origin=f"{scheme}://server.example.com")), Accepted)

    def test_is_compared_with_a_forwarded_host_from_a_trusted_proxy_only(self):
        request = environ(host="backend:8000", x_forwarded_host="server.example.com")
        assert isinstance(shake(request, trusted=["203.0.113.7"]), Accepted)
        assert refusal(request, "403 Forbidden") == self.OTHERS.format(
            host="'backend:8000'", found="'https://server.example.com'"
        )

    @pytest.mark.parametrize("origins", [None, [], ["https://example.org"], "*"])
    def test_may_be_absent(self, origins):
        assert isinstance(shake(environ(origin=None), origins=origins), Accepted)

    def test_is_one_of_those_named(self):
        origins = ["https://example.org", "https://example.net"]
        assert isinstance(shake(environ(origin="https://example.net"), origins=origins), Accepted)
        assert refusal(environ(), "403 Forbidden", origins=origins) == (
            "Expected Origin to be one of 'https://example.org, https://example.net', "
            "found 'https://server.example.com'. To allow it, name it in the option origins."
        )

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "file://"])
    def test_is_not_looked_at_when_all_are_allowed(self, origin):
        assert isinstance(shake(environ(origin=origin), origins="*"), Accepted)


class TestSubprotocol:
    @pytest.mark.parametrize(
        ("spoken", "offered", "chosen"),
        [
            (["chat"], "chat", "chat"),
            (["v2", "v1"], "v1, v2", "v2"),
            (["v2", "v1"], "v1,v0", "v1"),
            (["v12.stomp"], " ,\tv11.stomp ,, v12.stomp,", "v12.stomp"),
            (["!#$%&'*+-.^_`|~09AZaz"], "!#$%&'*+-.^_`|~09AZaz", "!#$%&'*+-.^_`|~09AZaz"),
        ],
    )
    def test_is_the_first_spoken_here_that_is_offered(self, spoken, offered, chosen):
        accepted = shake(environ(sec_websocket_protocol=offered), subprotocols=spoken)
        assert accepted.subprotocol == chosen
        assert accepted.headers[2:] == [ACCEPT, ("Sec-WebSocket-Protocol", chosen)]

    @pytest.mark.parametrize(
        ("spoken", "offered"),
        [([], None), ([], "chat"), (["chat"], None), (["chat"], ""), (["chat"], ","), (["chat"], "Chat, chats")],
    )
    def test_is_none_without_a_common_one(self, spoken, offered):
        accepted = shake(environ(sec_websocket_protocol=offered), subprotocols=spoken)
        assert accepted.subprotocol is None
        assert accepted.headers[2:] == [ACCEPT]


class TestCompression:
    @pytest.mark.parametrize(("mode", "answer"), [
        ("shared", "permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
        ("dedicated", "permessage-deflate; client_max_window_bits=12"),
    ])
    def test_is_agreed_on_with_browsers(self, mode, answer):
        accepted = shake(environ(CHROME), compression=mode)
        assert accepted.headers[-1] == ("Sec-WebSocket-Extensions", answer)
        assert str(accepted.compression.extension) == answer

    @pytest.mark.parametrize("mode", ["shared", "dedicated"])
    @pytest.mark.parametrize("offered", [None, "", "x-webkit-deflate-frame", "permessage-deflate; foo"])
    def test_is_not_without_an_offer_that_can_be_accepted(self, offered, mode):
        accepted = shake(environ(sec_websocket_extensions=offered), compression=mode)
        assert accepted.compression is None
        assert accepted.headers[2:] == [ACCEPT]

    @pytest.mark.parametrize("mode", [None, "shared"])
    def test_wants_a_field_that_follows_the_grammar(self, mode):
        """RFC 6455 section 9.1."""
        request = environ(sec_websocket_extensions="permessage-deflate;")
        assert refusal(request, "400 Bad Request", compression=mode) == (
            "Expected Sec-WebSocket-Extensions to be a list of extensions with parameters, found "
            "'permessage-deflate;'. Write it like: permessage-deflate; client_max_window_bits."
        )


class TestAnsweredByTheServer:
    """gevent-websocket's handler has sent a 101 before it calls the application."""

    def test_leaves_nothing_to_send_and_no_subprotocol_to_choose(self):
        request = environ(sec_websocket_protocol="chat")
        assert shake(request, subprotocols=["chat"], answered=True) == Accepted([], None)
        assert shake(environ(CHROME), compression="shared", answered=True) == Accepted([], None)

    def test_does_not_change_what_is_refused(self):
        refusal(environ(origin="https://evil.example"), "403 Forbidden", answered=True)
        refusal(environ(sec_websocket_key="dGhl"), "400 Bad Request", answered=True)

    def test_does_not_let_the_drafts_in_whose_origin_has_another_name(self):
        refusal(environ(HYBI_07), "426 Upgrade Required", answered=True)


VALUES = st.text() | st.sampled_from(
    [
        "GET",
        "HTTP/1.1",
        "websocket",
        "Upgrade",
        "13",
        ACCEPT[1],
        "dGhlIHNhbXBsZSBub25jZQ==",
        "chat",
        "https://a",
        "a",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "",
    ]
)


class TestWhateverIsSent:
    @given(
        changes=st.dictionaries(
            st.sampled_from(
                [
                    *environ(HIXIE_76),
                    *environ(),
                    "HTTP_SEC_WEBSOCKET_PROTOCOL",
                    "HTTP_SEC_WEBSOCKET_EXTENSIONS",
                ]
            ),
            VALUES,
        ),
        gone=st.sets(st.sampled_from(list(environ()))),
        origins=st.sampled_from([None, "*", [], ["https://a"]]),
        answered=st.booleans(),
        compression=st.sampled_from([None, "shared", "dedicated"]),
    )
    def test_is_accepted_or_refused(self, changes, gone, origins, answered, compression):
        request = {name: value for name, value in environ().items() if name not in gone} | changes
        options = {
            "origins": origins,
            "subprotocols": ["chat"],
            "trusted": ["unix"],
            "answered": answered,
            "compression": compression,
        }
        outcome = shake(request, **options)
        if isinstance(outcome, Refused):
            refusal(request, outcome.status, **options)
        else:
            assert isinstance(outcome, Accepted)
            assert request["REQUEST_METHOD"] == "GET"

    @pytest.mark.parametrize(
        ("changes", "status"),
        [
            ({"REQUEST_METHOD": "{}"}, "405 Method Not Allowed"),
            ({"SERVER_PROTOCOL": "{}"}, "400 Bad Request"),
            ({"HTTP_UPGRADE": "{}"}, "426 Upgrade Required"),
            ({"HTTP_CONNECTION": "{}"}, "400 Bad Request"),
            ({"HTTP_SEC_WEBSOCKET_VERSION": "{}"}, "426 Upgrade Required"),
            ({"HTTP_SEC_WEBSOCKET_KEY": "{}"}, "400 Bad Request"),
            ({"HTTP_SEC_WEBSOCKET_PROTOCOL": "{}"}, "400 Bad Request"),
            ({"HTTP_SEC_WEBSOCKET_EXTENSIONS": "{};"}, "400 Bad Request"),
            ({"HTTP_ORIGIN": "{}", "HTTP_HOST": "{}"}, "403 Forbidden"),
        ],
    )
    @pytest.mark.parametrize(
        "flood",
        ["x " * 100_000, "\x1b[2J\r\nSet-Cookie: x", "\x00" * 1000, "\ud800\N{SNOWMAN}é"],
        ids=["long", "control characters", "null bytes", "beyond Latin-1"],
    )
    def test_is_repeated_in_one_printable_line_of_bounded_length(self, changes, status, flood):
        request = environ() | {name: value.format(flood) for name, value in changes.items()}
        assert len(refusal(request, status)) < 700

    def test_is_repeated_up_to_two_hundred_characters(self):
        assert f"found '{'x' * 198}'. " in refusal(environ(sec_websocket_version="x" * 198), "426 Upgrade Required")
        assert f"found '{'x' * 196}.... " in refusal(environ(sec_websocket_version="x" * 199), "426 Upgrade Required")

    def test_cannot_make_a_long_list_of_origins_known(self):
        origins = [f"https://{number}.example.org" for number in range(1000)]
        assert len(refusal(environ(), "403 Forbidden", origins=origins)) < 400
