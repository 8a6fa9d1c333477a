"""Close codes, causes, and the event that every session ends with."""

import dataclasses

import pytest

from wsmiddleware.protocol.close import (
    ENDINGS,
    MAX_REASON,
    UNSENDABLE,
    Close,
    CloseCause,
    CloseCode,
    CloseEvent,
    Ending,
    cause_of_close,
    cause_of_failure,
    close_event,
    is_sendable,
)


class TestCodes:
    @pytest.mark.parametrize(
        ("code", "name"),
        [
            (1000, "NORMAL"),
            (1001, "GOING_AWAY"),
            (1002, "PROTOCOL_ERROR"),
            (1003, "UNSUPPORTED_DATA"),
            (1005, "NO_STATUS"),
            (1006, "ABNORMAL"),
            (1007, "INVALID_DATA"),
            (1008, "POLICY_VIOLATION"),
            (1009, "MESSAGE_TOO_BIG"),
            (1010, "MANDATORY_EXTENSION"),
            (1011, "INTERNAL_ERROR"),
            (1012, "SERVICE_RESTART"),
            (1013, "TRY_AGAIN_LATER"),
            (1014, "BAD_GATEWAY"),
            (1015, "TLS_HANDSHAKE"),
        ],
    )
    def test_are_numbers_with_names(self, code, name):
        assert CloseCode(code) == code
        assert CloseCode(code).name == name

    def test_1004_is_reserved_and_has_no_name(self):
        with pytest.raises(ValueError):
            CloseCode(1004)

    def test_a_close_frame_may_hold_the_registered_ones_and_those_free_for_use(self):
        sendable = {code for code in range(-1, 1 << 17) if is_sendable(code)}
        assert sendable == {1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)}

    def test_three_are_for_reports_only(self):
        """7.4.1: "MUST NOT be set as a status code in a Close control frame by an endpoint"."""
        assert {1005, 1006, 1015} == UNSENDABLE

    def test_a_reason_has_what_a_control_frame_leaves_it(self):
        assert MAX_REASON == 125 - 2


class TestClose:
    def test_is_a_value_with_an_optional_reason(self):
        assert Close(1000) == Close(code=1000, reason="") != Close(1000, "bye")


class TestEndings:
    @pytest.mark.parametrize(
        ("cause", "initiator", "code"),
        [
            (CloseCause.CLIENT_CLOSED, "client", None),
            (CloseCause.CLIENT_LEFT, "client", None),
            (CloseCause.NETWORK_LOST, "network", None),
            (CloseCause.KEEPALIVE_TIMEOUT, "network", None),
            (CloseCause.SERVER_CLOSED, "server", 1000),
            (CloseCause.IDLE_TIMEOUT, "server", 1001),
            (CloseCause.SERVER_SHUTDOWN, "server", 1001),
            (CloseCause.PROTOCOL_ERROR, "server", 1002),
            (CloseCause.MESSAGE_TOO_BIG, "server", 1009),
            (CloseCause.APPLICATION_ERROR, "server", 1011),
            (CloseCause.LIFETIME_LIMIT, "server", 1012),
            (CloseCause.SLOW_CONSUMER, "server", 1013),
        ],
    )
    def test_say_who_began_and_with_which_code(self, cause, initiator, code):
        assert ENDINGS[cause] == Ending(initiator, code)

    def test_know_every_cause(self):
        assert set(ENDINGS) == set(CloseCause)

    def test_put_only_codes_on_the_wire_that_may_be_there(self):
        assert all(ending.code is None or is_sendable(ending.code) for ending in ENDINGS.values())


class TestCauses:
    def test_1001_is_a_user_who_leaves_the_page(self):
        assert cause_of_close(Close(1001)) is CloseCause.CLIENT_LEFT

    @pytest.mark.parametrize("code", [1000, 1002, 1005, 3001, 4999])
    def test_every_other_code_is_a_client_that_closed(self, code):
        assert cause_of_close(Close(code, "reason")) is CloseCause.CLIENT_CLOSED

    def test_1009_is_a_message_that_was_too_big(self):
        assert cause_of_failure(1009) is CloseCause.MESSAGE_TOO_BIG

    @pytest.mark.parametrize("code", [1002, 1007, 1008])
    def test_every_other_failure_is_a_protocol_error(self, code):
        assert cause_of_failure(code) is CloseCause.PROTOCOL_ERROR


