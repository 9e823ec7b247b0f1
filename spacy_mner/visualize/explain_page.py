"""Renders an `Explanation` as one self-contained HTML page, which needs no network and no files.

All data is untrusted: it is escaped (XSS), and a Content-Security-Policy blocks any other script.
"""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..about import __version__
from .annotated_text import AnnotatedText
from .explain import Explanation, Verdict
from .region_attention import RegionAttention
from .thumbnails import Thumbnail

# Verdict → (sign, name), in the order of the page. The template defines them.
VERDICTS: dict[Verdict, tuple[str, str]] = {
    "helped": ("▲", "image helped"),
    "hurt": ("▼", "image hurt"),
    "both-wrong": ("✗", "both wrong"),
    "both-right": ("✓", "both right"),
    "no-image": ("○", "no image used"),
    "unannotated": ("?", "not annotated"),
}
# Number of label colors in the style sheet.
N_COLORS = 8
# Unicode categories with a visible glyph: letters, numbers, punctuation, symbols.
_VISIBLE = ("L", "N", "P", "S")
# Bidirectional controls reorder the text after them; line separators break attributes.
_BIDI = (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x2028, 0x2029)
_CONTROLS = (*range(0x20), *range(0x7F, 0xA0), *_BIDI, *range(0xD800, 0xE000))
_CODE_POINT = "⟨U+{:04X}⟩"
_CONTROL_ESCAPES = {code: _CODE_POINT.format(code) for code in _CONTROLS} | {0x09: "⇥", 0x0A: "↵"}


@dataclass(frozen=True)
class Names:
    """Names in the header, without private folders.

    against: of the second pipeline; None where it is the first one without images.
    """

    model: str
    data: str
    against: str | None = None


def render_explanation(explanation: Explanation, names: Names) -> str:
    """Return the page as HTML."""
    posts = explanation.posts
    texts = [text for post in posts for text in (post.gold, post.model, post.against)]
    return render_page(
        "explain.html",
        ("post_parts.js", "explain.js"),
        texts,
        explanation.thumbnails,
        explanation=explanation,
        names=names,
        verdicts=VERDICTS,
        has_modality_weights=not posts or any(post.modality_weights for post in posts),
        has_region_attention=any(any(post.region_attention) for post in posts),
    )


def render_page(
    template: str,
    scripts: Iterable[str],
    texts: Iterable[AnnotatedText],
    thumbnails: Mapping[str, Thumbnail],
    **context: Any,
) -> str:
    """Return a self-contained page of posts.

    scripts: names of files beside the template.
    texts: of all posts; a label has one color in all of them.
    """
    return (
        _environment()
        .get_template(template)
        .render(
            css=_asset("explain.css"),
            js=Markup("\n").join(map(_asset, scripts)),
            version=__version__,
            colors=_colors(texts),
            thumbnails=thumbnails,
            image_ids={key: i for i, key in enumerate(thumbnails, start=1)},
            **context,
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("spacy_mner.visualize"),
        autoescape=True,
        finalize=_finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=_percent, token=_token, cell_paths=_cell_paths, source_hash=_source_hash
    )
    return environment


def _asset(name: str) -> Markup:
    file = files("spacy_mner.visualize") / "templates" / name
    return Markup(file.read_text(encoding="utf-8").strip())


def _source_hash(text: str) -> str:
    """Return the source expression of an inline script or style in a Content-Security-Policy."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _colors(texts: Iterable[AnnotatedText]) -> dict[str, int]:
    """Return the color of every label, the same in all posts."""
    labels = {segment.label for text in texts for segment in text.segments if segment.label}
    return {label: i % N_COLORS for i, label in enumerate(sorted(labels))}


def _finalize(value: Any) -> Any:
    """Escape control characters; Jinja escapes HTML afterwards."""
    is_text = isinstance(value, str) and not isinstance(value, Markup)
    return escape_controls(value) if is_text else value


def escape_controls(text: str) -> str:
    """Replace control characters, bidirectional controls and lone surrogates by their code."""
    return text.translate(_CONTROL_ESCAPES)


def _token(text: str) -> str:
    """Return a token as a column header; one without a visible glyph by its code points."""
    if any(unicodedata.category(character)[0] in _VISIBLE for character in text):
        return text
    return "".join(_CODE_POINT.format(ord(character)) for character in text)


def _percent(share: float | None, digits: int = 1) -> str:
    return "–" if share is None else f"{100 * share:.{digits}f}"


def _cell_paths(attention: RegionAttention, key: str) -> list[tuple[str, str]]:
    """Return SVG paths over the cells of an image as (CSS class, path), one per brightness."""
    paths: dict[str, str] = {}
    for y, row in enumerate(attention.cells[key]):
        for x, share in enumerate(row):
            for css_class in _cell_classes(share, attention.largest):
                paths[css_class] = f"{paths.get(css_class, '')}M{x} {y}h1v1h-1z"
    # Drawn last, so that neighboring cells do not cover the frame.
    return sorted(paths.items(), key=lambda item: item[0] == "largest")


def _cell_classes(share: float, largest: float) -> list[str]:
    level = round(10 * share / largest) if largest else 0
    return [f"w{level}"] * (level > 0) + ["largest"] * (share == largest > 0)
