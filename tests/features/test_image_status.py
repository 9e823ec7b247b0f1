from __future__ import annotations

from functools import reduce

import pytest

from spacy_mner.errors import ImageError
from spacy_mner.features.image_status import ImageStatus

USED, ABSENT = ImageStatus.of(1, []), ImageStatus.of(0, [])
MISSING = ImageStatus.of(1, [ImageError("gone")])
BROKEN = ImageStatus.of(1, [ImageError("torn: 3 bytes")])
SOME = ImageStatus.of(3, [ImageError("gone")])


@pytest.mark.parametrize(
    ("statuses", "text", "category"),
    [
        ([ABSENT], "absent", "absent"),
        ([USED, ABSENT], "used", "used"),
        ([ABSENT, MISSING], "unreadable: gone", "unreadable"),
        ([MISSING, MISSING, ABSENT], "unreadable: gone", "unreadable"),
        ([MISSING, BROKEN], "unreadable: gone; torn: 3 bytes", "unreadable"),
        ([USED, BROKEN], "used in part: torn: 3 bytes", "used in part"),
        ([BROKEN, USED], "used in part: torn: 3 bytes", "used in part"),
        ([USED, BROKEN, MISSING], "used in part: torn: 3 bytes; gone", "used in part"),
        ([SOME, SOME, USED], "used 2 of 3: gone", "used in part"),
        ([BROKEN, SOME], "used 2 of 3: torn: 3 bytes; gone", "used in part"),
    ],
)
def test_statuses_of_several_modalities_merge_into_one(statuses, text, category):
    status = reduce(ImageStatus.merge, statuses)
    assert str(status) == text
    assert status.category == category


@pytest.mark.parametrize(
    "status",
    [
        USED,
        ABSENT,
        SOME,
        BROKEN.merge(MISSING),
        USED.merge(BROKEN),
        ImageStatus("ignored", reasons=("no modality reads image",)),
    ],
    ids=str,
)
def test_the_string_of_a_status_parses_back_to_it(status):
    assert ImageStatus.parse(str(status)) == status


@pytest.mark.parametrize("text", ["", "lost", "used 2 of", "unused: gone"])
def test_any_other_string_is_not_parsed(text):
    with pytest.raises(ValueError):
        ImageStatus.parse(text)
