"""One middleware and several servers: one after the other, and at the same time in threads of their own."""

from __future__ import annotations

from tests.support.talk import echoing, talk
from tests.support.wsgi import Server


def test_a_middleware_is_served_again_when_its_server_has_ended() -> None:
    app = echoing()
    for _ in range(3):
        with Server(app) as server, talk(server) as session:
            assert session.echoes()
        assert server.error_log.getvalue() == ""


def test_a_middleware_is_served_by_several_servers_at_a_time() -> None:
    app = echoing()
    with Server(app) as one, Server(app, tls=True) as other, talk(one) as session, talk(other) as session_of_other:
        for _ in range(10):
            assert session.echoes()
            assert session_of_other.echoes()
    assert one.error_log.getvalue() == other.error_log.getvalue() == ""
