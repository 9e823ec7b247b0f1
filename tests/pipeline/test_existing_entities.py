"""Entities of earlier components: overwritten, or kept and decoded around."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
import torch
from spacy.language import Language
from spacy.tokens import Doc, Span

from spacy_mner.layers.decode.bio import bio_tags
from spacy_mner.models.allowed_tags import tags_allowed_around

from ..conftest import make_doc

WORDS = ["hi", "Bob", "Dylan", "ram"]


def entities(doc: Doc) -> list[tuple[str, str]]:
    return [(entity.text, entity.label_) for entity in doc.ents]


@pytest.fixture
def keeping(trained: Language) -> Language:
    trained.get_pipe("multimodal_ner").overwrite = False
    return trained


def post(nlp: Language, *spans: tuple[int, int, str]) -> Doc:
    doc = make_doc(nlp, WORDS)
    doc.set_ents([Span(doc, *span) for span in spans])
    return doc


def predicted(nlp: Language, *spans: tuple[int, int, str]) -> Doc:
    return nlp.get_pipe("multimodal_ner")(post(nlp, *spans))


def test_entities_are_overwritten_by_default(trained):
    assert entities(predicted(trained, (0, 1, "DATE"))) == [("Bob Dylan", "PER")]


def test_an_entity_ruler_before_the_component_is_kept(keeping):
    ruler = keeping.add_pipe("entity_ruler", first=True)
    ruler.add_patterns([{"label": "ANIMAL", "pattern": "ram", "id": "ram-1"}])
    doc = keeping("hi Bob Dylan ram")
    assert entities(doc) == [("Bob Dylan", "PER"), ("ram", "ANIMAL")]
    assert doc.ents[1].ent_id_ == "ram-1"
    assert doc.ents[0]._.score > 0.5
    assert doc.ents[1]._.score is None


@pytest.mark.parametrize(
    "spans, expected",
    [
        ([(1, 2, "PER")], [("Bob", "PER")]),
        ([(2, 3, "ANIMAL")], [("Dylan", "ANIMAL")]),
        ([(0, 2, "ORG")], [("hi Bob", "ORG")]),
    ],
)
def test_no_new_span_overlaps_or_continues_a_kept_one(keeping, spans, expected):
    found = entities(predicted(keeping, *spans))
    assert set(expected) <= set(found)
    assert ("Bob Dylan", "PER") not in found


def test_a_kept_entity_is_kept_below_the_threshold(keeping):
    keeping.get_pipe("multimodal_ner").threshold = 1.0
    assert entities(predicted(keeping, (1, 3, "ANIMAL"))) == [("Bob Dylan", "ANIMAL")]


def test_posts_are_decoded_the_same_in_a_batch_as_alone(keeping):
    component = keeping.get_pipe("multimodal_ner")
    spans = [[], [(1, 2, "PER")], [(0, 4, "ANIMAL")], [(3, 4, "ORG")]]
    together = list(component.pipe([post(keeping, *one) for one in spans]))
    for doc, one in zip(together, spans, strict=True):
        assert entities(doc) == entities(predicted(keeping, *one))


@pytest.mark.parametrize(
    "spans", [[(1, 2, "PER")], [(2, 3, "ANIMAL")], [(0, 1, "PER"), (3, 4, "ORG")]]
)
def test_everything_else_is_decoded_exactly_under_the_constraint(keeping, spans):
    """By enumeration of all tag sequences of the post."""
    component = keeping.get_pipe("multimodal_ner")
    doc = post(keeping, *spans)
    potentials = component.model.predict([doc]).potentials
    allowed = tags_allowed_around([doc], component.labels)
    tags = bio_tags(component.labels)
    log_weights = {}
    for path in product(range(len(tags)), repeat=len(doc)):
        names = [tags[i] for i in path]
        previous = ["O", *names[:-1]]
        is_bio = all(
            not n.startswith("I-") or p in (n, "B" + n[1:])
            for p, n in zip(previous, names, strict=True)
        )
        if is_bio and all(allowed[i, tag] for i, tag in enumerate(path)):
            score = potentials.start[path[0]] + potentials.end[path[-1]]
            score += sum(potentials.emissions[i, tag] for i, tag in enumerate(path))
            score += sum(potentials.transitions[a, b] for a, b in pairwise(path))
            log_weights[tuple(names)] = score
    total = torch.stack(list(log_weights.values())).logsumexp(0)
    best = max(log_weights, key=log_weights.get)
    [prediction] = component.predict([doc])
    assert [t for t in best if t[0] == "B"] == [f"B-{e[2]}" for e in prediction.entities]
    for start, end, label, probability in prediction.entities:
        names = [f"B-{label}", *[f"I-{label}"] * (end - start - 1)]
        holds = [
            weight
            for path, weight in log_weights.items()
            if list(path[start:end]) == names and path[end : end + 1] != (f"I-{label}",)
        ]
        expected = (torch.stack(holds).logsumexp(0) - total).exp().item()
        assert probability == pytest.approx(expected, abs=1e-5)
