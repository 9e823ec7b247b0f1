from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import BILOU, IOB2, IOBES, Entities

from spacy_mner.corpus.tags import BIO, Repaired, Scheme, detect_scheme, parse_tag, read_entities
from spacy_mner.errors import CorpusError

BIOES = Scheme("BIOES", marks_last=True)


def tags_with(prefixes):
    texts = ["O", *(f"{prefix}-{label}" for prefix in prefixes for label in ("PER", "LOC"))]
    return st.lists(st.sampled_from(texts), max_size=12)


def parse(line):
    return [parse_tag(text) for text in line.split()]


def read(*texts, orphans="open", scheme=BIO):
    return read_entities([parse_tag(text) for text in texts], orphans, scheme)


@pytest.mark.parametrize(
    ("tags", "scheme", "orphans", "entities", "n_orphans", "changed"),
    [
        ("O I-PER I-PER O", BIO, "open", [(1, 3, "PER")], 1, 1),
        ("O I-PER I-PER B-PER", BIO, "drop", [(3, 4, "PER")], 1, 2),
        ("B-PER I-LOC", BIO, "open", [(0, 1, "PER"), (1, 2, "LOC")], 1, 1),
        ("B-PER I-LOC", BIO, "drop", [(0, 1, "PER")], 1, 1),
        # Missing annotation ends an entity.
        ("B-PER ? I-PER", BIO, "open", [(0, 1, "PER"), (2, 3, "PER")], 1, 1),
        ("E-PER", BIOES, "open", [(0, 1, "PER")], 1, 1),
        ("I-PER E-PER", BIOES, "drop", [], 1, 2),
        ("B-PER B-PER E-PER", BIOES, "open", [(0, 1, "PER"), (1, 3, "PER")], 1, 1),
        ("B-PER B-PER E-PER", BIOES, "drop", [(1, 3, "PER")], 1, 1),
        ("I-PER I-PER I-PER", BIOES, "open", [(0, 3, "PER")], 1, 2),
        ("B-PER E-PER E-PER S-PER", BIOES, "drop", [(0, 2, "PER"), (3, 4, "PER")], 1, 1),
    ],
)
def test_orphans_and_changed_tags_are_counted(tags, scheme, orphans, entities, n_orphans, changed):
    repaired = read_entities(parse(tags), orphans, scheme)
    assert repaired == Repaired(entities, n_orphans, changed)


@given(tags_with("BI"))
def test_open_agrees_with_seqeval(tags):
    expected = [(start, end + 1, label) for label, start, end in get_entities(tags)]
    assert read(*tags, orphans="open").entities == expected


@given(tags_with("BIES"))
def test_open_agrees_with_seqeval_in_bioes(tags):
    expected = [(start, end + 1, label) for label, start, end in get_entities(tags)]
    assert read(*tags, orphans="open", scheme=BIOES).entities == expected


def strict_entities(tags, scheme):
    [entities] = Entities([tags], scheme).entities if tags else [[]]
    return [(entity.start, entity.end, entity.tag) for entity in entities]


@given(tags_with("BI"))
def test_drop_agrees_with_seqeval(tags):
    assert read(*tags, orphans="drop").entities == strict_entities(tags, IOB2)


@pytest.mark.parametrize(("prefixes", "scheme"), [("BIES", IOBES), ("BILU", BILOU)])
@given(data=st.data())
def test_drop_agrees_with_seqeval_in_larger_schemes(prefixes, scheme, data):
    tags = data.draw(tags_with(prefixes))
    assert read(*tags, orphans="drop", scheme=BIOES).entities == strict_entities(tags, scheme)


ENTITIES = [(0, 2, "PER"), (2, 3, "PER"), (3, 6, "LOC"), (7, 8, "ORG")]
TAGS = {
    "BIO": "B-PER I-PER B-PER B-LOC I-LOC I-LOC O B-ORG O",
    "IOB1": "I-PER I-PER B-PER I-LOC I-LOC I-LOC O I-ORG O",
    "IOE": "I-PER E-PER E-PER I-LOC I-LOC E-LOC O E-ORG O",
    "BIOS": "B-PER I-PER S-PER B-LOC I-LOC I-LOC O S-ORG O",
    "BIOES": "B-PER E-PER S-PER B-LOC I-LOC E-LOC O S-ORG O",
    "BILOU": "B-PER L-PER U-PER B-LOC I-LOC L-LOC O U-ORG O",
    "BMES": "B-PER E-PER S-PER B-LOC M-LOC E-LOC O S-ORG O",
    "BMEWO": "B-PER E-PER W-PER B-LOC M-LOC E-LOC O W-ORG O",
}


@pytest.mark.parametrize("orphans", ["open", "drop"])
@pytest.mark.parametrize("name", TAGS)
def test_every_scheme_has_the_same_entities(name, orphans):
    tags = parse(TAGS[name])
    scheme = detect_scheme([tags])
    assert scheme.name == name
    assert read_entities(tags, orphans, scheme) == Repaired(ENTITIES, 0, 0)


@pytest.mark.parametrize(
    ("posts", "name"),
    [
        ([], "BIO"),
        (["O O"], "BIO"),
        (["I-PER O", "O I-PER B-PER"], "IOB1"),
        (["I-PER O", "B-PER O"], "BIO"),
        (["I-PER B-LOC"], "BIO"),
        (["I-PER O B-PER"], "BIO"),
        (["I-PER ? B-PER"], "BIO"),
        (["B-PER B-PER"], "BIO"),
        (["S-PER O", "B-PER I-PER E-PER"], "BIOES"),
        (["B-PER E-PER"], "BIOES"),
        (["S-PER"], "BIOES"),
        (["U-PER"], "BILOU"),
        (["B-PER E-PER", "U-PER"], "BEU"),
    ],
)
def test_the_scheme_of_a_corpus_is_detected_over_its_posts(posts, name):
    assert detect_scheme(parse(post) for post in posts).name == name


@pytest.mark.parametrize(("one", "other"), ["EL", "SU", "IM", "SW", "UW"])
def test_letters_that_exclude_each_other_raise(one, other):
    with pytest.raises(CorpusError) as caught:
        detect_scheme([parse(f"B-PER {one}-PER"), parse(f"B-LOC {other}-LOC")])
    assert f"{one}-PER" in str(caught.value) and f"{other}-LOC" in str(caught.value)


@given(st.text(max_size=8))
def test_any_parsed_text_is_a_tag(text):
    tag = parse_tag(text)
    if tag is not None:
        assert text == "O" or (text[0] in "BIELSUMW" and text[1] == "-")
        assert bool(tag.label) == (text != "O")


def test_other_texts_are_not_parsed():
    assert [parse_tag(text) for text in ("X-PER", "B_PER", "B-", "", "o", "PER")] == [None] * 6
