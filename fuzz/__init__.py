"""Fuzzing of the protocol: streams of client frames, read by our connection and by other libraries'.

    streams.py       streams from a seed, valid and mutated
    reading.py       what somebody heard in a stream
    ends.py          who reads: our builds, wsproto, websockets
    anatomy.py       a stream taken apart, and what is wrong with each frame, said without our parser
    scene.py         one disagreement, and all that can be asked about it
    known.py         the disagreements that the RFC's text explains
    differential.py  reads, compares, classifies
    reduce.py        makes a stream smaller that shows something
    checks.py        what must hold for each input of the guided run
    guided.py        the guided run: atheris on a sanitized build; target.py is what it runs
    builds.py        our builds, side by side in one process

Not part of the wheel. ``python -m fuzz --help`` says what can be run.
"""
