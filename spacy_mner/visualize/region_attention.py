"""Attention of entities over image regions, as shares per region and as cells of an image grid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from spacy.tokens import Doc, Span

from ..features import Featurizer, Featurizers, ImageFeaturizer

# Regions listed by name, those with the largest shares.
N_TOP_REGIONS = 4

# Key of an image → the shares of its cells, as rows of columns.
Cells = dict[str, list[list[float]]]


@dataclass(frozen=True)
class RegionAttention:
    """Attention of one entity over the regions of one modality, the mean over its tokens.

    top_regions: names and shares of the regions with the largest shares, in descending order.
    uniform: the share of a region under uniform attention.
    cells: the shares as a grid for each image that can be shown; empty where the regions are not
        the cells of a square grid.
    """

    modality: str
    top_regions: list[tuple[str, float]]
    uniform: float
    cells: Cells

    @property
    def largest(self) -> float:
        """The largest share of a cell."""
        return max(share for rows in self.cells.values() for row in rows for share in row)


@dataclass
class RegionLayout:
    """The regions of a post: their names, and the images that they tile.

    grids: (index of the first region, cells per side, key of the image).
    """

    names: list[str] = field(default_factory=list)
    grids: list[tuple[int, int, str]] = field(default_factory=list)


def region_attention(
    doc: Doc, featurizers: Featurizers, image_keys: Sequence[str | None]
) -> list[list[RegionAttention]]:
    """Return the attention of each entity over the regions of each modality that has regions.

    doc: as predicted; the lists are empty if a later component changed its tokens.
    featurizers: give the names of regions, and the grids of images; without, regions are numbered.
    image_keys: the key of each image of the post, in order; None for one that cannot be shown.
    """
    attention: Mapping[str, np.ndarray] = doc._.image_attention or {}
    layouts = {}
    for name, weights in attention.items():
        featurizer, n_regions = featurizers.by_name.get(name), weights.shape[1]
        layout = region_layout(doc, featurizer, image_keys, n_regions)
        if layout.names and len(weights) == len(doc):
            layouts[name] = layout
    return [
        [_of_entity(entity, name, attention[name], layout) for name, layout in layouts.items()]
        for entity in doc.ents
    ]


def _of_entity(
    entity: Span, modality: str, attention: np.ndarray, layout: RegionLayout
) -> RegionAttention:
    shares = attention[entity.start : entity.end].mean(axis=0)
    top = np.argsort(-shares, kind="stable")[:N_TOP_REGIONS]
    cells: dict[str, np.ndarray] = {}
    for start, side, key in layout.grids:
        grid = shares[start : start + side * side].reshape(side, side)
        # The page shows an image once even if the post refers to it twice.
        cells[key] = cells[key] + grid if key in cells else grid
    return RegionAttention(
        modality=modality,
        top_regions=[(layout.names[i], float(shares[i])) for i in top],
        uniform=1 / len(shares),
        cells={key: grid.tolist() for key, grid in cells.items()},
    )


def region_layout(
    doc: Doc, featurizer: Featurizer | None, image_keys: Sequence[str | None], n_regions: int
) -> RegionLayout:
    """Return the layout of the regions that the attention of a modality has.

    n_regions: of the attention.
    """
    names = featurizer.region_names(doc) if featurizer else []
    if len(names) == n_regions:
        return RegionLayout(names)
    if n_regions == 1:  # it has all of the attention, and no name to list
        return RegionLayout()
    if isinstance(featurizer, ImageFeaturizer) and doc._.image_features is None:
        sizes = featurizer.regions_of(doc)
        # They differ if a file was changed or added since the prediction.
        if sum(sizes) == n_regions and len(sizes) == len(image_keys):
            return _image_layout(sizes, image_keys)
    return RegionLayout([f"region {i}" for i in range(1, n_regions + 1)])


def _image_layout(sizes: Sequence[int], image_keys: Sequence[str | None]) -> RegionLayout:
    layout = RegionLayout()
    for number, (size, key) in enumerate(zip(sizes, image_keys, strict=True), start=1):
        side = math.isqrt(size)
        if key is not None and size and side * side == size:
            layout.grids.append((len(layout.names), side, key))
        image = f"image {number}" if len(sizes) > 1 else ""
        layout.names += [
            ", ".join(filter(None, (image, _region_name(i, size)))) for i in range(size)
        ]
    return layout


def _region_name(index: int, size: int) -> str:
    """Return the name of a region within its image of `size` regions."""
    side = math.isqrt(size)
    if size == 1:
        return ""
    if side * side != size:
        return f"region {index + 1}"
    return f"row {index // side + 1}, column {index % side + 1}"
