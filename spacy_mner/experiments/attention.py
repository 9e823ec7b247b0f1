"""Forms of modality attention: the printed equation, without its bound, and side by side."""

from __future__ import annotations

from .rows import systems_experiment

WITHOUT_PICTURES = ("wc-lample", "wc-printed", "wc-unbounded", "wc-attention", "wc-side")
WITH_PICTURES = (
    "wcv-concatenation",
    "wcv-printed",
    "wcv-unbounded",
    "wcv-summed",
    "wcv-attention",
)
SYSTEMS = (*WITHOUT_PICTURES, *WITH_PICTURES)
# Every form less concatenation of the same modalities; then with pictures less without.
PAIRS = [(form, forms[0]) for forms in (WITHOUT_PICTURES, WITH_PICTURES) for form in forms[1:]]
PAIRS += list(zip(WITH_PICTURES, WITHOUT_PICTURES, strict=True))

EXPERIMENT = systems_experiment("attention", "Forms of modality attention", SYSTEMS, PAIRS)
