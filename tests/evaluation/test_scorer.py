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
from spacy.util import filter_spans, registry

from spacy_mner.corpus.tags import parse_tag, read_entities
from spacy_mner.evaluation.scorer import score_entities

VOCAB = spacy.blank("en").vocab
TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


def make_doc(tags, missing=()):
    doc = Doc(VOCAB, words=[f"w{i}" for i in range(len(tags))])
    entities = read_entities([parse_tag(tag) for tag in tags], "open").entities
    hidden = set(missing) & {i for i, tag in enumerate(tags) if tag == "O"}
    doc.set_ents(
        [Span(doc, start, end, label=label) for start, end, label in entities],
        missing=[doc[i : i + 1] for i in hidden],
    )
    return doc


def tags_of(doc):
    return [f"{t.ent_iob_}-{t.ent_type_}" if t.ent_type_ else "O" for t in doc]


@st.composite
def pairs(draw):
    """Pairs of predicted and gold Docs with equal tokens."""
    result = []
    for length in draw(st.lists(st.integers(1, 6), min_size=1, max_size=5)):
        tags = st.lists(st.sampled_from(TAGS), min_size=length, max_size=length)
        result.append((make_doc(draw(tags)), make_doc(draw(tags))))
    return result


def score(docs):
    return score_entities(Example(predicted, gold) for predicted, gold in docs)


OPTIONS = {"mode": "strict", "scheme": IOB2, "zero_division": 0}


def assert_agrees_with_seqeval(scores, prefix, docs):
    """Assert equal scores; returns the tags of gold and predicted Docs."""
    predicted = [tags_of(doc) for doc, _ in docs]
    gold = [tags_of(doc) for _, doc in docs]
    if scores[f"{prefix}_f"] is None:
        assert all(tag == "O" for tags in predicted + gold for tag in tags)
    else:
        for name, function in (("p", precision_score), ("r", recall_score), ("f", f1_score)):
            expected = function(gold, predicted, **OPTIONS)
            assert scores[f"{prefix}_{name}"] == pytest.approx(expected)
    return gold, predicted


@given(pairs())
def test_scores_agree_with_seqeval(docs):
    scores = score(docs)
    gold, predicted = assert_agrees_with_seqeval(scores, "ents", docs)
    if scores["ents_f"] is None:
        return
    report = classification_report(gold, predicted, output_dict=True, **OPTIONS)
    for label, row in scores["ents_per_type"].items():
        if label in report:
            assert row["p"] == pytest.approx(report[label]["precision"])
            assert row["r"] == pytest.approx(report[label]["recall"])
            assert row["f"] == pytest.approx(report[label]["f1-score"])


def without_labels(doc):
    copy = doc.copy()
    copy.set_ents([Span(copy, e.start, e.end, label="X") for e in copy.ents], default="unmodified")
    return copy


@given(pairs())
def test_segmentation_scores_agree_with_seqeval_on_one_label(docs):
    unlabeled = [(without_labels(predicted), without_labels(gold)) for predicted, gold in docs]
    assert_agrees_with_seqeval(score(docs), "segmentation", unlabeled)


def doc_of(words, tags, spaces=None):
    return Doc(VOCAB, words=words, spaces=spaces or [False] * len(words), ents=tags)


@pytest.mark.parametrize(
    ("predicted", "gold", "scores"),
    [
        # A wrong label is an error, but not for segmentation. Adjacent entities are distinct.
        ((["Bob", "Dylan"], ["B-X", "I-X"]), (["Bob", "Dylan"], ["B-Y", "I-Y"]), (0, 1)),
        ((["Bob", "Dylan"], ["B-X", "I-X"]), (["Bob", "Dylan"], ["B-X", "B-X"]), (0, 0)),
        ((["Bob", "Dylan"], ["B-X", "B-X"]), (["Bob", "Dylan"], ["B-X", "B-X"]), (1, 1)),
        # Finer and coarser tokens with equal boundaries.
        ((["Duke", "Dumont"], ["B-X", "I-X"]), (["DukeDumont"], ["B-X"]), (1, 1)),
        ((["DukeDumont"], ["B-X"]), (["Duke", "Dumont"], ["B-X", "I-X"]), (1, 1)),
        # A span inside a token of the other side.
        ((["@Nike"], ["B-X"]), (["@", "Nike"], ["O", "B-X"]), (0, 0)),
        ((["@", "Nike"], ["O", "B-X"]), (["@Nike"], ["B-X"]), (0, 0)),
        ((["@Nike"], ["O"]), (["@", "Nike"], ["O", "B-X"]), (0, 0)),
        # Missing annotation inside a predicted span.
        ((["@Nike"], ["B-X"]), (["@", "Nike"], [None, "B-X"]), (0, 0)),
        ((["@Nike", "Rio"], ["O", "B-X"]), (["@", "NikeRio"], ["O", None]), (None, None)),
    ],
)
def test_entities_are_compared_by_character_offsets(predicted, gold, scores):
    found = score([(doc_of(*predicted), doc_of(*gold))])
    assert (found["ents_f"], found["segmentation_f"]) == scores


