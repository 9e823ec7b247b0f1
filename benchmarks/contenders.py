"""Both sides of a comparison, with the same posts, weights and settings."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from clock import StageClock
from handwritten import AdamWithAverages, Collate, Sizes, Tagger, TrainingLoop, crf_loss
from posts import Lexicon, Post
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import load_config, load_model_from_config, registry
from spacy.vectors import Vectors
from thinc.api import Config
from torch import Tensor
from torchcrf import CRF

import spacy_mner
from spacy_mner.layers.decode import Potentials, negative_log_likelihood
from spacy_mner.layers.decode.bio import bio_tags
from spacy_mner.layers.ragged import from_grid
from spacy_mner.pipeline import multimodal_ner as component_module

TEMPLATES = Path(spacy_mner.__file__).parent / "templates"


# Settings of the hand-written network: equation 4 as published, frozen word vectors, one dropout.
PLAIN: dict[str, dict[str, Any]] = {
    "word": {"finetune": False, "dropout": 0.3},
    "char": {"dropout": 0.3},
    "image": {"bottleneck": None, "dropout": 0.3},
}
PRINTED = {"bounded": True, "combine": "sum", "skip_unknown": False, "dropout": 0.3}


def plain_config(*, images: bool) -> Config:
    """`templates/base.cfg` with the settings of the hand-written network.

    images: posts have image files; otherwise, precomputed descriptors.
    """
    config = load_config(TEMPLATES / "base.cfg")
    model = config["components"]["multimodal_ner"]["model"]
    for name, settings in PLAIN.items():
        model["embed"][name].update(settings)
    model["fuse"].update(PRINTED)
    if not images:
        model["embed"]["image"]["encoder"] = None
    return config


class Ours:
    """A pipeline of a config, trained step by step as `spacy train` does it."""

    def __init__(
        self,
        config: Config,
        posts: Sequence[Post],
        clock: StageClock,
        lexicon: Lexicon | None = None,
    ) -> None:
        self.config = config
        self.nlp = load_model_from_config(config.interpolate(), auto_fill=True)
        if lexicon is not None:
            self.nlp.vocab.vectors = Vectors(
                strings=self.nlp.vocab.strings, keys=lexicon.words, data=lexicon.vectors
            )
        self.pipe: Any = self.nlp.get_pipe("multimodal_ner")
        self.nlp.initialize(lambda: [self._example(post) for post in posts])
        self.optimizer = registry.resolve({"it": config["training"]["optimizer"]})["it"]
        self.losses: dict[str, float] = {}
        watch_stages(self.pipe, clock)

    @property
    def network(self) -> torch.nn.Module:
        return self.pipe.model.shims[0].network

    def examples(self, posts: Sequence[Post]) -> list[Example]:
        """A batch as the corpus reader and the batcher return it."""
        return [self._example(post) for post in posts]

    def step(self, examples: list[Example]) -> None:
        """The body of the loop in `spacy.training.loop.train_while_improving`."""
        self.nlp.update(examples, drop=0.0, losses=self.losses, sgd=False, exclude=[], annotates=[])
        self.pipe.finish_update(self.optimizer)
        self.optimizer.step_schedules()

    def loss(self, examples: list[Example]) -> float:
        """The training loss, auxiliary heads included, without dropout."""
        with without_dropout(self.network):
            output, _ = self.pipe.model([example.predicted for example in examples], is_train=True)
        return float(self.pipe.get_loss(examples, output)[0])

    def _example(self, post: Post) -> Example:
        reference = Doc(self.nlp.vocab, words=post.words, ents=post.tags)
        reference._.image, reference._.image_features = post.image, post.descriptor
        predicted = Doc(self.nlp.vocab, words=post.words)
        spacy_mner.extensions.copy_image(reference, predicted)
        return Example(predicted, reference)


def watch_stages(pipe: Any, clock: StageClock) -> None:
    """Time the stages of a step; the rest is spaCy's: copying and validating examples."""
    run = pipe.model._func

    def forward(model: Any, docs: list[Doc], is_train: bool) -> Any:
        with clock("featurize"):
            output, backprop = run(model, docs, is_train)
        return output, clock.timed(backprop, "backward")

    pipe.model._func = forward
    network = pipe.model.shims[0].network
    network.forward = clock.timed(network.forward, "forward")
    pipe.get_loss = clock.timed(pipe.get_loss, "loss")
    pipe.finish_update = clock.timed(pipe.finish_update, "optimizer")
    # Reading the annotation belongs to the same stage as in the hand-written loop's collate.
    # An earlier comparison may have wrapped it already.
    tags_allowed_by_gold = inspect.unwrap(component_module.tags_allowed_by_gold)
    component_module.tags_allowed_by_gold = clock.timed(tags_allowed_by_gold, "featurize")


