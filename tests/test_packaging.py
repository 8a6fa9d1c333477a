"""What a user installs: a wheel with both packages, all their files, the extras, and nothing else."""

import os
import re
import shutil
import subprocess
import sys
from email.message import Message
from email.parser import Parser
from importlib import metadata as metadata_of_installed
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("wsmiddleware", "demo_flask")
DATA = ("wsmiddleware/py.typed", "demo_flask/templates/room.html", "demo_flask/static/main.js")
NOT_SOURCE = shutil.ignore_patterns("__pycache__", "*.py[cod]", "*.so")
FOR_BUILDING = (".pxd", ".pyx")
NOT_INSTALLED = (".pyc", ".so", *FOR_BUILDING)

COMPILED = set(re.findall(r'"(wsmiddleware/[a-z_/]+)\.pyx?"', (ROOT / "setup.py").read_text(encoding="utf-8")))
"""The modules that setup.py compiles, as paths without an ending."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pure wheel, built without network in a copy of the tree: building leaves files behind."""
    tree = tmp_path_factory.mktemp("tree")
    for name in (*PACKAGES, "tests", "tools"):
        shutil.copytree(ROOT / name, tree / name, ignore=NOT_SOURCE)
    for name in ("setup.cfg", "setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "CHANGES.md"):
        shutil.copy(ROOT / name, tree)
    options = ["--wheel", "--no-isolation", "--skip-dependency-check", "--outdir", str(tree / "dist")]
    result = subprocess.run(
        [sys.executable, "-m", "build", *options, str(tree)],
        env={**os.environ, "WSMIDDLEWARE_PURE": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert result.returncode == 0, result.stdout
    (built,) = (tree / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def test_it_holds_every_file_of_the_packages_and_no_tests(wheel: Path) -> None:
    expected = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in NOT_INSTALLED and "/." not in str(path.relative_to(ROOT))
    }
    with ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name and not name.endswith("/")}
    assert found == expected


@pytest.mark.parametrize("file", DATA)
def test_it_holds_what_is_no_module(wheel: Path, file: str) -> None:
    with ZipFile(wheel) as archive:
        assert file in archive.namelist()


def test_it_holds_the_licence(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        assert any(".dist-info/" in name and name.endswith("/LICENSE") for name in archive.namelist())


def test_its_metadata_names_what_it_needs(metadata: Message) -> None:
    assert metadata["Name"] == "wsmiddleware"
    assert metadata["License"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.10"
    required = [text for text in metadata.get_all("Requires-Dist", []) if "extra ==" not in text]
    assert required == ["gevent>=24.2", "gevent-websocket>=0.10.1", "werkzeug>=3.0"]


def test_its_metadata_names_the_extras(metadata: Message) -> None:
    assert set(metadata.get_all("Provides-Extra", [])) == {"cli", "flask", "fuzz", "test", "lint", "types"}


def test_it_has_the_command(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt"))
        assert archive.read(name).decode().split("\n", 1)[1].strip() == "wsmiddleware = wsmiddleware.__main__:main"


def test_what_is_in_it_serves_the_chat(wheel: Path, tmp_path: Path) -> None:
    with ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    script = (
        "import demo_flask, wsmiddleware\n"
        "print(wsmiddleware.__file__)\n"
        "print(demo_flask.create_app().test_client().get('/room/lobby').status)\n"
    )
    result = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, text=True, capture_output=True)
    assert result.stdout.splitlines() == [str(tmp_path / "wsmiddleware" / "__init__.py"), "200 OK"], result.stderr


def test_all_that_is_declared_for_the_compiler_is_compiled() -> None:
    declared = [path for suffix in FOR_BUILDING for path in (ROOT / "wsmiddleware").rglob(f"*{suffix}")]
    assert {path.relative_to(ROOT).with_suffix("").as_posix() for path in declared} <= COMPILED


def test_what_is_installed_holds_the_compiled_modules_and_no_others() -> None:
    files = metadata_of_installed.files("wsmiddleware") or []
    found = [str(file).partition(".")[0] for file in files if file.suffix == ".so"]
    assert sorted(found) == (sorted(COMPILED) if os.environ.get("WSMIDDLEWARE_COMPILED") else [])


def test_the_build_that_is_tested_is_the_one_that_was_asked_for() -> None:
    found = {}
    for path in COMPILED:
        module = find_spec(path.replace("/", "."))
        assert module is not None and module.origin is not None
        found[module.name] = Path(module.origin).suffix
    assert set(found.values()) == {".so" if os.environ.get("WSMIDDLEWARE_COMPILED") else ".py"}, found