def test_white_space_is_ignored_if_the_texts_differ():
    predicted = doc_of(["Duke", "Dumont"], ["B-X", "I-X"], [True, False])
    assert score([(predicted, doc_of(["DukeDumont", "\n"], ["B-X", "O"]))])["ents_f"] == 1


@given(pairs(), st.sets(st.integers(0, 5)))
def test_scores_equal_spacys_if_tokens_are_equal(docs, missing):
    examples = [Example(found, make_doc(tags_of(gold), missing)) for found, gold in docs]
    scores, expected = score_entities(examples), get_ner_prf(examples)
    for name in ("ents_p", "ents_r", "ents_f"):
        assert scores[name] == expected[name]
    for label, row in (scores["ents_per_type"] or {}).items():
        assert row == expected["ents_per_type"][label]
    unlabeled = [
        Example(without_labels(e.predicted), without_labels(e.reference)) for e in examples
    ]
    expected = get_ner_prf(unlabeled)
    assert scores["segmentation_f"] == expected["ents_f"]


def test_posts_without_annotation_have_no_scores():
    scores = score([(make_doc(["B-PER"]), Doc(VOCAB, words=["w0"]))])
    assert set(scores.values()) == {None}
    assert set(score_entities([]).values()) == {None}


def test_the_registered_scorer_accepts_the_cfg_of_its_component():
    scorer = registry.scorers.get("spacy_mner.mner_scorer.v1")()
    doc = make_doc(["B-PER"])
    assert scorer([Example(doc, doc)], labels=["PER"], threshold=0.0)["ents_f"] == 1


def test_scores_count_the_labels_that_the_corpus_annotates():
    predicted, gold = make_doc(["B-PER", "B-LOC", "O"]), make_doc(["B-PER", "O", "B-PER"])
    gold._.annotated_labels = ["PER"]
    scores = score([(predicted, gold)])
    assert scores["ents_per_type"] == {"PER": {"p": 1.0, "r": 0.5, "f": pytest.approx(2 / 3)}}
    assert scores["segmentation_p"] == 1.0


# Words, and the spans of them that are only a mention.
POST = ["@", "Ann", "at", "@", "Oslo", "City", "!"]
MENTIONS = [(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5)]
post_entities = st.lists(
    st.builds(
        lambda start, length, label: (start, min(start + length, len(POST)), label),
        st.integers(0, len(POST) - 1),
        st.integers(1, 3),
        st.sampled_from(["PER", "LOC"]),
    ),
    max_size=6,
)


def post_with(entities, words=POST, spaces=None):
    doc = Doc(VOCAB, words, spaces)
    doc.ents = filter_spans([Span(doc, *entity) for entity in entities])
    return doc


def left_out(doc):
    copy = doc.copy()
    copy.ents = [e for e in doc.ents if (e.start, e.end) not in MENTIONS]
    return copy


@given(st.lists(st.tuples(post_entities, post_entities), max_size=3), st.booleans())
def test_scores_without_mentions_are_those_of_posts_without_these_entities(pairs, is_joined):
    spaces = [False, True, True, False, True, False, False] if is_joined else None
    docs = [(post_with(found, spaces=spaces), post_with(gold)) for found, gold in pairs]
    scores = score(docs)
    expected = score([(left_out(predicted), left_out(gold)) for predicted, gold in docs])
    n_mentions = sum(len(doc.ents) - len(left_out(doc).ents) for pair in docs for doc in pair)
    assert expected.pop("without_mentions") is None
    assert scores["without_mentions"] == (expected if n_mentions else None)


def test_a_mention_in_one_token_is_left_out_on_both_sides():
    gold = post_with([(0, 1, "PER"), (1, 2, "PER"), (4, 6, "LOC")])
    words = ["@Ann", "at", "@Oslo", "City", "!"]
    predicted = post_with([(0, 1, "PER"), (2, 4, "LOC")], words, [True] * 3 + [False] * 2)
    scores = score([(predicted, gold)])
    assert (scores["ents_p"], scores["ents_r"]) == (0, 0)
    scores = scores["without_mentions"]
    # `@Oslo City` is more than a mention, and is not the gold span `Oslo City`.
    assert (scores["ents_p"], scores["ents_r"], scores["ents_f"]) == (0, 0, 0)
    assert set(scores["ents_per_type"]) == {"LOC"}
