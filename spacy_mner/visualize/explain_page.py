"""One self-contained page that shows an `Explanation`: no script but ours, no network, no files."""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..about import __version__
from .explain import Explanation, Verdict
from .region_attention import Look

# Verdict → (sign, name), in the order of the page.
VERDICTS: dict[Verdict, tuple[str, str]] = {
    "helped": ("▲", "image helped"),
    "hurt": ("▼", "image hurt"),
    "both-wrong": ("✗", "both wrong"),
    "both-right": ("✓", "both right"),
    "unseen": ("○", "no image used"),
    "unjudged": ("?", "not annotated"),
}
# Colors that the style sheet has for labels.
N_COLORS = 8
# Letters, numbers, punctuation and symbols; separators, controls and lone accents show nothing.
_SEEN = ("L", "N", "P", "S")
# They turn the direction of all that follows, or break the lines of a tooltip or an attribute.
_BIDI = (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x2028, 0x2029)


@dataclass(frozen=True)
class Names:
    """What the page is about, as strangers may read it: no path says whose machine this is.

    against: None where the model is compared with itself.
    """

    model: str
    data: str
    against: str | None = None


def render(explanation: Explanation, names: Names) -> str:
    """Write the page. Nothing that comes from data is taken for markup, style or script."""
    css, js = _asset("explain.css"), _asset("explain.js")
    template = _environment().get_template("explain.html")
    return template.render(
        css=Markup(css),
        js=Markup(js),
        policy=_policy(css, js),
        version=__version__,
        explanation=explanation,
        names=names,
        verdicts=VERDICTS,
        meanings=_meanings(explanation),
        colors=_colors(explanation),
        image_ids={key: i for i, key in enumerate(explanation.thumbnails, start=1)},
        weighs=not explanation.posts or any(post.heat for post in explanation.posts),
        looks_at_regions=any(any(post.looks) for post in explanation.posts),
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
    environment.filters.update(percent=_percent, token=_token, levels=_levels)
    return environment


def _asset(name: str) -> str:
    environment = _environment()
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0].strip()


def _policy(css: str, js: str) -> str:
    """The Content-Security-Policy: our style, our script, embedded images, and nothing else."""
    return "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            f"style-src '{_source_hash(css)}'",
            f"script-src '{_source_hash(js)}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _source_hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _meanings(explanation: Explanation) -> dict[Verdict, str]:
    """What each verdict says; empty where the page has no use for it."""
    if explanation.own_ablation:
        first, second = "with the image", "without it"
    else:
        first, second = "by the model", "by the comparison"
    unseen = "the post has no image, or the model did not use it: none helped, and none hurt"
    unjudged = "the annotation is incomplete, so that nobody can say"
    return {
        "helped": f"read rightly {first}, wrongly {second}",
        "hurt": f"read wrongly {first}, rightly {second}",
        "both-wrong": f"read wrongly {first} and {second}",
        "both-right": f"read rightly {first} and {second}",
        "unseen": unseen if explanation.counts["unseen"] else "",
        "unjudged": unjudged if explanation.counts["unjudged"] else "",
    }


def _colors(explanation: Explanation) -> dict[str, int]:
    """A color for every label, the same in all posts."""
    labels = {
        piece.label
        for post in explanation.posts
        for reading in (post.gold, post.model, post.against)
        for piece in reading.pieces
        if piece.label
    }
    return {label: i % N_COLORS for i, label in enumerate(sorted(labels))}


def _finalize(value: Any) -> Any:
    """Make text safe to look at; escaping comes after."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def visible(text: str) -> str:
    """Spell out characters that are not to act: controls, changes of direction, half surrogates."""
    return text.translate(_spelled_out())


@cache
def _spelled_out() -> dict[int, str]:
    controls = (*range(0x20), *range(0x7F, 0xA0), *_BIDI, *range(0xD800, 0xE000))
    return {code: _code(code) for code in controls} | {0x09: "⇥", 0x0A: "↵"}


def _code(code: int) -> str:
    return f"⟨U+{code:04X}⟩"


def _token(text: str) -> str:
    """A token that stands alone: one without anything to see is spelled out."""
    if any(unicodedata.category(character)[0] in _SEEN for character in text):
        return text
    return "".join(_code(ord(character)) for character in text)


def _percent(share: float | None, digits: int = 1) -> str:
    return "–" if share is None else f"{100 * share:.{digits}f}"


def _levels(look: Look, key: str) -> list[tuple[str, str]]:
    """The cells of an image by how bright they are, as (class, outline) in units of a cell."""
    outlines: dict[str, str] = {}
    for y, row in enumerate(look.cells[key]):
        for x, share in enumerate(row):
            for kind in _kinds(share, look.largest):
                outlines[kind] = f"{outlines.get(kind, '')}M{x} {y}h1v1h-1z"
    # The frame comes last, above the cells around it.
    return sorted(outlines.items(), key=lambda item: item[0] == "most")


def _kinds(share: float, largest: float) -> list[str]:
    level = round(10 * share / largest) if largest else 0
    return [f"w{level}"] * (level > 0) + ["most"] * (share == largest > 0)
