"""The predicted side of an example, and the gold spans that its tokens cannot express."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from spacy.attrs import ORTH
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from ..extensions import copy_image
from ..utils.text import MAX_ITEMS, short_repr


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


@dataclass(frozen=True)
class MisalignedSpan:
    """A gold entity that does not begin and end at token boundaries, and the tokens it overlaps."""

    span: str
    tokens: list[str]


@dataclass
class SpanAlignment:
    """How many gold entities align with the tokens of a pipeline.

    spans: all gold entities. misaligned: those that do not begin and end at token boundaries.
    examples: the first few of them.
    """

    spans: int = 0
    misaligned: int = 0
    examples: list[MisalignedSpan] = field(default_factory=list)

    def update(self, example: Example) -> None:
        """Count the entities of an example; its predicted Doc has the tokens of the pipeline."""
        self.spans += len(example.reference.ents)
        found = misaligned_spans(example)
        self.misaligned += len(found)
        self.examples += found[: MAX_ITEMS - len(self.examples)]

    def __str__(self) -> str:
        shown = "; ".join(
            f"{short_repr(one.span)} in {' | '.join(map(short_repr, one.tokens))}"
            for one in self.examples
        )
        return (
            f"{self.misaligned:,} of {self.spans:,} gold spans do not align with the tokens of "
            f"the pipeline ({shown})"
        )


def misaligned_spans(example: Example) -> list[MisalignedSpan]:
    """Return the gold entities that `Example.get_aligned_ner` treats as missing annotation."""
    reference, predicted = example.reference, example.predicted
    if np.array_equal(predicted.to_array(ORTH), reference.to_array(ORTH)):
        return []
    return [
        MisalignedSpan(
            entity.text,
            [predicted[int(i)].text for i in example.alignment.y2x[entity.start : entity.end]],
        )
        for entity in reference.ents
        if not example.get_aligned_spans_y2x([entity])
    ]
