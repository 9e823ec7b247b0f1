"""Words per second in prediction, against spaCy's `ner` and flair, in one run.

    pip install flair
    python benchmarks/words_per_second.py DATA.spacy --encoder FOLDER [--posts 512] [--rounds 5]

Processor time of one thread, the sides alternately, on the tokens of the same posts: tokenization
into words is not measured, all other steps up to the entities are. Every side is trained for a few
steps first, on some of the posts, because time depends on the number of entities that it finds.

Ours are `configs/mner.cfg` and `configs/pretrained_trf.cfg` without the image. spaCy's `ner` is
that of `spacy init config --optimize efficiency`. flair's SequenceTagger has the word vectors,
character LSTM, hidden width and CRF of ours, or fine-tunes the same transformer, by its own recipe:
the first piece of a word and a linear layer, with the transformer alone, and also with a CRF, which
ours has.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import spacy
import torch
import typer
from clock import StageClock
from contenders import Ours
from flair.data import Dictionary, Sentence
from flair.embeddings import (
    CharacterEmbeddings,
    StackedEmbeddings,
    TransformerWordEmbeddings,
    WordEmbeddings,
)
from flair.models import SequenceTagger
from posts import Lexicon, Post
from spacy.cli.init_config import init_config
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.training.iob_utils import tags_to_entities
from spacy.util import load_config, load_model_from_config
from thinc.api import Config

from spacy_mner.corpus.docbin import read_docs
from spacy_mner.pipeline.optimize import optimize

CONFIGS = Path(__file__).parent.parent / "configs"
# Of the training, which repeats a few batches at high learning rates.
BATCH_SIZE, BATCHES = 16, 4
LEARN_RATE, ENCODER_LEARN_RATE = 5e-3, 3e-4
VECTOR_WIDTH = 100

BASELINE = "flair, transformer"
COMPARED = ("spacy-mner", "spacy", "flair", "torch", "transformers", "onnxruntime")


@dataclass(frozen=True)
class Side:
    """One side of the comparison.

    prepare: returns what `predict` takes for a post.
    predict: predicts all posts.
    count: number of entities of a predicted post.
    """

    prepare: Callable[[Post], Any]
    predict: Callable[[list[Any]], Any]
    count: Callable[[Any], int]


def main(
    data: Annotated[Path, typer.Argument(help="Annotated posts.")],
    encoder: Annotated[str, typer.Option(help="Folder of a text encoder, such as MiniLM.")],
    posts: Annotated[int, typer.Option(help="Number of posts.")] = 512,
    rounds: Annotated[int, typer.Option(help="Measurements of each side.")] = 5,
    steps: Annotated[int, typer.Option(help="Steps of training of each side.")] = 40,
) -> None:
    """Print the words per second of all sides and their ratios to flair."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    texts = list(itertools.islice(read_posts(data), posts))
    n_words = sum(len(post.words) for post in texts)
    sides = dict(make_sides(texts, encoder, steps))
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    found: dict[str, float] = {}
    for _ in range(rounds + 1):  # the first is a warm-up
        for name, side in sides.items():
            inputs = [side.prepare(post) for post in texts]
            start = time.process_time()
            side.predict(inputs)
            seconds[name].append(time.process_time() - start)
            found[name] = sum(map(side.count, inputs)) / len(inputs)
    table = np.array([values[1:] for values in seconds.values()])
    ratios = table[list(sides).index(BASELINE)] / table
    versions = ", ".join(f"{name} {version(name)}" for name in COMPARED)
    print(
        f"{len(texts)} posts, {n_words} words; median of {rounds} rounds, lowest to highest ratio; "
        f"{versions}"
    )
    print(f"| | entities per post | words per second | relative to {BASELINE} |\n|-|-|-|-|")
    for name, values, ratio in zip(sides, table, ratios, strict=True):
        speed = f"{found[name]:.2f} | {n_words / np.median(values):,.0f}"
        spread = f"{np.median(ratio):.2f} ({ratio.min():.2f} to {ratio.max():.2f})"
        print(f"| {name} | {speed} | {spread} |")


def read_posts(data: Path) -> Iterator[Post]:
    for doc in read_docs(data, spacy.blank("xx").vocab):
        if len(doc):
            tags = [f"{t.ent_iob_}-{t.ent_type_}" if t.ent_type_ else "O" for t in doc]
            yield Post([token.text for token in doc], tags)


