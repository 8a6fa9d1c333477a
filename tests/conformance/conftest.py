"""A stand-in for wstest: a program that is called like it and writes a report like it, and tests nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAM = """#!{python}
import json, pathlib, ssl, sys
from contextlib import suppress
from http.client import HTTPConnection, HTTPSConnection
from urllib.parse import urlsplit

OK = {{"behavior": "OK", "behaviorClose": "OK"}}
if sys.argv[1:] == ["--autobahnversion"]:
    print("Autobahn 0\\nAutobahnTestSuite 1.2.3")
    sys.exit()
mode, spec = sys.argv[2], json.loads(pathlib.Path(sys.argv[4]).read_text())
assert sys.argv[1::2] == ["--mode", "--spec"] and mode == "fuzzingclient", sys.argv
(server,) = spec["servers"]
report = {{case: dict(OK, reportfile=f"case_{{case}}.json") for case in spec["cases"]}}
url = urlsplit(server["url"])
if url.scheme == "wss":
    connection = HTTPSConnection(url.netloc, context=ssl._create_unverified_context())
else:
    connection = HTTPConnection(url.netloc)
with suppress(ConnectionError):
    connection.request("GET", "/", headers={{"Connection": "close"}})
    connection.getresponse().read()
connection.close()
{line}
pathlib.Path(spec["outdir"], "index.json").write_text(json.dumps({{server["agent"]: report}}))
"""


@pytest.fixture
def wstest(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that makes one, with a line of Python that changes *report* before it is written."""

    def make(line: str = "") -> Path:
        program = tmp_path / "wstest"
        program.write_text(PROGRAM.format(python=sys.executable, line=line), encoding="utf-8")
        program.chmod(0o755)
        return program

    return make
