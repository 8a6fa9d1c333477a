"""The chat in real Chromium, served by a real process. Each person has a browser context: a browser of their own."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserType, Error, Locator, Page, expect, sync_playwright

from tests.browser.conftest import ARGUMENTS
from tests.browser.process import ChatProcess
from tests.browser.wire import Wire

pytestmark = pytest.mark.browser

MILLISECONDS = 20_000
"""How long to wait for what takes a moment."""

expect.set_options(timeout=MILLISECONDS)


@pytest.fixture(scope="module")
def chromium(browser_path: str) -> Iterator[BrowserType]:
    # Not for the whole test run: Playwright keeps an asyncio loop running in this thread, in the way of other tests.
    with sync_playwright() as playwright:
        yield playwright.chromium


@pytest.fixture(scope="module")
def browser(chromium: BrowserType, browser_path: str) -> Iterator[Browser]:
    browser = chromium.launch(executable_path=browser_path, args=ARGUMENTS)
    yield browser
    browser.close()


Enter = Callable[..., Page]


@pytest.fixture
def enter(browser: Browser, chat: ChatProcess) -> Iterator[Enter]:
    """Return a function that brings a person into a room, from the home page on."""
    contexts = []

    def enter(name: str, room: str = "tea", *, url: str | None = None, **options: Any) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(MILLISECONDS)
        return come_in(context.new_page(), url or chat.url, name, room)

    yield enter
    for context in contexts:
        context.close()


def come_in(page: Page, url: str, name: str, room: str = "tea") -> Page:
    page.goto(url)
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Room").fill(room)
    page.get_by_role("button", name="Enter").click()
    is_connected(page, name)
    return page


def is_connected(page: Page, name: str) -> None:
    expect(page.locator("#status")).to_contain_text(f"Connected as {name}")


def say(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def log(page: Page) -> Locator:
    return page.get_by_role("log")


def messages(page: Page) -> Locator:
    return log(page).locator(".message .text")


def people(page: Page) -> Locator:
    return page.locator("#people-list .who")


# Two people


def test_two_people_chat(enter: Enter) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    expect(log(ada)).to_contain_text("Bob came in")
    say(ada, "Hello Bob")
    expect(messages(bob)).to_have_text(["Hello Bob"])
    say(bob, "Hello Ada")
    for page in (ada, bob):
        expect(messages(page)).to_have_text(["Hello Bob", "Hello Ada"])
        expect(log(page).locator(".message .author")).to_have_text(["Ada", "Bob"])
        expect(log(page).locator(".message.mine")).to_have_count(1)
    expect(people(ada)).to_have_text(["Ada", "Bob"])
    expect(people(bob)).to_have_text(["Bob", "Ada"])  # oneself first
    expect(ada.locator("#people-count")).to_have_text("2")


def test_what_they_say_is_compressed(enter: Enter) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    said = "No, no, no. " * 50 + "Yes 😀"
    say(ada, said)
    expect(messages(bob)).to_have_text([said])
    agreed = ada.evaluate(
        """() => new Promise((resolve) => {
            const socket = new WebSocket(`ws://${location.host}/ws/other`);
            socket.onopen = () => { resolve(socket.extensions); socket.close(); };
        })"""
    )
    assert agreed == "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


def test_two_people_of_one_name_can_be_told_apart(enter: Enter) -> None:
    first, second = enter("Ada"), enter("Ada")
    expect(people(second)).to_have_text([re.compile(r"Ada #\w{4}"), re.compile(r"Ada #\w{4}")])
    expect(people(first)).to_have_count(2)
    assert people(first).all_text_contents() == people(second).all_text_contents()[::-1]


def test_two_tabs_of_one_person_are_one_person(enter: Enter) -> None:
    bob = enter("Bob")
    with bob.expect_websocket() as bobs_socket:
        bob.reload()
    is_connected(bob, "Bob")
    ada = enter("Ada")
    other_tab = ada.context.new_page()
    other_tab.goto(ada.url)
    is_connected(other_tab, "Ada")
    say(other_tab, "From the other tab")
    expect(log(ada).locator(".message.mine")).to_have_count(1)
    # The page shows nothing of it, so look at the wire: the tab is gone before the next one goes.
    with bobs_socket.value.expect_event("framereceived", lambda frame: '"went"' in frame):
        other_tab.close()
    ada.get_by_role("button", name="Sign off").click()
    expect(log(bob)).to_contain_text("Ada signed off")
    expect(log(bob).locator(".notice")).to_have_count(2)  # Ada came in, Ada signed off; nothing of the other tab


def test_a_name_is_remembered_and_can_be_changed(enter: Enter) -> None:
    bob, ada = enter("Bob"), enter("Ada")
    ada.get_by_role("button", name="Change name").click()
    ada.get_by_label("Your name").fill("Countess")
    ada.keyboard.press("Enter")
    expect(log(bob)).to_contain_text("Ada is now called Countess")
    expect(people(bob)).to_have_text(["Bob", "Countess"])
    ada.reload()
    is_connected(ada, "Countess")


def test_who_comes_by_a_link_is_asked_for_a_name(browser: Browser, chat: ChatProcess) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{chat.url}room/tea")
        expect(page.get_by_role("dialog")).to_be_visible()
        expect(page.get_by_label("Your name")).to_be_focused()
        page.keyboard.type("Ada")
        page.keyboard.press("Enter")
        is_connected(page, "Ada")
        expect(page.get_by_label("Message", exact=True)).to_be_focused()


def test_html_in_names_rooms_and_messages_is_text(enter: Enter) -> None:
    nasty = "<img src=x onerror=alert(1)>"
    ada, bob = enter(nasty, room=nasty), enter("Bob", room=nasty)
    dialogs: list[str] = []
    bob.on("dialog", lambda dialog: dialogs.append(dialog.message))
    say(ada, nasty)
    expect(messages(bob)).to_have_text([nasty])
    expect(people(bob)).to_have_text(["Bob", nasty])
    expect(bob.get_by_role("heading", level=1)).to_have_text(nasty)
    expect(bob.locator("img[src=x]")).to_have_count(0)
    assert dialogs == []


def test_addresses_in_messages_are_links_and_nothing_else_is(enter: Enter) -> None:
    ada = enter("Ada")
    say(ada, "See https://example.org/a?b=1, http://example.net. Not javascript:alert(1) or data:text/html,x")
    links = messages(ada).get_by_role("link")
    expect(links).to_have_text(["https://example.org/a?b=1", "http://example.net"])
    assert links.first.get_attribute("rel") == "noopener noreferrer nofollow"


# Going


def test_who_closes_the_tab_has_left_the_page(enter: Enter) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    bob.close()
    expect(log(ada)).to_contain_text("Bob left the page")
    expect(people(ada)).to_have_text(["Ada"])


def test_who_goes_to_another_page_has_left_the_page(enter: Enter) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    bob.get_by_role("link", name="Parlour").click()
    expect(log(ada)).to_contain_text("Bob left the page")
    expect(bob.get_by_role("link", name="tea")).to_be_visible()  # where Bob has been


def test_who_signs_off_has_signed_off_and_can_come_back(enter: Enter) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    bob.get_by_role("button", name="Sign off").click()
    expect(log(ada)).to_contain_text("Bob signed off")
    expect(bob.locator("#status")).to_contain_text("You have signed off.")
    bob.get_by_role("button", name="Come back").click()
    expect(log(ada)).to_contain_text("Bob is back")
    is_connected(bob, "Bob")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc, to find the browser's processes")
def test_whose_browser_dies_has_lost_the_connection(
    enter: Enter, chromium: BrowserType, browser_path: str, chat: ChatProcess, tmp_path: Path
) -> None:
    ada = enter("Ada")
    victim = chromium.launch_persistent_context(tmp_path, executable_path=browser_path, args=ARGUMENTS)
    try:
        come_in(victim.pages[0], chat.url, "Bob")
        expect(log(ada)).to_contain_text("Bob came in")
        kill_all(processes_of(tmp_path))
        expect(log(ada)).to_contain_text("Bob lost the connection")
        expect(people(ada)).to_have_text(["Ada"])
    finally:
        with suppress(Error):  # It is dead already, unless the test has failed before.
            victim.close()


def processes_of(profile: Path) -> set[int]:
    """Return the processes that have *profile* in their command line, and all that these have started."""
    parents: dict[int, int] = {}
    found: set[int] = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):  # It has ended meanwhile.
            pid = int(entry.name)
            # "pid (name) state ppid ...", and the name may contain anything, brackets too.
            parents[pid] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if os.fsencode(profile) in (entry / "cmdline").read_bytes():
                found.add(pid)
    assert found, "expected processes of the browser, found none"
    while new := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= new
    return found


def kill_all(pids: set[int]) -> None:
    # Stopped first, all of them: or those that die last could still say goodbye for those that die first.
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


# Coming back


def test_who_reloads_leaves_comes_back_and_finds_what_was_said(enter: Enter) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    say(ada, "Before the reload")
    expect(messages(bob)).to_have_count(1)
    bob.reload()
    expect(log(ada)).to_contain_text("Bob left the page")
    expect(log(ada).get_by_text("Bob came in")).to_have_count(2)
    expect(messages(bob)).to_have_text(["Before the reload"])
    say(bob, "And after it")
    expect(messages(ada)).to_have_text(["Before the reload", "And after it"])


def test_a_newcomer_sees_the_last_fifty_messages(enter: Enter) -> None:
    ada = enter("Ada")
    for number in range(55):
        say(ada, f"message {number}")
    expect(messages(ada)).to_have_count(55)
    bob = enter("Bob")
    expect(messages(bob)).to_have_text([f"message {number}" for number in range(5, 55)])
    expect(messages(bob).last).to_be_in_viewport()


def test_after_a_lost_connection_nothing_is_missing_and_nothing_twice(enter: Enter, wire: Wire) -> None:
    ada, bob = enter("Ada", url=wire.url), enter("Bob")
    say(bob, "one")
    expect(messages(ada)).to_have_text(["one"])
    wire.cut()
    expect(log(bob)).to_contain_text("Ada lost the connection")
    expect(ada.locator("#status")).to_contain_text(re.compile(r"Connection lost\.\s+Next try in \d+ s"))
    say(bob, "two")
    say(bob, "three")
    say(ada, "four")
    expect(ada.locator("#outbox")).to_contain_text("Not sent yet")
    wire.mend()
    expect(messages(ada)).to_have_text(["one", "two", "three", "four"])
    expect(messages(bob)).to_have_text(["one", "two", "three", "four"])
    expect(log(bob)).to_contain_text("Ada is back")
    expect(ada.locator("#outbox li")).to_have_count(0)
    expect(people(ada)).to_have_text(["Ada", "Bob"])


def test_who_comes_back_reads_who_came_and_went_meanwhile(enter: Enter, wire: Wire) -> None:
    bob, ada = enter("Bob"), enter("Ada", url=wire.url)
    wire.cut()
    expect(log(bob)).to_contain_text("Ada lost the connection")
    carl = enter("Carl")
    bob.close()
    expect(people(carl)).to_have_text(["Carl"])
    wire.mend()
    expect(log(ada)).to_contain_text("You are back. Came meanwhile: Carl. Went meanwhile: Bob.")
    expect(people(ada)).to_have_text(["Ada", "Carl"])


def test_who_has_missed_more_than_the_history_holds_is_told_so(enter: Enter, wire: Wire) -> None:
    bob, ada = enter("Bob"), enter("Ada", url=wire.url)
    say(bob, "seen")
    expect(messages(ada)).to_have_text(["seen"])
    wire.cut()
    expect(log(bob)).to_contain_text("Ada lost the connection")
    for number in range(51):
        say(bob, f"message {number}")
    expect(messages(bob)).to_have_count(52)
    wire.mend()
    expect(messages(ada)).to_have_text(["seen", *(f"message {number}" for number in range(1, 51))])
    expect(log(ada)).to_contain_text("You are back. So much was said that messages from in between are missing here.")


def test_one_need_not_wait_for_the_next_try(enter: Enter, wire: Wire) -> None:
    ada = enter("Ada", url=wire.url)
    ada.clock.install()
    ada.clock.pause_at(datetime.now() + timedelta(minutes=1))  # From here on the page's timers stand still.
    wire.cut()
    expect(ada.locator("#countdown")).to_have_text("Next try in 1 s")
    wire.mend()
    ada.get_by_role("button", name="Try now").click()
    is_connected(ada, "Ada")


def test_who_is_offline_is_told_so_and_comes_back_with_the_network(enter: Enter, wire: Wire) -> None:
    ada = enter("Ada", url=wire.url)
    ada.context.set_offline(True)
    wire.cut()
    expect(ada.locator("#status")).to_contain_text("You are offline.")
    wire.mend()
    ada.context.set_offline(False)
    is_connected(ada, "Ada")


def test_a_message_that_is_not_out_yet_survives_a_reload_and_can_be_taken_back(
    enter: Enter, chat: ChatProcess, wire: Wire
) -> None:
    ada = enter("Ada", url=wire.url)
    wire.cut()
    expect(ada.locator("#status")).to_contain_text("Connection lost")
    say(ada, "first thought")
    say(ada, "second thought")
    ada.locator("#outbox li", has_text="first").get_by_role("button", name="Edit").click()
    expect(ada.get_by_label("Message", exact=True)).to_have_value("first thought")
    wire.mend()
    ada.on("dialog", lambda dialog: dialog.accept())  # "Leave site?", since there is something to lose
    ada.reload()
    expect(messages(ada)).to_have_text(["second thought"])
    assert chat.port


def test_after_a_restart_of_the_server_the_page_comes_back_and_says_so(enter: Enter, chat: ChatProcess) -> None:
    ada = enter("Ada")
    say(ada, "Before the restart")
    expect(messages(ada)).to_have_count(1)
    assert chat.stop() == 0
    expect(ada.locator("#status")).to_contain_text("The chat has stopped.")
    say(ada, "During the restart")
    chat.start()
    is_connected(ada, "Ada")
    expect(log(ada).locator(".notice")).to_contain_text(["The chat has restarted"])
    expect(messages(ada)).to_have_text(["Before the restart", "During the restart"])
    expect(messages(enter("Bob"))).to_have_text(["During the restart"])


def test_pauses_grow_to_half_a_minute_and_half_of_each_is_chance(enter: Enter) -> None:
    pauses = enter("Ada").evaluate(
        """async () => {
            const { pause } = await import("/static/connection.js");
            return [0, 1, 2, 4, 5, 50].map((attempt) => [pause(attempt, () => 0), pause(attempt, () => 1)]);
        }"""
    )
    assert pauses == [[500, 1000], [1000, 2000], [2000, 4000], [8000, 16000], [15000, 30000], [15000, 30000]]


def test_who_reads_further_up_is_not_torn_away_by_what_is_new(enter: Enter) -> None:
    ada, bob = enter("Ada"), enter("Bob")
    say(ada, "\n".join(["the", "first", "message"] * 30))
    expect(messages(bob)).to_have_count(1)
    bob.locator("#scroller").evaluate("(scroller) => { scroller.scrollTop = 0; }")
    say(ada, "the second message")
    latest = bob.get_by_role("button", name="New messages")
    expect(latest).to_be_visible()
    expect(messages(bob).last).not_to_be_in_viewport()
    latest.click()
    expect(messages(bob).last).to_be_in_viewport()
    expect(latest).to_be_hidden()


# Guards


class _Page(BaseHTTPRequestHandler):
    """An empty page, on whatever port, that allows itself everything."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


