from __future__ import annotations

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import classification_report, f1_score, precision_score, recall_score
from seqeval.scheme import IOB2
from spacy.scorer import get_ner_prf
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.util import registry

from spacy_mner.corpus.tags import parse_tag, read_entities
from spacy_mner.evaluation.scorer import score_entities

VOCAB = spacy.blank("en").vocab
TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


def make_doc(tags, *, words=None, missing=()):
    doc = Doc(VOCAB, words=words or [f"w{i}" for i in range(len(tags))])
    entities = read_entities([parse_tag(tag) for tag in tags], "open").entities
    doc.set_ents(
        [Span(doc, start, end, label=label) for start, end, label in entities],
        missing=[doc[i : i + 1] for i in missing],
    )
    return doc


def tags_of(doc):
    return [f"{t.ent_iob_}-{t.ent_type_}" if t.ent_type_ else "O" for t in doc]


@st.composite
def pairs(draw):
    """Predicted and gold Docs of the same tokens, for a few posts."""
    result = []
    for length in draw(st.lists(st.integers(1, 6), min_size=1, max_size=5)):
        tags = st.lists(st.sampled_from(TAGS), min_size=length, max_size=length)
        result.append((make_doc(draw(tags)), make_doc(draw(tags))))
    return result


def score(docs):
    return score_entities(Example(predicted, gold) for predicted, gold in docs)


@given(pairs())
def test_scores_agree_with_seqeval(docs):
    predicted = [tags_of(doc) for doc, _ in docs]
    gold = [tags_of(doc) for _, doc in docs]
    scores = score(docs)
    if scores["ents_f"] is None:
        assert not any(tag != "O" for tags in predicted + gold for tag in tags)
        return
    options = {"mode": "strict", "scheme": IOB2, "zero_division": 0}
    assert scores["ents_p"] == pytest.approx(precision_score(gold, predicted, **options))
    assert scores["ents_r"] == pytest.approx(recall_score(gold, predicted, **options))
    assert scores["ents_f"] == pytest.approx(f1_score(gold, predicted, **options))
    report = classification_report(gold, predicted, output_dict=True, **options)
    for label, row in scores["ents_per_type"].items():
        if label in report:
            assert row["p"] == pytest.approx(report[label]["precision"])
            assert row["r"] == pytest.approx(report[label]["recall"])
            assert row["f"] == pytest.approx(report[label]["f1-score"])


def untyped(doc):
    copy = doc.copy()
    copy.set_ents([Span(copy, e.start, e.end, label="X") for e in copy.ents], default="unmodified")
    return copy


@given(pairs())
def test_segmentation_is_what_seqeval_says_of_one_type(docs):
    predicted = [tags_of(untyped(doc)) for doc, _ in docs]
    gold = [tags_of(untyped(doc)) for _, doc in docs]
    scores = score(docs)
    if scores["segmentation_f"] is None:
        return
    options = {"mode": "strict", "scheme": IOB2, "zero_division": 0}
    assert scores["segmentation_p"] == pytest.approx(precision_score(gold, predicted, **options))
    assert scores["segmentation_r"] == pytest.approx(recall_score(gold, predicted, **options))
    assert scores["segmentation_f"] == pytest.approx(f1_score(gold, predicted, **options))


@given(pairs(), st.sets(st.integers(0, 5)))
def test_missing_annotation_counts_as_in_spacys_scorer(docs, missing):
    holed = []
    for predicted, gold in docs:
        covered = {i for entity in gold.ents for i in range(entity.start, entity.end)}
        holes = [i for i in missing if i < len(gold) and i not in covered]
        holed.append((predicted, make_doc(tags_of(gold), missing=holes)))
    scores = score(holed)
    reference = get_ner_prf(Example(untyped(p), untyped(g)) for p, g in holed)
    assert scores["segmentation_p"] == reference["ents_p"]
    assert scores["segmentation_r"] == reference["ents_r"]
    assert scores["segmentation_f"] == reference["ents_f"]


def test_the_right_span_with_the_wrong_type_counts_for_segmentation_alone():
    scores = score([(make_doc(["B-PER", "I-PER"]), make_doc(["B-LOC", "I-LOC"]))])
    assert scores["ents_f"] == 0
    assert scores["segmentation_f"] == 1


def test_neighbors_of_one_type_are_two_entities():
    scores = score([(make_doc(["B-PER", "I-PER"]), make_doc(["B-PER", "B-PER"]))])
    assert scores["ents_f"] == scores["segmentation_f"] == 0
    scores = score([(make_doc(["B-PER", "B-PER"]), make_doc(["B-PER", "B-PER"]))])
    assert scores["ents_f"] == scores["segmentation_f"] == 1


def test_other_tokens_are_aligned():
    predicted = make_doc(["B-PER"], words=["DukeDumont"])
    gold = make_doc(["B-PER", "I-PER"], words=["Duke", "Dumont"])
    assert score([(predicted, gold)])["segmentation_f"] == 1


def test_without_annotation_there_is_no_score():
    scores = score([(make_doc(["B-PER"]), Doc(VOCAB, words=["w0"]))])
    assert set(scores.values()) == {None}
    assert set(score_entities([]).values()) == {None}


def test_spacy_finds_the_scorer_and_hands_it_whatever_its_component_has():
    scorer = registry.scorers.get("spacy_mner.mner_scorer.v1")()
    doc = make_doc(["B-PER"])
    assert scorer([Example(doc, doc)], labels=["PER"], threshold=0.0)["ents_f"] == 1
