"""The servers of the targets, each a real one, asked by another library."""

from __future__ import annotations

import signal
import ssl
import sys
from pathlib import Path

import pytest
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.sync.client import connect

from conformance.servers import Server, ServerFailed, Target, targets
from tests.support.build import BUILD
from tests.support.wsgi import PATIENCE

OTHER = {"pure": "compiled", "compiled": "pure"}[BUILD]
PYTHON = Path(sys.executable)


def client_context() -> ssl.SSLContext:
    """Return a context that trusts anybody, as the testsuite does."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # With TLS 1.3 the client's reader and writer get in each other's way.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def test_targets_are_each_build_in_both_styles_plain_and_over_tls():
    found = targets({"pure": Path("one"), "compiled": Path("two")})
    assert [(target.agent, target.python) for target in found] == [
        ("pure servlet plain", Path("one")),
        ("pure blocking plain", Path("one")),
        ("pure servlet tls", Path("one")),
        ("pure blocking tls", Path("one")),
        ("compiled servlet plain", Path("two")),
        ("compiled blocking plain", Path("two")),
        ("compiled servlet tls", Path("two")),
        ("compiled blocking tls", Path("two")),
    ]


def test_both_kinds_of_compression_are_tested_with_each_build_and_style():
    found = {(target.build, target.style, target.compression) for target in targets({"pure": PYTHON})}
    assert found == {
        ("pure", style, compression) for style in ("servlet", "blocking") for compression in ("shared", "dedicated")
    }


@pytest.mark.parametrize("target", targets({BUILD: PYTHON}), ids=lambda target: target.agent)
def test_it_echoes_compressed_until_it_is_stopped(target: Target, tmp_path: Path) -> None:
    with Server(target, tmp_path / "log") as server:
        context = client_context() if target.tls else None
        with connect(server.url, ssl=context, open_timeout=PATIENCE, close_timeout=PATIENCE, max_size=None) as client:
            (extension,) = client.protocol.extensions
            assert isinstance(extension, PerMessageDeflate)
            assert extension.remote_no_context_takeover is (target.compression == "shared")
            for message in ("text" * 100, b"binary", "x" * 2_000_000):
                client.send(message)
                assert client.recv(PATIENCE) == message
        assert server.complaints() == ""
        assert set(server.versions) == {"Python", "wsmiddleware", "gevent"}
        assert server.stop() == -signal.SIGTERM


def test_one_of_another_build_than_it_claims_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(ServerFailed) as failed:
        Server(Target(OTHER, "servlet", False, PYTHON), tmp_path / "log")
    assert "(status 1)" in str(failed.value)
    assert f"expected the {OTHER} build of wsmiddleware, found a {BUILD} one" in str(failed.value)


def test_one_without_an_interpreter_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no-python"):
        Server(Target(BUILD, "servlet", False, tmp_path / "no-python"), tmp_path / "log")
