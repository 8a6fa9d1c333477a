import pytest

from wsmiddleware.protocol.extensions import Extension, parse


class TestParse:
    @pytest.mark.parametrize(
        ("field", "found"),
        [
            ("", []),
            (" , ,\t,", []),
            ("foo", [Extension("foo", [])]),
            (" foo\t,,bar ,", [Extension("foo", []), Extension("bar", [])]),
            ("foo; a; b=1", [Extension("foo", [("a", None), ("b", "1")])]),
            ("foo;a\t= 1 ;b", [Extension("foo", [("a", "1"), ("b", None)])]),
            ("foo; a; a=2, foo", [Extension("foo", [("a", None), ("a", "2")]), Extension("foo", [])]),
            ('foo; a="10"', [Extension("foo", [("a", "10")])]),
            ('foo; a="1\\0"', [Extension("foo", [("a", "10")])]),
            ("x-webkit-deflate-frame", [Extension("x-webkit-deflate-frame", [])]),
            (
                "permessage-deflate; client_max_window_bits; server_max_window_bits=10, permessage-deflate",
                [
                    Extension(
                        "permessage-deflate", [("client_max_window_bits", None), ("server_max_window_bits", "10")]
                    ),
                    Extension("permessage-deflate", []),
                ],
            ),
        ],
    )
    def test_reads_what_the_grammar_allows(self, field, found):
        assert parse(field) == found

    @pytest.mark.parametrize(
        "field",
        [
            "foo bar",
            "foo;",
            "foo; ;a",
            "foo; a=",
            "foo; =1",
            "foo; a==1",
            "; a",
            "foo=1",
            "foo; a=1 2",
            "foo/1",
            "foö",
            'foo; a="',
            'foo; a=""',
            'foo; a="1 2"',
            'foo; a="1\\"',
            'foo; a="1"2',
            "foo; a\x00",
            "foo\n",
            "foo; a=1\n",
            'foo; a="1\\\\0"',  # unescaped, a backslash
        ],
    )
    def test_refuses_the_rest(self, field):
        with pytest.raises(ValueError, match="^expected "):
            parse(field)

    def test_takes_no_longer_than_the_field_is_long(self):
        """Nothing here may be tried again and again from every place (it would take hours)."""
        floods = [" " * 100_000 + "?", "foo" + " ;a" * 30_000 + " ; ", 'foo; a="' + "\\a" * 50_000, "a," * 50_000 + "?"]
        for field in floods:
            with pytest.raises(ValueError, match="^expected "):
                parse(field)


class TestExtension:
    def test_is_written_as_it_is_read(self):
        field = "permessage-deflate; server_no_context_takeover; client_max_window_bits=12"
        assert str(parse(field)[0]) == field
