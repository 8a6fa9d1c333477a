"""The command: ``python -m conformance``."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import click

from conformance.cases import SELECTIONS, batches
from conformance.run import run, suite_version
from conformance.servers import ServerFailed, targets
from conformance.table import around, table, write

ROOT = Path(__file__).parents[1]

# Not resolved: the interpreter of a virtual environment is a link.
PYTHON = click.Path(exists=True, dir_okay=False, executable=True, path_type=Path)


def split(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    """Return the names of selections. Raises click.BadParameter for others."""
    names = tuple(value.split(","))
    for name in names:
        if name not in SELECTIONS:
            raise click.BadParameter(f"expected {', '.join(SELECTIONS)}, or several with commas; found {name!r}")
    return names


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--pure", type=PYTHON, help="The interpreter that has the pure build installed.")
@click.option("--compiled", type=PYTHON, help="The interpreter that has the compiled build installed.")
@click.option("--cases", default="subset", callback=split, show_default=True, help="Of subset, sample and all.")
@click.option("--wstest", type=PYTHON, help="The testsuite's command, if not the one that tools/wstest installs.")
@click.option(
    "--jobs", type=click.IntRange(1), default=len(os.sched_getaffinity(0)), help="How many wstest run at a time."
)
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), default=ROOT / ".conformance" / "reports",
    help="Where the reports go. Default: .conformance/reports",
)  # fmt: skip
@click.option(
    "--write", "document", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Put the table into this document.",
)  # fmt: skip
def main(
    pure: Path | None,
    compiled: Path | None,
    cases: tuple[str, ...],
    wstest: Path | None,
    jobs: int,
    folder: Path,
    document: Path | None,
) -> None:
    """Run the Autobahn testsuite against both styles of endpoints, plain and over TLS.

    The exit status is 1 if a case is not OK, or its close is not, or if it has not run.
    """
    given = {"pure": pure, "compiled": compiled}
    builds = {build: python.absolute() for build, python in given.items() if python is not None}
    if not builds:
        raise click.UsageError("expected --pure PYTHON, --compiled PYTHON or both, found neither")
    chosen = batches(cases)
    try:
        if document:
            around(document)  # Better told now than at the end.
        command = wstest.absolute() if wstest else installed_wstest()
        suite = suite_version(command)
        outcomes = run(targets(builds), chosen, wstest=command, folder=folder.absolute(), jobs=jobs, tell=click.echo)
    except (ServerFailed, OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    except subprocess.CalledProcessError as error:
        raise click.ClickException(f"expected {error.cmd[0]} to run, it ended with {error.returncode}") from None
    count = sum(len(batch.cases) for batch in chosen)
    text = table(outcomes, cases=f"{' and '.join(cases)} ({count})", testsuite=suite, day=date.today())
    click.echo(f"\n{text}")
    if document:
        write(document, text)
    problems = [problem for outcome in outcomes for problem in outcome.verdict.problems]
    if problems:
        click.echo("\n".join(problems), err=True)
        raise click.ClickException(f"expected no problems, found {len(problems)} (see above)")


def installed_wstest() -> Path:
    """Return the wstest that tools/wstest finds or installs. Raises subprocess.CalledProcessError if it cannot."""
    done = subprocess.run([ROOT / "tools" / "wstest"], check=True, stdout=subprocess.PIPE, text=True)
    return Path(done.stdout.strip())


if __name__ == "__main__":
    sys.exit(main())
