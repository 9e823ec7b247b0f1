from __future__ import annotations

from itertools import pairwise, product

import pytest
import spacy
import torch
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_mner.layers.decode.bio import bio_tags, entities_of
from spacy_mner.layers.decode.crf import CRF
from spacy_mner.layers.decode.inference import negative_log_likelihood
from spacy_mner.models.allowed_tags import labels_of, tags_allowed_around, tags_allowed_by_gold

LABELS = ["LOC", "PER"]
TAGS = bio_tags(LABELS)
NLP = spacy.blank("xx")


@st.composite
def valid_tags(draw):
    """A sequence that the BIO constraints allow."""
    tags: list[str] = []
    for _ in range(draw(st.integers(0, 10))):
        previous = tags[-1] if tags else "O"
        choices = ["O", "B-LOC", "B-PER"]
        if previous != "O":
            choices.append(f"I-{previous[2:]}")
        tags.append(draw(st.sampled_from(choices)))
    return tags


def example(tags: list[str]) -> Example:
    words = [f"w{i}" for i in range(len(tags))]
    return Example(Doc(NLP.vocab, words=words), Doc(NLP.vocab, words=words, ents=tags))


@given(valid_tags())
def test_gold_tags_are_the_entities_of_the_doc_and_those_that_spacy_aligns(tags):
    eg = example(tags)
    allowed = tags_allowed_by_gold([eg], LABELS)
    assert (allowed.sum(axis=1) == 1).all()
    assert [TAGS[i] for i in allowed.argmax(axis=1)] == tags
    spans = [(e.start, e.end, LABELS.index(e.label_)) for e in eg.reference.ents]
    assert entities_of(allowed.argmax(axis=1)) == spans
    assert [t.replace("U-", "B-").replace("L-", "I-") for t in eg.get_aligned_ner()] == tags


def test_all_tags_are_allowed_where_annotation_is_missing():
    reference = Doc(NLP.vocab, words=["a", "b", "c"])
    reference.set_ents([Span(reference, 0, 1, "PER")], outside=[reference[2:3]], default="missing")
    eg = Example(Doc(NLP.vocab, words=["a", "b", "c"]), reference)
    assert tags_allowed_by_gold([eg], LABELS).sum(axis=1).tolist() == [1, len(TAGS), 1]


@given(valid_tags(), st.sets(st.sampled_from(LABELS)))
def test_a_token_outside_may_belong_to_an_entity_that_the_corpus_does_not_annotate(tags, labels):
    eg = example(tags)
    eg.reference._.annotated_labels = labels
    expected = [
        {
            TAGS.index(other)
            for other in TAGS
            if other == tag or (tag == "O" and other[2:] not in labels)
        }
        for tag in tags
    ]
    allowed = tags_allowed_by_gold([eg], LABELS)
    assert [set(row.nonzero()[0]) for row in allowed] == expected


@pytest.mark.parametrize("n_labels", [1, 2, 3])
def test_the_loss_sums_over_the_paths_that_a_partly_annotated_corpus_allows(n_labels):
    labels, tags = ["LOC", "MISC", "PER"][:n_labels], bio_tags(["LOC", "MISC", "PER"][:n_labels])
    eg = example(["B-LOC", "O", "O", "O"])
    eg.reference._.annotated_labels = ["LOC", "PER"]
    torch.manual_seed(0)
    crf = CRF(input_width=4, n_labels=n_labels).double()
    potentials = crf(torch.randn(4, 4).double(), torch.tensor([4]))
    scores = {"all": [], "allowed": []}
    for path in product(range(len(tags)), repeat=4):
        score = potentials.start[path[0]] + potentials.end[path[-1]]
        score = score + sum(potentials.emissions[i, tag] for i, tag in enumerate(path))
        score = score + sum(potentials.transitions[a, b] for a, b in pairwise(path))
        scores["all"].append(score)
        if tags[path[0]] == "B-LOC" and all(tags[t] in ("O", "B-MISC", "I-MISC") for t in path[1:]):
            scores["allowed"].append(score)
    expected = torch.logsumexp(torch.stack(scores["all"]), 0)
    expected = expected - torch.logsumexp(torch.stack(scores["allowed"]), 0)
    allowed = torch.from_numpy(tags_allowed_by_gold([eg], labels))
    [loss] = negative_log_likelihood(potentials, torch.tensor([4]), allowed)
    assert loss.item() == pytest.approx(expected.item())


def doc_of(tokens: str, ents: list[str] | None = None) -> Doc:
    """A Doc of tokens that are separated by "|"; a token may end with its space."""
    parts = tokens.split("|")
    spaces = [part.endswith(" ") for part in parts]
    return Doc(NLP.vocab, words=[part.strip() for part in parts], spaces=spaces, ents=ents)


@pytest.mark.parametrize(
    "predicted, gold, ents, tags",
    [
        ("hi |@Nike |!", "hi |@|Nike |!", ["O", "O", "B-PER", "O"], ["O", None, "O"]),
        ("#|New|York", "#|NewYork", ["O", "B-LOC"], ["O", "B-LOC", "I-LOC"]),
        ("Paris/Rome |!", "Paris|/|Rome |!", ["B-LOC", "O", "B-LOC", "O"], [None, "O"]),
        ("New |York", "New |York", ["B-LOC", "I-LOC"], ["B-LOC", "I-LOC"]),
    ],
)
def test_a_gold_span_that_does_not_align_with_the_tokens_is_missing(predicted, gold, ents, tags):
    eg = Example(doc_of(predicted), doc_of(gold, ents))
    assert eg.predicted.text == eg.reference.text
    allowed = tags_allowed_by_gold([eg], LABELS)
    assert [TAGS[row.argmax()] if row.sum() == 1 else None for row in allowed] == tags


def test_the_tags_of_existing_entities_are_fixed_and_not_continued():
    doc = Doc(NLP.vocab, words=list("abcde"), ents=["B-PER", "I-PER", "O", "B-NEW", "O"])
    other = Doc(NLP.vocab, words=["f", "g"], ents=["B-LOC", "B-LOC"])
    allowed = tags_allowed_around([doc, Doc(NLP.vocab), other], LABELS)
    found = [{TAGS[i] for i in row.nonzero()[0]} for row in allowed]
    assert found[:3] == [{"B-PER"}, {"I-PER"}, set(TAGS) - {"I-PER"}]
    assert found[3:] == [{"O"}, set(TAGS), {"B-LOC"}, {"B-LOC"}]


def test_labels_are_those_of_the_entities():
    assert labels_of([example(["B-PER", "O", "B-LOC"]).reference]) == {"LOC", "PER"}
