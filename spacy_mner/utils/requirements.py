"""What the extras of this package require."""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import requires

from packaging.requirements import Requirement


def requirements_of(extra: str, packages: Collection[str]) -> list[str]:
    """Return the requirements on some packages, as an extra of setup.cfg has them.

    Without markers of their own. Raises PackageNotFoundError if spacy-mner is not installed.
    """
    found = [Requirement(line) for line in requires("spacy-mner") or []]
    return [
        f"{one.name}{one.specifier}"
        for one in found
        if one.name in packages and one.marker and one.marker.evaluate({"extra": extra})
    ]
