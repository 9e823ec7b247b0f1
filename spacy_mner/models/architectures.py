"""The registered builders: config block in, object out. One per block of the config."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

from thinc.api import Model

from ..features import (
    AugmentationFeaturizer,
    CharacterFeaturizer,
    ImageFeaturizer,
    ObjectFeaturizer,
    TransformerFeaturizer,
    WordFeaturizer,
)
from ..images.detectors.object_detector import ObjectDetector
from ..images.encoders.image_encoder import ImageEncoder
from ..images.feature_cache import FeatureCache
from ..layers.decode import CRF
from ..layers.embed import (
    CharBiLSTM,
    CharCNN,
    ImageEmbedding,
    ObjectEmbedding,
    SemanticAugmentation,
    Tok2VecEmbedding,
    WordVectors,
)
from ..layers.encode import BiLSTM, CoupledBiLSTM, NoEncoder
from ..layers.fuse import Concatenate, CrossModal, ModalityAttention
from .tagger import TOK2VEC, Modality, ModuleBuilder, Stage, TaggerModel, multimodal_tagger
from .text_encoder import build_transformer_embedding, load_weights

EXAMPLES = {
    "fuse": "spacy_mner.ModalityAttention.v1",
    "encode": "spacy_mner.BiLSTM.v1",
    "decode": "spacy_mner.CRF.v1",
}


def build_multimodal_tagger(
    embed: dict[str, Any],
    fuse: Any,
    encode: Any,
    decode: Any,
    tok2vec: Model | None = None,
    tok2vec_width: int = 150,
    mixed_precision: bool = False,
) -> TaggerModel:
    """The four stages, from a block each.

    embed: modality name to modality. A modality that is null is left out, so that one config
        serves for the twin without it (`--components.….model.embed.image null`).
    tok2vec: any spaCy tok2vec or listener; joins as one more modality named "tok2vec".
    tok2vec_width: the width that its vectors are mapped to, that of the other modalities.
    mixed_precision: compute the network in bfloat16, on CUDA and on a CPU with instructions for it
        (AVX-512 BF16); elsewhere it has no effect. The CRF stays in float32.
    """
    modalities = {name: modality for name, modality in embed.items() if modality is not None}
    _check_modalities(modalities, tok2vec)
    return multimodal_tagger(
        modalities,
        tok2vec=tok2vec,
        tok2vec_embedder=partial(Tok2VecEmbedding, width=tok2vec_width, dropout=0.0),
        fuse=_stage("fuse", fuse),
        encode=_stage("encode", encode),
        decode=_stage("decode", decode),
        mixed_precision=mixed_precision,
    )


def _stage(name: str, value: Any) -> ModuleBuilder:
    """How to build what stands in a block. Checked by hand: confection knows no such type."""
    if not isinstance(value, Stage):
        raise ValueError(
            f"The block model.{name} must name a fuser, an encoder or a decoder "
            f"such as {EXAMPLES[name]}, got {type(value).__name__}"
        )
    if value.name != name:
        raise ValueError(
            f"The block model.{name} takes something like {EXAMPLES[name]}; what "
            f"stands there belongs into model.{value.name}"
        )
    return value.build


def _check_modalities(embed: dict[str, Any], tok2vec: Model | None) -> None:
    if not embed and tok2vec is None:
        raise ValueError("The config names no modality: fill [components.….model.embed] or tok2vec")
    for name, modality in embed.items():
        if not isinstance(modality, Modality):
            raise ValueError(
                f"embed.{name} must be a modality such as spacy_mner.WordVectors.v1, "
                f"got {type(modality).__name__}"
            )
        if not name.isidentifier() or name == TOK2VEC:
            raise ValueError(
                f"A modality cannot be named {name!r}: use letters, digits and underscores"
                f" (and {TOK2VEC!r} is the name of the block model.tok2vec)"
            )


def build_default_tagger() -> TaggerModel:
    """Word + character + image, merged by modality attention: the factory's default.

    It takes no blocks: spaCy merges a factory's default model into a config block of the same
    architecture, so that a modality left out there would come back.
    """
    from ..images.encoders.efficientnet_lite import build_efficientnet_lite

    return build_multimodal_tagger(
        embed={
            "word": build_word_vectors(),
            "char": build_char_bilstm(),
            "image": build_image_embedding(encoder=build_efficientnet_lite()),
        },
        fuse=build_modality_attention(),
        encode=build_bilstm(),
        decode=build_crf(),
    )


def build_word_vectors(width: int = 150, dropout: float = 0.3, finetune: bool = True) -> Modality:
    """Pretrained word vectors of the pipeline's vocab, or a learned table where it has none.

    width: of the output, per token.
    finetune: learn for the words that occur in training (at least twice) how their vectors should
        differ from the pretrained ones, which stay as they are in the vocab.
    """
    featurizer = WordFeaturizer(finetune=finetune)
    return Modality(featurizer, partial(WordVectors, width=width, dropout=dropout))


def build_char_bilstm(
    width: int = 150, character_width: int = 25, dropout: float = 0.3, max_characters: int = 40
) -> Modality:
    """A BiLSTM over the characters of each token (Lample et al. 2016).

    width: of the output, per token; even, half for each direction.
    max_characters: of a longer token only its beginning and end are read.
    """
    embedder = partial(CharBiLSTM, width=width, character_width=character_width, dropout=dropout)
    return Modality(CharacterFeaturizer(max_characters=max_characters), embedder)


def build_char_cnn(
    width: int = 150,
    character_width: int = 30,
    window: int = 3,
    dropout: float = 0.3,
    max_characters: int = 40,
) -> Modality:
    """A convolution over the characters of each token, maximum over time (Ma & Hovy 2016).

    width: of the output, per token: the number of filters.
    window: characters that a filter sees at once.
    """
    embedder = partial(
        CharCNN, width=width, character_width=character_width, window=window, dropout=dropout
    )
    return Modality(CharacterFeaturizer(max_characters=max_characters), embedder)


def build_transformer(
    name: str,
    revision: str | None = None,
    width: int | None = None,
    dropout: float = 0.1,
    context: bool = False,
    max_length: int = 256,
    freeze: bool = False,
) -> Modality:
    """A text encoder of Hugging Face, fine-tuned with the rest; needs the extra `transformers`.

    Its own learning rate is the `encoder_learn_rate` of spacy_mner.AdamW.v1.

    name: of a model on the hub, or a folder. It is looked up when the model is initialized; a
        saved model needs it no more.
    revision: branch, tag or commit on the hub; null for the default branch.
    width: of the output, per token; null for the encoder's own.
    context: let it read `doc._.image_text` after the post.
    max_length: in word pieces, or what the encoder can read if that is less; a longer post is read
        in overlapping parts.
    freeze: leave the encoder as it is.
    """
    embedder = partial(build_transformer_embedding, width=width, dropout=dropout, freeze=freeze)
    featurizer = TransformerFeaturizer(
        name, revision=revision, context=context, max_length=max_length
    )
    return Modality(featurizer, embedder, partial(load_weights, name=name, revision=revision))


def build_semantic_augmentation(width: int = 384, n: int = 4, dropout: float = 0.1) -> Modality:
    """The vectors of a word's nearest words, by the pipeline's own (Nie et al. 2020).

    width: of the output, per token.
    n: nearest words.
    """
    embedder = partial(SemanticAugmentation, width=width, dropout=dropout)
    return Modality(AugmentationFeaturizer(n=n), embedder)


def build_image_embedding(
    encoder: ImageEncoder | None,
    width: int = 150,
    dropout: float = 0.5,
    bottleneck: int | None = 16,
    memory_mb: int = 256,
) -> Modality:
    """The regions of a post's images, or of the descriptor it brings.

    encoder: a frozen image encoder, or null where posts bring `doc._.image_features`.
    width: of the output, per region.
    bottleneck: width through which the features are squeezed, against learning the training posts
        by heart; null for none.
    memory_mb: encoded images kept in memory, in MiB.
    """
    if bottleneck is not None and bottleneck < 1:
        raise ValueError(f"bottleneck must be at least 1, or null for none, got {bottleneck}")
    store = None if encoder is None else FeatureCache(encoder, memory_mb=memory_mb)
    embedder = partial(ImageEmbedding, width=width, dropout=dropout, bottleneck=bottleneck)
    return Modality(ImageFeaturizer(store), embedder)


def build_object_embedding(
    detector: ObjectDetector | None = None,
    width: int = 384,
    n: int = 5,
    dropout: float = 0.1,
    memory_mb: int = 64,
) -> Modality:
    """The objects in a post's images: what is in `doc._.image_objects`, or a detector finds.

    detector: a frozen object detector, or null where posts bring their objects.
    width: of the output, per object.
    n: objects of a post, the surest ones.
    memory_mb: found objects kept in memory, in MiB.
    """
    store = None if detector is None else FeatureCache(detector, memory_mb=memory_mb)
    embedder = partial(ObjectEmbedding, width=width, dropout=dropout)
    return Modality(ObjectFeaturizer(store, n=n), embedder)


def build_modality_attention(
    dropout: float = 0.5,
    bounded: bool = False,
    combine: Literal["sum", "concatenate"] = "concatenate",
    skip_unknown: bool = True,
) -> Stage:
    """Weigh the modalities per token (Moon et al. 2018, eq. 4).

    The defaults are what measures best. As printed it is with `bounded = true`, `combine = "sum"`
    and `skip_unknown = false`.

    bounded: squash the scores by a sigmoid before the softmax, as printed. That keeps the weight
        of one among three modalities between 0.155 and 0.576; false lets it switch off and on.
    combine: add the weighed modalities up, as printed, or lay them side by side.
    skip_unknown: leave the words out at a token that has no vector, as if they were absent.
    """
    build = partial(
        ModalityAttention,
        dropout=dropout,
        bounded=bounded,
        combine=combine,
        skip_unknown=skip_unknown,
    )
    return Stage("fuse", build)


def build_concatenate(dropout: float = 0.5) -> Stage:
    """Lay the modalities side by side, with a learned vector for an absent one."""
    return Stage("fuse", partial(Concatenate, dropout=dropout))


def build_cross_modal(
    width: int = 384,
    heads: int = 12,
    feedforward: int = 1536,
    dropout: float = 0.1,
    grid: str | None = "image",
    objects: str | None = "objects",
    augmentation: str | None = "augmentation",
    grid_gate: bool = True,
    objects_gate: bool = True,
    augmentation_gate: bool = False,
    region_first: bool = True,
    auxiliary: bool = True,
) -> Stage:
    """Let tokens and the regions of images attend to one another (Liu et al. 2022).

    It has attention across tokens; as published, `spacy_mner.NoEncoder.v1` stands behind it.

    width: of all of it; best that of the text encoder, whose vectors it then takes as they are.
    heads, feedforward: of each transformer layer: 12, and 4 times the width, as published.
    grid, objects: names of the modalities that hold the image's regions and its objects. A
        granularity whose modality is not there, or that is null, is left out.
    augmentation: name of the modality that `augmentation_gate` gates against the rest of the text.
        Without the gate it is added, as every modality with a vector per token is.
    grid_gate, objects_gate: weigh the two ways of looking by a learned gate, or take their mean.
    region_first: look in a second way, at regions that have asked the text before.
    auxiliary: a transformer layer of its own for `segmentation` in the decoder.
    """
    build = partial(
        CrossModal,
        width=width,
        heads=heads,
        feedforward=feedforward,
        dropout=dropout,
        grid=grid,
        objects=objects,
        augmentation=augmentation,
        grid_gate=grid_gate,
        objects_gate=objects_gate,
        augmentation_gate=augmentation_gate,
        region_first=region_first,
        auxiliary=auxiliary,
    )
    return Stage("fuse", build)


def build_bilstm(hidden_width: int = 100, dropout: float = 0.3) -> Stage:
    """A bidirectional LSTM over the tokens of a post; `hidden_width` units per direction."""
    return Stage("encode", partial(BiLSTM, hidden_width=hidden_width, dropout=dropout))


def build_coupled_bilstm(hidden_width: int = 100, dropout: float = 0.3) -> Stage:
    """The recurrence of Moon et al. 2018, eq. 1; `hidden_width` units per direction."""
    return Stage("encode", partial(CoupledBiLSTM, hidden_width=hidden_width, dropout=dropout))


def build_no_encoder() -> Stage:
    """Decode the fused vectors as they are."""
    return Stage("encode", NoEncoder)


def build_crf(
    segmentation: Literal["binary", "bio"] | None = None, segmentation_weight: float | None = None
) -> Stage:
    """A linear-chain CRF over BIO tags (Lafferty et al. 2001; Moon et al. 2018, eq. 2 and 3).

    segmentation: trains the network on a second task as well, which takes no part in what is
        predicted: "binary" tells of every token whether it belongs to an entity (Aguilar et al.
        2017), "bio" finds entities without their types by a CRF of its own (Liu et al. 2022). It
        reads the vectors that the fuser makes for it, where it does (CrossModal), else those of
        the encoder.
    segmentation_weight: of that task's loss, where the CRF's has 1; both are sums over the tokens
        of a post. Null for what their code has: 1 for "binary", 0.5 for "bio".
    """
    if segmentation_weight is None:
        segmentation_weight = 0.5 if segmentation == "bio" else 1.0
    if segmentation_weight < 0:
        raise ValueError(f"segmentation_weight must not be negative, got {segmentation_weight}")
    build = partial(CRF, segmentation=segmentation, segmentation_weight=segmentation_weight)
    return Stage("decode", build)