def make_sides(posts: list[Post], encoder: str, steps: int) -> Iterator[tuple[str, Side]]:
    batches = [posts[i * BATCH_SIZE : (i + 1) * BATCH_SIZE] for i in range(BATCHES)]
    batches = list(itertools.islice(itertools.cycle(batches), steps))
    words = list(dict.fromkeys(word for post in posts for word in post.words))
    vectors = np.random.default_rng(0).standard_normal((len(words), VECTOR_WIDTH), np.float32)
    lexicon = Lexicon(words, vectors)

    config = without_image("mner.cfg")
    config["training"]["optimizer"]["learn_rate"] = LEARN_RATE
    yield "ours, words + characters", spacy_side(train_ours(config, posts, batches, lexicon))
    yield "spaCy ner, efficiency", spacy_side(train_spacy(posts, batches))
    width = config["components"]["multimodal_ner"]["model"]["encode"]["hidden_width"]
    embeddings = StackedEmbeddings([word_embeddings(lexicon), character_embeddings(posts)])
    settings = {"hidden_size": width, "use_rnn": True, "use_crf": True}
    yield "flair, words + characters", flair_side(train_flair(embeddings, settings, posts, batches))

    config = without_image("pretrained_trf.cfg")
    config["paths"]["encoder"] = encoder
    config["components"]["multimodal_ner"]["model"]["mixed_precision"] = False
    rates = {"learn_rate": LEARN_RATE, "encoder_learn_rate": ENCODER_LEARN_RATE}
    config["training"]["optimizer"].update(rates)
    nlp = train_ours(config, posts, batches)
    yield "ours, transformer + characters, PyTorch", spacy_side(nlp)
    for precision in ("float32", "int8"):
        yield f"the same optimized, {precision}", spacy_side(optimize(nlp, precision))
    for name, use_crf in ((BASELINE, False), (f"{BASELINE} + CRF", True)):
        embeddings = TransformerWordEmbeddings(encoder, layers="-1", fine_tune=True)
        settings = {"use_rnn": False, "use_crf": use_crf, "reproject_embeddings": False}
        tagger = train_flair(embeddings, settings, posts, batches, learn_rate=ENCODER_LEARN_RATE)
        yield name, flair_side(tagger)


def without_image(name: str) -> Config:
    config = load_config(CONFIGS / name)
    config["components"]["multimodal_ner"]["model"]["embed"]["image"] = None
    return config


def spacy_side(nlp: Language) -> Side:
    return Side(
        lambda post: Doc(nlp.vocab, words=post.words),
        lambda docs: list(nlp.pipe(docs)),
        lambda doc: len(doc.ents),
    )


def train_ours(
    config: Config, posts: list[Post], batches: list[list[Post]], lexicon: Lexicon | None = None
) -> Language:
    ours = Ours(config, posts, StageClock(), lexicon)
    for batch in batches:
        ours.step(ours.examples(batch))
    return ours.nlp


def train_spacy(posts: list[Post], batches: list[list[Post]]) -> Language:
    config = init_config(lang="en", pipeline=["ner"], optimize="efficiency", silent=True)
    nlp = load_model_from_config(config, auto_fill=True)

    def example(post: Post) -> Example:
        predicted = Doc(nlp.vocab, words=post.words)
        return Example(predicted, Doc(nlp.vocab, words=post.words, ents=post.tags))

    optimizer = nlp.initialize(lambda: map(example, posts))
    optimizer.learn_rate = LEARN_RATE
    for batch in batches:
        nlp.update([example(post) for post in batch], sgd=optimizer)
    return nlp


def flair_side(tagger: SequenceTagger) -> Side:
    return Side(
        lambda post: Sentence(post.words),
        tagger.predict,
        lambda sentence: len(sentence.get_labels("ner")),
    )


def train_flair(
    embeddings: Any,
    settings: dict[str, Any],
    posts: list[Post],
    batches: list[list[Post]],
    learn_rate: float = LEARN_RATE,
) -> SequenceTagger:
    labels = dictionary(tag[2:] for post in posts for tag in post.tags if tag != "O")
    labels.span_labels = True
    tagger = SequenceTagger(embeddings, labels, "ner", tag_format="BIO", **settings)
    optimizer = torch.optim.Adam(tagger.parameters(), learn_rate)
    tagger.train()
    for batch in batches:
        sentences = [Sentence(post.words) for post in batch]
        for sentence, post in zip(sentences, batch, strict=True):
            for label, start, end in tags_to_entities(post.tags):
                sentence[start : end + 1].add_label("ner", label)
        loss, _ = tagger.forward_loss(sentences)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return tagger.eval()


def word_embeddings(lexicon: Lexicon) -> WordEmbeddings:
    vocab = {word: i for i, word in enumerate(lexicon.words)}
    width = lexicon.vectors.shape[1]
    embeddings = WordEmbeddings(None, vocab=vocab, embedding_length=width, name="words")
    embeddings.embedding.weight.data[:-1] = torch.from_numpy(lexicon.vectors)
    return embeddings


def character_embeddings(posts: list[Post]) -> CharacterEmbeddings:
    return CharacterEmbeddings(dictionary("".join(w for post in posts for w in post.words)))


def dictionary(items: Iterable[str]) -> Dictionary:
    result = Dictionary()
    for item in sorted(set(items)):
        result.add_item(item)
    return result


if __name__ == "__main__":
    typer.run(main)
