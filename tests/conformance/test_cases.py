"""Which cases are run."""

from collections import Counter

import pytest

from conformance.cases import SELECTIONS, batches


def ids(*selections: str) -> list[str]:
    return [case for batch in batches(selections) for case in batch.cases]


def chapters(cases: list[str]) -> Counter[str]:
    return Counter(case.split(".")[0] for case in cases)


@pytest.mark.parametrize(
    ("selections", "count"),
    [(("subset",), 247), (("sample",), 8 + 2 + 12 * 4), (("subset", "sample"), 247 + 58), (("all",), 517)],
)
def test_selections_have_so_many_cases_and_none_twice(selections, count):
    found = ids(*selections)
    assert len(found) == len(set(found)) == count


def test_all_are_those_of_all_chapters():
    assert chapters(ids("all")) == {
        "1": 16, "2": 11, "3": 7, "4": 10, "5": 20, "6": 145, "7": 37, "9": 54, "10": 1, "12": 90, "13": 126
    }  # fmt: skip


def test_the_subset_is_all_but_the_limits_and_compression():
    assert chapters(ids("subset")) == chapters(ids("all")) - Counter({"9": 54, "12": 90, "13": 126})


def test_the_sample_has_the_first_four_of_each_group_about_compression():
    assert [case for case in ids("sample") if case.startswith("12.3.")] == ["12.3.1", "12.3.2", "12.3.3", "12.3.4"]
    assert set(ids("sample")) <= set(ids("all")) - set(ids("subset"))


def test_nothing_is_added_to_all():
    assert batches(["sample", "all", "subset"]) == batches(["all"])


@pytest.mark.parametrize("name", SELECTIONS)
def test_cases_have_no_wildcards(name):
    assert all(part.isdecimal() for case in ids(name) for part in case.split("."))
