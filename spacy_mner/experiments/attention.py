"""Forms of modality attention: the printed equation, without its bound, and side by side."""

from __future__ import annotations

from .experiment import Experiment, Runs, Summary, variant_of
from .rows import render_systems, summarise_systems

WITHOUT_PICTURES = ("wc-lample", "wc-printed", "wc-unbounded", "wc-attention")
WITH_PICTURES = ("wcv-concatenation", "wcv-printed", "wcv-unbounded", "wcv-attention")
SYSTEMS = (*WITHOUT_PICTURES, *WITH_PICTURES)
# Every form less concatenation of the same modalities; then with pictures less without.
PAIRS = [(form, forms[0]) for forms in (WITHOUT_PICTURES, WITH_PICTURES) for form in forms[1:]]
PAIRS += list(zip(WITH_PICTURES, WITHOUT_PICTURES, strict=True))


def summarise(runs: Runs) -> Summary:
    """The rows that have a finished run, and the comparisons of those."""
    return summarise_systems(runs, SYSTEMS, PAIRS)


EXPERIMENT = Experiment(
    name="attention",
    title="Forms of modality attention",
    variants=tuple(variant_of(key) for key in SYSTEMS),
    summarise=summarise,
    render=render_systems,
)
