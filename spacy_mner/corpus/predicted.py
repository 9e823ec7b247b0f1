"""The predicted side of an example, and the gold spans that its tokens cannot express."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import numpy as np
from spacy.attrs import ORTH
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from ..extensions import copy_image
from ..utils.text import MAX_ITEMS, short_repr
from .join_words import join_words
from .word_boundaries import word_around

# Shares of gold spans and of tokens above which the tokens of a corpus without text are not those
# of the pipeline. Words are joined by a guess: up to 1 % of the spans and 10 % of the tokens differ
# in English corpora with the tokens of spaCy, 10 % to 70 % of the spans where `@` is a token.
MAX_MISALIGNED = 0.05
MAX_CHANGED = 0.25

INSIDE = "begin or end inside a word"


def make_predicted(reference: Doc, nlp: Language, gold_preproc: bool = False) -> Doc:
    """Create the Doc that a pipeline annotates: the text and image of a reference, nothing else.

    The tokens are those of the pipeline's tokenizer, as in `spacy.Corpus.v1`. A reference with
    unknown spaces has no text to tokenize and keeps its tokens.
    gold_preproc: keep the tokens of the reference in any case.
    """
    if gold_preproc or reference.has_unknown_spaces:
        words = [token.text for token in reference]
        unknown = reference.has_unknown_spaces
        spaces = None if unknown else [bool(token.whitespace_) for token in reference]
        predicted = Doc(nlp.vocab, words=words, spaces=spaces)
    else:
        predicted = nlp.make_doc(reference.text)
    copy_image(reference, predicted)
    return predicted


def make_joined(reference: Doc, nlp: Language) -> Doc:
    """Create the Doc that a pipeline would make of a reference with unknown spaces.

    Its text is the words, joined by `join_words`; its image is that of the reference.
    """
    joined = nlp.make_doc(join_words([token.text for token in reference]))
    copy_image(reference, joined)
    return joined


@dataclass(frozen=True)
class MisalignedSpan:
    """A gold entity that does not begin and end at token boundaries, and the tokens it overlaps."""

    span: str
    tokens: list[str]


@dataclass
class SpanAlignment:
    """How many gold entities align with the tokens of a pipeline.

    spans: all gold entities. misaligned: those that do not begin and end at token boundaries.
    inside_words: those that begin or end inside a word.
    examples: the first few of both.
    joined: spans of posts whose text was joined from their words (`make_joined`). The numbers are
        an estimate then, and tokens are compared as well.
    tokens: of these posts. changed: those that are not tokens of the pipeline.
    changed_examples: the first few of them.
    lang: language of the pipeline.
    """

    spans: int = 0
    misaligned: int = 0
    inside_words: int = 0
    examples: list[MisalignedSpan] = field(default_factory=list)
    joined: int = 0
    tokens: int = 0
    changed: int = 0
    changed_examples: list[str] = field(default_factory=list)
    lang: str = ""

    def update(self, example: Example) -> None:
        """Count the entities of an example; its predicted Doc has the tokens of the pipeline."""
        reference, predicted = example.reference, example.predicted
        self.lang = predicted.vocab.lang
        self.spans += len(reference.ents)
        if reference.has_unknown_spaces and not predicted.has_unknown_spaces:
            self.joined += len(reference.ents)
            self.tokens += len(reference)
            expected = _tokens_by_offset(predicted)
            tokens = _tokens_by_offset(reference).items()
            changed = [text for offset, text in tokens if offset not in expected]
            self.changed += len(changed)
            self.changed_examples += changed[: MAX_ITEMS - len(self.changed_examples)]
        found = misaligned_spans(example)
        self.misaligned += len(found)
        inside = _spans_inside_words(example.reference)
        self.inside_words += len(inside)
        # A span inside a word is misaligned, unless the tokenizer splits words.
        found += inside[: 0 if found else None]
        self.examples += found[: MAX_ITEMS - len(self.examples)]

    @property
    def warning(self) -> str | None:
        """What training on these tokens leads to, and what to do; None if they are as expected."""
        if self.joined < self.spans:
            if not self.misaligned:
                return f"{self}." if self.inside_words else None
            return (
                f"{self}. Training treats them as missing annotation, and scores count them as not "
                f"found. Adapt the annotation or the tokenizer. {self._tokenizer}"
            )
        if (
            self.misaligned <= MAX_MISALIGNED * self.spans
            and self.changed <= MAX_CHANGED * self.tokens
        ):
            return None
        words = ", ".join(map(short_repr, self.changed_examples))
        return (
            f"{self}, and {self.changed:,} of {self.tokens:,} tokens of the corpus are not tokens "
            f"of the pipeline ({words}). This is an estimate on joined words, because the corpus "
            "has no text. Training and scores use the tokens of the corpus, but at prediction time "
            f"the pipeline tokenizes text, where it does not find such entities. {self._tokenizer} "
            "Otherwise, set a tokenizer of your own in [nlp.tokenizer], or convert the corpus from "
            "its raw text."
        )

    @property
    def _tokenizer(self) -> str:
        return (
            f"The tokenizer is that of the given pipeline, else of the language {self.lang!r}: "
            "`spacy-mner init --lang CODE` or `--from PIPELINE` writes a config with another one, "
            "and `convert --model PIPELINE` checks with it."
        )

    def __str__(self) -> str:
        shown = "; ".join(
            f"{short_repr(one.span)} in {' | '.join(map(short_repr, one.tokens))}"
            for one in self.examples
        )
        if self.inside_words and not self.misaligned:
            return f"{self.inside_words:,} of {self.spans:,} gold spans {INSIDE} ({shown})"
        return (
            f"{self.misaligned:,} of {self.spans:,} gold spans do not align with the tokens of "
            "the pipeline"
            + (f", {self.inside_words:,} {INSIDE}" if self.inside_words else "")
            + (f" ({shown})" if shown else "")
        )


def _spans_inside_words(reference: Doc) -> list[MisalignedSpan]:
    text = reference.text
    return [
        MisalignedSpan(entity.text, [text[slice(*word_around(text, *offsets))]])
        for entity in reference.ents
        if (offsets := (entity.start_char, entity.end_char)) != word_around(text, *offsets)
    ]


def _tokens_by_offset(doc: Doc) -> dict[tuple[int, int], str]:
    """Return the tokens by the characters before their start and end, not counting white space."""
    words = [token.text for token in doc]
    ends = accumulate((len("".join(word.split())) for word in words), initial=0)
    return dict(zip(pairwise(ends), words, strict=True))


def misaligned_spans(example: Example) -> list[MisalignedSpan]:
    """Return the gold entities that `Example.get_aligned_ner` treats as missing annotation."""
    reference, predicted = example.reference, example.predicted
    if np.array_equal(predicted.to_array(ORTH), reference.to_array(ORTH)):
        return []
    return [
        MisalignedSpan(
            entity.text,
            [
                predicted[i].text
                for i in dict.fromkeys(map(int, example.alignment.y2x[entity.start : entity.end]))
            ],
        )
        for entity in reference.ents
        if not example.get_aligned_spans_y2x([entity])
    ]
