"""The same pipeline for fast inference on a CPU: its pretrained encoders on ONNX Runtime."""

from __future__ import annotations

from typing import Any, Literal

from spacy.language import Language
from spacy.util import load_model_from_config

from ..errors import UsageError
from ..images.encoders.onnx_encoder import OnnxEncoder, export_image_encoder
from ..images.encoders.saved_encoder import SavedEncoder
from ..layers.embed import TransformerEmbedding
from ..models.onnx_text_encoder import ONNX_TRANSFORMER, export_text_encoder
from ..models.shim import METADATA_KEY
from ..utils.onnx_graph import check_export_packages
from ..utils.tensor_bytes import read_tensors, write_tensors
from .multimodal_ner import MultimodalNER

Precision = Literal["int8", "float32"]

TRANSFORMER = "spacy_mner.Transformer.v1"
IMAGE_ENCODER = "spacy_mner.EfficientNetLite.v1"
ONNX_ENCODER = "spacy_mner.OnnxEncoder.v1"
# Arguments of Transformer.v1 that concern prediction.
KEPT = ("width", "context", "max_length")


def optimize(nlp: Language, text_encoder: Precision = "int8") -> Language:
    """Return a copy of a pipeline whose encoders ONNX Runtime computes, for prediction alone.

    Every Transformer.v1 becomes OnnxTransformer.v1; EfficientNetLite.v1 gets runtime = "onnx", and
    every image encoder whose weights the pipeline holds becomes OnnxEncoder.v1. Everything else
    stays as it is. Both pipelines share their vocab.

    text_encoder: "int8" is twice as fast as "float32", which is exact.

    Raises UsageError if a package is missing, if an encoder cannot be exported, or if there is
    nothing to optimize.
    """
    check_export_packages()
    config = nlp.config.interpolate()
    replaced = {
        name: [
            place
            for place, block in model["embed"].items()
            if block and _replace(block, _image_encoder(nlp.get_pipe(name), place))
        ]
        for name, model in _tagger_blocks(nlp, config).items()
    }
    if not any(replaced.values()):
        raise UsageError(
            "There is nothing to optimize: no multimodal_ner of the pipeline has a Transformer.v1 "
            "or an image encoder of torch. Use the pipeline as it is."
        )
    optimized = load_model_from_config(config, vocab=nlp.vocab)
    others = nlp.to_bytes(exclude=["vocab", "config", *replaced])
    optimized.from_bytes(others, exclude=["vocab", "config", *replaced])
    for name, places in replaced.items():
        source: Any = nlp.get_pipe(name)
        target: Any = optimized.get_pipe(name)
        _transfer(source, target, places, text_encoder)
    return optimized


def _tagger_blocks(nlp: Language, config: Any) -> dict[str, dict[str, Any]]:
    """The block `model` of each component that has one of ours."""
    return {
        name: config["components"][name]["model"]
        for name in nlp.pipe_names
        if isinstance(nlp.get_pipe(name), MultimodalNER)
        and "embed" in config["components"][name]["model"]
    }


def _image_encoder(component: Any, place: str) -> SavedEncoder | None:
    """The image encoder of a modality if the pipeline holds its weights, for torch."""
    encoder = component.model.attrs["featurizers"].by_name[place].saved_encoder
    return None if isinstance(encoder, OnnxEncoder) else encoder


def _replace(block: dict[str, Any], image_encoder: SavedEncoder | None) -> bool:
    """Change a block of a modality, if there is something to optimize."""
    if block.get("@architectures") == TRANSFORMER:
        kept = {key: block[key] for key in KEPT if key in block}
        block.clear()
        block.update({"@architectures": ONNX_TRANSFORMER, **kept})
        return True
    if image_encoder is not None:
        block["encoder"] = {"@image_encoders": ONNX_ENCODER, "regions": image_encoder.regions}
        return True
    encoder = block.get("encoder") or {}
    if encoder.get("@image_encoders") == IMAGE_ENCODER:
        encoder["runtime"] = "onnx"
        return True
    return False


def _transfer(
    source: MultimodalNER, target: MultimodalNER, places: list[str], text_encoder: Precision
) -> None:
    """Load a component's parts into its optimized copy, with its encoders as ONNX."""
    contents = dict(source._saved({"vocab"}).dump())
    for place in places:
        if encoder := _image_encoder(source, place):
            contents[f"{place}_encoder.safetensors"] = export_image_encoder(encoder)
    name = "network.safetensors"
    contents[name] = _converted(source, contents[name], places, text_encoder)
    for part, saved in target._saved({"vocab"}).parts.items():
        saved.load(contents[part])


def _converted(
    component: MultimodalNER, network: bytes, places: list[str], text_encoder: Precision
) -> bytes:
    weights, cfg = read_tensors(network, METADATA_KEY)
    shim: Any = component.model.shims[0]
    for place in places:
        embedder = shim.network.embed[place]
        if not isinstance(embedder, TransformerEmbedding):
            continue
        with_types = cfg["dims"][place]["config"].get("type_vocab_size", 0) > 1
        graph = export_text_encoder(
            embedder.encoder, with_types=with_types, quantize=text_encoder == "int8"
        )
        prefix = f"embed.{place}.encoder."
        weights = {key: value for key, value in weights.items() if not key.startswith(prefix)}
        weights[f"{prefix}graph"] = graph
        cfg["dims"][place]["graph_bytes"] = len(graph)
    return write_tensors(weights, METADATA_KEY, cfg)
