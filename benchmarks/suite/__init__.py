"""What benchmarks/run.py is made of.

    cells.py      what is measured, and what it should come to
    servers.py    what is measured against what, and how it is started
    serving.py    how our own servers are served
    measure.py    one cell, round by round
    plain_http.py plain requests through the middleware, in this process
    machine.py    this machine, and the builds and versions on it
    peers.py      the virtual environment of the peers, the C floor, the certificate
    report.py     figures as tables

The scripts beside this folder import it by this name.
"""
