"""The command ``wsmiddleware``. It needs click, which the extra ``cli`` installs."""

from __future__ import annotations

import sys

import click

from wsmiddleware.bench import BenchError, Mode, Observer, Plan, Result, measure
from wsmiddleware.protocol.deflate import MODES
from wsmiddleware.protocol.deflate import Mode as Contexts


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="wsmiddleware")
def main() -> None:
    """WebSockets for any WSGI application: tools around them."""


def split_headers(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """Return names and values of headers like 'Name: value'. Raises click.BadParameter for others."""
    for value in values:
        if ":" not in value:
            raise click.BadParameter(f"expected 'Name: value', found {value!r}")
    pairs = (value.partition(":") for value in values)
    return tuple((name.strip(), text.strip()) for name, _, text in pairs)


@main.command()
@click.argument("url")
@click.option(
    "--mode", type=click.Choice([mode.value for mode in Mode]), default=Mode.ECHO.value, show_default=True,
    help="What the connections do, see above.",
)  # fmt: skip
@click.option("--connections", "-c", type=click.IntRange(1), default=1, show_default=True, help="How many.")
@click.option(
    "--in-flight", "-i", type=click.IntRange(1), default=1, show_default=True,
    help="echo: messages on their way in each connection; fanout: messages published at once.",
)  # fmt: skip
@click.option(
    "--size", "-s", type=click.IntRange(1), default=32, show_default=True,
    help="Bytes in a message; without a meaning with --deflate.",
)  # fmt: skip
@click.option(
    "--seconds", "-t", type=click.FloatRange(0, min_open=True), default=5.0, show_default=True,
    help="How long to measure once all connections are open.",
)  # fmt: skip
@click.option("--text", is_flag=True, help="Send text messages instead of binary ones.")
@click.option(
    "--deflate", type=click.Choice(MODES),
    help="Send a corpus of JSON, compressed, see below. By default nothing is compressed.",
)  # fmt: skip
@click.option(
    "--header", "-H", "headers", callback=split_headers, multiple=True, metavar="'NAME: VALUE'",
    help="Send this with the handshake (Origin, Cookie). Can be given several times.",
)  # fmt: skip
@click.option("--insecure", is_flag=True, help="wss: trust any certificate.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one line of JSON, times in seconds.")
def bench(
    url: str,
    mode: str,
    connections: int,
    in_flight: int,
    size: int,
    seconds: float,
    text: bool,
    deflate: Contexts | None,
    headers: tuple[tuple[str, str], ...],
    insecure: bool,
    as_json: bool,
) -> None:
    """Measure what the WebSocket server at URL can do.

    \b
    echo    each connection keeps --in-flight messages on their way; every
            one that comes back is followed by the next. URL has to echo.
    fanout  one connection publishes --in-flight messages; when all have
            all of them, the next. URL has to send a message to everybody,
            the sender included.
    idle    the connections are opened and held.
    churn   each connection connects, gets one message echoed, closes in
            order, and begins anew. A message is then a whole connection.

    \b
    Examples:
      wsmiddleware bench ws://localhost:8000/echo
      wsmiddleware bench ws://localhost:8000/echo -c 100 -i 16
      wsmiddleware bench wss://example.org/room --mode fanout -c 1000
      wsmiddleware bench ws://localhost:8000/echo --mode idle -c 5000 -t 60

    --deflate offers permessage-deflate, which the server has to agree to: with messages that refer to nothing before
    them (shared), or that may (dedicated), and windows of 4 KB. First each message is sent once, and what comes back is
    inflated and compared. "Compressed to" is what then comes over the wire, of the messages' size.

    The client is one thread on one CPU: if it was at work nearly all of the time ("client busy"), the server may be
    able to do more. Give the two CPUs of their own (taskset). Absolute figures say little; compare servers on one
    machine, side by side.

    The exit status is 0 if all went well, 1 if connections failed or nothing could be measured, 2 if the command was
    given wrongly.
    """
    try:
        plan = Plan(
            url, Mode(mode), connections=connections, in_flight=in_flight, size=size, seconds=seconds, text=text,
            deflate=deflate, headers=headers, insecure=insecure,
        )  # fmt: skip
        with Progress(plan) as progress:
            result = measure(plan, progress)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except BenchError as error:
        raise click.ClickException(str(error)) from None
    click.echo(result.as_json() if as_json else describe(plan, result))
    for reason, count in result.failures.items():
        click.echo(f"{count} failed: {reason}", err=True)
    if result.failed:
        sys.exit(1)


class Progress(Observer):
    """Shows on a terminal how far it is, in a line that is gone at the end; elsewhere it shows nothing."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._shown = 0  # characters in the line

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._shown:
            self._show("")  # Blanks over what is there,
            self._show("")  # and the cursor back to the beginning.

    def progress(self, opened: int, seconds: float | None) -> None:
        if seconds is None:
            self._show(f"connecting: {opened} of {self._plan.connections}")
        else:
            self._show(f"measuring: {seconds:.0f} of {self._plan.seconds:g} s, {opened} connections")

    def _show(self, text: str) -> None:
        if sys.stderr.isatty():
            click.echo("\r" + text.ljust(self._shown), nl=False, err=True)
            self._shown = len(text)


def describe(plan: Plan, result: Result) -> str:
    """Return a result as lines for people."""
    kind = "text" if plan.text else "binary"
    message = f"JSON as {kind}" if plan.deflate else f"{plan.size} bytes of {kind}"
    what = {
        Mode.ECHO: f", {plan.in_flight} in flight, {message}",
        Mode.FANOUT: f", bursts of {plan.in_flight}, {message}",
    }.get(plan.mode, "")
    lines = [
        f"{result.mode}: {result.connections} connection{'' if result.connections == 1 else 's'}{what}",
        f"  connected    {result.opened} in {result.connect_seconds:.3f} s, {result.failed} failed",
    ]
    if result.messages:
        rate = f"{result.rate:.0f} /s, {result.megabytes:.1f} MB/s"
        latency = f"p50 {_time(result.p50)}, p90 {_time(result.p90)}, p99 {_time(result.p99)}"
        lines.append(f"  messages     {result.messages} in {result.seconds:.2f} s: {rate}")
        lines.append(f"  latency      {latency}")
    if result.compressed_to is not None:
        lines.append(f"  compressed   to {result.compressed_to:.1%}, {plan.deflate} contexts")
    lines.append(f"  client busy  {result.client_cpu:.0%} of the time")
    return "\n".join(lines)


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} us"
