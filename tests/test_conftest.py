"""In CI nothing may skip."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")
TEST_SKIPS = "import pytest\n\ndef test_it():\n    pytest.skip('no such browser')\n"
MARK_SKIPS = "import pytest\n\n@pytest.mark.skip(reason='no such browser')\ndef test_it():\n    pass\n"
MODULE_SKIPS = "import pytest\n\npytest.skip('no such browser', allow_module_level=True)\n"
XFAILS = "import pytest\n\n@pytest.mark.xfail(reason='known')\ndef test_it():\n    assert False\n"


def run_pytest(folder: Path, source: str, ci: str) -> "subprocess.CompletedProcess[str]":
    shutil.copy(CONFTEST, folder)
    (folder / "test_it.py").write_text(source, encoding="utf-8")
    (folder / "test_fine.py").write_text("def test_fine():\n    pass\n", encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "--rootdir", str(folder), str(folder)],
        cwd=folder,
        env={**os.environ, "CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        text=True,
        capture_output=True,
    )


@pytest.mark.parametrize("source", [TEST_SKIPS, MARK_SKIPS, MODULE_SKIPS])
def test_a_skip_fails_in_ci_and_says_why(tmp_path: Path, source: str) -> None:
    result = run_pytest(tmp_path, source, ci="1")
    assert result.returncode != 0
    assert "expected no test to skip in CI, found one that does: no such browser" in result.stdout
    assert "test_it.py" in result.stdout


@pytest.mark.parametrize("source", [TEST_SKIPS, MARK_SKIPS, MODULE_SKIPS])
def test_elsewhere_a_skip_is_a_skip(tmp_path: Path, source: str) -> None:
    result = run_pytest(tmp_path, source, ci="")
    assert result.returncode == 0
    assert "1 passed, 1 skipped" in result.stdout


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    result = run_pytest(tmp_path, XFAILS, ci="1")
    assert result.returncode == 0
    assert "1 passed, 1 xfailed" in result.stdout
