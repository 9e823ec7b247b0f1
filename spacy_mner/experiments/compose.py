"""Complete configs from a template by small overrides."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from spacy.util import CONFIG_SECTION_ORDER, registry
from thinc.api import Config

# Dotted path of the config → what stands there: a value, null, or a whole block.
Overrides = Mapping[str, Any]


def compose(*layers: Overrides, template: str = "base") -> Config:
    """A template with overrides, the later ones above the earlier.

    template: one of those that `spacy-mner init --kind` writes.

    A block replaces what stands at its path. Where it names another function, arguments that both
    know and that the block does not name stay as they were (a CharCNN in place of a CharBiLSTM
    keeps its width and dropout); the rest have their defaults, so that the config is complete.
    Variables such as `${paths.train}` stay variables.
    Raises ValueError for a path that the config does not have.
    """
    config = template_config(template)
    for overrides in layers:
        for path, value in overrides.items():
            _override(config, path, value)
    return config


def template_config(template: str) -> Config:
    """The config that `spacy-mner init` writes, variables unresolved."""
    path = files("spacy_mner") / "templates" / f"{template}.cfg"
    text = path.read_text(encoding="utf-8")
    return Config(section_order=CONFIG_SECTION_ORDER).from_str(text, interpolate=False)


def modalities_of(config: Config) -> dict[str, Any]:
    """The blocks of the modalities by name; None for one that is left out."""
    embed: dict[str, Any] = config["components"]["multimodal_ner"]["model"]["embed"]
    return embed


def _override(config: Config, path: str, value: Any) -> None:
    *parents, name = path.split(".")
    block: Any = config
    for parent in parents:
        block = block.get(parent) if isinstance(block, dict) else None
    if not isinstance(block, dict) or name not in block:
        raise ValueError(f"The config has no {path} to override.")
    block[name] = _fill(value, block[name]) if isinstance(value, Mapping) else value


def _fill(block: Mapping[str, Any], old: Any) -> dict[str, Any]:
    given = copy.deepcopy(dict(block))
    filled = dict(registry.fill({"block": given}, validate=False)["block"])
    shared = old if isinstance(old, dict) else {}
    kept = {name: shared[name] for name in filled if name in shared and name not in block}
    return {**filled, **kept}


def flatten(block: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested blocks as one mapping from dotted path to value; an empty block is left out."""
    flat: dict[str, Any] = {}
    for name, value in block.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value
    return flat
