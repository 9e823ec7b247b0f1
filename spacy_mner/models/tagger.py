"""The Thinc model of the component: posts in, CRF potentials out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from spacy.tokens import Doc
from spacy.vocab import Vocab
from thinc.api import Model, torch2xp

from ..features import Featurizer, Featurizers
from ..features.batch import PostBatch
from ..features.image_status import ImageStatus
from ..layers.decode import Potentials
from ..layers.network import TaggerNetwork
from .config_blocks import describe_block
from .shim import Plan, TorchShim
from .tensors import features_to_torch, token_vectors_to_torch

# The name under which a spaCy tok2vec or listener joins the modalities.
TOK2VEC = "tok2vec"

ModuleBuilder = Callable[..., torch.nn.Module]


@dataclass(frozen=True)
class Modality:
    """One way of seeing a post: its host half, and how to build its torch half.

    embedder: takes the featurizer's `dims()` as keyword arguments.
    pretrain: gives a fresh embedder weights to start from; not called for one that is loaded.
    """

    featurizer: Featurizer
    embedder: ModuleBuilder
    pretrain: Callable[[torch.nn.Module], None] | None = None


@dataclass(frozen=True)
class Stage:
    """How to build what stands behind the modalities.

    name: "fuse", "encode" or "decode": the block of the config where it belongs.
    build: takes the widths of what comes before it, and the labels where it decodes.
    """

    name: str
    build: ModuleBuilder


@dataclass(frozen=True)
class TaggerOutput:
    """What the network says of a batch of posts.

    potentials: of the CRF, tokens laid flat; in training with what an auxiliary head says.
    lengths: int64 [n_posts] on the host.
    attention: float [n_tokens, n_modalities], or None under a fuser that weighs nothing.
    modalities: names of the columns of `attention`.
    image_status: what became of each post's images.
    region_attention: of each modality whose regions the tokens attend to, float [n_tokens,
        n_regions], in prediction where `model.attrs["region_attention"]` asks for it.
    regions: of each modality in `region_attention`, bool [n_posts, n_regions]: those a post has.
    """

    potentials: Potentials
    lengths: torch.Tensor
    attention: torch.Tensor | None
    modalities: list[str]
    image_status: list[ImageStatus]
    region_attention: Mapping[str, torch.Tensor] | None = None
    regions: Mapping[str, torch.Tensor] = field(default_factory=dict)


TaggerModel = Model[list[Doc], TaggerOutput]


def multimodal_tagger(
    modalities: Mapping[str, Modality],
    *,
    tok2vec: Model | None,
    tok2vec_embedder: ModuleBuilder,
    fuse: ModuleBuilder,
    encode: ModuleBuilder,
    decode: ModuleBuilder,
    mixed_precision: bool,
) -> TaggerModel:
    """Put the four stages together. The network is built when the model is initialized."""
    embedders = {name: modality.embedder for name, modality in modalities.items()}
    featurizers = Featurizers({name: one.featurizer for name, one in modalities.items()})
    if tok2vec is not None:
        embedders[TOK2VEC] = tok2vec_embedder
    build = partial(build_network, embed=embedders, fuse=fuse, encode=encode, decode=decode)
    model: TaggerModel = Model(
        "multimodal_tagger",
        forward,
        init=partial(initialize, pretrain={n: m.pretrain for n, m in modalities.items()}),
        dims={"nO": None},
        layers=[] if tok2vec is None else [tok2vec],
        refs={"tok2vec": tok2vec},
        shims=[TorchShim(build, mixed_precision=mixed_precision)],
        attrs={
            "featurizers": featurizers,
            "blocks": {
                **{
                    f"embed.{name}": describe_block(embedder, featurizers.settings.get(name))
                    for name, embedder in embedders.items()
                },
                "fuse": describe_block(fuse),
                "encode": describe_block(encode),
                "decode": describe_block(decode),
            },
            "labels": [],
            "region_attention": False,
        },
    )
    return model


def build_network(
    plan: Plan,
    *,
    embed: Mapping[str, ModuleBuilder],
    fuse: ModuleBuilder,
    encode: ModuleBuilder,
    decode: ModuleBuilder,
) -> TaggerNetwork:
    """Build the network for the sizes and labels of a plan."""
    dims: dict[str, dict[str, int]] = plan["dims"]
    embedders: dict[str, Any] = {name: build(**dims[name]) for name, build in embed.items()}
    fuser: Any = fuse(widths={name: module.width for name, module in embedders.items()})
    encoder: Any = encode(input_width=fuser.width)
    decoder = decode(
        input_width=encoder.width,
        n_labels=len(plan["labels"]),
        auxiliary_width=fuser.auxiliary_width,
    )
    return TaggerNetwork(embed=embedders, fuse=fuser, encode=encoder, decode=decoder)


def initialize(
    model: TaggerModel,
    X: Any = None,
    Y: Any = None,
    *,
    pretrain: Mapping[str, Callable[[torch.nn.Module], None] | None],
) -> None:
    """Build the network, from initialized featurizers and a sample X of the training posts."""
    sample = list(X or [])
    dims = model.attrs["featurizers"].dims()
    if model.layers:
        readable = _with_tokens(sample)
        model.layers[0].initialize(X=readable)
        dims[TOK2VEC] = {"dim": _output_width(model.layers[0], readable)}
    labels = list(model.attrs["labels"])
    model.set_dim("nO", len(labels), force=True)
    _shim(model).initialize({"labels": labels, "dims": dims})
    embedders: Any = _shim(model).network.embed
    for name, load in pretrain.items():
        if load is not None:
            load(embedders[name])


def _with_tokens(sample: list[Doc]) -> list[Doc]:
    """Posts from which a tok2vec can tell its sizes, or a word if there are none."""
    vocab = sample[0].vocab if sample else Vocab()
    return [doc for doc in sample if len(doc)] or [Doc(vocab, words=["a"])]


def _output_width(tok2vec: Model, sample: list[Doc]) -> int:
    width = tok2vec.maybe_get_dim("nO")
    if width is None:  # a transformer's width is known only once it has read something
        width = tok2vec.predict(sample[:1])[0].shape[1]
    return int(width)


def forward(
    model: TaggerModel, docs: Sequence[Doc], is_train: bool
) -> tuple[TaggerOutput, Callable]:
    """Featurize the posts and run the network. The callback takes the potentials' gradients."""
    featurizers: Featurizers = model.attrs["featurizers"]
    shim = _shim(model)
    batch = PostBatch.from_docs(
        docs, featurizers.images_root, device=shim.device, is_train=is_train
    )
    found = featurizers(batch)
    features = {
        name: features_to_torch(arrays, shim.device) for name, arrays in found.arrays.items()
    }
    vectors, backprop_tok2vec = _run_tok2vec(model, docs, shim.device, is_train)
    if vectors is not None:
        features[TOK2VEC] = {"vectors": vectors}
    lengths = torch.from_numpy(batch.lengths)
    wanted = model.attrs["region_attention"] and not is_train
    output, backprop_network = shim((features, lengths, wanted), is_train)
    potentials: Potentials = output.potentials

    def backprop(gradients: Potentials) -> list:
        backprop_network(potentials.tensors(), gradients.tensors())
        backprop_tok2vec()
        return []

    return TaggerOutput(
        potentials,
        lengths,
        output.attention,
        list(features),
        found.statuses,
        output.region_attention,
        output.regions,
    ), backprop


