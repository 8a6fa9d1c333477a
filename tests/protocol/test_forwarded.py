"""Who the client is, and which host it asked for. The proxies here have addresses that begin with 10."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsmiddleware.protocol.forwarded import TrustedProxies

CLIENT = "203.0.113.7"


def environ(peer, forwarded_for=None, **more):
    """The environ of a request that came from the address *peer*, with an X-Forwarded-For."""
    found = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded_for, **more}
    return {name: value for name, value in found.items() if value is not None}


@pytest.fixture
def proxies():
    return TrustedProxies(["10.0.0.0/8"])


class TestMaking:
    @pytest.mark.parametrize(
        ("trusted", "peer"),
        [
            ("10.0.0.1", "10.0.0.1"),
            ("10.0.0.0/8", "10.255.0.1"),
            ("fd00::1", "fd00::1"),
            ("fd00::1", "fd00:0:0:0:0:0:0:1"),
            ("fd00::/8", "fd12::1"),
            ("fe80::/10", "fe80::1%eth0"),
            ("0.0.0.0/0", "10.0.0.1"),
            pytest.param("10.0.0.1", "::ffff:10.0.0.1", id="an IPv4 peer of a server that listens on IPv6"),
            pytest.param("::ffff:10.0.0.1", "10.0.0.1", id="the same, the other way round"),
            pytest.param("::ffff:10.0.0.0/104", "10.255.0.1", id="a network in this spelling"),
            pytest.param("unix", "", id="a Unix socket"),
            pytest.param("unix", None, id="a Unix socket, of a server that names no peer then"),
        ],
    )
    def test_takes_addresses_networks_and_the_word_unix(self, trusted, peer):
        assert TrustedProxies(["192.0.2.1", trusted]).client_address(environ(peer, CLIENT)) == CLIENT

    @pytest.mark.parametrize(
        ("trusted", "peer"),
        [
            ("10.0.0.1", "10.0.0.2"),
            ("10.0.0.0/16", "10.1.0.0"),
            ("fd00::1", "fd00::2"),
            ("0.0.0.0/0", "fd00::1"),
            ("0.0.0.0/0", ""),
            ("0.0.0.0/0", "localhost"),
            ("::/0", "10.0.0.1"),
            ("unix", "10.0.0.1"),
            ("unix", "unix"),
            ("unix", "localhost"),
        ],
    )
    def test_trusts_nobody_else(self, trusted, peer):
        assert TrustedProxies([trusted]).client_address(environ(peer, CLIENT)) == peer

    def test_trusts_nobody_by_default(self):
        assert TrustedProxies().client_address(environ("127.0.0.1", CLIENT)) == "127.0.0.1"
        assert TrustedProxies().client_address(environ("", CLIENT)) == ""

    @pytest.mark.parametrize(
        "nonsense", ["", "*", "proxy.example.org", "10.0.0.1:80", "10.0.0.0/33", "10.0.0", "Unix", 1, None, b"10.0.0.1"]
    )
    def test_refuses_nonsense_and_says_what_it_takes(self, nonsense):
        with pytest.raises(ValueError, match=r"IP address \(\"10\.0\.0\.1\"\), a network .*, found ") as refusal:
            TrustedProxies(["10.0.0.1", nonsense])
        assert f"found {nonsense!r}: " in str(refusal.value)

    def test_refuses_a_network_with_an_address_in_it(self):
        with pytest.raises(ValueError, match=r"found '10\.0\.0\.1/8': 10\.0\.0\.1/8 has host bits set$"):
            TrustedProxies(["10.0.0.1/8"])

    def test_refuses_a_text_instead_of_a_list(self):
        with pytest.raises(ValueError, match=r"found the text '10\.0\.0\.1': write \['10\.0\.0\.1'\]$"):
            TrustedProxies("10.0.0.1")


class TestClientAddress:
    @pytest.mark.parametrize(
        ("peer", "forwarded_for", "expected"),
        [
            pytest.param(CLIENT, None, CLIENT, id="no proxy"),
            pytest.param("::ffff:203.0.113.7", None, "::ffff:203.0.113.7", id="no proxy: as the server spells it"),
            pytest.param(CLIENT, "1.1.1.1", CLIENT, id="no proxy, and a lie"),
            pytest.param("10.0.0.1", CLIENT, CLIENT, id="a proxy"),
            pytest.param("10.0.0.1", f"1.1.1.1, {CLIENT}", CLIENT, id="a proxy, and a lie"),
            pytest.param("10.0.0.1", f"1.1.1.1, 10.6.6.6, {CLIENT}", CLIENT, id="a proxy, and a lie about another one"),
            pytest.param("10.0.0.1", f"1.1.1.1,{CLIENT},10.0.0.3, 10.0.0.2", CLIENT, id="three proxies"),
            pytest.param("10.0.0.1", None, "10.0.0.1", id="a proxy that tells nothing"),
            pytest.param("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3", id="a client among the proxies"),
        ],
    )
    def test_is_the_first_from_the_right_that_is_no_trusted_proxy(self, proxies, peer, forwarded_for, expected):
        assert proxies.client_address(environ(peer, forwarded_for)) == expected

    @pytest.mark.parametrize(
        ("entry", "expected"),
        [
            ("203.0.113.7:567", "203.0.113.7"),
            ("[2001:db8::7]:1234", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("2001:db8::7", "2001:db8::7"),
            ("2001:DB8:0:0:0:0:0:7", "2001:db8::7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("\t203.0.113.7 ", "203.0.113.7"),
        ],
    )
    def test_is_read_without_brackets_and_port_in_its_canonical_spelling(self, proxies, entry, expected):
        assert proxies.client_address(environ("10.0.0.1", f"1.1.1.1, {entry}, 10.0.0.2:80")) == expected

    @pytest.mark.parametrize(
        "entry",
        [
            "",
            "unknown",
            "_hidden",
            "unix:",
            "localhost",
            "203.0.113",
            "203.0.113.7.7",
            "203.0.113.256",
            "203.0.113.7:",
            "203.0.113.7:x",
            "203.0.113.7 10.0.0.3",
            "٢٠٣.0.113.7",
            "[2001:db8::7",
            "[203.0.113.7]:x",
            "2001:db8::g",
            "fe80::1%eth0",
            "for=203.0.113.7",
            '"203.0.113.7"',
            "1234",
        ],
    )
    def test_is_the_last_one_known_when_an_entry_is_no_address(self, proxies, entry):
        assert proxies.client_address(environ("10.0.0.1", f"1.1.1.1, {entry}, 10.0.0.2")) == "10.0.0.2"
        assert proxies.client_address(environ("10.0.0.1", f"1.1.1.1, {entry}")) == "10.0.0.1"
        assert TrustedProxies(["unix"]).client_address(environ("", f"1.1.1.1, {entry}")) == ""

    @given(claim=st.text() | st.lists(st.sampled_from(["10.0.0.9", "1.1.1.1", "", "x"])).map(", ".join))
    def test_cannot_be_chosen_by_the_client(self, claim):
        for proxies in (TrustedProxies(), TrustedProxies(["10.0.0.0/8"]), TrustedProxies(["unix"])):
            assert proxies.client_address(environ(CLIENT, claim)) == CLIENT
        trusted = TrustedProxies(["10.0.0.0/8", "unix"])
        for peer, path in [("10.0.0.1", ""), ("", ""), ("10.0.0.1", ", 10.0.0.3, 10.0.0.2")]:
            assert trusted.client_address(environ(peer, f"{claim}, {CLIENT}{path}")) == CLIENT


class TestHost:
    def test_is_the_host_field(self, proxies):
        assert proxies.host(environ(CLIENT, HTTP_HOST="example.org:8080", SERVER_NAME="x")) == "example.org:8080"

    @pytest.mark.parametrize(
        ("name", "expected"),
        [("example.org", "example.org:8000"), ("127.0.0.1", "127.0.0.1:8000"), ("::1", "[::1]:8000")],
    )
    def test_is_the_name_of_the_server_when_there_is_no_field(self, proxies, name, expected):
        server = {"SERVER_NAME": name, "SERVER_PORT": "8000"}
        assert proxies.host(environ(CLIENT, **server)) == expected
        assert proxies.host(environ(CLIENT, HTTP_HOST="", **server)) == expected

    def test_forwarded_counts_from_a_trusted_proxy_only(self, proxies):
        forwarded = {"HTTP_HOST": "backend:8000", "HTTP_X_FORWARDED_HOST": "example.org"}
        assert proxies.host(environ("10.0.0.1", CLIENT, **forwarded)) == "example.org"
        assert proxies.host(environ("10.0.0.1", **forwarded)) == "example.org"
        assert proxies.host(environ(CLIENT, **forwarded)) == "backend:8000"
        assert proxies.host(environ(CLIENT, "10.0.0.1", **forwarded)) == "backend:8000"
        assert TrustedProxies(["unix"]).host(environ(None, CLIENT, **forwarded)) == "example.org"

    @pytest.mark.parametrize("nothing", [None, "", " ", ",", "example.org,", "example.org, "])
    def test_forwarded_by_a_proxy_that_says_nothing_does_not_count(self, proxies, nothing):
        found = environ("10.0.0.1", CLIENT, HTTP_HOST="backend:8000", HTTP_X_FORWARDED_HOST=nothing)
        assert proxies.host(found) == "backend:8000"

    @pytest.mark.parametrize(
        ("peer", "forwarded_for", "values", "expected"),
        [
            pytest.param("10.0.0.1", CLIENT, "lie, a", "a", id="one proxy"),
            pytest.param("10.0.0.1", "1.1.1.1", "a", "a", id="one proxy, no lie"),
            pytest.param("10.0.0.1", f"{CLIENT}, 10.0.0.2", "lie, a,b", "a", id="two proxies"),
            pytest.param("10.0.0.1", f"10.6.6.6, {CLIENT}, 10.0.0.2", "lie, a, b", "a", id="two, a lie about a third"),
            pytest.param("10.0.0.1", f"{CLIENT}, 10.0.0.2", "a", "a", id="two proxies, one value"),
            pytest.param("10.0.0.1", "unknown, 10.0.0.2", "lie, a, b", "a", id="two proxies, an unknown client"),
            pytest.param("10.0.0.1", None, "lie, a", "a", id="a proxy that tells nothing of the client"),
        ],
    )
    def test_forwarded_is_as_far_from_the_right_as_there_are_proxies(
        self, proxies, peer, forwarded_for, values, expected
    ):
        found = environ(peer, forwarded_for, HTTP_HOST="backend", HTTP_X_FORWARDED_HOST=values)
        assert proxies.host(found) == expected

    @given(claim=st.text(), hosts=st.lists(st.just("proxy.example"), max_size=2))
    def test_forwarded_by_all_proxies_cannot_be_chosen_by_the_client(self, claim, hosts):
        proxies = TrustedProxies(["10.0.0.0/8"])
        addresses = ["10.0.0.3", "10.0.0.2"][: len(hosts)]
        found = environ(
            "10.0.0.1",
            ", ".join([claim, CLIENT, *addresses]),
            HTTP_X_FORWARDED_HOST=", ".join([claim, "example.org", *hosts]),
        )
        assert proxies.host(found) == "example.org"