def make_loop(
    ours: Ours, posts: Sequence[Post], lexicon: Lexicon, clock: StageClock, *, own_crf: bool
) -> TrainingLoop:
    """The hand-written loop with the sizes, settings and weights of `ours`.

    own_crf: compute the loss with the package instead of pytorch-crf.
    """
    model = ours.config.interpolate()["components"]["multimodal_ner"]["model"]
    training = ours.config["training"]["optimizer"]
    featurizers = ours.pipe.model.attrs["featurizers"]
    tag_ids = {tag: i for i, tag in enumerate(bio_tags(ours.pipe.labels))}
    dims = featurizers.dims()
    sizes = Sizes(
        word_vectors=_with_unknown(lexicon),
        n_characters=dims["char"]["n_characters"],
        character_width=model["embed"]["char"]["character_width"],
        image_dim=dims["image"]["dim"],
        width=model["embed"]["word"]["width"],
        hidden_width=model["encode"]["hidden_width"],
        dropout=model["fuse"]["dropout"],
    )
    collate = Collate(
        {word: i for i, word in enumerate(lexicon.words[: len(lexicon.vectors)], start=1)},
        dict(featurizers.by_name["char"].ids),
        tag_ids,
        _encoded_images(featurizers.by_name["image"].cache, posts),
        sizes.image_dim,
    )
    network = Tagger(sizes, tag_ids)
    copy_weights(ours.network, network, NAMES)
    update = AdamWithAverages(
        network,
        learn_rate=training["learn_rate"],
        clip=training["grad_clip"],
        average=training["use_averages"],
    )
    return TrainingLoop(network, collate, update, clock, package_crf_loss if own_crf else crf_loss)


def package_crf_loss(crf: CRF, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
    """The loss computed by the package, as a function of the tensors of pytorch-crf."""
    lengths = mask.sum(dim=1)
    flat, gold = from_grid(emissions, lengths), from_grid(tags, lengths)
    allowed = torch.nn.functional.one_hot(gold, flat.shape[1]).bool()
    potentials = Potentials(flat, crf.transitions, crf.start_transitions, crf.end_transitions)
    return negative_log_likelihood(potentials, lengths, allowed).mean()


def _with_unknown(lexicon: Lexicon) -> Tensor:
    return torch.cat([torch.zeros(1, lexicon.vectors.shape[1]), torch.from_numpy(lexicon.vectors)])


def _encoded_images(cache: Any, posts: Sequence[Post]) -> dict[str, Tensor]:
    """The features of every image, by path; fills the cache as well."""
    from spacy_mner.images.reference import open_image

    paths = sorted({post.image for post in posts if post.image is not None})
    if cache is None:
        return {}
    features = cache.results([open_image(path, None) for path in paths])
    return {
        path: torch.tensor(f[0], dtype=torch.float32)
        for path, f in zip(paths, features, strict=True)
    }


NAMES = {
    "unknown_vector": "embed.word.unknown_vector",
    "project_word": "embed.word.projection",
    "characters": "embed.char.embedding",
    "character_lstm": "embed.char.lstm",
    "input_norm": "embed.image.input_norm",
    "project_image": "embed.image.projection",
    "score": "fuse.score",
    "lstm": "encode.lstm",
    "emission": "decode.emission",
    "crf.start_transitions": "decode.start",
    "crf.end_transitions": "decode.end",
    "crf.transitions": "decode.transitions",
}


@torch.no_grad()
def copy_weights(
    source: torch.nn.Module, target: torch.nn.Module, names: Mapping[str, str]
) -> None:
    """Copy the parameters; raises AssertionError for different names or shapes.

    names: prefixes of names in the target -> those in the source.
    """
    ours = dict(source.named_parameters())
    for name, parameter in target.named_parameters():
        if not parameter.requires_grad:
            continue
        stem = next(stem for stem in names if name == stem or name.startswith(f"{stem}."))
        value = ours.pop(names[stem] + name[len(stem) :])
        assert value.shape == parameter.shape, f"{name}: {value.shape} and {parameter.shape}"
        # Forbidden scores are parameters in the hand-written network only.
        parameter.copy_(torch.where(parameter < -1e3, parameter, value))
    assert not ours, f"the hand-written network has no {sorted(ours)}"


def n_parameters(network: torch.nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def loss_without_dropout(loop: TrainingLoop, posts: Sequence[Post]) -> float:
    batch = loop.collate(posts)
    with torch.no_grad(), without_dropout(loop.network):
        return float(loop.network.loss(loop.network(batch), batch, loop.of_crf))


@contextmanager
def without_dropout(network: torch.nn.Module) -> Iterator[None]:
    """A network in training mode with all dropouts set to 0."""
    # The names under which torch and transformers keep the probability.
    rates = [
        (module, name, getattr(module, name))
        for module in network.modules()
        for name in ("p", "dropout", "dropout_prob")
        if isinstance(getattr(module, name, None), float)
    ]
    try:
        for module, name, _ in rates:
            setattr(module, name, 0.0)
        yield
    finally:
        for module, name, rate in rates:
            setattr(module, name, rate)