CONNECT = """(url) => new Promise((resolve) => {
    const socket = new WebSocket(url);
    socket.onopen = () => resolve("open");
    socket.onclose = (event) => resolve(`closed ${event.code}`);
})"""


def test_a_page_from_another_port_is_refused(browser: Browser, chat: ChatProcess) -> None:
    socket_url = chat.url.replace("http:", "ws:") + "ws/tea"
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as other, browser.new_context() as context:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{other.server_port}/")
        assert page.evaluate(CONNECT, socket_url) == "closed 1006"
        page.goto(chat.url)
        assert page.evaluate(CONNECT, socket_url) == "open"
        other.shutdown()


def test_normal_life_leaves_nothing_on_the_console(browser: Browser, chat: ChatProcess) -> None:
    complaints: list[str] = []
    with browser.new_context() as context:
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
        come_in(page, chat.url, "Ada")
        say(page, "Hello\nhttps://example.org")
        expect(messages(page)).to_have_count(1)
        page.get_by_role("button", name="Change name").click()
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("button", name="Sign off").click()
        page.get_by_role("button", name="Come back").click()
        is_connected(page, "Ada")
        page.get_by_role("link", name="Parlour").click()
        page.get_by_role("link", name="tea").click()
        is_connected(page, "Ada")
    assert complaints == []


