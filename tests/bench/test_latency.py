"""Histograms and stamps: nothing is lost, and what is told is near the truth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsmiddleware.bench.latency import Histogram, Stamps

TIMES = st.floats(0, 1000)


class TestHistogram:
    def test_of_nothing_has_no_percentiles(self):
        assert Histogram().percentile(50) is None

    @given(TIMES)
    def test_tells_a_time_on_3_percent(self, seconds):
        histogram = Histogram()
        histogram.add(seconds, 1)
        assert histogram.percentile(50) == pytest.approx(seconds, rel=0.03, abs=1e-6)

    @given(st.lists(TIMES, min_size=1), st.sampled_from([50, 90, 99]))
    def test_tells_percentiles(self, times, percent):
        histogram = Histogram()
        for seconds in times:
            histogram.add(seconds, 1)
        rank = -(-len(times) * percent // 100)
        assert histogram.percentile(percent) == pytest.approx(sorted(times)[rank - 1], rel=0.03, abs=1e-6)

    def test_counts_many_at_once(self):
        histogram = Histogram()
        histogram.add(0.001, 99)
        histogram.add(1.0, 1)
        assert histogram.percentile(99) == pytest.approx(0.001, rel=0.03)
        assert histogram.percentile(99.5) == pytest.approx(1.0, rel=0.03)

    def test_has_a_place_for_what_takes_for_ever(self):
        histogram = Histogram()
        histogram.add(1e9, 1)
        assert histogram.percentile(50) > 600


class TestStamps:
    def test_go_out_oldest_first(self):
        stamps, histogram = Stamps(), Histogram()
        stamps.add(1.0, 2)
        stamps.add(2.0, 1)
        assert stamps.take(3.0, 1, histogram) == 0
        assert histogram.percentile(100) == pytest.approx(2.0, rel=0.03)
        assert stamps.take(3.5, 2, histogram) == 0
        assert histogram.percentile(1) == pytest.approx(1.5, rel=0.03)
        assert histogram.percentile(100) == pytest.approx(2.5, rel=0.03)

    def test_tell_what_had_never_gone_out(self):
        stamps, histogram = Stamps(), Histogram()
        assert stamps.take(1.0, 3, histogram) == 3
        stamps.add(1.0, 2)
        assert stamps.take(2.0, 3, histogram) == 1
        assert stamps.take(2.0, 1, histogram) == 1

    @given(st.lists(st.integers(1, 5), min_size=1), st.data())
    def test_lose_nothing(self, counts, data):
        stamps, histogram = Stamps(), Histogram()
        on_their_way = 0
        for count in counts:
            stamps.add(0.0, count)
            on_their_way += count
            back = data.draw(st.integers(0, on_their_way))
            assert stamps.take(1.0, back, histogram) == 0
            on_their_way -= back
        assert stamps.take(1.0, on_their_way + 1, histogram) == 1
