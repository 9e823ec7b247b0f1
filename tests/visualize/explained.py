"""Small explanations to render, without a pipeline."""

from __future__ import annotations

from spacy_mner.visualize.annotated_text import Piece, Reading
from spacy_mner.visualize.explain import ExplainedPost, Explanation, Scores, TokenAttention, judge
from spacy_mner.visualize.region_attention import Look
from spacy_mner.visualize.thumbnails import make_thumbnail

RIGHTS = {
    "helped": (True, False),
    "hurt": (False, True),
    "both-wrong": (False, False),
    "both-right": (True, True),
    "unseen": (True, False),
    "unjudged": (None, None),
}


def a_reading(right, *, text="jaguar", label="ORG"):
    kind = {True: "right", False: "wrong", None: "open"}[right]
    missed = Piece(text, "missed", label) if right is False else Piece(text)
    return Reading([Piece(f"my {text} "), Piece(text, kind, label, 0.875, 1), missed], right)


def a_post(number=1, verdict="helped", **changes):
    """A post of a given verdict, the rest of it as one likes."""
    model, against = RIGHTS[verdict]
    text, label = changes.pop("text", "jaguar"), changes.pop("label", "ORG")
    gold = Reading([Piece("my "), Piece(text, "gold", label), Piece(text, "unknown")])
    fields = {
        "number": number,
        "id": f"id-{number}",
        "verdict": judge(model, against, used=verdict != "unseen"),
        "status": "absent" if verdict == "unseen" else "used",
        "gold": gold,
        "model": a_reading(model, text=text, label=label),
        "against": a_reading(against, text=text, label=label),
        "heat": TokenAttention(["my", text], {"word": [0.25, 1.0], "image": [0.75, 0.0]}),
        "looks": [[]],
        "images": [],
        "caption": "",
        "notes": [],
    }
    return ExplainedPost(**{**fields, **changes})


def a_look(shares, key="red", modality="image", told=None):
    """A look at one image: rows of columns."""
    rows = [list(map(float, row)) for row in shares]
    flat = [share for row in rows for share in row]
    told = told or [("row 1, column 1", flat[0])]
    return Look(modality, told, 1 / len(flat), {key: rows})


def an_explanation(posts, **changes):
    fields = {
        "model": Scores(0.9, 0.8, 0.847, 3),
        "against": Scores(0.5, 0.4, 0.444, 2),
        "own_ablation": True,
        "posts": posts,
        "thumbnails": {},
        "skipped": 0,
        "images": {"used": 1},
        "descriptors": 0,
        "bounds": None,
    }
    return Explanation(**{**fields, **changes})


def a_thumbnail(pixels, tags=()):
    return make_thumbnail(pixels, list(tags), allowed=1 << 20)
