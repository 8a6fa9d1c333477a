"""Runs the Autobahn testsuite against echo servers: each build, style and transport is one target.

    cases.py        which cases there are, and in which batches they run
    servers.py      the targets, and how the server of one is started and stopped
    echo_server.py  that server, a program of its own
    verdict.py      what a report of wstest says, and what it lacks
    run.py          all targets and all batches, several at a time
    table.py        the outcome as a table

``python -m conformance --help`` tells how it is called; ``make conformance`` sets up what it needs.
"""
