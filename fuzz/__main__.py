"""What can be run: ``python -m fuzz --help``."""

from __future__ import annotations

import secrets
import sys
import time
from importlib.metadata import version
from pathlib import Path

import click

from fuzz import guided
from fuzz.anatomy import dissect
from fuzz.builds import Build, compiled, pure
from fuzz.differential import Differential, Tally
from fuzz.known import KNOWN
from fuzz.streams import Setting, Stream

BATCH = 500
"""Streams between two looks at the clock."""

SHOWN = 10
"""Disagreements that are printed, of those not explained."""


@click.group()
def main() -> None:
    """Fuzz the protocol: against other libraries, and guided by coverage."""


def _builds(names: str) -> list[Build]:
    makers = {"pure": pure, "compiled": compiled}
    unknown = set(names.split(",")) - set(makers)
    if unknown:
        raise click.UsageError(f"expected builds out of {', '.join(makers)}, found {', '.join(sorted(unknown))}")
    return [makers[name]() for name in names.split(",")]


@main.command()
@click.option("--seconds", type=click.FloatRange(min=0), default=60, show_default=True)
@click.option("--streams", type=click.IntRange(min=1), help="As many, however long it takes.")
@click.option("--first", type=click.IntRange(min=0), help="The seed of the first stream; by default any.")
@click.option("--builds", default="pure,compiled", show_default=True, help="Ours, which are compared, too.")
def differential(seconds: float, streams: int | None, first: int | None, builds: str) -> None:
    """Compare what we and others hear in generated streams; fail if a disagreement is not explained."""
    first = secrets.randbits(40) if first is None else first
    runner = Differential(_builds(builds))
    click.echo(
        f"wsmiddleware ({builds}), wsproto {version('wsproto')}, websockets {version('websockets')}; "
        f"streams from seed {first} on"
    )
    tally = Tally()
    began = time.monotonic()
    while tally.streams < streams if streams else time.monotonic() < began + seconds:
        start = first + tally.streams
        tally.add(runner.run(range(start, start + min(BATCH, (streams or sys.maxsize) - tally.streams))))
    _print(tally, time.monotonic() - began)
    for disagreement in tally.unexplained[:SHOWN]:
        click.echo(f"\n{runner.reduced(disagreement)}")
    if tally.unexplained:
        sys.exit(f"\n{len(tally.unexplained):,} disagreements are not explained in fuzz/known.py; fix them, or do that")


def _print(tally: Tally, seconds: float) -> None:
    click.echo(f"\n{tally.streams:,} streams in {seconds:,.0f} s; of {tally.agreed:,} all have heard the same")
    click.echo("\nHow they ended, by our reading:")
    for end, count in tally.ends.most_common():
        click.echo(f"{count:10,}  {end}")
    click.echo("\nDisagreements that are explained:")
    for (name, peer), count in sorted(tally.kinds.items(), key=lambda item: -item[1]):
        click.echo(f"{count:10,}  {peer}: {name}")
    met = {name for name, _ in tally.kinds}
    for known in KNOWN:
        if known.name not in met:
            click.echo(f"{'none':>10}  {known.name}")


def _cuts(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[int, ...]:
    try:
        return tuple(int(cut) for cut in value.split(",") if cut)
    except ValueError:
        raise click.BadParameter(f"expected positions with commas between them, found {value!r}") from None


def _bytes(_context: click.Context, _parameter: click.Parameter, value: str) -> bytes:
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise click.BadParameter(f"expected bytes in hex, found {value!r}") from None


@main.command()
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True)
@click.option(
    "--bits", type=click.IntRange(8, 15), default=None, help="The client's window; by default no compression."
)
@click.option("--takeover", is_flag=True)
@click.option("--cuts", default="", callback=_cuts, help="Where new chunks begin, with commas.")
@click.option("--builds", default="pure,compiled", show_default=True)
@click.argument("data", callback=_bytes)
def read(limit: int, bits: int | None, takeover: bool, cuts: tuple[int, ...], builds: str, data: bytes) -> None:
    """Show what everybody hears in one stream, given in hex."""
    stream = Stream(Setting(limit, bits or 0, takeover), data, cuts)
    for part in dissect(stream):
        faults = f"  wrong: {', '.join(sorted(part.faults))}" if part.faults else ""
        missing = "" if part.is_whole else "  not whole"
        click.echo(
            f"{part.start:6} opcode {part.opcode:x}{' fin' if part.fin else ''} length {part.length}{missing}{faults}"
            f"  {part.payload[:30].hex(' ')}"
        )
    ours, disagreements = Differential(_builds(builds)).compare(stream)
    click.echo(f"ours: {ours}")
    for found in disagreements:
        click.echo(f"{found.peer}: {found.theirs}")
        if found.known is None:
            sys.exit("This disagreement is not explained in fuzz/known.py.")
        click.echo(f"  {found.known.name} ({found.known.section}): {found.known.why}")


@main.command("guided")
@click.option("--seconds", type=click.IntRange(min=1), default=60, show_default=True)
@click.option("--keep", is_flag=True, help="Add what was found to fuzz/corpus, and keep the least that covers as much.")
def run_guided(seconds: int, keep: bool) -> None:
    """Look for inputs that reach new code in a sanitized, compiled build; fail if one breaks a rule of checks.py."""
    try:
        guided.run(seconds, keep)
    except (guided.Unable, guided.Broken) as error:
        sys.exit(str(error))


@main.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def replay(files: tuple[Path, ...]) -> None:
    """Run the checks of the guided run on files, by default on the corpus, without a sanitizer."""
    from fuzz.checks import Checks

    checks = Checks([pure(), compiled()])
    for file in files or guided.corpus():
        checks.run(file.read_bytes())
    click.echo(f"{len(files or guided.corpus())} inputs break no rule")


if __name__ == "__main__":
    main(prog_name="python -m fuzz")