def make_event(cause, **facts):
    """The event for an end at second 60 of a session that began at 10, heard at 57 and wrote at 59.5."""
    facts = {"received": None, "sent": None, "received_first": None, **facts}
    return close_event(cause, **facts, began=10.0, last_in=57.0, last_out=59.5, now=60.0)


class TestCloseEvent:
    def test_when_the_client_closed_has_the_clients_code_and_reason(self):
        event = make_event(CloseCause.CLIENT_CLOSED, received=Close(4000, "bye"), sent=Close(4000), received_first=True)
        assert event == CloseEvent(
            cause=CloseCause.CLIENT_CLOSED,
            code=4000,
            reason="bye",
            initiator="client",
            clean=True,
            received=Close(4000, "bye"),
            sent=Close(4000),
            received_first=True,
            silent_in=3.0,
            silent_out=0.5,
            duration=50.0,
            error=None,
            suspected=None,
        )

    def test_when_the_server_closed_has_the_servers_code_and_reason(self):
        event = make_event(
            CloseCause.SERVER_CLOSED, received=Close(1000), sent=Close(3000, "enough"), received_first=False
        )
        assert (event.code, event.reason, event.initiator, event.clean) == (3000, "enough", "server", True)

    def test_when_both_closed_at_once_has_what_came_first_in_the_order_of_this_end(self):
        event = make_event(
            CloseCause.SERVER_CLOSED, received=Close(1001, "gone"), sent=Close(1000, "enough"), received_first=False
        )
        assert (event.code, event.reason, event.clean) == (1000, "enough", True)

    def test_after_a_close_frame_without_a_code_has_1005(self):
        event = make_event(CloseCause.CLIENT_CLOSED, received=Close(1005), sent=Close(1005), received_first=True)
        assert (event.code, event.reason, event.clean) == (1005, "", True)

    def test_without_a_close_frame_has_1006_and_is_not_clean(self):
        event = make_event(CloseCause.NETWORK_LOST)
        assert (event.code, event.reason, event.initiator, event.clean) == (1006, "", "network", False)
        assert (event.received, event.sent, event.received_first) == (None, None, None)

    def test_is_not_clean_while_the_client_has_not_answered(self):
        event = make_event(CloseCause.SERVER_SHUTDOWN, sent=Close(1001, "restart"), received_first=False)
        assert (event.code, event.reason, event.initiator, event.clean) == (1001, "restart", "server", False)

    def test_is_not_clean_when_no_answer_could_be_sent(self):
        event = make_event(CloseCause.CLIENT_CLOSED, received=Close(1000, "bye"), received_first=True)
        assert (event.code, event.reason, event.clean) == (1000, "bye", False)

    def test_says_what_was_raised(self):
        error = ZeroDivisionError()
        event = close_event(
            CloseCause.APPLICATION_ERROR,
            received=None,
            sent=Close(1011),
            received_first=False,
            began=0.0,
            last_in=0.0,
            last_out=0.0,
            now=0.0,
            error=error,
        )
        assert event.error is error

    @pytest.mark.parametrize("first", [None, Close(1001)])
    def test_shows_its_code_as_a_number(self, first):
        """On every Python: before 3.11, str() of a member of an IntEnum was its name."""
        event = make_event(CloseCause.CLIENT_LEFT, received=first, received_first=None if first is None else True)
        assert str(event.code) == f"{event.code}" == ("1006" if first is None else "1001")

    @pytest.mark.parametrize(
        ("received", "text"),
        [
            (None, "network_lost, close code 1006"),
            (Close(1001, "it's late"), 'client_left, close code 1001, "it\'s late"'),
        ],
    )
    def test_reads_as_a_line_of_a_log(self, received, text):
        cause = CloseCause.NETWORK_LOST if received is None else CloseCause.CLIENT_LEFT
        assert str(make_event(cause, received=received, received_first=None if received is None else True)) == text

    def test_never_changes(self):
        event = make_event(CloseCause.NETWORK_LOST)
        with pytest.raises(dataclasses.FrozenInstanceError):
            event.code = 1000
