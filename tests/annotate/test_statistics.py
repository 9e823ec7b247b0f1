from __future__ import annotations

from spacy_mner.annotate.statistics import Statistics


def test_long_errors_are_truncated_and_statistics_survive_a_round_trip():
    def failed(error):
        return {"entities": None, "image_status": None, "error": error}

    annotations = [failed("not a line of JSON: " + "x" * 1_000_000), failed("short")]
    statistics = Statistics.of(annotations, first_row=3)
    assert statistics.errors == [(3, "not a line of JSON: " + "x" * 480), (4, "short")]
    assert Statistics.from_json(statistics.to_json()) == statistics
