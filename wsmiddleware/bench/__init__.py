"""A load client: what a WebSocket server can do, measured from outside. Used by ``wsmiddleware bench``.

    measuring.py    measure(plan) -> result
    plan.py         what to measure
    target.py       the URL, the request and its answer
    load.py         opens connections, measures, closes them
    modes.py        what they do meanwhile
    connection.py   one connection
    messages.py     what is sent
    corpus.py       JSON, for compression
    offer.py        of compression, and what has to be agreed on
    check.py        whether compressed messages come back as they were
    bursts.py       the messages, made once
    reader.py       counts what comes back
    latency.py      how long it took
    result.py       the figures

One thread, one epoll set, no gevent. It has to be quicker than what it measures: frames are made once, replies are
read by their headers alone, and what runs for each message is compiled where the package is.
"""

from wsmiddleware.bench.errors import BenchError
from wsmiddleware.bench.load import Observer
from wsmiddleware.bench.measuring import measure
from wsmiddleware.bench.plan import Mode, Plan
from wsmiddleware.bench.result import Result

__all__ = ["BenchError", "Mode", "Observer", "Plan", "Result", "measure"]
