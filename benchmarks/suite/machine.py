"""This machine, and what is installed on it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import wsmiddleware.protocol.wire

SERVER_CPU, CLIENT_CPU = 0, 1

CAN_PIN = {SERVER_CPU, CLIENT_CPU} <= os.sched_getaffinity(0)
"""Whether servers and the client can have a CPU of their own each."""

OURS = ("Flask", "Werkzeug", "gevent", "greenlet", "gevent-websocket")
"""Distributions that our servers run on."""


def build() -> str:
    """Return which build of wsmiddleware is installed here: "pure" or "compiled"."""
    return "pure" if str(wsmiddleware.protocol.wire.__file__).endswith(".py") else "compiled"


def description(peers: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what has to be known of a table: names and values. *peers* are distributions and versions."""
    ours = {name: _version(name) for name in ("wsmiddleware", *OURS)}
    pinned = f"servers on CPU {SERVER_CPU}, the client on CPU {CLIENT_CPU}" if CAN_PIN else "not to be separated here"
    return [
        ("Date", date.today().isoformat()),
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
        ("Kernel", f"{platform.system()} {platform.release()}"),
        ("CPU", f"{_cpu_model()}, {os.cpu_count()} of them; {pinned}"),
        ("Build of wsmiddleware", build()),
        ("Runs on", ", ".join(f"{name} {number}" for name, number in ours.items())),
        ("Peers", ", ".join(f"{name} {number}" for name, number in peers.items()) or "none"),
    ]


def pin_client() -> None:
    """Keep this process to the client's CPU, if there is one for servers besides."""
    if CAN_PIN:
        os.sched_setaffinity(0, {CLIENT_CPU})


def versions_in(python: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the versions of distributions that another interpreter has."""
    script = (
        "import json, sys\nfrom importlib.metadata import version\n"
        "print(json.dumps({name: version(name) for name in sys.argv[1:]}))"
    )
    done = subprocess.run([python, "-c", script, *names], check=True, capture_output=True, text=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def pss(group: int) -> int:
    """Return the proportional set size of all processes of a process group, in bytes."""
    lines = "\n".join(_of_all(group, "smaps_rollup")).splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024


def cpu_seconds(group: int) -> float:
    """Return how long the processes of a process group have been at work. (The first figure is in nanoseconds.)"""
    return sum(int(text.split()[0]) for text in _of_all(group, "task/*/schedstat")) / 1e9


def _of_all(group: int, pattern: str) -> Iterator[str]:
    """Yield what is in the files *pattern* of all processes of a group."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(folder.name)) == group:
                for file in folder.glob(pattern):
                    yield file.read_text()
        except OSError:
            continue  # It has ended meanwhile.


def is_listening(port: int) -> bool:
    """Say whether somebody listens on a TCP port. (Connecting to try it would make some servers complain.)"""
    wanted = f":{port:04X}"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if os.path.exists(table):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[1].endswith(wanted) and fields[3] == "0A":
                    return True
    return False


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() in ("model name", "cpu model", "hardware"):
            return value.strip()
    return platform.machine()
