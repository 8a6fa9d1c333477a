"""Positions as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsmiddleware.hub.types import Position

epochs = st.text("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_", min_size=1, max_size=64)


class TestPosition:
    def test_is_written_as_epoch_and_offset(self):
        assert str(Position("5f2c9a01", 42)) == "5f2c9a01:42"

    def test_is_a_value(self):
        assert Position("e", 1) == Position("e", 1) != Position("e", 2)
        assert Position("e", 1)._asdict() == {"epoch": "e", "offset": 1}

    @given(epoch=epochs, offset=st.integers(0, 10**19 - 1))
    def test_reads_back_what_it_wrote(self, epoch, offset):
        assert Position.parse(str(Position(epoch, offset))) == Position(epoch, offset)

    @given(text=st.text() | st.from_regex(r"[a-z0-9 :+_-]*:[ +0-9_-]*"))
    def test_reads_nothing_that_it_would_not_write(self, text):
        try:
            position = Position.parse(text)
        except ValueError:
            return
        assert str(position) == text

    @pytest.mark.parametrize(
        "nonsense",
        [
            "",
            ":",
            "e",
            "e:",
            ":1",
            "e:-1",
            "e:+1",
            "e: 1",
            "e:1 ",
            "e:1\n",
            "e:01",
            "e:1_000",
            "e:1.0",
            "e:٣",
            "é:1",
            "a:b:1",
            "e" * 65 + ":1",
            "e:" + "9" * 20,
            "e:" + "9" * 100_000,
            b"e:1",
            None,
            1,
            ["e", 1],
            {"epoch": "e", "offset": 1},
        ],
        ids=lambda nonsense: repr(nonsense)[:20],
    )
    def test_refuses_nonsense_of_any_type(self, nonsense):
        with pytest.raises(ValueError, match=r"^expected a position as str\(position\) writes it, .*, found "):
            Position.parse(nonsense)

    def test_shows_what_it_refused_but_not_all_of_a_flood(self):
        with pytest.raises(ValueError, match="found 'tomorrow'$"):
            Position.parse("tomorrow")
        with pytest.raises(ValueError, match=r"found 'xxx.*\.\.\.$") as refusal:
            Position.parse("x" * 100_000)
        assert len(str(refusal.value)) < 200
