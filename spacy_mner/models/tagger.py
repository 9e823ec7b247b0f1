"""The Thinc model of the component: posts in, CRF potentials out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np
import torch
from spacy.tokens import Doc
from spacy.vocab import Vocab
from thinc.api import Model, torch2xp, xp2torch
from thinc.backends import get_array_ops

from ..features import Featurizer, Featurizers
from ..features.batch import PostBatch
from ..features.image_status import ImageStatus
from ..layers.decode import Potentials
from ..layers.network import TaggerNetwork
from .config_blocks import check_sizes, describe_block
from .shim import NetworkConfig, TorchShim

# The name under which a spaCy tok2vec or listener joins the modalities.
TOK2VEC = "tok2vec"

ModuleBuilder = Callable[..., torch.nn.Module]
StageName = Literal["fuse", "encode", "decode"]


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

    stage: StageName
    name: str
    build: ModuleBuilder

    def __post_init__(self) -> None:
        if self.stage not in get_args(StageName):
            raise ValueError(
                f"{self.name}: Stage has no stage {self.stage!r}; it is one of "
                f"{', '.join(get_args(StageName))}."
            )


@dataclass(frozen=True)
class TaggerOutput:
    """The output of the network for a batch of posts.

    potentials: of the CRF, tokens flat; in training with those of an auxiliary head.
    lengths: int64 [n_posts] on the host.
    image_status: of each post.
    modality_attention: modality name to float [n_tokens], where the fuser computes weights.
    region_attention: modality name to float [n_tokens, n_regions], for a cross-modal fuser.
    regions: modality name to bool [n_posts, n_regions], the regions that a post has.

    Attention is empty in training, and if `model.attrs["annotate_attention"]` is False.
    """

    potentials: Potentials
    lengths: torch.Tensor
    image_status: list[ImageStatus]
    modality_attention: Mapping[str, torch.Tensor] = field(default_factory=dict)
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
    saved_precision: str,
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
    check_sizes(blocks)
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
        shims=[TorchShim(build, mixed_precision=mixed_precision, saved_precision=saved_precision)],
        attrs={
            "featurizers": featurizers,
            "blocks": blocks,
            "labels": [],
            "annotate_attention": False,
        },
    )
    return model


def build_network(
    cfg: NetworkConfig,
    *,
    embed: Mapping[str, ModuleBuilder],
    fuse: ModuleBuilder,
    encode: ModuleBuilder,
    decode: ModuleBuilder,
) -> TaggerNetwork:
    """Build the network with the sizes and labels of the config."""
    dims: dict[str, dict[str, int]] = cfg["dims"]
    embedders: dict[str, Any] = {name: build(**dims[name]) for name, build in embed.items()}
    widths = {name: _attribute(one, f"embed.{name}", "width") for name, one in embedders.items()}
    fuser: Any = fuse(widths=widths)
    encoder: Any = encode(input_width=_attribute(fuser, "fuse", "width"))
    decoder = decode(
        input_width=_attribute(encoder, "encode", "width"),
        n_labels=len(cfg["labels"]),
        auxiliary_width=_attribute(fuser, "fuse", "auxiliary_width"),
    )
    return TaggerNetwork(embed=embedders, fuse=fuser, encode=encoder, decode=decoder)


def _attribute(module: torch.nn.Module, place: str, name: str) -> Any:
    """Return an attribute that a module of a user's own may lack. Raises TypeError."""
    if not hasattr(module, name):
        meaning = {
            "width": "the width of its output",
            "auxiliary_width": "the width of Fused.auxiliary, or None without it",
        }[name]
        raise TypeError(
            f"model.{place} must set {name} ({meaning}), which {type(module).__name__} does not."
        )
    return getattr(module, name)


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
        vocab = sample[0].vocab if sample else Vocab()
        readable = [doc for doc in sample if len(doc)] or [Doc(vocab, words=["a"])]
        model.layers[0].initialize(X=readable)
        dims[TOK2VEC] = {"dim": _output_width(model.layers[0], readable)}
    shim_of(model).initialize({"labels": list(model.attrs["labels"]), "dims": dims})
    embedders: Any = shim_of(model).network.embed
    for name, load in pretrain.items():
        if load is not None:
            load(embedders[name])


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
    shim = shim_of(model)
    batch = PostBatch.from_docs(docs, device=shim.device, is_train=is_train)
    found = featurizers(batch)
    features = {name: _to_torch(arrays, shim.device) for name, arrays in found.arrays.items()}
    vectors, backprop_tok2vec = _run_tok2vec(model, docs, shim.device, is_train)
    if vectors is not None:
        features[TOK2VEC] = {"vectors": vectors}
    lengths = torch.from_numpy(batch.lengths)
    with_attention = model.attrs["annotate_attention"] and not is_train
    output, backprop_network = shim((features, lengths, with_attention), is_train)
    potentials: Potentials = output.potentials
    modality_attention = {}
    if with_attention and output.attention is not None:
        modality_attention = dict(zip(features, output.attention.unbind(dim=1), strict=True))

    def backprop(gradients: Potentials) -> list:
        backprop_network(potentials.tensors(), gradients.tensors())
        backprop_tok2vec()
        return []

    return TaggerOutput(
        potentials,
        lengths,
        found.statuses,
        modality_attention,
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
    width = shim_of(model).cfg["dims"][TOK2VEC]["dim"]
    vectors = _concatenate(arrays, width, device, requires_grad=is_train)

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


def _to_torch(features: Mapping[str, np.ndarray], device: torch.device) -> dict[str, torch.Tensor]:
    tensors = {name: torch.from_numpy(array) for name, array in features.items()}
    # Sequence lengths control the flow of a network, and stay on the host.
    return {name: t if name == "lengths" else t.to(device) for name, t in tensors.items()}


def _concatenate(
    arrays: list[Any], width: int, device: torch.device, requires_grad: bool
) -> torch.Tensor:
    """Token vectors from Thinc, one array [n_tokens, width] per post, as one flat tensor."""
    # A shared transformer returns an array of width 0 for a post without tokens.
    filled = [array for array in arrays if len(array)]
    if not filled:
        return torch.zeros((0, width), device=device, requires_grad=requires_grad)
    xp = get_array_ops(filled[0]).xp
    flat = xp.ascontiguousarray(xp.concatenate(filled), dtype="float32")
    return xp2torch(flat, requires_grad=requires_grad, device=device)


def shim_of(model: TaggerModel) -> TorchShim:
    """Return what holds the network of a tagger."""
    shim = model.shims[0]
    assert isinstance(shim, TorchShim)
    return shim
