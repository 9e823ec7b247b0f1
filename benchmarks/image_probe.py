"""What an image says of an entity's type that a text tagger does not know already.

    spacy-mner experiment table1 CORPUS OUT --systems wc-lample --keep-models --vectors VECTORS
    python benchmarks/image_probe.py MODEL CORPUS/train.spacy CORPUS/dev.spacy

where MODEL is OUT/wc-lample/0/model-best.

For the entities of the second corpus, at their gold boundaries, the type is guessed from the text
(the tagger's own probabilities of the span with each label), from the image's descriptor
(`doc._.image_features`; a linear probe that learned from the first corpus), and from both,

    log p(type | text) + weight * (log p(type | image) - log p(type)),

as if text and image spoke independently of one another. The weight and the decay of the probe
are chosen on the very entities that are scored, and so is their control: the same with the
descriptors of other posts. What the true descriptors reach beyond the control bounds what a
tagger could gain in types by a linear reading of them. What bounds recall bounds F1: with
boundaries as they are, a point of accuracy is at most a point of it.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from spacy.tokens import Doc
from torch import Tensor, nn

from spacy_mner.corpus.docbin import read_docs
from spacy_mner.layers.decode import span_probabilities
from spacy_mner.pipeline.loading import load_pipeline
from spacy_mner.pipeline.multimodal_ner import MultimodalNER

DECAYS = (1e-4, 1e-3, 1e-2, 1e-1)
WEIGHTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0)
SMALLEST = 1e-30  # of a probability whose logarithm is taken


@dataclass(frozen=True)
class Entities:
    """Gold entities: their types, int64 [n], and their posts' descriptors, float [n, dim]."""

    types: Tensor
    descriptors: Tensor


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", help="a pipeline that reads text alone")
    parser.add_argument("train", type=Path, help="posts that the probe learns from, .spacy")
    parser.add_argument("scored", type=Path, help="posts whose entities are scored, .spacy")
    parser.add_argument("--shuffles", type=int, default=10, help="controls that are drawn")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    nlp = load_pipeline(arguments.model, -1)
    tagger = nlp.get_pipe("multimodal_ner")
    assert isinstance(tagger, MultimodalNER)
    posts = {
        name: [doc for doc in read_docs(path, nlp.vocab) if doc._.image_features is not None]
        for name, path in (("train", arguments.train), ("scored", arguments.scored))
    }
    train, scored = (entities_of(docs, tagger.labels) for docs in posts.values())
    text = torch.cat([log_types(tagger, doc) for doc in posts["scored"]])
    report(train, scored, text, arguments.shuffles, np.random.default_rng(arguments.seed))


def entities_of(docs: Iterable[Doc], labels: Sequence[str]) -> Entities:
    pairs = [(labels.index(e.label_), describe(doc)) for doc in docs for e in doc.ents]
    types, descriptors = zip(*pairs, strict=True)
    return Entities(torch.tensor(types), torch.from_numpy(np.stack(descriptors)))


def describe(doc: Doc) -> np.ndarray:
    """float32 [dim], the mean of a post's regions."""
    features = np.asarray(doc._.image_features, dtype=np.float32)
    return features.reshape(-1, features.shape[-1]).mean(axis=0)


def log_types(tagger: MultimodalNER, doc: Doc) -> Tensor:
    """What the text says of the types of a post's entities: [n_entities, n_labels]."""
    bare = Doc(doc.vocab, words=[t.text for t in doc], spaces=[bool(t.whitespace_) for t in doc])
    output = tagger.model.predict([bare])
    labels = range(len(tagger.labels))
    spans = [(entity.start, entity.end - 1, label) for entity in doc.ents for label in labels]
    index = torch.tensor(spans, dtype=torch.int64).reshape(-1, 3)
    found = span_probabilities(output.potentials, output.lengths, index)
    return found.double().clamp(min=SMALLEST).log().reshape(-1, len(labels)).log_softmax(dim=1)


def fit(train: Entities, n_types: int, decay: float) -> nn.Linear:
    """Multinomial logistic regression of types on descriptors."""
    probe = nn.Linear(train.descriptors.shape[1], n_types)
    nn.init.zeros_(probe.weight)
    optimizer = torch.optim.LBFGS(probe.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = nn.functional.cross_entropy(probe(train.descriptors), train.types)
        value = value + decay * probe.weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return probe


def report(
    train: Entities, scored: Entities, text: Tensor, shuffles: int, random: np.random.Generator
) -> None:
    scale = train.descriptors.std(dim=0).clamp(min=1e-6)
    train = Entities(train.types, train.descriptors / scale)
    scored = Entities(scored.types, scored.descriptors / scale)
    n_types = text.shape[1]
    share = torch.bincount(train.types, minlength=n_types).double().add(1).log().log_softmax(dim=0)
    probes = [fit(train, n_types, decay) for decay in DECAYS]

    def accuracy(scores: Tensor) -> float:
        return 100 * float((scores.argmax(dim=1) == scored.types).double().mean())

    @torch.no_grad()
    def best(descriptors: Tensor) -> tuple[float, float]:
        """The best accuracy of the image alone, and of both."""
        seen = [probe(descriptors).double().log_softmax(dim=1) for probe in probes]
        both = [accuracy(text + w * (one - share)) for one in seen for w in WEIGHTS]
        return max(map(accuracy, seen)), max(both)

    order = [torch.from_numpy(random.permutation(len(scored.types))) for _ in range(shuffles)]
    controls = np.asarray([best(scored.descriptors[one]) for one in order]).reshape(-1, 2)
    alone, both = best(scored.descriptors)
    most = Counter(scored.types.tolist()).most_common(1)[0][1] / len(scored.types)
    print(f"{len(train.types):,} entities to learn from, {len(scored.types):,} scored")
    print("accuracy of types at gold boundaries, in per cent:")
    print(f"  the most frequent type          {100 * most:.1f}")
    print(f"  image                         {alone:.1f}")
    print(f"  text                            {accuracy(text):.1f}")
    print(f"  text and image                {both:.1f}")
    for name, column in (("image", 0), ("text and image", 1)):
        spread = f"{controls[:, column].mean():.1f} ± {controls[:, column].std():.1f}"
        print(f"  {name + ' of other posts':<32}{spread}")


if __name__ == "__main__":
    main()
