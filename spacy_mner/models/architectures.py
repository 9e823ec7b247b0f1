"""The registered architectures: each function builds an object from its config block."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, Literal

from thinc.api import Model

from ..errors import UsageError
from ..features import (
    AugmentationFeaturizer,
    CharacterFeaturizer,
    ImageFeaturizer,
    ObjectFeaturizer,
    StoredVectorsFeaturizer,
    TransformerFeaturizer,
    WordFeaturizer,
)
from ..images.encoders.image_encoder import ImageEncoder
from ..images.feature_cache import FeatureCache
from ..layers.decode import CRF
from ..layers.embed import (
    CharBiLSTM,
    CharCNN,
    ImageEmbedding,
    ObjectEmbedding,
    SemanticAugmentation,
    StoredVectors,
    Tok2VecEmbedding,
    WordVectors,
)
from ..layers.encode import BiLSTM, CoupledBiLSTM, NoEncoder
from ..layers.fuse import Concatenate, CrossModal, ModalityAttention
from .load_vectors import load_vectors
from .tagger import TOK2VEC, Modality, Stage, TaggerModel, multimodal_tagger
from .text_encoder import build_transformer_embedding, load_weights

TRANSFORMER = "spacy_mner.Transformer.v1"

# Of each stage, for messages.
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
    saved_precision: Literal["float32", "float16"] = "float32",
) -> TaggerModel:
    """The tagger: embed, fuse, encode, decode, each from its block of the config.

    embed: modality name to modality. A modality that is null is left out, so that one config
        also serves for a model without it (`--components.….model.embed.image null`).
    tok2vec: any spaCy tok2vec or listener; it is one more modality with the name "tok2vec".
    tok2vec_width: its vectors are projected to this width, that of the other modalities.
    mixed_precision: compute the network in bfloat16, on CUDA and on CPUs with AVX-512 BF16; no
        effect elsewhere. The CRF computes in float32.
    saved_precision: type in which the weights are saved; float16 halves the size of a pipeline. A
        loaded network computes in float32.

    Raises ValueError for a block of another kind.
    """
    modalities = {name: modality for name, modality in embed.items() if modality is not None}
    _check_modalities(modalities, tok2vec)
    return multimodal_tagger(
        modalities,
        tok2vec=tok2vec,
        tok2vec_embedder=partial(Tok2VecEmbedding, width=tok2vec_width, dropout=0.0),
        fuse=_checked("fuse", fuse),
        encode=_checked("encode", encode),
        decode=_checked("decode", decode),
        mixed_precision=mixed_precision,
        saved_precision=saved_precision,
    )


def _checked(stage: str, block: Any) -> Stage:
    """The block of a stage. Confection does not check its type."""
    if isinstance(block, Stage) and block.stage == stage:
        return block
    found = type(block).__name__
    if isinstance(block, Stage):
        found = f"{block.name}. Move it to model.{block.stage}"
    raise ValueError(f"model.{stage} expects a block such as {EXAMPLES[stage]}, got {found}.")


def _check_modalities(embed: dict[str, Any], tok2vec: Model | None) -> None:
    if not embed and tok2vec is None:
        raise ValueError("model.embed has no modality: add one, or a model.tok2vec.")
    for name, modality in embed.items():
        if not isinstance(modality, Modality):
            raise ValueError(
                f"model.embed.{name} expects a modality such as spacy_mner.WordVectors.v1, got "
                f"{type(modality).__name__}."
            )
        if not name.isidentifier() or name == TOK2VEC:
            raise ValueError(
                f"model.embed: {name!r} cannot be the name of a modality. Use letters, digits and "
                f"underscores; {TOK2VEC!r} is reserved for model.tok2vec."
            )


def build_default_tagger() -> TaggerModel:
    """Word + character + image, fused by modality attention: the default model of the factory.

    It takes no blocks: spaCy merges the default model of a factory into a config block of the same
    architecture, which would bring back a modality that the config leaves out.
    """
    from ..images.encoders.efficientnet_lite import EfficientNetLite

    return build_multimodal_tagger(
        embed={
            "word": build_word_vectors(),
            "char": build_char_bilstm(),
            "image": build_image_embedding(encoder=EfficientNetLite()),
        },
        fuse=build_modality_attention(),
        encode=build_bilstm(),
        decode=build_crf(),
    )


def build_word_vectors(width: int = 150, dropout: float = 0.3, finetune: bool = True) -> Modality:
    """Pretrained word vectors of the pipeline's vocab, or a learned table where it has none.

    width: of the output, per token.
    finetune: learn an offset from the pretrained vector for each word that occurs at least twice
        in training; the vectors in the vocab do not change.
    """
    featurizer = WordFeaturizer(finetune=finetune)
    embedder = partial(WordVectors, width=width, dropout=dropout)
    return Modality("spacy_mner.WordVectors.v1", featurizer, embedder)


def build_stored_vectors(
    path: str | None,
    max_words: int = 100_000,
    width: int = 150,
    dropout: float = 0.3,
    finetune: bool = True,
) -> Modality:
    """Pretrained word vectors that are saved with the component, rounded to 21 values per word.

    For pipelines that are shared: they need no vectors in the vocab. The vectors are read when the
    model is initialized.

    path: of a folder that `spacy init vectors` writes, or an installed pipeline with vectors.
    max_words: number of words from the top of the table, which is usually sorted by frequency.
    width, dropout, finetune: as in spacy_mner.WordVectors.v1.
    """
    featurizer = StoredVectorsFeaturizer(path, max_words=max_words, finetune=finetune)
    embedder = partial(StoredVectors, width=width, dropout=dropout)
    pretrain = partial(load_vectors, path=path, max_words=max_words)
    return Modality("spacy_mner.StoredVectors.v1", featurizer, embedder, pretrain)


def build_char_bilstm(
    width: int = 150, character_width: int = 25, dropout: float = 0.3, max_characters: int = 40
) -> Modality:
    """A BiLSTM over the characters of each token (Lample et al. 2016).

    width: of the output, per token; even, half for each direction.
    max_characters: of a longer token, only the first and last characters are used.
    """
    featurizer = CharacterFeaturizer(max_characters=max_characters)
    embedder = partial(CharBiLSTM, width=width, character_width=character_width, dropout=dropout)
    return Modality("spacy_mner.CharBiLSTM.v1", featurizer, embedder)


def build_char_cnn(
    width: int = 150,
    character_width: int = 30,
    window: int = 3,
    dropout: float = 0.3,
    max_characters: int = 40,
) -> Modality:
    """A convolution over the characters of each token, maximum over time (Ma & Hovy 2016).

    width: of the output, per token: the number of filters.
    window: width of a filter, in characters.
    max_characters: of a longer token, only the first and last characters are used.
    """
    featurizer = CharacterFeaturizer(max_characters=max_characters)
    embedder = partial(
        CharCNN, width=width, character_width=character_width, window=window, dropout=dropout
    )
    return Modality("spacy_mner.CharCNN.v1", featurizer, embedder)


def build_transformer(
    name: str,
    revision: str | None = None,
    width: int | None = None,
    dropout: float = 0.1,
    context: bool = False,
    max_length: int = 256,
    freeze: bool = False,
) -> Modality:
    """A text encoder of Hugging Face, fine-tuned with the network; needs the extra `transformers`.

    Its learning rate is `encoder_learn_rate` of spacy_mner.AdamW.v1.

    name: of a model on the hub, or a folder. It is loaded when the model is initialized; a saved
        pipeline holds the weights and the tokenizer.
    revision: branch, tag or commit on the hub; null for the default branch.
    width: of the output, per token; null for the width of the encoder.
    context: append `doc._.image_text` to the post as a second text.
    max_length: of the input, in word pieces, but no more than the encoder supports; a longer post
        is encoded in overlapping segments.
    freeze: do not train the encoder.
    """
    featurizer = TransformerFeaturizer(
        name, revision=revision, context=context, max_length=max_length
    )
    embedder = partial(build_transformer_embedding, width=width, dropout=dropout, freeze=freeze)
    pretrain = partial(load_weights, name=name, revision=revision)
    return Modality(TRANSFORMER, featurizer, embedder, pretrain)


def build_semantic_augmentation(width: int = 384, n: int = 4, dropout: float = 0.1) -> Modality:
    """The vectors of the words most similar to a token's word (Nie et al. 2020).

    width: of the output, per token.
    n: similar words, by the cosine of the pipeline's word vectors.
    """
    embedder = partial(SemanticAugmentation, width=width, dropout=dropout)
    return Modality("spacy_mner.SemanticAugmentation.v1", AugmentationFeaturizer(n=n), embedder)


def build_image_embedding(
    encoder: ImageEncoder | None,
    width: int = 150,
    dropout: float = 0.5,
    bottleneck: int | None = 16,
    memory_mb: int = 256,
) -> Modality:
    """The regions of the images of a post, or of its precomputed descriptor.

    encoder: a frozen image encoder; null where posts have `doc._.image_features`.
    width: of the output, per region.
    bottleneck: width of a layer before the output, which limits overfitting; null for none.
    memory_mb: size of the cache of encoded images in memory, in MiB.
    """
    cache = None if encoder is None else FeatureCache(encoder, memory_mb=memory_mb)
    embedder = partial(ImageEmbedding, width=width, dropout=dropout, bottleneck=bottleneck)
    return Modality("spacy_mner.ImageEmbedding.v1", ImageFeaturizer(cache), embedder)


def build_object_embedding(width: int = 384, n: int = 5, dropout: float = 0.1) -> Modality:
    """The objects of a post, `doc._.image_objects`, which the component `image_objects` sets.

    width: of the output, per object.
    n: objects of a post, those with the highest scores.
    """
    embedder = partial(ObjectEmbedding, width=width, dropout=dropout)
    return Modality("spacy_mner.ObjectEmbedding.v2", ObjectFeaturizer(n=n), embedder)


def build_object_embedding_v1(
    detector: Any = None, width: int = 384, n: int = 5, dropout: float = 0.1, memory_mb: int = 64
) -> Modality:
    """`spacy_mner.ObjectEmbedding.v2` in pipelines that were saved under this name.

    detector, memory_mb: not supported and not used any more.
    """
    if detector is not None:
        raise UsageError(
            "spacy_mner.ObjectEmbedding.v1 does not detect objects any more: set its detector to "
            "null, and add the component image_objects with this detector before the tagger."
        )
    return replace(build_object_embedding(width, n, dropout), name="spacy_mner.ObjectEmbedding.v1")


def build_modality_attention(
    dropout: float = 0.5,
    bounded: bool = False,
    combine: Literal["sum", "concatenate"] = "concatenate",
    skip_unknown: bool = True,
) -> Stage:
    """Weight the modalities per token (Moon et al. 2018, eq. 4).

    The defaults gave the best results on dev data. The equation as printed is `bounded = true`,
    `combine = "sum"` and `skip_unknown = false`.

    bounded: apply a sigmoid to the scores before the softmax. It keeps the weight of one among
        three modalities between 0.155 and 0.576.
    combine: add the weighted modalities, or concatenate them.
    skip_unknown: mask the word modality at tokens without a vector.
    """
    build = partial(
        ModalityAttention,
        dropout=dropout,
        bounded=bounded,
        combine=combine,
        skip_unknown=skip_unknown,
    )
    return Stage("fuse", "spacy_mner.ModalityAttention.v1", build)


def build_concatenate(dropout: float = 0.5) -> Stage:
    """Concatenate the modalities, with a learned vector in place of a missing one."""
    return Stage("fuse", "spacy_mner.Concatenate.v1", partial(Concatenate, dropout=dropout))


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
    """Cross-modal attention between tokens and image regions (Liu et al. 2022).

    It contains self-attention over the tokens; as published, `spacy_mner.NoEncoder.v1` follows.

    width: of all layers; with the width of the text encoder, its vectors need no projection.
    heads, feedforward: of each transformer layer; as published 12, and 4 times the width.
    grid, objects: names of the modalities with image regions and with objects. A granularity is
        left out where its modality is missing or null.
    augmentation: name of the modality of `augmentation_gate`.
    grid_gate, objects_gate: combine the two attention paths by a learned gate, or by their mean.
    augmentation_gate: combine the augmentation with the other token vectors by a learned gate;
        without it they are added.
    region_first: the second attention path, whose regions have attended to the tokens.
    auxiliary: a transformer layer for `segmentation` of the decoder.
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
    return Stage("fuse", "spacy_mner.CrossModal.v1", build)


