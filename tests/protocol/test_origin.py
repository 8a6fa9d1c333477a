"""Which Origin goes with which host, and with which option."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsmiddleware.protocol.origin import Origins

NO_ORIGINS = [
    "",
    "example.org",
    "null",
    "https://",
    "https:example.org",
    "https:///example.org",
    "://example.org",
    "file://",
    "https://example.org/",
    "https://example.org/path",
    "https://example.org?x",
    "https://example.org#x",
    "https://user@example.org",
    "https://example.org:",
    "https://example.org:x",
    "https://example.org:-1",
    "https://example.org:0443",
    "https://example.org:443443",
    "https://example.org:٤٤٣",
    "https://example.org, https://example.org",
    "https://example.org https://example.org",
    " https://example.org",
    "https://example.org\n",
    "https://exam\x00ple.org",
    "https://\N{KELVIN SIGN}elvin.example",
    "https://bücher.example",
    "https://*.example.org",
    "https://[::1",
    "https://::1",
    "1https://example.org",
]


class TestByDefault:
    """Pages of the request's host, whatever their scheme."""

    @pytest.mark.parametrize(
        ("origin", "host"),
        [
            ("https://example.org", "example.org"),
            ("https://example.org", "example.org:443"),
            ("https://example.org:443", "example.org"),
            ("http://example.org", "example.org"),
            ("http://example.org", "example.org:80"),
            ("http://example.org:80", "example.org"),
            ("https://example.org:8443", "example.org:8443"),
            ("http://example.org:443", "example.org:443"),
            ("HTTPS://Example.ORG", "eXample.org"),
            ("http://localhost:8000", "localhost:8000"),
            ("http://127.0.0.1:8000", "127.0.0.1:8000"),
            ("http://[::1]:8000", "[::1]:8000"),
            ("https://[2001:DB8::1]", "[2001:db8::1]:443"),
            ("https://xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("https://example.org.", "example.org."),
            ("https://under_score.example", "under_score.example"),
            ("app+x://example.org", "example.org"),
            ("app+x://example.org:8000", "example.org:8000"),
        ],
    )
    def test_may_connect(self, origin, host):
        assert Origins().allow(origin, host)

    @pytest.mark.parametrize(
        ("origin", "host"),
        [
            ("https://evil.example", "example.org"),
            ("https://example.org.evil.example", "example.org"),
            ("https://evil-example.org", "example.org"),
            ("https://sub.example.org", "example.org"),
            ("https://example.org", "sub.example.org"),
            ("https://example.org:8443", "example.org"),
            ("https://example.org", "example.org:8443"),
            ("https://example.org:80", "example.org"),
            ("https://example.org", "example.org:80"),
            ("http://example.org", "example.org:443"),
            ("app+x://example.org", "example.org:80"),
            ("https://localhost", "127.0.0.1"),
        ],
    )
    def test_others_may_not(self, origin, host):
        assert not Origins().allow(origin, host)

    @pytest.mark.parametrize("origin", NO_ORIGINS)
    def test_nor_may_what_is_no_origin(self, origin):
        assert not Origins().allow(origin, origin)
        assert not Origins().allow(origin, origin.partition("://")[2])
        assert not Origins().allow(origin, "example.org")

    @pytest.mark.parametrize("host", ["", "example.org:", "example.org:x", "example.org, example.org", "/", "a@b"])
    def test_nobody_may_connect_to_what_is_no_host(self, host):
        assert not Origins().allow("https://example.org", host)
        assert not Origins().allow(f"https://{host}", host)

    def test_who_is_no_browser_may_connect(self):
        assert Origins().allow(None, "example.org")
        assert Origins().allow(None, "")

    @given(origin=st.text(), host=st.text())
    def test_can_be_asked_anything(self, origin, host):
        Origins().allow(origin, host)

    @given(name=st.from_regex(r"[a-z0-9.-]+", fullmatch=True), port=st.none() | st.integers(1, 65535))
    def test_a_page_of_another_name_may_never_connect(self, name, port):
        host = name if port is None else f"{name}:{port}"
        assert Origins().allow(f"https://{host}", host)
        assert not Origins().allow(f"https://evil.{host}", host)
        assert not Origins().allow(f"https://{host}.evil", host)


class TestNamed:
    @pytest.mark.parametrize(
        ("entry", "origin"),
        [
            ("https://example.org", "https://example.org"),
            ("https://example.org", "https://example.org:443"),
            ("https://example.org:443", "https://example.org"),
            ("HTTPS://EXAMPLE.org", "https://example.org"),
            ("http://localhost:8000", "http://localhost:8000"),
            ("http://[::1]:8000", "http://[::1]:8000"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("chrome-extension://abcdefgh", "chrome-extension://abcdefgh"),
            ("example.org", "https://example.org"),
            ("example.org", "http://example.org"),
            ("example.org:8080", "https://example.org:8080"),
            ("example.org:8080", "http://example.org:8080"),
            ("example.org:443", "https://example.org"),
            ("[::1]:8000", "http://[::1]:8000"),
        ],
    )
    def test_may_connect(self, entry, origin):
        assert Origins(["https://another.example", entry]).allow(origin, "host")

    @pytest.mark.parametrize(
        ("entry", "origin"),
        [
            ("https://example.org", "http://example.org"),
            ("https://example.org", "https://example.org:8443"),
            ("https://example.org:8443", "https://example.org"),
            ("https://example.org", "https://sub.example.org"),
            ("example.org", "https://example.org:8443"),
            ("example.org", "http://example.org:443"),
            ("example.org:443", "http://example.org"),
            ("example.org", "null"),
        ],
    )
    def test_others_may_not(self, entry, origin):
        assert not Origins([entry]).allow(origin, "host")

    def test_nor_may_the_pages_of_the_host_itself(self):
        assert not Origins(["https://example.org"]).allow("https://host.example", "host.example")

    @pytest.mark.parametrize("origin", NO_ORIGINS)
    def test_nor_may_what_is_no_origin(self, origin):
        assert not Origins(["example.org", "https://example.org"]).allow(origin, "example.org")

    def test_who_is_no_browser_may_connect(self):
        assert Origins(["https://example.org"]).allow(None, "host")
        assert Origins([]).allow(None, "host")

    def test_nobody_is_nobody(self):
        assert not Origins([]).allow("https://example.org", "example.org")

    def test_are_known_as_they_were_given(self):
        assert Origins(iter(["HTTPS://Example.org:443", "b"])).named == ("HTTPS://Example.org:443", "b")
        assert Origins().named is None

    @pytest.mark.parametrize("nonsense", [*(text for text in NO_ORIGINS if text != "example.org"), "*", None, b"x", 1])
    def test_are_refused_if_they_are_none(self, nonsense):
        with pytest.raises(ValueError, match=r"^expected each of origins to be scheme://host\[:port\] ") as refusal:
            Origins(["https://example.org", nonsense])
        assert f"found {nonsense!r}. There are no paths" in str(refusal.value)

    @pytest.mark.parametrize("text", ["https://example.org", "", "**"])
    def test_are_a_list_and_no_text(self, text):
        with pytest.raises(ValueError) as refusal:
            Origins(text)
        assert str(refusal.value) == f'expected origins to be None, "*" or a list, found {text!r}: write [{text!r}]'


class TestAll:
    @pytest.mark.parametrize("origin", [None, "https://evil.example", *NO_ORIGINS])
    def test_may_connect(self, origin):
        assert Origins("*").allow(origin, "example.org")
