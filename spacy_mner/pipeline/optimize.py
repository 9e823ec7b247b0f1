"""The same pipeline for fast inference on a CPU: its pretrained encoders on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from inspect import signature
from typing import Any, Literal, cast

from packaging.requirements import Requirement
from spacy.language import Language
from spacy.util import load_model_from_config

from ..errors import UsageError
from ..features import Featurizer, ImageFeaturizer
from ..images.encoders.efficientnet_lite import EfficientNetLite
from ..images.encoders.onnx_encoder import ONNX_ENCODER, OnnxEncoder, export_image_encoder
from ..images.encoders.saved_encoder import SavedEncoder
from ..models.architectures import TRANSFORMER
from ..models.onnx_text_encoder import (
    ONNX_TRANSFORMER,
    build_onnx_transformer,
    convert_text_encoders,
)
from ..utils.requirements import requirements_of
from .multimodal_ner import MultimodalNER
from .saving import NETWORK, encoder_file

Precision = Literal["int8", "float32"]
Block = dict[str, Any]


def optimize(nlp: Language, text_encoder: Precision = "int8") -> Language:
    """Return a copy of a pipeline whose encoders ONNX Runtime computes, for prediction alone.

    Every Transformer.v1 becomes OnnxTransformer.v1; EfficientNetLite.v1 gets runtime = "onnx", and
    every image encoder whose weights the pipeline holds becomes OnnxEncoder.v1. Everything else
    stays as it is, but `requirements` of the meta has the packages that running needs. Both
    pipelines share their vocab.

    text_encoder: "int8" is faster than "float32", which is exact.

    Raises UsageError if a package is missing, if an encoder cannot be exported, or if there is
    nothing to optimize.
    """
    config = nlp.config.interpolate()
    replaced: dict[str, dict[str, Block]] = {}
    for name, tagger in nlp.components:
        if isinstance(tagger, MultimodalNER):
            embed = config["components"][name]["model"].get("embed", {})
            if blocks := _optimized_blocks(tagger, embed):
                replaced[name] = blocks
                embed.update(blocks)
    if not replaced:
        raise UsageError(
            "There is nothing to optimize: no multimodal_ner of the pipeline has a Transformer.v1 "
            "or an image encoder of torch. Use the pipeline as it is."
        )
    optimized = load_model_from_config(config, vocab=nlp.vocab)
    separate = ["vocab", "config", *replaced]
    optimized.from_bytes(nlp.to_bytes(exclude=separate), exclude=separate)
    for name, blocks in replaced.items():
        source, target = (cast(MultimodalNER, one.get_pipe(name)) for one in (nlp, optimized))
        _transfer(source, target, blocks, quantize=text_encoder == "int8")
    has_text = any(_text_encoders(blocks) for blocks in replaced.values())
    _require(optimized, ["onnxruntime", *["tokenizers"] * has_text])
    return optimized


def _optimized_blocks(tagger: MultimodalNER, embed: Mapping[str, Block | None]) -> dict[str, Block]:
    """The blocks of the modalities where there is something to optimize, with the changes."""
    featurizers = tagger.model.attrs["featurizers"].by_name
    used = {place: block for place, block in embed.items() if block}
    found = {place: _optimized_block(block, featurizers[place]) for place, block in used.items()}
    return {place: block for place, block in found.items() if block is not None}


def _optimized_block(block: Block, featurizer: Featurizer) -> Block | None:
    if block["@architectures"] == TRANSFORMER:
        kept = signature(build_onnx_transformer).parameters.keys() & block.keys()
        return {"@architectures": ONNX_TRANSFORMER, **{key: block[key] for key in sorted(kept)}}
    encoder = featurizer.encoder if isinstance(featurizer, ImageFeaturizer) else None
    if isinstance(encoder, EfficientNetLite) and encoder.runtime != "onnx":
        return {**block, "encoder": {**block["encoder"], "runtime": "onnx"}}
    if isinstance(encoder, SavedEncoder) and not isinstance(encoder, OnnxEncoder):
        converted = {"@image_encoders": ONNX_ENCODER, "regions": encoder.regions}
        return {**block, "encoder": converted}
    return None


def _text_encoders(blocks: Mapping[str, Block]) -> list[str]:
    """The modalities that have a text encoder, among optimized blocks."""
    return [one for one, block in blocks.items() if block["@architectures"] == ONNX_TRANSFORMER]


def _transfer(
    source: MultimodalNER, target: MultimodalNER, replaced: Mapping[str, Block], *, quantize: bool
) -> None:
    """Load a component's files into its optimized copy, with its encoders as ONNX.

    replaced: the modalities whose blocks differ.
    """
    contents = {file: part.dump() for file, part in source.saved({"vocab"}).parts.items()}
    for name, encoder in source.model.attrs["featurizers"].saved_encoders.items():
        if name in replaced:
            contents[encoder_file(name)] = export_image_encoder(encoder)
    contents[NETWORK] = convert_text_encoders(
        source.model, _text_encoders(replaced), quantize=quantize
    )
    for file, part in target.saved({"vocab"}).parts.items():
        part.load(contents[file])


def _require(nlp: Language, packages: Collection[str]) -> None:
    """Add packages to the requirements of a pipeline, which `spacy package` declares."""
    present = nlp.meta.get("requirements", [])
    missing = {*packages} - {Requirement(one).name for one in present}
    nlp.meta["requirements"] = [*present, *requirements_of("onnx", missing)]
