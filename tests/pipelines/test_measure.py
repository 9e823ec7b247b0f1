"""Figures and model card of a small pipeline on corpora of three posts."""

from __future__ import annotations

import pytest
import spacy
import srsly
from spacy.schemas import ModelMetaSchema
from spacy.tokens import Doc

from card import render_card
from measure import OPEN_CORPORA, make_meta, measure
from spacy_mner.corpus.docbin import write_docs
from tests.conftest import gold_docs


@pytest.fixture
def corpora(tmp_path):
    vocab = spacy.blank("en").vocab
    post = Doc(vocab, words=["hi", "Bob", "Dylan"], ents=["O", "B-PER", "I-PER"])
    mention = Doc(vocab, words=["thanks", "@", "bob"], ents=["O", "B-PER", "B-PER"])
    place = Doc(vocab, words=["in", "Oslo"], ents=["O", "B-LOC"])
    for corpus in OPEN_CORPORA:
        write_docs([post, mention, place], tmp_path / f"{corpus}.test.spacy")
    write_docs(gold_docs(spacy.blank("en")), tmp_path / "sample.test.spacy")
    return tmp_path


@pytest.fixture
def baseline():
    """Finds persons and Oslo, with the labels of OntoNotes."""
    nlp = spacy.blank("en")
    patterns = [("PERSON", "Dylan"), ("GPE", "Oslo"), ("DATE", "hi")]
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": label, "pattern": text} for label, text in patterns])
    return nlp


def test_figures_and_card(trained, baseline, corpora, images, tmp_path):
    figures = measure(trained, baseline, corpora, images)
    scores = figures["open_corpora"]["wnut17"]
    # Of Bob Dylan and Oslo, the baseline finds Oslo; its Dylan is wrong, its date is left out.
    assert scores["gold"]["baseline"]["all"] == {"p": 0.5, "r": 0.5, "f": 0.5}
    assert scores["gold"]["baseline"]["with_mentions"]["r"] == 0.25
    assert scores["gold"]["pipeline"]["types"]["PER"]["f"] == 1.0
    assert scores["gold"]["pipeline"]["aligned"] == 1.0
    # spaCy's tokenizer does not split "@bob": of four gold spans, two align.
    assert scores["pipeline"]["pipeline"]["aligned"] == 0.5
    assert figures["sample"]["on"]["all"]["f"] > figures["sample"]["off"]["all"]["f"]
    assert figures["random_images"]["wnut17"]["posts"] == 3
    assert figures["speed"]["words"] == 3 * 7

    meta = make_meta("en_mner_social_sm", trained, figures)
    ModelMetaSchema.model_validate(meta)
    assert meta["name"] == "mner_social_sm"
    assert meta["performance"]["wnut17_f"] == scores["gold"]["pipeline"]["all"]["f"]
    wheel = tmp_path / "en_mner_social_sm-0.3.0-py3-none-any.whl"
    wheel.write_bytes(bytes(1_230_000))
    card = render_card("en_mner_social_sm", srsly.json_loads(srsly.json_dumps(meta)), wheel)
    assert "1.2 MB" in card and "50.0 (50.0, 50.0)" in card
    assert all(source["name"] in card for source in meta["sources"])
