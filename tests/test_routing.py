"""Which pattern a path leads to, and what is left of the path there."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsmiddleware import routing
from wsmiddleware.routing import Match, Routes, parameters


def environ(path, script=""):
    """The environ of a request for *path*, below the application that is mounted at *script*."""
    return {"SCRIPT_NAME": wsgi(script), "PATH_INFO": wsgi(path)}


def wsgi(text):
    """How an environ holds *text*: bytes, in the guise of Latin-1 (PEP 3333)."""
    return text.encode().decode("latin-1")


def routes(*patterns):
    """Routes that lead from each pattern to the pattern itself."""
    made = Routes()
    for pattern in patterns:
        made.add(pattern, pattern)
    return made


def target(table, path):
    match = table.match(environ(path))
    return match and match.target


class TestRules:
    def test_lead_to_their_target_and_leave_the_path_alone(self):
        table = Routes[object]()
        echo = object()
        table.add("/echo", echo)
        match = table.match(environ("/echo", script="/app"))
        assert match == Match(target=echo, params={}, script_name="/app", path_info="/echo")
        assert match.target is echo

    @pytest.mark.parametrize("path", ["", "/", "/ech", "/echoes", "/echo/more", "/Echo", "//echo", "/echo//", "echo"])
    def test_lead_nowhere_from_another_path(self, path):
        assert routes("/echo").match(environ(path)) is None

    @pytest.mark.parametrize("value", [0, [], {}, None, "text"])
    def test_lead_to_anything(self, value):
        table = Routes()
        table.add("/echo", value)
        assert table.match(environ("/echo")).target is value

    @pytest.mark.parametrize(
        ("pattern", "path", "params"),
        [
            ("/chat/<room>", "/chat/lobby", {"room": "lobby"}),
            ("/chat/<room>", "/chat/caffè ☕", {"room": "caffè ☕"}),
            ("/chat/<room>", "/chat/a\nb", {"room": "a\nb"}),
            ("/page/<int:number>", "/page/042", {"number": 42}),
            ("/page/<int(signed=True):number>", "/page/-1", {"number": -1}),
            ("/at/<float:x>,<float:y>", "/at/1.5,2.0", {"x": 1.5, "y": 2.0}),
            ("/<any(left, right):side>/hand", "/left/hand", {"side": "left"}),
            ("/wiki/<path:page>", "/wiki/a/b/c", {"page": "a/b/c"}),
            ("/<uuid:id>", f"/{UUID(int=1)}", {"id": UUID(int=1)}),
            ("/caffè/<x>", "/caffè/è", {"x": "è"}),
        ],
    )
    def test_read_parameters(self, pattern, path, params):
        match = routes(pattern).match(environ(path, script="/app"))
        assert match == Match(pattern, params, "/app", wsgi(path))

    @pytest.mark.parametrize(
        ("pattern", "path"),
        [
            ("/chat/<room>", "/chat"),
            ("/chat/<room>", "/chat/"),
            ("/chat/<room>", "/chat/a/b"),
            ("/page/<int:number>", "/page/x"),
            ("/page/<int:number>", "/page/-1"),
            ("/page/<int(max=9):number>", "/page/10"),
            pytest.param("/page/<int:number>", f"/page/{'9' * 5000}", id="more digits than int() takes"),
        ],
    )
    def test_lead_nowhere_when_a_parameter_does_not_fit(self, pattern, path):
        assert routes(pattern).match(environ(path)) is None

    @pytest.mark.parametrize("pattern", ["/echo", "/echo/", "/chat/<room>", "/chat/<room>/", "/all/<path:rest>/"])
    def test_do_not_mind_a_slash_at_the_end(self, pattern):
        table = routes(pattern)
        path = pattern.replace("<room>", "lobby").replace("<path:rest>", "a/b").rstrip("/")
        assert target(table, path) == target(table, path + "/") == pattern
        assert table.match(environ(path)).params == table.match(environ(path + "/")).params

    def test_do_mind_it_when_both_are_there(self):
        table = routes("/echo", "/echo/")
        assert [target(table, path) for path in ["/echo", "/echo/"]] == ["/echo", "/echo/"]

    @pytest.mark.parametrize("path", ["", "/"])
    def test_of_the_root_match_an_empty_path_too(self, path):
        assert target(routes("/"), path) == "/"


class TestServletPaths:
    @pytest.mark.parametrize(
        ("path", "script_name", "path_info"),
        [
            ("/chat", "/chat", ""),
            ("/chat/", "/chat", "/"),
            ("/chat/a", "/chat", "/a"),
            ("/chat/a/b/", "/chat", "/a/b/"),
            ("/chat//a", "/chat", "//a"),
            ("/chat/a\nb", "/chat", "/a\nb"),
            ("/chat/chat/è", "/chat", wsgi("/chat/è")),
        ],
    )
    def test_match_the_path_and_all_below_and_split_there(self, path, script_name, path_info):
        table = routes("/chat/*")
        assert table.match(environ(path)) == Match("/chat/*", {}, script_name, path_info)
        assert table.match(environ(path, script="/app")) == Match("/chat/*", {}, "/app" + script_name, path_info)

    @pytest.mark.parametrize("path", ["", "/", "/chatter", "/cha", "/Chat", "//chat", "/x/chat", "chat"])
    def test_match_nothing_else(self, path):
        assert routes("/chat/*").match(environ(path)) is None

    @pytest.mark.parametrize("path", ["", "/", "/a", "/a/b/", "//a", "/a.json", "/caffè"])
    def test_of_the_root_match_everything_and_split_before_it(self, path):
        assert routes("/*").match(environ(path, script="/app")) == Match("/*", {}, "/app", wsgi(path))

    @pytest.mark.parametrize(
        ("pattern", "path", "script_name", "path_info"),
        [
            ("/a/b/*", "/a/b/c", "/a/b", "/c"),
            ("/caffè/*", "/caffè/☕", wsgi("/caffè"), wsgi("/☕")),
            ("/a.b+(c)/*", "/a.b+(c)/d", "/a.b+(c)", "/d"),
            ("/a//*", "/a//b", "/a/", "/b"),
            ("//*", "//b", "/", "/b"),
        ],
    )
    def test_may_be_of_any_depth_and_spelling(self, pattern, path, script_name, path_info):
        assert routes(pattern).match(environ(path)) == Match(pattern, {}, script_name, path_info)


class TestServletExtensions:
    @pytest.mark.parametrize("path", ["/a.json", "/a/b.json", "/a.b.json", "/.json", "//a.json", "/a\nb.json"])
    def test_match_the_end_of_a_path_and_leave_it_alone(self, path):
        assert routes("*.json").match(environ(path, script="/app")) == Match("*.json", {}, "/app", path)

    @pytest.mark.parametrize(
        "path", ["", "/", "/json", "/ajson", "/a.jsonx", "/a.json/", "/a.json/b", "/a.JSON", "a.json"]
    )
    def test_match_nothing_else(self, path):
        assert routes("*.json").match(environ(path)) is None


class TestPrecedence:
    @pytest.mark.parametrize(
        ("path", "order"),
        [
            (
                "/chat/lobby",
                ["/chat/lobby", "/chat/<room>", "/chat/<path:rest>", "/chat/*", "/<a>/lobby", "/<a>/<b>", "/*"],
            ),
            ("/chat", ["/chat", "/chat/*", "/c<x>", "/<x>", "/<path:x>", "/*"]),
            ("/chat/", ["/chat/", "/chat/*", "/<x>/", "/*"]),
            ("/a/b/c", ["/a/b/c", "/a/b/*", "/a/*", "/<path:x>", "/*"]),
            ("/a/7", ["/a/7", "/a/<int:x>", "/a/<x>", "/a/*"]),
            ("/", ["/", "/*"]),
            (
                "/a/b.tar.gz",
                ["/a/b.tar.gz", "/a/<x>.gz", "/a/<x>", "/a/*", "/<x>/<y>", "*.tar.gz", "*.gz", "/<path:x>", "/*"],
            ),
        ],
    )
    @pytest.mark.parametrize("turn", [1, -1], ids=["in order", "reversed"])
    def test_is_from_literal_to_general_in_whatever_order_they_were_added(self, path, order, turn):
        for first in range(len(order)):
            assert target(routes(*order[first:][::turn]), path) == order[first]

    def test_of_one_that_does_not_match_to_the_end_gives_way(self):
        table = routes("/chat/<room>/log", "/chat/*", "/<a>/b/<c>")
        assert target(table, "/chat/b/c") == "/chat/*"
        assert target(routes("/chat/<room>/log", "/<a>/b/<c>"), "/chat/b/c") == "/<a>/b/<c>"

    def test_of_a_rule_over_a_servlet_path_is_not_lost_with_a_slash_at_the_end(self):
        assert target(routes("/chat", "/chat/*"), "/chat/") == "/chat"


class TestAdding:
    def test_twice_is_refused(self):
        table = routes("/chat/<room>")
        with pytest.raises(ValueError, match="expected each URL pattern once, found '/chat/<room>' twice: remove one"):
            table.add("/chat/<room>", "another")
        assert target(table, "/chat/a") == "/chat/<room>"

    @pytest.mark.parametrize(
        ("nonsense", "reason"),
        [
            ("", 'it begins neither with "/" nor with "*."'),
            ("chat", 'it begins neither with "/" nor with "*."'),
            ("*", 'it begins neither with "/" nor with "*."'),
            ("*.", 'it begins neither with "/" nor with "*."'),
            ("*.js on", 'it begins neither with "/" nor with "*."'),
            ("*.js/on", 'it begins neither with "/" nor with "*."'),
            ("/chat*", 'a "*" can only be all of the last segment'),
            ("/*/chat", 'a "*" can only be all of the last segment'),
            ("/*/*", 'a "*" can only be all of the last segment'),
            ("/chat/*.json", 'a "*" can only be all of the last segment'),
            ("/chat/<room>/*", 'a pattern with a "*" has no parameters: use <path:rest> instead of the "*"'),
            ("/chat/<room", "malformed url rule: '/_/chat/<room'"),
            ("/chat/<ro om>", "malformed url rule: '/_/chat/<ro om>'"),
            ("/chat/<>", "malformed url rule: '/_/chat/<>'"),
            ("/<a>/<a>", "it has two parameters of the name 'a'"),
            ("/<integer:a>", "the converter 'integer' does not exist"),
            ("/<int(maximum=1):a>", "maximum"),
            ("/<string(minlength=2, maxlength=1):a>", "min repeat greater than max repeat"),
            ("/<string(length=99999999999):a>", ""),
            (None, ""),
            (b"/chat", ""),
            (len, ""),
        ],
    )
    def test_of_nonsense_is_refused_with_examples_and_the_reason(self, nonsense, reason):
        table = routes("/echo")
        for use in (lambda: table.add(nonsense, "target"), lambda: parameters(nonsense)):
            with pytest.raises(ValueError, match='^expected a URL pattern like "/chat", "/chat/<room>", ') as refusal:
                use()
            assert f"found {nonsense!r}: " in str(refusal.value)
            assert reason in str(refusal.value).partition(f"found {nonsense!r}: ")[2]
        assert target(table, "/echo") == "/echo"
        table.add("/more", "more")
        assert target(table, "/more") == "more"

    def test_does_not_disturb_who_is_matching(self):
        table = routes("/<path:x>")
        found, done = [], threading.Event()

        def match():
            while not done.is_set():
                found.append(target(table, "/a/b/c/d"))

        thread = threading.Thread(target=match)
        thread.start()
        try:
            for number in range(20):
                table.add(f"/a/<x>/{number}", number)
                table.add(f"/<x>/b/{number}", number)
        finally:
            done.set()
            thread.join()
        assert set(found) == {"/<path:x>"}

    def test_has_werkzeug_compile_for_one_thread_at_a_time(self, monkeypatch):
        inside, most_inside = [], []

        class SlowRule(routing._Rule):
            def compile(self):
                inside.append(self)
                time.sleep(0.005)
                most_inside.append(len(inside))
                super().compile()
                inside.remove(self)

        monkeypatch.setattr(routing, "_Rule", SlowRule)
        with ThreadPoolExecutor(4) as pool:
            for table in [routes() for _ in range(4)]:
                pool.submit(table.add, "/a/<x>", "x")
        assert most_inside == [1] * 4


class TestParameters:
    @pytest.mark.parametrize(
        ("pattern", "names"),
        [
            ("/chat", set()),
            ("/chat/<room>", {"room"}),
            ("/chat/<string(length=2):lang>/<int:page>.<ext>", {"lang", "page", "ext"}),
            ("/chat/*", set()),
            ("/*", set()),
            ("*.json", set()),
        ],
    )
    def test_are_known_by_name(self, pattern, names):
        assert parameters(pattern) == names


class TestWhateverIsAsked:
    TABLE = routes("/", "/chat/<room>", "/page/<int:number>/", "/wiki/<path:page>", "/files/*", "*.json")

    @pytest.mark.parametrize(
        "path", ["/chat/\xff", "/chat/\xc3", "/chat/\xed\xa0\x80", "/chat/\N{SNOWMAN}", "/chat/\ud800"]
    )
    def test_that_is_not_utf8_is_replaced_in_parameters_only(self, path):
        match = self.TABLE.match({"PATH_INFO": path, "SCRIPT_NAME": "/\xff"})
        assert match.target == "/chat/<room>"
        assert set(match.params["room"]) <= {"\ufffd", "?"}
        assert (match.script_name, match.path_info) == ("/\xff", path)

    def test_that_is_not_utf8_does_not_move_the_split(self):
        match = routes("/\ufffd/*").match({"PATH_INFO": "/\xff/\xff"})
        assert (match.script_name, match.path_info) == ("/\xff", "/\xff")

    def test_nothing_is_an_empty_path(self):
        assert self.TABLE.match({}) == Match("/", {}, "", "")

    @given(
        path=st.text() | st.text("/.a7\xff").map("/chat/{}".format) | st.from_regex(r"/[a-z]+/[/0-9.a-z\n]*(\.json)?")
    )
    def test_leads_somewhere_or_nowhere_and_keeps_the_path_together(self, path):
        match = self.TABLE.match({"PATH_INFO": path, "SCRIPT_NAME": "/app"})
        if match:
            assert match.script_name + match.path_info == "/app" + path
            assert match.params.keys() == parameters(match.target)

    def test_is_nowhere_without_patterns(self):
        assert Routes().match(environ("/")) is None
