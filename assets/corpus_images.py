"""Creates `images/` and `manifest.jsonl` from unpacked source packages."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from corpus_signs import build_signs
from PIL import Image, ImageChops
from qt_resources import open_packaged

LICENSES = ("Public Domain", "CC0", "CC BY 1.0", "CC BY 2.0", "CC BY 3.0", "CC BY 4.0")
LONG_SIDE = 320
JPEG_QUALITY = 85
MARGIN = 0.06
# One image of each of these is a transparent PNG, to test decoders.
TRANSPARENT = (
    "bird", "bug", "building", "car", "cat", "computer", "dish", "flower", "fruit", "music",
    "person", "planet", "sport", "tool",
)  # fmt: skip
PNG_FOLDER = "usr/share/openclipart/png"
SVG_FOLDER = "usr/share/openclipart/svg"
PUBLIC_DOMAIN = "http://web.resource.org/cc/PublicDomain"


@dataclass(frozen=True)
class Source:
    """An image in an unpacked package, and its metadata.

    Near-duplicates (variants of a drawing) share a `unit`, and are in one split.
    """

    kind: str
    shows: str
    package: str
    path: str
    file: Path
    title: str
    author: str | None
    license: str
    evidence: str
    unit: str


def build_images(assets: Path, folders: Mapping[str, Path], seed: int) -> list[dict[str, Any]]:
    """Write every image and the manifest; returns the manifest's rows.

    folders: of each package of `images.json`, of `openclipart-svg`, which has the license of each
        drawing, and `fonts`, with those of `signs.json`.

    Raises ValueError for an image without an allowed license and for two equal images.
    """
    listing = json.loads((assets / "images.json").read_text(encoding="utf8"))
    sources = [*clip_art(listing["clip_art"], folders), *photographs(listing, folders)]
    target = assets / "images"
    target.mkdir(exist_ok=True)
    for old in target.iterdir():
        old.unlink()
    rows = []
    for shows in sorted({source.shows for source in sources}):
        group = [source for source in sources if source.shows == shows]
        splits = split_group(group, random.Random(f"{seed} {shows}"))
        transparent = first_transparent(group) if shows in TRANSPARENT else None
        for number, (source, split) in enumerate(zip(group, splits, strict=True), start=1):
            suffix = "png" if source is transparent else "jpg"
            file = target / f"{shows}_{number:02}.{suffix}"
            render(source.file, file, crop=source.package == "openclipart-png")
            rows.append(manifest_row(source, file, split, listing["packages"]))
    rows += build_signs(assets, rows, folders["fonts"], seed)
    for row in rows:
        row["sha256"] = hashlib.sha256((assets / row["file"]).read_bytes()).hexdigest()
    check_duplicates(rows)
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    (assets / "manifest.jsonl").write_text("".join(lines), encoding="utf8")
    return rows


def clip_art(
    kinds: Mapping[str, Mapping[str, Sequence[str | list[str]]]], folders: Mapping[str, Path]
) -> Iterator[Source]:
    for kind, shown in kinds.items():
        for shows, entries in shown.items():
            for entry in entries:
                paths = [entry] if isinstance(entry, str) else entry
                for path in paths:
                    yield drawing(kind, shows, path, folders, unit=paths[0])


def drawing(kind: str, shows: str, path: str, folders: Mapping[str, Path], *, unit: str) -> Source:
    svg = Path(SVG_FOLDER, path).with_suffix(".svg")
    text = (folders["openclipart-svg"] / svg).read_text(encoding="utf8", errors="replace")
    if PUBLIC_DOMAIN not in text:
        raise ValueError(f"{svg} is not in the public domain. Remove it from images.json.")
    return Source(
        kind=kind,
        shows=shows,
        package="openclipart-png",
        path=f"{PNG_FOLDER}/{path}",
        file=folders["openclipart-png"] / PNG_FOLDER / path,
        title=rdf_text(text, "title") or Path(path).stem,
        author=rdf_text(text, "creator"),
        license="Public Domain",
        evidence=f"{svg} of openclipart-svg: cc:license {PUBLIC_DOMAIN}",
        unit=unit,
    )


def rdf_text(svg: str, element: str) -> str | None:
    """Return a Dublin Core element of a drawing: its title or creator."""
    namespaces = "{http://purl.org/dc/elements/1.1/}"
    match = re.search(r"<rdf:RDF.*?</rdf:RDF>", svg, flags=re.DOTALL)
    if match is None:
        return None
    try:
        root = ElementTree.fromstring(declare_prefixes(match.group()))
    except ElementTree.ParseError:
        return None
    work = next((node for node in root if node.tag.endswith("}Work")), None)
    found = None if work is None else work.find(namespaces + element)
    words = [] if found is None else " ".join(found.itertext()).split()
    return " ".join(words) or None


def declare_prefixes(rdf: str) -> str:
    """Add the namespace prefixes that are declared outside of the fragment."""
    declared = {
        "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
        "dc": "http://purl.org/dc/elements/1.1/",
        "cc": "http://web.resource.org/cc/",
    }
    opening, rest = rdf.split(">", 1)
    for prefix, uri in declared.items():
        if f"xmlns:{prefix}=" not in opening:
            opening += f' xmlns:{prefix}="{uri}"'
    return f"{opening}>{rest}"


def photographs(listing: Mapping[str, Any], folders: Mapping[str, Path]) -> Iterator[Source]:
    for entry in listing["photographs"]:
        fields = {**entry, "package": entry["source"], "unit": entry["path"]}
        del fields["source"]
        yield Source(file=folders[entry["source"]] / entry["path"], **fields)


def split_group(group: Sequence[Source], rng: random.Random) -> list[str]:
    """Assign a split to each image of one subject: 70/10/20, near-duplicates together.

    Images without near-duplicates are held out first.
    """
    units: dict[str, list[int]] = {}
    for index, source in enumerate(group):
        units.setdefault(source.unit, []).append(index)
    splits = ["train"] * len(group)
    left = rng.sample(sorted(units), len(units))
    left.sort(key=lambda unit: len(units[unit]), reverse=True)
    for split, share in (("test", 0.22), ("dev", 0.1)):
        wanted = max(1, round(share * len(group)))
        while splits.count(split) < wanted:
            for index in units[left.pop()]:
                splits[index] = split
    return splits


def first_transparent(group: Sequence[Source]) -> Source | None:
    for source in group:
        with Image.open(source.file) as image:
            if image.mode == "RGBA" and image.getextrema()[3][0] == 0:
                return source
    return None


def render(source: Path, target: Path, *, crop: bool) -> None:
    """Crop to the drawing, scale to 320 pixels, and save as JPEG on white, or as PNG."""
    with Image.open(open_packaged(source)) as opened:
        image = opened.convert("RGBA")
    image.thumbnail((1600, 1600))
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    if crop:
        box = drawn_box(white)
        image, white = with_margin(image.crop(box), 0), with_margin(white.crop(box), 255)
    image.thumbnail((LONG_SIDE, LONG_SIDE))
    white.thumbnail((LONG_SIDE, LONG_SIDE))
    if target.suffix == ".png":
        image.save(target, optimize=True)
    else:
        white.convert("RGB").save(target, quality=JPEG_QUALITY, optimize=True)


def drawn_box(white: Image.Image) -> tuple[int, int, int, int]:
    blank = Image.new("RGB", white.size, "white")
    difference = ImageChops.difference(white.convert("RGB"), blank).convert("L")
    return difference.point(lambda value: 255 if value > 5 else 0).getbbox()


def with_margin(image: Image.Image, alpha: int) -> Image.Image:
    margin = int(MARGIN * max(image.size))
    size = (image.width + 2 * margin, image.height + 2 * margin)
    wider = Image.new("RGBA", size, (255, 255, 255, alpha))
    wider.paste(image, (margin, margin))
    return wider


def manifest_row(
    source: Source, file: Path, split: str, packages: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    if source.license not in LICENSES:
        raise ValueError(f"{source.path}: {source.license} is not one of {', '.join(LICENSES)}")
    return {
        "file": f"images/{file.name}",
        "title": source.title,
        "author": source.author,
        "source": {**packages[source.package], "path": source.path},
        "license": source.license,
        "evidence": source.evidence,
        "sha256": "",
        "kind": source.kind,
        "shows": source.shows,
        "split": split,
    }


def check_duplicates(rows: Sequence[Mapping[str, Any]]) -> None:
    first: dict[str, str] = {}
    for row in rows:
        twin = first.setdefault(row["sha256"], row["file"])
        if twin != row["file"]:
            raise ValueError(f"{row['file']} equals {twin}. Remove one from images.json.")
