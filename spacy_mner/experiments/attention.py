"""Forms of modality attention: the printed equation, without its bound, and side by side."""

from __future__ import annotations

from .rows import systems_experiment

WITHOUT_IMAGES = ("wc-lample", "wc-printed", "wc-unbounded", "wc-attention", "wc-side")
WITH_IMAGES = (
    "wcv-concatenation",
    "wcv-printed",
    "wcv-unbounded",
    "wcv-summed",
    "wcv-attention",
)
SYSTEMS = (*WITHOUT_IMAGES, *WITH_IMAGES)
# Every form less concatenation of the same modalities; then with images less without.
PAIRS = [(form, forms[0]) for forms in (WITHOUT_IMAGES, WITH_IMAGES) for form in forms[1:]]
PAIRS += list(zip(WITH_IMAGES, WITHOUT_IMAGES, strict=True))

EXPERIMENT = systems_experiment("attention", "Forms of modality attention", SYSTEMS, PAIRS)
