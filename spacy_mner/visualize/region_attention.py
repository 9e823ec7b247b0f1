"""Where the tokens of an entity look: how they share their attention out among regions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from spacy.tokens import Doc, Span

from ..features import Featurizer, Featurizers, ImageFeaturizer

# Regions that are named: those with most of the attention.
N_TOLD = 4

# Key of an image → the shares of its cells, rows of columns.
Cells = dict[str, list[list[float]]]


@dataclass(frozen=True)
class Look:
    """How the tokens of one entity look at the regions of one modality, in the mean.

    modality: its name.
    told: names and shares of the regions with most of the attention, largest first.
    even: the share that each region had, were they all alike.
    cells: of each image that can be shown; empty where the regions are no cells of images.
    """

    modality: str
    told: list[tuple[str, float]]
    even: float
    cells: Cells

    @property
    def largest(self) -> float:
        """The share of the cell with most of the attention."""
        return max(share for rows in self.cells.values() for row in rows for share in row)


@dataclass
class _Layout:
    """What the regions of a post are: their names, and those that fill an image.

    grids: (first region, cells along a side, key of the image).
    """

    names: list[str] = field(default_factory=list)
    grids: list[tuple[int, int, str]] = field(default_factory=list)


def read_looks(
    doc: Doc, featurizers: Featurizers, places: Sequence[str | None]
) -> list[list[Look]]:
    """How each entity of a post looks at the regions of every modality that has some.

    doc: as the pipeline left it; where its attention is of other tokens, nothing is told.
    places: the key of each image of the post, in order; None for one that cannot be shown.
    """
    attention: Mapping[str, np.ndarray] = doc._.image_attention or {}
    layouts = {}
    for name, weights in attention.items():
        featurizer, n_regions = featurizers.by_name[name], weights.shape[1]
        layout = _layout(doc, featurizer, featurizers.images_root, places, n_regions)
        if layout.names and len(weights) == len(doc):
            layouts[name] = layout
    return [
        [_look(entity, name, attention[name], layout) for name, layout in layouts.items()]
        for entity in doc.ents
    ]


def _look(entity: Span, modality: str, attention: np.ndarray, layout: _Layout) -> Look:
    shares = attention[entity.start : entity.end].mean(axis=0)
    order = np.argsort(-shares, kind="stable")[:N_TOLD]
    cells: dict[str, np.ndarray] = {}
    for start, side, key in layout.grids:
        grid = shares[start : start + side * side].reshape(side, side)
        # A post may name an image twice, which is then shown once.
        cells[key] = cells[key] + grid if key in cells else grid
    return Look(
        modality=modality,
        told=[(layout.names[i], float(shares[i])) for i in order],
        even=1 / len(shares),
        cells={key: grid.tolist() for key, grid in cells.items()},
    )


def _layout(
    doc: Doc,
    featurizer: Featurizer,
    images_root: Path | None,
    places: Sequence[str | None],
    n_regions: int,
) -> _Layout:
    names = featurizer.region_names(doc, images_root)
    if len(names) == n_regions:
        return _Layout(names)
    if n_regions == 1:  # without a name there is nothing to tell: it gets all of the attention
        return _Layout()
    sizes = _sizes(doc, featurizer, images_root)
    # A file may have changed, or come back, since the pipeline saw it.
    if sum(sizes) == n_regions and len(sizes) == len(places):
        return _of_images(sizes, places)
    return _Layout([f"region {i}" for i in range(1, n_regions + 1)])


def _sizes(doc: Doc, featurizer: Featurizer, images_root: Path | None) -> list[int]:
    """Regions of each image; none where the regions are those of a descriptor."""
    if not isinstance(featurizer, ImageFeaturizer) or doc._.image_features is not None:
        return []
    return featurizer.regions_of(doc, images_root)


def _of_images(sizes: Sequence[int], places: Sequence[str | None]) -> _Layout:
    layout = _Layout()
    for number, (size, key) in enumerate(zip(sizes, places, strict=True), start=1):
        side = math.isqrt(size)
        if key is not None and size and side * side == size:
            layout.grids.append((len(layout.names), side, key))
        image = f"image {number}" if len(sizes) > 1 else ""
        layout.names += [", ".join(filter(None, (image, _place(i, size)))) for i in range(size)]
    return layout


def _place(index: int, size: int) -> str:
    """Where in its image a region is."""
    side = math.isqrt(size)
    if size == 1:
        return ""
    if side * side != size:
        return f"region {index + 1}"
    return f"row {index // side + 1}, column {index % side + 1}"
