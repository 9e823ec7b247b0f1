"""Corpus reader for training that keeps the images on both sides of an example."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import logger

from ..corpus.docbin import corpus_files, read_docs
from ..corpus.posts import names_of_annotated_labels
from ..corpus.predicted import SpanAlignment, make_joined, make_predicted
from ..errors import AlignmentWarning, CorpusError, UnknownLabelsWarning, UsageError
from ..extensions import IMAGE_DROPOUT, drop_image
from ..pipeline.multimodal_ner import MultimodalNER
from ..utils.text import pluralize


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
    image_dropout: probability that a post is trained without its image, sampled in each step. 1.0
        removes the images, in evaluation too, where lower values have no effect.
    limit: maximum number of posts (0: all).
    max_length: skip posts with more tokens (0: none).
    gold_preproc: predict on the gold tokens instead of those of the pipeline's tokenizer. A
        corpus with unknown spaces, such as CoNLL, always keeps its tokens.

    Raises UsageError without a path, for an images_root that is no folder and for an invalid
    image_dropout, CorpusError if there is no corpus at the path: before a training, not when it
    first reads the dev posts.
    """
    if path is None:
        raise UsageError(
            "A corpus reader has no path: set both --paths.train and --paths.dev, or its path in "
            "the config; `spacy-mner convert` writes a corpus."
        )
    if not 0.0 <= image_dropout <= 1.0:
        raise UsageError(f"image_dropout must be between 0 and 1, got {image_dropout}.")
    corpus_files(Path(path))
    root = None if images_root is None else Path(images_root)
    if root is not None and not root.is_dir():
        raise UsageError(
            f"images_root {root}: there is no such folder. Set it by --paths.images_root or in the "
            "config; relative image paths are resolved against it."
        )
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
    _has_checked_tokens: bool = field(default=False, init=False, repr=False, compare=False)
    _has_checked_labels: bool = field(default=False, init=False, repr=False, compare=False)

    def __call__(self, nlp: Language) -> Iterator[Example]:
        """Yield the examples of one pass.

        The first complete pass warns of gold spans that do not align with the pipeline's tokens;
        the first one with an initialized pipeline warns of labels that it cannot predict. The first
        complete pass also logs which labels the posts are annotated with.

        Raises CorpusError if there is no corpus, or a damaged one, and in the first complete pass
        if it has no annotated post.
        """
        alignment, labels, annotated = SpanAlignment(), Counter[str](), Counter[str]()
        has_entities = False  # the annotation, also that there are none
        for n, reference in enumerate(self._references(nlp)):
            if n == self.limit > 0:
                break
            predicted = make_predicted(reference, nlp, self.gold_preproc)
            if self.image_dropout == 1.0:
                drop_image(predicted)
            elif self.image_dropout:
                predicted.user_data[IMAGE_DROPOUT] = self.image_dropout
            example = Example(predicted, reference)
            if not self._has_checked_tokens:
                annotated[names_of_annotated_labels(reference)] += 1
                has_entities = has_entities or reference.has_annotation("ENT_IOB")
                if reference.ents:
                    alignment.update(self._with_pipeline_tokens(example, nlp))
            if not self._has_checked_labels:
                labels.update(entity.label_ for entity in reference.ents if entity.label_)
            yield example
        if alignment.warning:
            _warn(f"{self.path}: {alignment.warning}", AlignmentWarning)
        if not self._has_checked_tokens:
            if not has_entities:
                raise self._unannotated(annotated.total())
            counts = (f"{pluralize(n, 'post')} annotated with {x}" for x, n in annotated.items())
            logger.info("%s: %s", self.path, "; ".join(counts))
        self._has_checked_tokens = True
        if not self._has_checked_labels and (predictable := labels_of_pipeline(nlp)):
            self._has_checked_labels = True
            self._warn_of_labels(labels, predictable)

    def _unannotated(self, n_posts: int) -> CorpusError:
        length = f" of at most {self.max_length} tokens" if self.max_length else ""
        return CorpusError(
            f"{self.path}: none of the {pluralize(n_posts, 'post')}{length} is annotated with "
            "entities, or with the absence of entities. Convert annotated posts with `spacy-mner "
            "convert`, which shows how many it has written."
        )

    def _with_pipeline_tokens(self, example: Example, nlp: Language) -> Example:
        """Return an example with the tokens that the pipeline would have without gold tokens."""
        if self.gold_preproc or not example.reference.has_unknown_spaces:
            return example
        return Example(make_joined(example.reference, nlp), example.reference)

    def _warn_of_labels(self, labels: Counter[str], predictable: set[str]) -> None:
        unknown = {label: n for label, n in sorted(labels.items()) if label not in predictable}
        if unknown:
            listed = ", ".join(f"{label} ({pluralize(n, 'span')})" for label, n in unknown.items())
            _warn(
                f"{self.path}: no component of the pipeline predicts the label {listed}; scores "
                "count these spans as not found. The labels of the pipeline are "
                f"{', '.join(sorted(predictable))}. Rename a label with `spacy-mner convert --map "
                "OLD=NEW`, or add posts with it to the training corpus; a trained component that "
                "is trained further learns its new labels with @callbacks = "
                '"spacy_mner.ExtendLabels.v1" in [initialize.before_init].',
                UnknownLabelsWarning,
            )

    def _references(self, nlp: Language) -> Iterator[Doc]:
        for doc in read_docs(self.path, nlp.vocab, self.images_root):
            if len(doc) and (not self.max_length or len(doc) <= self.max_length):
                yield doc


def labels_of_pipeline(nlp: Language) -> set[str]:
    """Return the entity labels that a pipeline predicts.

    A component that replaces the entities of earlier ones also replaces their labels. The result
    is empty as long as a `multimodal_ner` is not initialized, and without one.
    """
    ours = [pipe for _, pipe in nlp.pipeline if isinstance(pipe, MultimodalNER)]
    labels: set[str] = set()
    if not ours or not all(pipe.is_initialized for pipe in ours):
        return labels
    for name, pipe in nlp.pipeline:
        if "doc.ents" in nlp.get_pipe_meta(name).assigns:
            if pipe in ours and pipe.overwrite:
                labels.clear()
            labels.update(getattr(pipe, "labels", ()))
    return labels


def _warn(message: str, category: type[Warning]) -> None:
    # From one place for all readers, so that Python prints a message once.
    warnings.warn(message, category, stacklevel=1)
