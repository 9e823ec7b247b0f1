"""Estimates how much images improve the labels of a text tagger's entities.

    python benchmarks/image_probe.py MODEL CORPUS/train.spacy CORPUS/dev.spacy

MODEL is a pipeline trained without images, such as the system wc-lample of experiments/.

The labels of the second corpus's gold spans are predicted from the text (the tagger's probabilities
of the span with each label), from the image's descriptor (`doc._.image_features`; a linear probe
trained on the first corpus), and from both,

    log p(label | text) + weight * (log p(label | image) - log p(label)),

which assumes that text and image are conditionally independent. The weight and the weight decay of
the probe are chosen on the scored entities, as is the control, with the descriptors of other posts.
The difference to the control is an upper bound of the gain in labels by a linear use of the
descriptors, and of the gain in F1 with unchanged boundaries.
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
from spacy_mner.pipeline.load_for_command import load_pipeline
from spacy_mner.pipeline.multimodal_ner import MultimodalNER

DECAYS = (1e-4, 1e-3, 1e-2, 1e-1)
WEIGHTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0)
MIN_PROBABILITY = 1e-30


@dataclass(frozen=True)
class Entities:
    """Gold entities: labels int64 [n], and their posts' descriptors, float [n, dim]."""

    types: Tensor
    descriptors: Tensor


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", help="a pipeline without images")
    parser.add_argument("train", type=Path, help="training posts of the probe, .spacy")
    parser.add_argument("scored", type=Path, help="posts whose entities are scored, .spacy")
    parser.add_argument("--shuffles", type=int, default=10, help="number of controls")
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
    """Return the mean of a post's regions, float32 [dim]."""
    features = np.asarray(doc._.image_features, dtype=np.float32)
    return features.reshape(-1, features.shape[-1]).mean(axis=0)


def log_types(tagger: MultimodalNER, doc: Doc) -> Tensor:
    """Return log probabilities of labels by the text: [n_entities, n_labels]."""
    bare = Doc(doc.vocab, words=[t.text for t in doc], spaces=[bool(t.whitespace_) for t in doc])
    output = tagger.model.predict([bare])
    labels = range(len(tagger.labels))
    spans = [(entity.start, entity.end - 1, label) for entity in doc.ents for label in labels]
    index = torch.tensor(spans, dtype=torch.int64).reshape(-1, 3)
    found = span_probabilities(output.potentials, output.lengths, index)
    return (
        found.double().clamp(min=MIN_PROBABILITY).log().reshape(-1, len(labels)).log_softmax(dim=1)
    )


def fit(train: Entities, n_types: int, decay: float) -> nn.Linear:
    """Fit a multinomial logistic regression of labels on descriptors."""
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
        """Return the best accuracy of the image, and of text and image."""
        seen = [probe(descriptors).double().log_softmax(dim=1) for probe in probes]
        both = [accuracy(text + w * (one - share)) for one in seen for w in WEIGHTS]
        return max(map(accuracy, seen)), max(both)

    order = [torch.from_numpy(random.permutation(len(scored.types))) for _ in range(shuffles)]
    controls = np.asarray([best(scored.descriptors[one]) for one in order]).reshape(-1, 2)
    alone, both = best(scored.descriptors)
    most = Counter(scored.types.tolist()).most_common(1)[0][1] / len(scored.types)
    print(f"{len(train.types):,} training entities, {len(scored.types):,} scored")
    print("accuracy of labels at gold boundaries, in percent:")
    print(f"  the most frequent label         {100 * most:.1f}")
    print(f"  image                         {alone:.1f}")
    print(f"  text                            {accuracy(text):.1f}")
    print(f"  text and image                {both:.1f}")
    for name, column in (("image", 0), ("text and image", 1)):
        spread = f"{controls[:, column].mean():.1f} ± {controls[:, column].std():.1f}"
        print(f"  {name + ' of other posts':<32}{spread}")


if __name__ == "__main__":
    main()
