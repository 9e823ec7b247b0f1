from __future__ import annotations

import pytest
import spacy

from spacy_mner.errors import ImageError, ImageWarning
from spacy_mner.evaluation.evaluate import status_kind
from spacy_mner.features.batch import PostBatch
from spacy_mner.features.image_status import report

USED, ABSENT = (1, []), (0, [])
GONE, TORN = (1, [ImageError("gone")]), (1, [ImageError("torn: 3 bytes")])
SOME = (3, [ImageError("gone")])


@pytest.mark.filterwarnings("ignore::spacy_mner.features.image_status.ImageWarning")
@pytest.mark.parametrize(
    ("reports", "status", "kind"),
    [
        ([ABSENT], "absent", "absent"),
        ([USED, ABSENT], "used", "used"),
        ([ABSENT, GONE], "unreadable: gone", "unreadable"),
        ([GONE, GONE, ABSENT], "unreadable: gone", "unreadable"),
        ([GONE, TORN], "unreadable: gone; torn: 3 bytes", "unreadable"),
        ([USED, TORN], "used in part: torn: 3 bytes", "used in part"),
        ([TORN, USED], "used in part: torn: 3 bytes", "used in part"),
        ([USED, TORN, GONE], "used in part: torn: 3 bytes; gone", "used in part"),
        ([SOME, SOME, USED], "used 2 of 3: gone", "used in part"),
        ([TORN, SOME], "used 2 of 3: torn: 3 bytes; gone", "used in part"),
    ],
)
def test_modalities_tell_of_a_post_together(reports, status, kind):
    batch = PostBatch.from_docs([spacy.blank("en").make_doc("a")])
    for n, failures in reports:
        report(batch, 0, n, failures)
    assert batch.image_status == [status]
    assert status_kind(status) == kind


def test_a_failure_raises_a_warning_for_the_first_modality_alone():
    batch = PostBatch.from_docs([spacy.blank("en").make_doc("a")])
    with pytest.warns(ImageWarning, match="masked, unreadable: gone") as caught:
        report(batch, 0, *GONE)
        report(batch, 0, *GONE)
    assert len(caught) == 1
