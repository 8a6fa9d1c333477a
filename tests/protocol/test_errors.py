"""One ladder: each thing that a peer can do wrong has one close code."""

import pytest

from wsmiddleware.protocol.close import CloseCause, cause_of_failure, is_sendable
from wsmiddleware.protocol.errors import FramingError, InvalidText, MessageTooBig, PeerError, TooManyFragments


@pytest.mark.parametrize(
    ("error", "code", "cause"),
    [
        (FramingError, 1002, CloseCause.PROTOCOL_ERROR),
        (InvalidText, 1007, CloseCause.PROTOCOL_ERROR),
        (TooManyFragments, 1008, CloseCause.PROTOCOL_ERROR),
        (MessageTooBig, 1009, CloseCause.MESSAGE_TOO_BIG),
    ],
)
def test_each_error_has_its_code_and_its_cause(error, code, cause):
    assert issubclass(error, PeerError)
    assert error.code == code
    assert is_sendable(code)
    assert cause_of_failure(code) is cause


def test_the_text_says_which_rule_was_broken():
    assert str(FramingError("expected this, found that")) == "expected this, found that"