def build_bilstm(hidden_width: int = 100, dropout: float = 0.3) -> Stage:
    """A bidirectional LSTM over the tokens of a post, `hidden_width` units per direction."""
    build = partial(BiLSTM, hidden_width=hidden_width, dropout=dropout)
    return Stage("encode", "spacy_mner.BiLSTM.v1", build)


def build_coupled_bilstm(hidden_width: int = 100, dropout: float = 0.3) -> Stage:
    """The BiLSTM of Moon et al. 2018, eq. 1, `hidden_width` units per direction."""
    build = partial(CoupledBiLSTM, hidden_width=hidden_width, dropout=dropout)
    return Stage("encode", "spacy_mner.CoupledBiLSTM.v1", build)


def build_no_encoder() -> Stage:
    """No encoder: the decoder gets the fused vectors."""
    return Stage("encode", "spacy_mner.NoEncoder.v1", NoEncoder)


def build_crf(
    segmentation: Literal["binary", "bio"] | None = None, segmentation_weight: float | None = None
) -> Stage:
    """A linear-chain CRF over BIO tags (Lafferty et al. 2001; Moon et al. 2018, eq. 2 and 3).

    segmentation: an auxiliary task in training: "binary" classifies each token as part of an
        entity or not (Aguilar et al. 2017), "bio" is a CRF over entities without labels (Liu et
        al. 2022). Its input is the auxiliary output of the fuser where there is one (CrossModal),
        else that of the encoder. It does not affect predictions.
    segmentation_weight: of the loss of that task; the loss of the CRF has weight 1, and both are
        sums over the tokens of a post. Null for the published values: 1 for "binary", 0.5 for
        "bio".
    """
    if segmentation_weight is None:
        segmentation_weight = 0.5 if segmentation == "bio" else 1.0
    if segmentation_weight < 0:
        raise ValueError(f"segmentation_weight must not be negative, got {segmentation_weight}.")
    build = partial(CRF, segmentation=segmentation, segmentation_weight=segmentation_weight)
    return Stage("decode", "spacy_mner.CRF.v1", build)
