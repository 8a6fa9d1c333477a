"""The corpus: the same each time, like what it stands for, and no gift to a compressor."""

from __future__ import annotations

import json
import statistics
import zlib

from wsmiddleware.bench.corpus import DOCUMENTS, documents


def test_is_the_same_each_time():
    assert documents() == documents()


def test_is_json_of_all_sizes():
    sizes = [len(document) for document in documents() if json.loads(document)]
    assert len(sizes) == DOCUMENTS
    assert min(sizes) < 100
    assert 200 < statistics.median(sizes) < 500
    assert 4096 < max(sizes) < 10_000


def test_has_more_than_ascii():
    assert any(not document.isascii() for document in documents())


def test_has_no_document_twice():
    assert len(set(documents())) == DOCUMENTS


def test_gets_smaller_as_real_json_does():
    """What repeats is names, not values: one by one they come to a third to two thirds, together to no less than a
    fifth."""
    whole = sum(map(len, documents()))
    alone = sum(len(zlib.compress(document)) for document in documents())
    together = len(zlib.compress(b"".join(documents()), 9))
    assert 1 / 3 < alone / whole < 2 / 3
    assert 1 / 5 < together / whole < alone / whole
