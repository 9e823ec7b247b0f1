"""A corpus as other tools write it has the same texts, spans and images when it is read."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc

from spacy_mner.corpus.formats import format_of
from spacy_mner.corpus.posts import ReadContext
from spacy_mner.images.reference import references

from . import foreign_writers as writers
from .foreign_writers import Post, as_lines, as_list
from .strategies import NLP

# Astral characters, combining marks, scripts without spaces, and what looks like markup or escapes.
any_words = st.text(st.characters(categories=("L", "M", "N", "P", "S")), min_size=1, max_size=5)
odd_words = st.sampled_from(
    [
        "🎸",
        "👨\u200d👩\u200d👧",
        "👍🏿",
        "e\u0301",
        "café",
        "猫が",
        "don't",
        "@Nike",
        "#NBA",
        "ha",
        "Ha",
    ]
)
with_line_breaks = st.sampled_from(["a\nb", "🎸\r\nx"])
# No word is a tag, a number or a comment, which a file of tokens cannot distinguish.
plain_words = st.sampled_from(
    ["🎸", "👍🏿", "e\u0301", "café", "猫が", "don't", "@Nike", "Mira", "in"]
)


@dataclass(frozen=True)
class Format:
    """A format of another tool.

    words: of posts that it can hold.
    has_unannotated, has_images: whether it can hold posts without annotation, and images.
    options: of the reader.
    """

    suffix: str
    write: Any
    words: st.SearchStrategy[str] = any_words | odd_words
    has_unannotated: bool = True
    has_images: bool = True
    options: dict[str, Any] | None = None


@st.composite
def posts(draw: st.DrawFn, one: Format) -> Post:
    tokens = draw(st.lists(one.words, min_size=1, max_size=8))
    edges = sorted(draw(st.sets(st.integers(0, len(tokens)), max_size=6)))
    labels = draw(st.lists(st.sampled_from(["PER", "LOC"]), min_size=9, max_size=9))
    # Adjacent spans as well as separate ones.
    pairs = list(pairwise(edges))[:: draw(st.sampled_from([1, 2]))]
    spans = [(start, end, label) for (start, end), label in zip(pairs, labels, strict=False)]
    images = draw(st.lists(st.sampled_from(["a.jpg", "b.png", "c.jpg"]), max_size=3, unique=True))
    is_annotated = not one.has_unannotated or draw(st.booleans())
    return Post(tokens, spans if is_annotated else None, images if one.has_images else [])


with_text = any_words | odd_words | with_line_breaks
FORMATS = {
    "Doccano": Format(".jsonl", as_lines(writers.doccano), with_text),
    "Doccano with relations": Format(".jsonl", as_lines(writers.doccano_relations), with_text),
    "spaCy's to_json": Format(".jsonl", as_lines(writers.spacy_to_json), with_text),
    "spaCy's to_json in a list": Format(".json", as_list(writers.spacy_to_json), with_text),
    "spaCy's pairs": Format(".jsonl", as_lines(writers.spacy_tuple), with_text),
    "spaCy's pairs in a list": Format(".json", as_list(writers.spacy_tuple), with_text),
    "tecoholic": Format(".json", writers.tecoholic, with_text),
    "Hugging Face, integers": Format(
        ".jsonl", as_lines(writers.integer_tags), options={"tag_names": writers.NAMES}
    ),
    "GLiNER": Format(".json", as_list(writers.gliner)),
    "GLiNER in lines": Format(".jsonl", as_lines(writers.gliner)),
    "Prodigy": Format(".jsonl", as_lines(writers.spans_with_text(len)), with_text),
    "Prodigy, UTF-16": Format(".jsonl", as_lines(writers.spans_with_text(writers.units))),
    "bytes": Format(".jsonl", as_lines(writers.spans_with_text(writers.in_bytes, "entities"))),
    "Argilla": Format(".jsonl", as_lines(writers.argilla)),
    "Label Studio": Format(".json", as_list(writers.label_studio(len)), with_text),
    "Label Studio, UTF-16": Format(".json", as_list(writers.label_studio(writers.units))),
    "Label Studio in lines": Format(".jsonl", as_lines(writers.label_studio(len)), with_text),
    **{
        f"Hugging Face, {scheme}": Format(".jsonl", as_lines(writers.hugging_face(tagger)))
        for scheme, tagger in writers.TAGGERS.items()
    },
    "WebAnno TSV": Format(".tsv", writers.webanno, plain_words, False, has_images=False),
    **{
        f"CoNLL, {scheme}": Format(".conll", writers.conll(tagger), plain_words, False)
        for scheme, tagger in writers.TAGGERS.items()
    },
}


def content(doc: Doc) -> tuple[str, list[tuple[int, int, str]] | None, list[str]]:
    text = doc.text.removesuffix(" ") if doc.has_unknown_spaces else doc.text
    spans = [(one.start_char, one.end_char, one.label_) for one in doc.ents]
    images = list(references(doc._.image))
    return text, spans if doc.has_annotation("ENT_IOB") else None, images


def expected(post: Post) -> tuple[str, list[tuple[int, int, str]] | None, list[str]]:
    return post.text, None if post.spans is None else post.char_spans, post.images


@pytest.mark.parametrize("name", FORMATS)
@settings(deadline=None, max_examples=25)  # writes to disk
@given(data=st.data())
def test_a_corpus_of_another_tool_has_the_same_texts_spans_and_images(name, data, tmp_path_factory):
    one = FORMATS[name]
    corpus = data.draw(st.lists(posts(one), min_size=1, max_size=4))
    path = tmp_path_factory.getbasetemp() / f"foreign{one.suffix}"
    path.write_text(one.write(corpus), encoding="utf-8", newline="\n")
    context = ReadContext(NLP, **(one.options or {}))
    docs = list(format_of(path).read(path, context))
    # The same text at two places can be found by two units.
    assume(not any("ambiguous" in problem.reason for problem in context.problems))
    assert [content(doc) for doc in docs] == [expected(post) for post in corpus]
