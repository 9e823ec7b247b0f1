"""The numbers over posts."""

from __future__ import annotations

from spacy_mner.annotate.tally import Tally


def failed(error):
    return {"entities": None, "image_status": None, "error": error}


def test_an_error_that_shows_a_whole_row_is_told_by_its_beginning():
    tally = Tally.of([failed("not a line of JSON: " + "x" * 1_000_000), failed("short")], first=3)
    (row, long), short = tally.errors
    assert (row, short) == (3, (4, "short"))
    assert long == "not a line of JSON: " + "x" * 480
    assert Tally.from_json(tally.to_json()) == tally
