"""The Thinc model of the component: posts in, CRF potentials out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any, Literal

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
    """One modality of a post: its featurizer, and how to build its embedder.

    name: the registered name of the block in the config.
    embedder: takes the `dims()` of the featurizer as keyword arguments.
    pretrain: loads pretrained weights into a new embedder; not called where a pipeline is loaded.
    """

    name: str
    featurizer: Featurizer
    embedder: ModuleBuilder
    pretrain: Callable[[torch.nn.Module], None] | None = None


@dataclass(frozen=True)
class Stage:
    """How to build a fuser, an encoder or a decoder.

    stage: the block of the config that it belongs to.
    name: the registered name of the block in the config.
    build: returns the module. Keyword arguments: `widths` of the modalities for a fuser,
        `input_width` for an encoder; `input_width`, `n_labels` and `auxiliary_width` for a decoder.
    """

    stage: Literal["fuse", "encode", "decode"]
    name: str
    build: ModuleBuilder


@dataclass(frozen=True)
class TaggerOutput:
    """The output of the network for a batch of posts.

    potentials: of the CRF, tokens flat; in training with those of an auxiliary head.
    lengths: int64 [n_posts] on the host.
    attention: float [n_tokens, n_modalities]; None if the fuser computes no weights.
    modalities: names of the columns of `attention`.
    image_status: of each post.
    region_attention: modality name to float [n_tokens, n_regions], for a cross-modal fuser.
    regions: modality name to bool [n_posts, n_regions], the regions that a post has.

    Attention is None or empty in training, and if `model.attrs["annotate_attention"]` is False.
    """

    potentials: Potentials
    lengths: torch.Tensor
    attention: torch.Tensor | None
    modalities: list[str]
    image_status: list[ImageStatus]
    region_attention: Mapping[str, torch.Tensor] = field(default_factory=dict)
    regions: Mapping[str, torch.Tensor] = field(default_factory=dict)


TaggerModel = Model[list[Doc], TaggerOutput]


def multimodal_tagger(
    modalities: Mapping[str, Modality],
    *,
    tok2vec: Model | None,
    tok2vec_embedder: ModuleBuilder,
    fuse: Stage,
    encode: Stage,
    decode: Stage,
    mixed_precision: bool,
) -> TaggerModel:
    """The Thinc model of the four stages. Its network is built when the model is initialized."""
    embedders = {name: modality.embedder for name, modality in modalities.items()}
    featurizers = Featurizers({name: one.featurizer for name, one in modalities.items()})
    blocks = {
        f"embed.{name}": describe_block(one.name, one.embedder, one.featurizer.settings)
        for name, one in modalities.items()
    }
    blocks |= {one.stage: describe_block(one.name, one.build) for one in (fuse, encode, decode)}
    if tok2vec is not None:
        embedders[TOK2VEC] = tok2vec_embedder
        blocks[TOK2VEC] = describe_block(TOK2VEC, tok2vec_embedder)
    build = partial(
        build_network, embed=embedders, fuse=fuse.build, encode=encode.build, decode=decode.build
    )
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
            "blocks": blocks,
            "labels": [],
            "annotate_attention": False,
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
    """Build the network with the sizes and labels of a plan."""
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
    _shim(model).initialize({"labels": list(model.attrs["labels"]), "dims": dims})
    embedders: Any = _shim(model).network.embed
    for name, load in pretrain.items():
        if load is not None:
            load(embedders[name])


def _with_tokens(sample: list[Doc]) -> list[Doc]:
    """Posts from which a tok2vec infers its sizes; one word where there are none."""
    vocab = sample[0].vocab if sample else Vocab()
    return [doc for doc in sample if len(doc)] or [Doc(vocab, words=["a"])]


def _output_width(tok2vec: Model, sample: list[Doc]) -> int:
    width = tok2vec.maybe_get_dim("nO")
    if width is None:  # the width of a transformer is unknown until its first batch
        width = tok2vec.predict(sample[:1])[0].shape[1]
    return int(width)


def forward(
    model: TaggerModel, docs: Sequence[Doc], is_train: bool
) -> tuple[TaggerOutput, Callable]:
    """Featurize the posts and run the network. The callback takes gradients of the potentials."""
    featurizers: Featurizers = model.attrs["featurizers"]
    shim = _shim(model)
    batch = PostBatch.from_docs(docs, device=shim.device, is_train=is_train)
    found = featurizers(batch)
    features = {
        name: features_to_torch(arrays, shim.device) for name, arrays in found.arrays.items()
    }
    vectors, backprop_tok2vec = _run_tok2vec(model, docs, shim.device, is_train)
    if vectors is not None:
        features[TOK2VEC] = {"vectors": vectors}
    lengths = torch.from_numpy(batch.lengths)
    with_attention = model.attrs["annotate_attention"] and not is_train
    output, backprop_network = shim((features, lengths, with_attention), is_train)
    potentials: Potentials = output.potentials

    def backprop(gradients: Potentials) -> list:
        backprop_network(potentials.tensors(), gradients.tensors())
        backprop_tok2vec()
        return []

    return TaggerOutput(
        potentials,
        lengths,
        output.attention if with_attention else None,
        list(features),
        found.statuses,
        output.region_attention,
        {name: features[name]["available"] for name in output.region_attention},
    ), backprop


def _run_tok2vec(
    model: TaggerModel, docs: Sequence[Doc], device: torch.device, is_train: bool
) -> tuple[torch.Tensor | None, Callable[[], None]]:
    """The vectors of all tokens, and a callback that backpropagates their gradient."""
    if not model.layers:
        return None, lambda: None
    # Transformers fail at posts without tokens. A listener identifies a batch by its tokens alone.
    with_tokens = [doc for doc in docs if len(doc)]
    arrays, backprop_arrays = model.layers[0](with_tokens, is_train) if with_tokens else ([], None)
    width = _shim(model).plan["dims"][TOK2VEC]["dim"]
    vectors = token_vectors_to_torch(arrays, width, device, requires_grad=is_train)

    def backprop() -> None:
        if backprop_arrays is None:
            return
        gradient = vectors.grad
        assert gradient is not None
        # A gradient that is not finite here means that those of the tagger are not finite either
        # and the step will be rejected. Zeros keep the upstream component from being corrupted.
        flat = torch2xp(gradient if gradient.isfinite().all() else torch.zeros_like(gradient))
        # In training a listener returns all posts of its component, those without tokens as well.
        ends = np.cumsum([0, *map(len, arrays)])
        backprop_arrays([flat[start:end] for start, end in pairwise(ends)])

    return vectors, backprop


def _shim(model: TaggerModel) -> TorchShim:
    shim = model.shims[0]
    assert isinstance(shim, TorchShim)
    return shim
