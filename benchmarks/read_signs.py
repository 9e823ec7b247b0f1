"""Reads rendered signs with `RapidOCR.v1`, and prints the share of their words that are read.

    pip install -e ".[ocr]" font-roboto==0.0.1 font-source-serif-pro==0.0.1 \
        font-fredoka-one==0.0.4 font-caladea==0.0.2 font-hanken-grotesk==0.0.2
    python benchmarks/read_signs.py

The signs have one to three lines in one of the fonts of the sample corpus, in upper, lower or title
case, 24 to 64 pixels per em, a contrast of at least 3:1, and are turned by up to 20 degrees. A word
is read if it is among the words of the recognized text, case-folded.
"""

from __future__ import annotations

import argparse
import json
import random
import sysconfig
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from spacy_mner.errors import ImageError
from spacy_mner.images.readers.rapid_ocr import RapidOCR

ASSETS = Path(__file__).parents[1] / "assets"
SIZES = (24, 64)
MIN_CONTRAST = 3.0
MAX_ANGLE = 20.0
CASES = (str.upper, str.lower, str.title)

Color = tuple[int, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--signs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--fonts",
        type=Path,
        default=Path(sysconfig.get_paths()["purelib"]),
        help="folder with the font packages of assets/signs.json",
    )
    parser.add_argument("--output", type=Path, help="folder for the images")
    parser.add_argument("--misses", action="store_true", help="print the signs with unread words")
    arguments = parser.parse_args()
    reader = RapidOCR()
    n_words = n_read = 0
    seconds = 0.0
    for number, (text, image) in enumerate(signs(arguments.signs, arguments.seed, arguments.fonts)):
        if arguments.output:
            arguments.output.mkdir(parents=True, exist_ok=True)
            image.save(arguments.output / f"{number:03}.png")
        start = time.perf_counter()
        [found] = reader.compute([np.asarray(image)])
        seconds += time.perf_counter() - start
        assert not isinstance(found, ImageError)
        words = Counter(text.casefold().split())
        read = words & Counter(found.casefold().split())
        n_words += words.total()
        n_read += read.total()
        if arguments.misses and read != words:
            print(f"{number}: {text!r} read as {found!r}")
    print(
        f"{n_read} of {n_words} words read ({n_read / n_words:.1%}), {arguments.signs} signs, "
        f"seed {arguments.seed}, {seconds / arguments.signs:.2f} s per sign"
    )


def signs(n: int, seed: int, fonts: Path) -> Iterator[tuple[str, Image.Image]]:
    """Yield the text of each sign, its lines separated by line breaks, and the sign."""
    listing = json.loads((ASSETS / "signs.json").read_text(encoding="utf8"))
    names = json.loads((ASSETS / "names.json").read_text(encoding="utf8"))["ambiguous"]
    templates = [text for texts in listing["texts"].values() for text in texts]
    for number in range(n):
        rng = random.Random(f"{seed} {number}")
        text = rng.choice(templates).format(NAME=rng.choice(sorted(names)))
        text = rng.choice(CASES)(text.replace("|", "\n"))
        font = fonts / rng.choice(listing["fonts"])["path"]
        yield text, draw(text, font, rng)


def draw(text: str, font: Path, rng: random.Random) -> Image.Image:
    face = ImageFont.truetype(font, rng.randint(*SIZES), layout_engine=ImageFont.Layout.BASIC)
    ink, paper = contrasting_colors(rng)
    left, top, right, bottom = ImageDraw.Draw(Image.new("RGB", (1, 1))).multiline_textbbox(
        (0, 0), text, font=face, align="center"
    )
    margin = rng.randint(12, 48)
    size = (round(right - left) + 2 * margin, round(bottom - top) + 2 * margin)
    panel = Image.new("RGB", size, paper)
    at = (margin - left, margin - top)
    ImageDraw.Draw(panel).multiline_text(at, text, fill=ink, font=face, align="center")
    angle = rng.uniform(-MAX_ANGLE, MAX_ANGLE)
    wall = tuple(rng.randrange(256) for _ in range(3))
    return panel.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=wall)


def contrasting_colors(rng: random.Random) -> tuple[Color, Color]:
    """Draw two colors whose contrast ratio (WCAG 2) is at least MIN_CONTRAST."""
    while True:
        one, other = (ImageColor.getrgb(f"#{rng.randrange(1 << 24):06x}") for _ in range(2))
        darker, lighter = sorted((luminance(one), luminance(other)))
        if (lighter + 0.05) / (darker + 0.05) >= MIN_CONTRAST:
            return one, other


def luminance(color: Color) -> float:
    """Return the relative luminance of an sRGB color, 0 to 1 (WCAG 2)."""
    linear = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in scaled(color))
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def scaled(color: Color) -> Iterator[float]:
    return (value / 255 for value in color)


if __name__ == "__main__":
    main()
