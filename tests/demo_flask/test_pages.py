"""The pages as a browser gets them: what is in them, what is escaped, which headers guard them."""

from __future__ import annotations

import html
import re

import pytest
from flask.testing import FlaskClient

from demo_flask import create_app


@pytest.fixture
def client() -> FlaskClient:
    return create_app().test_client()


def test_home_asks_for_a_name_and_a_room(client: FlaskClient) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert '<label for="name">' in page.text
    assert '<label for="room">' in page.text


def test_the_form_leads_to_the_room(client: FlaskClient) -> None:
    answer = client.get("/room", query_string={"room": "  kitchen   table "})
    assert answer.status_code == 302
    assert answer.location == "/room/kitchen%20table"


@pytest.mark.parametrize("wanted", ["", "a/b", "..", "x" * 65, "a\x00"])
def test_the_form_says_what_is_wrong_with_a_room(client: FlaskClient, wanted: str) -> None:
    answer = client.get("/room", query_string={"room": wanted})
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert "Please" in answer.text


def test_a_room_has_its_name_in_title_and_heading_and_knows_its_socket(client: FlaskClient) -> None:
    page = client.get("/room/kitchen%20table")
    assert page.status_code == 200
    assert "<title>kitchen table · Parlour</title>" in page.text
    assert '<h1 dir="auto">kitchen table</h1>' in page.text
    assert 'data-socket="/ws/kitchen%20table"' in page.text


def test_a_room_below_a_prefix_has_its_socket_there_too(client: FlaskClient) -> None:
    page = client.get("/room/a", environ_overrides={"SCRIPT_NAME": "/chat"})
    assert 'data-socket="/chat/ws/a"' in page.text
    assert 'src="/chat/static/main.js"' in page.text


NASTY = """<script>alert(1)</script>"'&"""


@pytest.mark.parametrize(
    ("path", "query"),
    [(f"/room/{NASTY.replace('/', '')}", {}), ("/room", {"room": NASTY}), (f"/room/{NASTY.replace('/', '') * 3}", {})],
)
def test_a_room_name_is_never_html(client: FlaskClient, path: str, query: dict[str, str]) -> None:
    page = client.get(path, query_string=query)
    assert "<script>" in html.unescape(page.text)
    assert "<script>" not in page.text
    # Nor does a quotation mark end an attribute.
    assert re.search(r"""(data-room|value)="[^"]*&lt;script&gt;[^"]*&#34;&#39;&amp;""", page.text)


def test_a_room_with_untidy_name_leads_to_the_tidy_one(client: FlaskClient) -> None:
    assert client.get("/room/a%20%20b").location == "/room/a%20b"


def test_a_room_that_cannot_exist_is_not_found(client: FlaskClient) -> None:
    answer = client.get("/room/" + "x" * 65)
    assert answer.status_code == 404
    assert "at most 64" in answer.text


@pytest.mark.parametrize("path", ["/nowhere", "/room/a/b", "/ws/a"])
def test_an_address_without_a_page_shows_the_way_home(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert '<a href="/">' in answer.text


@pytest.mark.parametrize("path", ["/", "/room/a", "/room?room=..", "/room?room=a", "/nowhere", "/static/main.js"])
def test_every_response_is_guarded(client: FlaskClient, path: str) -> None:
    with client.get(path) as response:
        headers = response.headers
    assert headers["Content-Security-Policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/", "/room/a", "/nowhere"])
def test_no_page_has_inline_scripts_or_styles(client: FlaskClient, path: str) -> None:
    page = client.get(path).text
    assert re.findall(r"<script(?![^>]*\ssrc=)[^>]*>", page) == []
    assert not re.search(r"<style|\sstyle=|\son\w+=", page)


def test_all_that_the_pages_refer_to_is_there(client: FlaskClient) -> None:
    for path in ("/", "/room/a", "/nowhere"):
        for reference in re.findall(r'(?:src|href)="(/static/[^"]+)"', client.get(path).text):
            with client.get(reference) as answer:
                assert answer.status_code == 200, reference
