"""Corrupted images, which are decoded or rejected with an ImageError."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from spacy_mner.errors import ImageError
from spacy_mner.images.decoding import decode
from spacy_mner.images.safety.limits import TRUSTED, UNTRUSTED, Limits
from spacy_mner.images.safety.untrusted_references import FolderImages

from .cases import Verdict, category, random_of
from .containers import fix_png_checksums
from .image_seeds import image_seeds
from .mutations import BINARY, mutate

# Message of an ImageError after a MemoryError; here, the limit of a case is exceeded.
OUT_OF_MEMORY = "too large for the memory"


@dataclass(frozen=True)
class ImageCases:
    """Corrupted images, half of them in the formats of UNTRUSTED, half in any of Pillow's."""

    seed: int
    seeds: dict[str, list[bytes]] = field(default_factory=image_seeds)

    def file(self, number: int) -> tuple[bytes, str]:
        """Return a corrupted image and how it was made."""
        rng = random_of(self.seed, number)
        untrusted_formats = sorted((UNTRUSTED.formats or frozenset()) & self.seeds.keys())
        formats = rng.choice((untrusted_formats, sorted(self.seeds)))
        format, other = rng.choice(formats), rng.choice(formats)
        content, names = mutate(
            rng.choice(self.seeds[format]), rng.choice(self.seeds[other]), rng, BINARY
        )
        if format == "PNG" and rng.random() < 0.75:
            content = fix_png_checksums(content)
            names.append("fix_png_checksums")
        return content, f"{format} with {other}: {', '.join(names)}"

    def prepare(self, folder: Path) -> None:
        """Load all of Pillow's plugins."""
        for files in self.seeds.values():
            for content in files:
                judge(content, folder / "image")

    def __call__(self, number: int, folder: Path) -> Verdict:
        """Decode a corrupted image."""
        return judge(self.file(number)[0], folder / "image")


def judge(content: bytes, path: Path) -> Verdict:
    """Decode an image under both limits, and from a file.

    Raises AssertionError for an invalid result; an ImageError is a result.
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
        return category(str(error))
    assert isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8
    assert pixels.ndim == 3 and pixels.shape[2] == 3, f"shape {pixels.shape}"
    assert 0 < pixels.shape[0] * pixels.shape[1] <= limits.pixels, f"shape {pixels.shape}"
    return ""
