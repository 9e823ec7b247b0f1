"""Renders images that bear text: signs, posters, covers and the like, in free fonts.

Each shows one reading of an ambiguous name, written out in words ("JAGUAR OWNERS CLUB"), most
with a drawing or photograph of the same split.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from corpus_posts import ShuffledItems
from PIL import Image, ImageDraw, ImageFont

Row = dict[str, Any]
Box = tuple[int, int, int, int]
Palette = tuple[str, str, str]

SIGNS = {"train": 98, "dev": 10, "test": 20}
SHARE_WITH_DRAWING = 0.8
# A sign with a drawing has the license of the drawing; these need no attribution.
FREE = ("Public Domain", "CC0")
SIZES = {
    "sign": (320, 220), "poster": (230, 320), "cover": (290, 290), "shop": (320, 250),
    "badge": (310, 210), "scoreboard": (320, 200), "road": (320, 200), "screen": (320, 230),
}  # fmt: skip
# Background, text, accent.
PALETTES: dict[str, Sequence[Palette]] = {
    "sign": (
        ("#fdf6e3", "#3b2f2f", "#b03a2e"), ("#ffffff", "#14213d", "#1d6fa5"),
        ("#2e4d3a", "#fefae0", "#dda15e"), ("#ffe066", "#222222", "#222222"),
    ),
    "poster": (
        ("#f4f1de", "#1f2041", "#e07a5f"), ("#22223b", "#f2e9e4", "#c9ada7"),
        ("#fff3b0", "#540b0e", "#e09f3e"), ("#d8f3dc", "#081c15", "#2d6a4f"),
    ),
    "cover": (
        ("#0b132b", "#ffffff", "#5bc0be"), ("#ffffff", "#7b2cbf", "#c77dff"),
        ("#9d0208", "#ffe8d6", "#faa307"), ("#e9edc9", "#283618", "#606c38"),
    ),
    "shop": (
        ("#ede0d4", "#ffffff", "#7f5539"), ("#e0fbfc", "#ffffff", "#3d5a80"),
        ("#fefae0", "#ffffff", "#386641"), ("#f8f9fa", "#ffffff", "#c1121f"),
    ),
    "badge": (("#ffffff", "#1b1b1b", "#d62828"), ("#ffffff", "#1b1b1b", "#1d4ed8")),
    "scoreboard": (("#101010", "#ffd60a", "#4d4d4d"), ("#0d2818", "#f1faee", "#2a9d8f")),
    "road": (("#00693e", "#ffffff", "#ffffff"), ("#0b5394", "#ffffff", "#ffffff")),
    "screen": (("#f8f9fa", "#202124", "#5f6368"), ("#1e1e2e", "#cdd6f4", "#89b4fa")),
}  # fmt: skip
LAYOUTS = {
    "person": ("badge", "poster"), "sport": ("scoreboard", "poster"), "music": ("cover", "poster"),
    "book": ("cover",), "map": ("road",), "building": ("road", "sign"), "computer": ("screen",),
    "phone": ("screen", "poster"), "clothes": ("shop",), "fruit": ("shop", "sign"),
    "dish": ("shop", "sign"), "drink": ("shop", "sign"), "flower": ("shop", "sign"),
}  # fmt: skip
OTHER_LAYOUTS = ("sign", "poster")
WALLS = ("#8d99ae", "#b08968", "#a3b18a", "#6c757d", "#d6ccc2", "#588157", "#ddb892", "#457b9d")


def build_signs(assets: Path, images: Sequence[Row], fonts: Path, seed: int) -> Iterator[Row]:
    """Write the images with text; yields their rows of the manifest.

    images: rows of the other images, of which the drawings are taken.
    fonts: folder with the font packages of `signs.json`.
    """
    listing = json.loads((assets / "signs.json").read_text(encoding="utf8"))
    names = json.loads((assets / "names.json").read_text(encoding="utf8"))["ambiguous"]
    texts = split_texts(listing["texts"], random.Random(f"{seed} sign texts"))
    number = 0
    for split, wanted in SIGNS.items():
        own = [row for row in images if row["split"] == split]
        planner = SignPlanner(names, texts[split], own, random.Random(f"{seed} signs {split}"))
        for sign, like, drawing in planner.plan(wanted):
            number += 1
            rng = random.Random(f"{seed} sign {number}")
            font = rng.choice(listing["fonts"])
            sign["font"] = f"{font['package']} {font['version']}, {font['path']}: {font['license']}"
            picture = None if drawing is None else Image.open(assets / drawing["file"])
            file = assets / "images" / f"sign_{number:03}.jpg"
            image = draw_sign(
                sign["text"].split("\n"), sign["layout"], picture, fonts / font["path"], rng
            )
            image.save(file, quality=85, optimize=True)
            yield sign_row(file, like, sign, font, drawing)


def split_texts(
    texts: Mapping[str, Sequence[str]], rng: random.Random
) -> dict[str, dict[str, list[str]]]:
    """Assign one text of each reading to dev, one to test, and the others to train."""
    parts: dict[str, dict[str, list[str]]] = {split: {} for split in SIGNS}
    for reading, given in texts.items():
        dev, test, *train = rng.sample(given, len(given))
        for split, chosen in (("train", train), ("dev", [dev]), ("test", [test])):
            parts[split][reading] = chosen
    return parts


class SignPlanner:
    """Selects names, texts, layouts and drawings for the signs of one split."""

    def __init__(
        self,
        names: Mapping[str, Mapping[str, str]],
        texts: Mapping[str, Sequence[str]],
        images: Sequence[Row],
        rng: random.Random,
    ) -> None:
        self.rng, self.readings = rng, names
        self.names = ShuffledItems(sorted(names), rng)
        self.texts = {reading: ShuffledItems(given, rng) for reading, given in texts.items()}
        self.kind_of = {row["shows"]: row for row in images}
        by_shown: dict[str, list[Row]] = {}
        for row in images:
            if row["license"] in FREE:
                by_shown.setdefault(row["shows"], []).append(row)
        self.drawings = {shows: ShuffledItems(rows, rng) for shows, rows in by_shown.items()}

    def plan(self, wanted: int) -> Iterator[tuple[Row, Row, Row | None]]:
        """Yield for every reading of a name: the sign, an image of its subject, the drawing."""
        planned = 0
        while planned < wanted:
            name = self.names.draw()
            for shows, label in self.readings[name].items():
                like = self.kind_of[shows]
                specific, general = f"{shows} {label}", f"{like['kind']} {label}"
                text = self.texts[specific if specific in self.texts else general].draw()
                lines = text.format(NAME=name.upper()).replace("|", "\n")
                layout = self.rng.choice(LAYOUTS.get(shows, OTHER_LAYOUTS))
                has_drawing = self.rng.random() < SHARE_WITH_DRAWING
                drawing = self.drawings[shows].draw() if has_drawing else None
                yield {"name": name, "text": lines, "layout": layout}, like, drawing
                planned += 1


def sign_row(file: Path, like: Row, sign: Row, font: Row, drawing: Row | None) -> Row:
    """Return the manifest's row; its source is the drawing, or else the font."""
    row = dict(like) | {"file": f"images/{file.name}", "sign": sign}
    if drawing is None:
        source = {key: font[key] for key in ("package", "version", "path")}
        return row | {
            "title": sign["text"].replace("\n", " / "),
            "author": "The spacy-mner authors",
            "source": {"registry": "PyPI", **source},
            "license": "MIT",
            "evidence": f"text of this project; {font['license']} of the font allows renderings",
        }
    sign["drawing"] = drawing["file"]
    return row | {key: drawing[key] for key in ("title", "author", "source", "license", "evidence")}


