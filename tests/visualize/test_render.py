from __future__ import annotations

import html
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc, Span

import spacy_mner
from spacy_mner.errors import UsageError
from spacy_mner.features import Featurizers
from spacy_mner.visualize.region_attention import region_attention

from ..browser import OVERFLOW, WIDTHS, Opened
from ..conftest import CROSS_MODAL, examples_of, gold_docs, train
from .test_explain_page import HOSTILE, Outline

RED = np.full((40, 60, 3), (200, 0, 0), np.uint8)


def predicted(text="my jaguar", label="ORG", image=RED):
    """A Doc as a pipeline returns it: its last token is an entity, with attention."""
    doc = Doc(spacy.blank("en").vocab, words=text.split(" "))
    entity = Span(doc, len(doc) - 1, len(doc), label=label)
    doc.ents = [entity]
    doc.ents[0]._.score = 0.875
    doc._.image, doc._.image_status = image, "used"
    weights = np.full(len(doc), 0.25, np.float32)
    doc._.modality_attention = {"word": weights, "image": 1 - weights}
    return doc


def hostile_docs():
    docs = [predicted(text=f"my {text}", label=text) for text in HOSTILE]
    for doc, text in zip(docs, HOSTILE, strict=True):
        doc._.image_text = text
    return docs


def test_a_page_has_the_entities_their_scores_the_image_and_the_attention():
    page = spacy_mner.render([predicted(), predicted("no image", image=None)], jupyter=False)
    outline = Outline(page)
    text = " ".join("".join(outline.data).split())
    assert "jaguar ORG 0.88" in text.replace("\N{NO-BREAK SPACE}", " ")
    assert "This post has no image." in text
    assert "word" in text and "75" in text
    images = [target for target in outline.targets if target.startswith("data:image/jpeg;base64,")]
    assert len(images) == 1
    assert all(target.startswith(("data:image/jpeg;base64,", "#")) for target in outline.targets)


def test_one_doc_is_a_page_of_one_post_and_is_not_changed():
    doc = predicted()
    before = doc.to_bytes()
    assert spacy_mner.render(doc, jupyter=False).count("<article") == 1
    assert doc.to_bytes() == before
    assert spacy_mner.render([], jupyter=False).count("<article") == 0


@pytest.mark.parametrize("docs", ["hello", ["hello"], 3, None])
def test_what_is_not_a_doc_is_refused(docs):
    with pytest.raises(
        UsageError, match=f"not {type(docs[0] if docs == ['hello'] else docs).__name__}"
    ):
        spacy_mner.render(docs, jupyter=False)


def test_a_notebook_shows_the_same_page_in_a_sandboxed_frame(monkeypatch):
    shown = []
    display = SimpleNamespace(HTML=str, display=shown.append)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(display=display))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    docs = hostile_docs()
    assert spacy_mner.render(docs, jupyter=True) is None
    [frame] = shown
    assert 'sandbox="allow-scripts"' in frame
    start = frame.index('srcdoc="') + len('srcdoc="')
    page = html.unescape(frame[start : frame.index('"', start)])
    assert page == spacy_mner.render(docs, jupyter=False)


def test_the_pipeline_gives_the_folder_of_images_the_tags_and_the_regions(small_model, images):
    nlp = spacy.blank("en")
    embed = {**small_model["embed"]}
    encoder = {"@image_encoders": "spacy_mner.EfficientNetLite.v1", "regions": "grid"}
    embed["image"] = {**embed["image"], "encoder": encoder}
    config = {"model": {**small_model, **CROSS_MODAL, "embed": embed}, "annotate_attention": True}
    nlp.add_pipe("multimodal_ner", config={**config, "images_root": str(images)})
    train(nlp, examples_of(gold_docs(nlp)), steps=30)
    [doc] = nlp.pipe(spacy_mner.make_docs(nlp, [{"text": "my jaguar !", "image": "car.png"}]))
    doc.ents = [Span(doc, 1, 2, label="ORG")]
    page = spacy_mner.render(doc, jupyter=False, nlp=nlp)
    assert "Visual tags" in page and 'class="overlay"' in page and ", column " in page
    page = spacy_mner.render(doc, jupyter=False)
    assert "Image not shown" in page and str(images) not in page
    [[attention]] = region_attention(doc, Featurizers({}), [None])
    assert attention.cells == {}
    assert all(name.startswith("region ") for name, _ in attention.top_regions)


@pytest.mark.parametrize("width", WIDTHS)
def test_hostile_posts_execute_nothing_in_a_browser(browser, tmp_path, width):
    path = tmp_path / "page.html"
    path.write_text(spacy_mner.render(hostile_docs(), jupyter=False), encoding="utf-8")
    opened = Opened(browser, path.as_uri(), viewport={"width": width, "height": 800})
    assert opened.view.evaluate("window.hacked") is None
    assert opened.view.evaluate(OVERFLOW) == 0
    assert opened.messages == []
    assert [one for one in opened.requests if not one.startswith("data:")] == [path.as_uri()]
    opened.context.close()
