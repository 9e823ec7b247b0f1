"""The config blocks that a network was built from, as a saved pipeline records them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

# They do not affect what a trained network predicts, so that a saved config may change them.
TRAINING_ONLY = frozenset({"dropout", "freeze", "segmentation_weight"})

# Torch accepts a size of 0, and such a layer learns nothing.
SIZES = ("width", "hidden_width", "character_width", "window", "bottleneck", "heads", "feedforward")

# "name", registered, and "arguments": only types that JSON has.
ConfigBlock = dict[str, Any]


def describe_block(
    name: str, build: Callable, settings: Mapping[str, Any] | None = None
) -> ConfigBlock:
    """The registered name and the arguments of a block of the config.

    build: a partial function, whose keywords are arguments of the block.
    settings: more arguments of the same block.

    Objects such as image encoders are left out: external resources have fingerprints.
    """
    arguments = dict(settings or {})
    while isinstance(build, partial):
        arguments = {**build.keywords, **arguments}
        build = build.func
    kept = {k: v for k, v in arguments.items() if k not in TRAINING_ONLY and _is_plain(v)}
    return {"name": name, "arguments": kept}


def check_sizes(blocks: Mapping[str, ConfigBlock]) -> None:
    """Raise ValueError for a size below 1; null is a size that is determined elsewhere.

    blocks: place in the config to the block there.
    """
    for place, block in blocks.items():
        for name in SIZES:
            size = block["arguments"].get(name)
            if size is not None and size < 1:
                path = "tok2vec_width" if place == "tok2vec" else f"{place}.{name}"
                raise ValueError(f"model.{path} must be at least 1, got {size}.")


def find_difference(
    saved: Mapping[str, ConfigBlock], built: Mapping[str, ConfigBlock]
) -> str | None:
    """The first difference between the blocks of a saved pipeline and those of a config, in words.

    Arguments that only one side has are not compared: a later release may add or remove some, and
    its builders keep the meaning of configs that do not have them.
    """
    for place in sorted({*saved, *built}):
        old, new = saved.get(place), built.get(place)
        if old is None or new is None or old["name"] != new["name"]:
            names = (one["name"] if one else "nothing" for one in (old, new))
            return "model.{}: trained with {}, the config has {}".format(place, *names)
        arguments = old["arguments"], new["arguments"]
        for key in sorted(arguments[0].keys() & arguments[1].keys()):
            before, after = (_listed(one[key]) for one in arguments)
            if before != after:
                return f"model.{place}.{key}: trained with {before!r}, the config has {after!r}"
    return None


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (str, int, float))


def _listed(value: Any) -> Any:
    """JSON has no tuples."""
    return [_listed(one) for one in value] if isinstance(value, (list, tuple)) else value
