"""SavedSettings: attributes of a component that users change on it and that are saved with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class SavedSettings:
    """Settings of a component, as a saved pipeline holds them.

    component: has each setting as an attribute, set from the config.
    names: of the settings.
    """

    def __init__(self, component: object, names: Sequence[str]) -> None:
        self.component, self.names = component, names
        self.configured = self.values

    @property
    def values(self) -> dict[str, Any]:
        values = {name: getattr(self.component, name) for name in self.names}
        return {k: str(v) if isinstance(v, Path) else v for k, v in values.items()}

    def to_json(self) -> dict[str, dict[str, Any]]:
        return {"settings": self.values, "configured": self.configured}

    def from_json(self, saved: Mapping[str, Mapping[str, Any]]) -> None:
        """Set what `to_json` returned, but not what the config of the load overrides."""
        for name, value in saved["settings"].items():
            # A setting that differs from the config it was saved with was overridden at load.
            if self.configured[name] == saved["configured"][name]:
                setattr(self.component, name, value)