# For everybody


def test_the_keyboard_is_enough(enter: Enter) -> None:
    ada = enter("Ada")
    ada.reload()
    is_connected(ada, "Ada")
    text = ada.get_by_label("Message", exact=True)
    expect(text).to_be_focused()
    # Backwards through all that comes before: change name, the messages, all rooms, and first of all:
    for _ in range(4):
        ada.keyboard.press("Shift+Tab")
    expect(ada.get_by_role("link", name="Skip to writing")).to_be_focused()
    ada.keyboard.press("Enter")
    expect(text).to_be_focused()
    ada.keyboard.type("two")
    ada.keyboard.press("Shift+Enter")
    ada.keyboard.type("lines")
    ada.keyboard.press("Enter")
    expect(messages(ada)).to_have_text(["two\nlines"], use_inner_text=True)
    expect(text).to_have_value("")
    expect(text).to_be_focused()


def test_on_a_phone_all_fits_and_the_list_of_people_opens_and_closes(enter: Enter) -> None:
    ada = enter(
        "Ada",
        room="a room with quite a long name, longer than a phone is wide",
        viewport={"width": 360, "height": 640},
        has_touch=True,
        is_mobile=True,
    )
    say(ada, "x" * 300)
    expect(messages(ada)).to_have_count(1)
    assert ada.evaluate("() => document.documentElement.scrollWidth") == 360
    toggle = ada.get_by_role("button", name="1 here")
    expect(people(ada)).to_be_hidden()
    toggle.click()
    expect(people(ada)).to_be_visible()
    expect(toggle).to_have_attribute("aria-expanded", "true")
    expect(ada.get_by_role("complementary", name="Who is here")).to_be_focused()
    ada.keyboard.press("Escape")
    expect(people(ada)).to_be_hidden()
    expect(toggle).to_be_focused()


def test_what_is_new_is_read_out_and_what_is_old_is_not(enter: Enter) -> None:
    ada = enter("Ada")
    expect(log(ada)).to_have_attribute("aria-live", "polite")
    expect(ada.get_by_role("status")).to_have_text("Connected as Ada")
    expect(ada.locator("#countdown")).to_have_attribute("aria-hidden", "true")
