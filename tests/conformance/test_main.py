"""The command ``python -m conformance``, and the tool that installs the testsuite for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from conformance.__main__ import main
from conformance.table import BEGIN, END
from tests.support.build import BUILD

ROOT = Path(__file__).parents[2]
OTHER = {"pure": "compiled", "compiled": "pure"}[BUILD]
TIMEOUT = 20
"""Seconds after which a command is given up."""


@pytest.fixture
def invoke(tmp_path: Path) -> Callable[..., Result]:
    """Return a function that calls the command, with reports in a folder of the test's own."""

    def invoke(*arguments: str | Path) -> Result:
        return CliRunner().invoke(main, ["--folder", str(tmp_path / "reports"), *map(str, arguments)])

    return invoke


def test_a_good_run_prints_and_writes_the_table(invoke, wstest, tmp_path):
    document = tmp_path / "document.md"
    document.write_text(BEGIN + END, encoding="utf-8")
    result = invoke(f"--{BUILD}", sys.executable, "--wstest", wstest(), "--write", document)
    assert result.exit_code == 0, result.output
    for style in ("servlet", "blocking"):
        for rest in ("plain | dedicated", "TLS | shared"):
            row = f"| {BUILD} | {style} | {rest} | 247 | 247 | 247 | 0 | 0 |\n"
            assert row in result.stdout
            assert row in document.read_text(encoding="utf-8")
    assert "- Testsuite: AutobahnTestSuite 1.2.3, cases: subset (247)\n" in result.stdout


def test_a_run_of_several_selections(invoke, wstest):
    result = invoke(f"--{BUILD}", sys.executable, "--wstest", wstest(), "--cases", "sample,subset")
    assert result.exit_code == 0, result.output
    assert "cases: sample and subset (305)\n" in result.stdout
    assert result.stdout.count("| 305 | 305 | 305 | 0 | 0 |\n") == 4


def test_a_case_that_is_not_ok_makes_the_status_1(invoke, wstest):
    line = "if server['url'].startswith('wss'): report['7.1.1']['behaviorClose'] = 'UNCLEAN'"
    result = invoke(f"--{BUILD}", sys.executable, "--wstest", wstest(line))
    assert result.exit_code == 1
    for style in ("servlet", "blocking"):
        assert f"{BUILD} {style} tls, case 7.1.1: expected OK, found OK; its close: UNCLEAN; see " in result.stderr
    assert result.stderr.endswith("Error: expected no problems, found 2 (see above)\n")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "expected --pure PYTHON, --compiled PYTHON or both, found neither"),
        (("--pure", sys.executable, "--cases", "subset,some"), "expected subset, sample, all, or several with commas"),
        (("--pure", "no-python"), "'no-python' does not exist"),
    ],
)
def test_wrong_options_are_told(invoke, arguments, problem):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert problem in result.stderr


def test_an_interpreter_with_the_other_build_is_told(invoke, wstest):
    result = invoke(f"--{OTHER}", sys.executable, "--wstest", wstest())
    assert result.exit_code == 1
    assert f"expected the {OTHER} build of wsmiddleware, found a {BUILD} one" in result.stderr


def test_a_document_without_a_place_for_the_table_is_told_before_the_run(invoke, wstest, tmp_path):
    document = tmp_path / "document.md"
    document.touch()
    result = invoke(f"--{BUILD}", sys.executable, "--wstest", wstest(), "--write", document)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: expected the lines '<!-- begin of the table -->' and ")
    assert result.stdout == ""


def test_a_wstest_that_does_not_run_is_told(invoke):
    result = invoke(f"--{BUILD}", sys.executable, "--wstest", shutil.which("false") or "")
    assert result.exit_code == 1
    assert "false to run, it ended with 1" in result.stderr


def test_the_tool_says_that_it_needs_python_2(tmp_path):
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    done = subprocess.run(
        [tmp_path / "tools" / "wstest"],
        env={**os.environ, "PYTHON27": sys.executable},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "expected a Python 2.7, which the Autobahn testsuite needs; found none." in done.stderr
    assert f"Looked at PYTHON27={sys.executable} only." in done.stderr


def test_the_tool_does_not_install_what_is_there(tmp_path):
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    folder = tmp_path / ".conformance" / "wstest"
    folder.mkdir(parents=True)
    (folder / ".installed-25.10.1").touch()
    done = subprocess.run([tmp_path / "tools" / "wstest"], capture_output=True, text=True, timeout=TIMEOUT)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{folder}/env/bin/wstest\n"
