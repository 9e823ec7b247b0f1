"""Corpus reader that mixes the examples of several corpora."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from spacy.language import Language
from spacy.training import Example

from ..errors import UsageError

Reader = Callable[[Language], Iterable[Example]]


def build_several_corpora(
    corpora: dict[str, Any], weights: Mapping[str, float] | None = None, seed: int = 0
) -> Reader:
    """Build a reader of several corpora, for training.

    corpora: readers by name, such as `spacy_mner.MultimodalCorpus.v1`.
    weights: how often an epoch contains each post of a corpus, 1.0 by default. With a weight of
        2.3, each post occurs twice, and with probability 0.3 a third time.
    seed: of the sample of posts.

    The corpora follow each other: `spacy train` shuffles them unless `max_epochs` is -1. A label
    that a corpus does not annotate is unknown in its posts if it was converted with `--annotates`.

    Raises UsageError for a negative weight, or a weight of an unknown corpus.
    """
    weights = dict(weights or {})
    for name, weight in weights.items():
        if name not in corpora or weight < 0:
            raise UsageError(
                f"weights.{name} of the corpus reader is {weight}: expected a weight of at least 0 "
                f"for one of the corpora {', '.join(corpora)}."
            )

    def read(nlp: Language) -> Iterator[Example]:
        for name, corpus in corpora.items():
            rng = random.Random(f"{seed} {name}")
            passes, rest = divmod(weights.get(name, 1.0), 1)
            for _ in range(int(passes)):
                yield from corpus(nlp)
            if rest:
                yield from (example for example in corpus(nlp) if rng.random() < rest)

    return read
