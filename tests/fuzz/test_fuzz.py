"""A short fuzz run; `benchmarks/fuzz.py` is the long one."""

from __future__ import annotations

import sys

import pytest

if not sys.platform.startswith("linux"):
    pytest.skip("memory is measured as Linux counts it", allow_module_level=True)

from .corpus_cases import CorpusCases
from .image_cases import ImageCases
from .row_cases import RowCases
from .runner import Bounds, run


@pytest.mark.parametrize(
    ("cases_of", "n"), [(ImageCases, 500), (CorpusCases, 300), (RowCases, 300)]
)
def test_damaged_files_are_read_or_refused_and_nothing_else(cases_of, n):
    report = run(cases_of(seed=0), range(n), Bounds())
    assert report.findings == []
    assert report.cases == n
    tried = report.verdicts.total()
    accepted = sum(times for (_, reason), times in report.verdicts.items() if not reason)
    # Neither is all damage harmless, nor all of it seen at once.
    assert 0.1 * tried < accepted < 0.9 * tried
