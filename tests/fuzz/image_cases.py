"""Damaged images, which are decoded or refused with a reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from spacy_mner.errors import ImageError
from spacy_mner.images.decoding import decode
from spacy_mner.images.safety.limits import TRUSTED, UNTRUSTED, Limits
from spacy_mner.images.safety.untrusted_references import FolderImages

from .cases import Verdict, chance_of, kind_of
from .containers import seal_png
from .image_seeds import image_seeds
from .mutations import BINARY, damage

# What a user is told where the memory was not enough: here, more than any image may take.
OUT_OF_MEMORY = "too large for the memory"


@dataclass(frozen=True)
class ImageCases:
    """Damaged images: half of the formats that people post, half of any that Pillow knows."""

    seed: int
    seeds: dict[str, list[bytes]] = field(default_factory=image_seeds)

    def file(self, number: int) -> tuple[bytes, str]:
        """A damaged image, and how it was made."""
        chance = chance_of(self.seed, number)
        posted = sorted((UNTRUSTED.formats or frozenset()) & self.seeds.keys())
        formats = chance.choice((posted, sorted(self.seeds)))
        format, other = chance.choice(formats), chance.choice(formats)
        content, ways = damage(
            chance.choice(self.seeds[format]), chance.choice(self.seeds[other]), chance, BINARY
        )
        if format == "PNG" and chance.random() < 0.75:
            content = seal_png(content)
            ways.append("seal_png")
        return content, f"{format} with {other}: {', '.join(ways)}"

    def prepare(self, folder: Path) -> None:
        """Load all of Pillow's plugins."""
        for files in self.seeds.values():
            for content in files:
                judge(content, folder / "image")

    def __call__(self, number: int, folder: Path) -> Verdict:
        """Decode a damaged image."""
        return judge(self.file(number)[0], folder / "image")


def judge(content: bytes, path: Path) -> Verdict:
    """Decode an image under both limits, and once more from a file.

    Raises whatever `decode` may not raise, and AssertionError for what it may not give.
    """
    path.write_bytes(content)
    untrusted = _outcome(lambda: decode(content, UNTRUSTED), UNTRUSTED)
    trusted = _outcome(lambda: decode(content, TRUSTED), TRUSTED)
    images = FolderImages(path.parent)
    from_file = _outcome(lambda: images.open(path.name).pixels(), UNTRUSTED)
    assert from_file == untrusted, f"{from_file} from a file, {untrusted} from its content"
    return {"untrusted": untrusted, "trusted": trusted}


def _outcome(pixels_of: Callable[[], np.ndarray], limits: Limits) -> str:
    try:
        pixels = pixels_of()
    except ImageError as error:
        if str(error) == OUT_OF_MEMORY:
            raise MemoryError from error
        assert str(error).isprintable(), f"not printable: {str(error)!r}"
        return kind_of(str(error))
    assert isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8
    assert pixels.ndim == 3 and pixels.shape[2] == 3, f"shape {pixels.shape}"
    assert 0 < pixels.shape[0] * pixels.shape[1] <= limits.pixels, f"shape {pixels.shape}"
    return ""
