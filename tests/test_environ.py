"""What a session keeps of its environ: everything but the connection, and once what requests have in common."""

from io import BytesIO

from wsmiddleware import environ as environs
from wsmiddleware.environ import MAX_SHARED, MAX_SHARED_LENGTH, OF_THE_CONNECTION, pack, unpack


def environ_of(**values: object) -> dict[str, object]:
    """Return an environ as servers make them: each string is a new one."""
    environ: dict[str, object] = {"HTTP_HOST": "".join(["example", ".org"]), "wsgi.input": object()}
    return {**environ, **values}


def test_what_was_packed_is_unpacked_in_its_order():
    environ = environ_of(HTTP_ORIGIN="http://example.org", REMOTE_PORT="1", number=1)
    unpacked = unpack(pack(environ))
    del environ["wsgi.input"]
    body = unpacked.pop("wsgi.input")
    assert list(unpacked.items()) == list(environ.items())
    assert isinstance(body, BytesIO)
    assert body.read() == b""


def test_changes_are_in_it():
    unpacked = unpack(pack(environ_of(PATH_INFO="/chat/x"), SCRIPT_NAME="/chat", PATH_INFO="/x"))
    assert (unpacked["SCRIPT_NAME"], unpacked["PATH_INFO"]) == ("/chat", "/x")


def test_nothing_of_the_connection_is_kept():
    things = {name: object() for name in OF_THE_CONNECTION}
    packed = pack(environ_of(**things))
    assert not set(map(id, things.values())) & set(map(id, packed))


def test_names_and_values_that_requests_have_in_common_are_the_same_objects():
    first, second = pack(environ_of(HTTP_COOKIE="a")), pack(environ_of(HTTP_COOKIE="b"))
    assert first[0] is second[0]
    assert first[1] is second[1] == "example.org"


def test_secrets_and_long_values_are_not_shared():
    def values() -> dict[str, object]:
        return {"HTTP_COOKIE": "".join(["id=", "1"]), "HTTP_X": "x" * (MAX_SHARED_LENGTH + 1)}

    first, second = unpack(pack(environ_of(**values()))), unpack(pack(environ_of(**values())))
    for name in values():
        assert first[name] == second[name]
        assert first[name] is not second[name]


def test_what_is_shared_is_bounded():
    for number in range(3 * MAX_SHARED):
        pack(environ_of(PATH_INFO=f"/{number}"))
    assert len(environs._shared) <= MAX_SHARED + 10
