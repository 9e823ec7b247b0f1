from __future__ import annotations

import threading

import pytest
import spacy

from spacy_mner.errors import ImageWarning
from spacy_mner.utils.caller import warn_caller


def test_a_warning_of_a_masked_image_names_the_line_that_annotates_the_post(trained):
    doc = trained.make_doc("hi Bob")
    doc._.image = "gone.jpg"
    with pytest.warns(ImageWarning, match="Image masked") as caught:
        trained(doc)
    assert {one.filename for one in caught} == {__file__}


def test_a_warning_names_the_line_outside_of_spacy():
    @spacy.Language.component("warning_component")
    def warning_component(doc):
        # As if this module belonged to the package.
        globals_ = {"__name__": "spacy_mner.example", "warn_caller": warn_caller}
        exec("warn_caller('a', UserWarning)", globals_)
        return doc

    nlp = spacy.blank("en")
    nlp.add_pipe("warning_component")
    with pytest.warns(UserWarning) as caught:
        nlp("hi")
    assert [one.filename for one in caught] == [__file__]


def test_a_warning_in_a_thread_without_a_caller_is_issued():
    with pytest.warns(UserWarning, match="^a$"):
        thread = threading.Thread(target=warn_caller, args=("a", UserWarning))
        thread.start()
        thread.join()
