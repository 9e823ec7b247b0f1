from __future__ import annotations

import gc

from spacy_mner.utils.garbage import freeze_objects


def test_later_collections_do_not_visit_the_objects_that_exist():
    old = {"a": [1]}
    try:
        freeze_objects()
        new = {"a": [1]}
        tracked = {id(one) for one in gc.get_objects()}
    finally:
        gc.unfreeze()
    assert id(new) in tracked and id(old) not in tracked
