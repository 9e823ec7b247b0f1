from __future__ import annotations

import sys

import pytest

if not sys.platform.startswith("linux"):
    pytest.skip("memory is measured on Linux only", allow_module_level=True)

from benchmarks.fuzz.corpus_cases import CorpusCases
from benchmarks.fuzz.image_cases import ImageCases
from benchmarks.fuzz.row_cases import RowCases
from benchmarks.fuzz.runner import Limits, run


@pytest.mark.slow
@pytest.mark.parametrize("cases_of", [ImageCases, CorpusCases, RowCases])
def test_corrupted_files_are_accepted_or_rejected_with_an_error(cases_of):
    report = run(cases_of(seed=0), range(60), Limits())
    assert report.findings == []
    accepted = sum(times for (_, reason), times in report.verdicts.items() if not reason)
    assert 0.1 < accepted / report.verdicts.total() < 0.9
