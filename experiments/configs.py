"""Complete training configs: a template with the overlays of a setting, a user and a system."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import srsly
from spacy.util import dot_to_dict, load_config
from thinc.api import Config

from spacy_mner.errors import UsageError

HERE = Path(__file__).parent
MODEL = "components.multimodal_ner.model"
DATA = srsly.read_yaml(HERE / "systems.yml")
TABLES: Mapping[str, Any] = DATA["tables"]
TEMPLATES = {name: template for template, found in DATA["systems"].items() for name in found}
SETTINGS = ("modern", "paper")
# Learning rates rise for at most this share of the steps.
MAX_WARMUP = 0.2


def system_of(variant: str) -> tuple[str, float]:
    """Return the system of a variant and its share of the word vectors: "w-keep75" → "w", 0.75."""
    system, _, share = variant.partition("-keep")
    return system, int(share or 100) / 100


def describe_system(name: str) -> tuple[str, str]:
    """Return the modalities and the title of a system."""
    modalities, title, *_ = DATA["systems"][TEMPLATES[name]][name]
    return modalities, title


def compose(
    name: str,
    setting: str = "modern",
    overrides: Mapping[str, Any] | None = None,
    attributes: Collection[str] = (),
) -> Config:
    """Return the config of a system, its variables unresolved.

    overrides: dotted path → value; the overlays of the system are merged on top of them.
    attributes: image attributes of the training posts; descriptors (`image_features`) and objects
        (`image_objects`) replace the image encoder and the component `image_objects`.
    """
    template = TEMPLATES[name]
    config = read_config(Path(str(files("spacy_mner"))) / "templates" / f"{template}.cfg")
    if setting == "paper":
        if template != "base":
            raise UsageError("--setting paper is for the systems of Moon et al. 2018.")
        config = config.merge(read_config(HERE / "paper.cfg"))
    config = config.merge(dot_to_dict(dict(overrides or {})))
    for overlay in DATA["systems"][template][name][2:]:
        paths = {f"{MODEL}.{path}": value for path, value in DATA["overlays"][overlay].items()}
        config = config.merge(dot_to_dict(paths))
    # An interrupted run starts over, so that its checkpoints need not survive a kill.
    config["training"]["before_to_disk"] = None
    embed = modalities(config)
    if "image" in embed and "image_features" in attributes:
        embed["image"]["encoder"] = None
    if "objects" in embed and "image_objects" not in attributes:
        # An image classifier that needs no download.
        config["components"]["image_objects"] = {"factory": "image_objects"}
        config["nlp"]["pipeline"] = ["image_objects", *config["nlp"]["pipeline"]]
        config["training"]["annotating_components"] = ["image_objects"]
        cache = {"image_cache": "${paths.image_cache}"}
        config["initialize"]["components"]["image_objects"] = cache
    return config


def read_config(path: Path) -> Config:
    """Return a config, its variables unresolved."""
    return load_config(path, interpolate=False)


def modalities(config: Config) -> dict[str, Any]:
    """Return the blocks of the modalities that a config reads, by name."""
    embed = config["components"]["multimodal_ner"]["model"]["embed"]
    return {name: block for name, block in embed.items() if block is not None}


def reads_images(config: Config) -> bool:
    """Whether anything about an image is an input: regions, objects, or text about it."""
    embed = modalities(config)
    return bool({"image", "objects"} & set(embed)) or _reads_text(embed)


def _reads_text(embed: Mapping[str, Any]) -> bool:
    """Whether text about the image is an input."""
    return "match" in embed or bool(embed.get("text", {}).get("context"))


def missing_inputs(config: Config, attributes: Collection[str]) -> str:
    """Describe the inputs of a config that a corpus lacks; empty where it has them all."""
    embed, missing = modalities(config), []
    if "image" in embed and not {"image", "image_features"} & set(attributes):
        missing.append("images (convert --images-root) or descriptors (convert --features)")
    if "objects" in embed and not {"image", "image_objects"} & set(attributes):
        missing.append("images or doc._.image_objects")
    if _reads_text(embed) and "image_text" not in attributes:
        missing.append("doc._.image_text (convert --captions)")
    needs_vectors = "augmentation" in embed or {"text", "word"} <= set(embed)
    if needs_vectors and not config["paths"]["vectors"]:
        missing.append("word vectors (--paths.vectors)")
    return " and ".join(missing)


def set_budget(config: Config, n_posts: int, epochs: int | None) -> int:
    """Set the number of epochs in place and return it; None keeps that of the config.

    Dev is scored at least once per epoch. A config that counts steps has its schedules scaled.
    """
    training = config["training"]
    steps = math.ceil(n_posts / training["batcher"]["size"])
    # Steps count from 0.
    training["eval_frequency"] = min(training["eval_frequency"], max(1, steps - 1))
    if not training["max_steps"]:
        training["max_epochs"] = epochs or training["max_epochs"]
        return int(training["max_epochs"])
    if epochs is None:
        return math.ceil(training["max_steps"] / steps)
    training["max_steps"] = total = epochs * steps
    training["eval_frequency"] = steps
    for rate in training["optimizer"].values():
        if isinstance(rate, dict) and "total_steps" in rate:
            rate["total_steps"] = total
            rate["warmup_steps"] = min(rate["warmup_steps"], max(1, int(MAX_WARMUP * total)))
    return epochs
