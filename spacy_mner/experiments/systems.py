"""All systems by name, and the settings that they are trained in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thinc.api import Config

from ..errors import CorpusError
from . import liu, moon
from .compose import Overrides, compose

SYSTEMS = {system.key: system for system in (*moon.SYSTEMS, *liu.SYSTEMS)}
# Template → its settings by name. "modern" is the template as it is.
SETTINGS: Mapping[str, Mapping[str, Overrides]] = {
    "base": {"modern": {}, "paper": moon.PAPER},
    "trf": {"modern": {}},
}
# Template → the paper that it follows.
PAPERS = {"base": "Moon et al. 2018", "trf": "Liu et al. 2022"}


def system_config(system: str, setting: str = "modern") -> Config:
    """The complete config of a system by name; variables unresolved.

    setting: "modern", the template as it is, or "paper", sizes and optimizer of Moon et al. 2018.
    Raises CorpusError for a name that there is not.
    """
    found = find(SYSTEMS, system, "system")
    return compose(setting_of(found.template, setting), found.overrides, template=found.template)


def setting_of(template: str, name: str) -> Overrides:
    """What a setting changes of a template. Raises CorpusError where there is none of the name."""
    return find(SETTINGS[template], name, "setting")


def find(known: Mapping[str, Any], name: str, kind: str) -> Any:
    """What a name stands for. Raises CorpusError, with the names there are."""
    if name not in known:
        raise CorpusError(f"There is no {kind} {name!r}; there is {', '.join(known)}.")
    return known[name]
