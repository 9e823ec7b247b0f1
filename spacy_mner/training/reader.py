"""The reader for training: posts with gold tokens, and their images on both sides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from ..corpus.docbin import read_docs
from ..errors import CorpusError
from ..extensions import IMAGE_DROPOUT, copy_image


def build_multimodal_corpus(
    path: Path | None,
    images_root: Path | None = None,
    image_dropout: float = 0.0,
    limit: int = 0,
    max_length: int = 0,
) -> MultimodalCorpus:
    """Build the reader of a `.spacy` corpus. Unlike spaCy's own, it keeps the images.

    path: a `.spacy` file or a folder of them.
    images_root: folder from which relative image paths are taken.
    image_dropout: share of posts that go without their image in a step of training, drawn anew
        in each step, so that the model learns to do without.
    limit: read at most so many posts (0: all).
    max_length: leave out posts of more tokens (0: none).
    """
    if path is None:
        raise CorpusError(
            "No path to a corpus: name one in the config or by --paths.train and --paths.dev; "
            "`spacy-mner convert` makes one."
        )
    if not 0.0 <= image_dropout <= 1.0:
        raise CorpusError(f"image_dropout is a share between 0 and 1, not {image_dropout}.")
    root = None if images_root is None else Path(images_root)
    return MultimodalCorpus(Path(path), root, image_dropout, limit, max_length)


@dataclass
class MultimodalCorpus:
    """Examples from `.spacy` files; see `build_multimodal_corpus`."""

    path: Path
    images_root: Path | None = None
    image_dropout: float = 0.0
    limit: int = 0
    max_length: int = 0

    def __call__(self, nlp: Language) -> Iterator[Example]:
        """Yield the examples of one pass. Raises CorpusError where there is no corpus."""
        for n, reference in enumerate(self._references(nlp)):
            if n == self.limit > 0:
                return
            predicted = without_annotation(reference, nlp)
            if self.image_dropout:
                predicted.user_data[IMAGE_DROPOUT] = self.image_dropout
            yield Example(predicted, reference)

    def _references(self, nlp: Language) -> Iterator[Doc]:
        for doc in read_docs(self.path, nlp.vocab, self.images_root):
            if len(doc) and (not self.max_length or len(doc) <= self.max_length):
                yield doc


def without_annotation(doc: Doc, nlp: Language) -> Doc:
    """A Doc with the gold tokens and the image of another, and nothing else."""
    words = [token.text for token in doc]
    spaces = None if doc.has_unknown_spaces else [bool(token.whitespace_) for token in doc]
    bare = Doc(nlp.vocab, words=words, spaces=spaces)
    copy_image(doc, bare)
    return bare