def _run_tok2vec(
    model: TaggerModel, docs: Sequence[Doc], device: torch.device, is_train: bool
) -> tuple[torch.Tensor | None, Callable[[], None]]:
    """The tok2vec's vectors of all tokens, and a callback that hands it their gradient."""
    if not model.layers:
        return None, lambda: None
    # Transformers fail at posts without tokens. A listener knows a batch by its tokens alone.
    with_tokens = [doc for doc in docs if len(doc)]
    arrays, backprop_arrays = model.layers[0](with_tokens, is_train) if with_tokens else ([], None)
    width = _shim(model).plan["dims"][TOK2VEC]["dim"]
    vectors = token_vectors_to_torch(arrays, width, device, requires_grad=is_train)

    def backprop() -> None:
        if backprop_arrays is None:
            return
        gradient = vectors.grad
        assert gradient is not None
        # Where it is not finite our own are not either, and the component will refuse them. One
        # that listens must not spoil what it listens to before.
        flat = torch2xp(gradient if gradient.isfinite().all() else torch.zeros_like(gradient))
        # In training a listener gives what its component read: the posts without tokens too.
        ends = np.cumsum([0, *map(len, arrays)])
        backprop_arrays([flat[start:end] for start, end in pairwise(ends)])

    return vectors, backprop


def _shim(model: TaggerModel) -> TorchShim:
    shim = model.shims[0]
    assert isinstance(shim, TorchShim)
    return shim
