"""Corpus reader for training that keeps the images on both sides of an example."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from ..corpus.docbin import read_docs
from ..corpus.predicted import SpanAlignment, make_predicted
from ..errors import AlignmentWarning, UsageError
from ..extensions import IMAGE_DROPOUT


def build_multimodal_corpus(
    path: Path | None,
    images_root: Path | None = None,
    image_dropout: float = 0.0,
    limit: int = 0,
    max_length: int = 0,
    gold_preproc: bool = False,
) -> MultimodalCorpus:
    """Build the reader of a `.spacy` corpus. Unlike `spacy.Corpus.v1`, it keeps the images.

    path: a `.spacy` file or a folder of them.
    images_root: folder against which relative image paths are resolved.
    image_dropout: probability that a post is trained without its image, sampled in each step.
    limit: maximum number of posts (0: all).
    max_length: skip posts with more tokens (0: none).
    gold_preproc: predict on the gold tokens instead of those of the pipeline's tokenizer. A
        corpus with unknown spaces, such as CoNLL, always keeps its tokens.

    Raises UsageError for a missing path or an invalid image_dropout.
    """
    if path is None:
        raise UsageError(
            "The corpus reader has no path: set it in the config, or by --paths.train and "
            "--paths.dev; `spacy-mner convert` writes a corpus."
        )
    if not 0.0 <= image_dropout <= 1.0:
        raise UsageError(f"image_dropout must be between 0 and 1, got {image_dropout}.")
    root = None if images_root is None else Path(images_root)
    return MultimodalCorpus(Path(path), root, image_dropout, limit, max_length, gold_preproc)


@dataclass
class MultimodalCorpus:
    """Examples from `.spacy` files; see `build_multimodal_corpus`."""

    path: Path
    images_root: Path | None = None
    image_dropout: float = 0.0
    limit: int = 0
    max_length: int = 0
    gold_preproc: bool = False
    _is_checked: bool = field(default=False, init=False, repr=False, compare=False)

    def __call__(self, nlp: Language) -> Iterator[Example]:
        """Yield the examples of one pass; the first complete pass warns of misaligned spans.

        Raises CorpusError if there is no corpus, or a damaged one.
        """
        alignment = SpanAlignment()
        for n, reference in enumerate(self._references(nlp)):
            if n == self.limit > 0:
                break
            predicted = make_predicted(reference, nlp, self.gold_preproc)
            if self.image_dropout:
                predicted.user_data[IMAGE_DROPOUT] = self.image_dropout
            example = Example(predicted, reference)
            if not self._is_checked:
                alignment.update(example)
            yield example
        if alignment.misaligned:
            warnings.warn(
                f"{self.path}: {alignment}. Training treats them as missing annotation, and scores "
                "count them as not found. Adapt the tokenizer's rules or the annotation.",
                AlignmentWarning,
                stacklevel=1,  # one place for all callers, so that Python prints it once
            )
        self._is_checked = True

    def _references(self, nlp: Language) -> Iterator[Doc]:
        for doc in read_docs(self.path, nlp.vocab, self.images_root):
            if len(doc) and (not self.max_length or len(doc) <= self.max_length):
                yield doc