def draw_sign(
    lines: Sequence[str], layout: str, drawing: Image.Image | None, font: Path, rng: random.Random
) -> Image.Image:
    """Return a panel with the text and the drawing, slightly rotated on a wall."""
    palette = rng.choice(PALETTES[layout])
    panel = Image.new("RGB", SIZES[layout], palette[0])
    pen = ImageDraw.Draw(panel)
    area = DECORATIONS[layout](pen, panel.size, palette)
    text_area, drawing_area = divide(area, layout, rng) if drawing else (area, None)
    if layout == "shop":
        text_area, drawing_area = (8, 8, panel.width - 8, 92), area
    if drawing is not None and drawing_area is not None:
        paste_drawing(panel, drawing, drawing_area)
    write(pen, lines, text_area, font, palette[1])
    if layout in ("cover", "screen"):
        return panel
    wall = Image.new("RGB", panel.size, rng.choice(WALLS))
    angle = rng.uniform(-3, 3)
    turned = panel.convert("RGBA").rotate(angle, Image.Resampling.BICUBIC, expand=True)
    turned.thumbnail((panel.width - 8, panel.height - 8))
    at = ((wall.width - turned.width) // 2, (wall.height - turned.height) // 2)
    wall.paste(turned, at, turned)
    return wall


def decorate_sign(pen: ImageDraw.ImageDraw, size: tuple[int, int], palette: Palette) -> Box:
    width, height = size
    pen.rectangle((5, 5, width - 6, height - 6), outline=palette[2], width=5)
    return (18, 16, width - 18, height - 16)


def decorate_poster(pen: ImageDraw.ImageDraw, size: tuple[int, int], palette: Palette) -> Box:
    width, height = size
    pen.rectangle((0, 0, width, 14), fill=palette[2])
    pen.rectangle((0, height - 24, width, height), fill=palette[2])
    return (10, 24, width - 10, height - 32)


def decorate_cover(pen: ImageDraw.ImageDraw, size: tuple[int, int], palette: Palette) -> Box:
    width, height = size
    pen.rectangle((0, 0, 16, height), fill=palette[2])
    pen.line((30, height - 22, width - 20, height - 22), fill=palette[2], width=3)
    return (28, 16, width - 12, height - 32)


def decorate_shop(pen: ImageDraw.ImageDraw, size: tuple[int, int], palette: Palette) -> Box:
    """Draw the fascia, an awning, a window and a door; returns the window."""
    width, height = size
    pen.rectangle((0, 0, width, 98), fill=palette[2])
    for left in range(0, width, 40):
        pen.pieslice((left, 78, left + 40, 118), 0, 180, fill=palette[2])
        pen.pieslice((left + 20, 78, left + 60, 118), 0, 180, fill="white")
    pen.rectangle((width - 84, 126, width - 16, height), fill=palette[2])
    pen.rectangle((16, 124, width - 100, height - 14), fill="white", outline=palette[2], width=3)
    return (22, 128, width - 106, height - 18)


def decorate_badge(pen: ImageDraw.ImageDraw, size: tuple[int, int], palette: Palette) -> Box:
    width, height = size
    pen.rectangle((0, 0, width, 30), fill=palette[2])
    pen.rectangle((0, height - 20, width, height), fill=palette[2])
    return (12, 38, width - 12, height - 28)


def decorate_scoreboard(pen: ImageDraw.ImageDraw, size: tuple[int, int], palette: Palette) -> Box:
    width, height = size
    pen.rectangle((4, 4, width - 5, height - 5), outline=palette[2], width=6)
    for left in range(16, width - 16, 16):
        pen.ellipse((left, height - 22, left + 8, height - 14), fill=palette[1])
    return (18, 16, width - 18, height - 30)


def decorate_road(pen: ImageDraw.ImageDraw, size: tuple[int, int], palette: Palette) -> Box:
    width, height = size
    frame = (6, 6, width - 7, height - 7)
    pen.rounded_rectangle(frame, radius=18, outline=palette[2], width=4)
    top, bottom = height - 46, height - 16
    pen.polygon(
        [(width - 60, top), (width - 24, (top + bottom) // 2), (width - 60, bottom)],
        fill=palette[2],
    )
    pen.rectangle((width - 120, top + 10, width - 60, bottom - 10), fill=palette[2])
    return (22, 18, width - 22, height - 52)


def decorate_screen(pen: ImageDraw.ImageDraw, size: tuple[int, int], palette: Palette) -> Box:
    width, height = size
    pen.rectangle((0, 0, width, 22), fill=palette[2])
    for number, color in enumerate(("#ff5f56", "#ffbd2e", "#27c93f")):
        pen.ellipse((8 + 18 * number, 6, 18 + 18 * number, 16), fill=color)
    pen.rectangle((30, height - 28, width - 30, height - 18), outline=palette[2])
    pen.rectangle((30, height - 28, width // 2, height - 18), fill=palette[2])
    return (20, 32, width - 20, height - 36)


DECORATIONS = {
    "sign": decorate_sign, "poster": decorate_poster, "cover": decorate_cover,
    "shop": decorate_shop, "badge": decorate_badge, "scoreboard": decorate_scoreboard,
    "road": decorate_road, "screen": decorate_screen,
}  # fmt: skip


def divide(area: Box, layout: str, rng: random.Random) -> tuple[Box, Box]:
    """Divide an area into one for the text and one for the drawing."""
    left, top, right, bottom = area
    first = rng.random() < 0.5
    if layout in ("poster", "cover"):
        middle = top + round((0.4 if first else 0.6) * (bottom - top))
        parts = (left, top, right, middle - 3), (left, middle + 3, right, bottom)
    else:
        middle = left + round((0.62 if first else 0.38) * (right - left))
        parts = (left, top, middle - 4, bottom), (middle + 4, top, right, bottom)
    return parts if first else parts[::-1]


def paste_drawing(panel: Image.Image, drawing: Image.Image, area: Box) -> None:
    left, top, right, bottom = area
    picture = drawing.convert("RGBA")
    picture.thumbnail((right - left, bottom - top))
    white = Image.new("RGBA", picture.size, "white")
    white.alpha_composite(picture)
    at = ((left + right - picture.width) // 2, (top + bottom - picture.height) // 2)
    panel.paste(white.convert("RGB"), at)


def write(
    pen: ImageDraw.ImageDraw, lines: Sequence[str], area: Box, font: Path, color: str
) -> None:
    """Write each line as large as its share of the area allows, centered."""
    left, top, right, bottom = area
    height = (bottom - top) // len(lines)
    for number, line in enumerate(lines):
        size = round(0.72 * min(height, 70))
        while text_width(pen, line, face := load_font(font, size)) > right - left:
            size -= 1
        middle = ((left + right) / 2, top + (number + 0.5) * height)
        pen.text(middle, line, fill=color, font=face, anchor="mm")


def text_width(pen: ImageDraw.ImageDraw, line: str, face: ImageFont.FreeTypeFont) -> float:
    return pen.textlength(line, font=face)


def load_font(font: Path, size: int) -> ImageFont.FreeTypeFont:
    """Load a font without Raqm, which not every build of Pillow has."""
    return ImageFont.truetype(font, size, layout_engine=ImageFont.Layout.BASIC)
