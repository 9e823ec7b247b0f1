"""Small explanations to render, without a pipeline."""

from __future__ import annotations

from spacy_mner.features.image_status import ImageStatus
from spacy_mner.visualize.annotated_post import ModalityWeights
from spacy_mner.visualize.annotated_text import AnnotatedText, Segment
from spacy_mner.visualize.explain import (
    ExplainedPost,
    Explanation,
    Scores,
    verdict_of,
)
from spacy_mner.visualize.region_attention import RegionAttention
from spacy_mner.visualize.thumbnails import make_thumbnail

# Verdict → whether each of the two pipelines is correct.
CORRECT = {
    "helped": (True, False),
    "hurt": (False, True),
    "both-wrong": (False, False),
    "both-right": (True, True),
    "no-image": (True, False),
    "unannotated": (None, None),
}


def make_prediction(correct, *, text="jaguar", label="ORG"):
    kind = {True: "correct", False: "wrong", None: "unverified"}[correct]
    last = Segment(text, "missed", label) if correct is False else Segment(text)
    return AnnotatedText(
        [Segment(f"my {text} "), Segment(text, kind, label, 0.875, 1), last], correct
    )


def make_post(number=1, verdict="helped", **changes):
    """A post with a given verdict; changes: of any other field."""
    model, against = CORRECT[verdict]
    text, label = changes.pop("text", "jaguar"), changes.pop("label", "ORG")
    gold = [Segment("my "), Segment(text, "gold", label), Segment(text, "unannotated")]
    fields = {
        "number": number,
        "id": f"id-{number}",
        "verdict": verdict_of(model, against, image_used=verdict != "no-image"),
        "status": ImageStatus("absent" if verdict == "no-image" else "used"),
        "gold": AnnotatedText(gold),
        "model": make_prediction(model, text=text, label=label),
        "against": make_prediction(against, text=text, label=label),
        "modality_weights": ModalityWeights(
            ["my", text], {"word": [0.25, 1.0], "image": [0.75, 0.0]}
        ),
        "region_attention": [[]],
        "images": [],
        "caption": "",
        "notes": [],
    }
    return ExplainedPost(**{**fields, **changes})


def make_attention(shares, key="red", modality="image", top_regions=None):
    """Attention over one image. shares: rows of columns."""
    rows = [list(map(float, row)) for row in shares]
    n_regions = sum(map(len, rows))
    top_regions = top_regions or [("row 1, column 1", rows[0][0])]
    return RegionAttention(modality, top_regions, 1 / n_regions, {key: rows})


def make_explanation(posts, **changes):
    fields = {
        "model": Scores(0.9, 0.8, 0.847, 3),
        "against": Scores(0.5, 0.4, 0.444, 2),
        "image_ablation": True,
        "posts": posts,
        "thumbnails": {},
        "skipped": 0,
        "images": {"used": 1},
        "descriptors": 0,
        "attention_bounds": None,
    }
    return Explanation(**{**fields, **changes})


def thumbnail_of(pixels, tags=()):
    return make_thumbnail(pixels, list(tags), max_bytes=1 << 20)
