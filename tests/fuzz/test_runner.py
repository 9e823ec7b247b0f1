"""What a case may not do is seen, and told with the number of the case."""

from __future__ import annotations

import sys

import pytest

if not sys.platform.startswith("linux"):
    pytest.skip("memory is measured as Linux counts it", allow_module_level=True)

from .planted import CRASH, GREEDY, HOG, RAISE, SLEEP, SPIN, PlantedCases, UnpreparedCases
from .runner import MIB, Bounds, run

BOUNDS = Bounds(seconds=1.0, clock=5.0, bytes=64 * MIB)


@pytest.fixture(scope="module")
def report():
    return run(PlantedCases(), range(12), BOUNDS, workers=2)


def found(report, kind):
    return [(finding.case, finding.detail) for finding in report.findings if finding.kind == kind]


def test_a_crash_is_told_with_its_signal(report):
    assert found(report, "crash") == [(CRASH, "SIGABRT")]


def test_a_hang_is_ended_whether_it_computes_or_waits(report):
    assert sorted(found(report, "hang")) == [
        (SLEEP, "over 5 s by the clock"),
        (SPIN, "over 1 s of processor time"),
    ]


def test_memory_over_the_bound_is_told_even_where_it_was_given_back(report):
    (hog, detail), (greedy, trace) = sorted(found(report, "memory"))
    assert (hog, greedy) == (HOG, GREEDY)
    assert 90 <= int(detail.removesuffix(" MiB")) <= 300
    assert "MemoryError" in trace
    assert report.heaviest[1] == HOG


def test_an_exception_is_told_with_its_place(report):
    [(case, trace)] = found(report, "exception")
    assert case == RAISE
    assert "planted.py" in trace and "KeyError" in trace


def test_all_other_cases_are_tried_whatever_became_of_those_before(report):
    assert report.cases == 12
    assert report.verdicts == {("planted", ""): 2, ("planted", "even"): 5}
    assert 0 < report.slowest[0] < BOUNDS.seconds


def test_without_findings_there_is_nothing_to_tell():
    report = run(PlantedCases(), range(12, 60), BOUNDS)
    assert (report.cases, report.findings) == (48, [])


def test_a_process_that_cannot_begin_says_why():
    with pytest.raises(RuntimeError, match="nothing is ready"):
        run(UnpreparedCases(), range(3), BOUNDS)
