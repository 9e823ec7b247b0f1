"""Tokens of a post that occur in the text of its image."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from rapidfuzz import fuzz, process
from spacy.tokens import Doc

from ..extensions import has_image_text
from ..utils.text import UNSPACED
from .batch import PostBatch
from .featurizer import Featurizer

# The longest span, in tokens of the post, and in words of the image text.
MAX_SPAN = 5
# Of an image text, only the first characters are read: those of a dense page.
MAX_CHARACTERS = 2000
# A fuzzy match has at least this similarity (Indel, in per cent: one wrong letter of five) and
# number of characters.
SIMILARITY = 80
MIN_FUZZY = 5
# Cells of a matrix of similarities, which limits memory.
MAX_CELLS = 2**20

# Values of the features: of the match; of its case in the image; tokens; characters on a binary
# logarithmic scale; whether the token is the first one. All are 0 for a token without a match.
FUZZY, FOLDED, EXACT = 1, 2, 3
UNCASED, LOWER, CAPITALIZED, UPPER = 1, 2, 3, 4
MAX_LOG_CHARACTERS = 5
SIZES = np.asarray([EXACT + 1, UPPER + 1, MAX_SPAN + 1, MAX_LOG_CHARACTERS + 1, 2])
OFFSETS = np.cumsum(SIZES) - SIZES

# A word of an image text; in scripts without spaces, a character.
WORD = re.compile(rf"{UNSPACED}|(?:(?!{UNSPACED})\S)+")


@dataclass
class Phrase:
    """One or more successive words of an image text.

    forms: as they are written, without spaces. case: UPPER, if they are so anywhere, and so on.
    """

    forms: set[str] = field(default_factory=set)
    case: int = 0


class Match(NamedTuple):
    """A span of a post that occurs in an image text; the one with the lowest rank wins."""

    rank: tuple[int, ...]
    start: int
    end: int
    kind: int
    phrase: Phrase


class ImageTextMatchFeaturizer(Featurizer):
    """Matches the spans of a post with `doc._.image_text`, the longest first.

    Spaces, punctuation and symbols are ignored, so that `#BlueHeron` matches "BLUE HERON". Each
    token belongs to at most one match; a span is matched fuzzily only if none of its tokens has an
    equal match. Spans and phrases have up to MAX_SPAN tokens or words.

    A post without words in its image text is masked; so is one whose image is dropped in training.
    """

    def __init__(self) -> None:
        self._has_text = False

    def update_vocab(self, doc: Doc) -> None:
        self._has_text = self._has_text or has_image_text(doc)

    def finalize(self) -> None:
        has_text, self._has_text = self._has_text, False
        if not has_text:
            raise ValueError(
                "ImageTextMatch.v1 has no text to match with: no training post has an image_text. "
                "Add the component image_text before this one and list it in training."
                "annotating_components, add image texts to the corpus (spacy-mner convert "
                "--captions), or remove the modality."
            )

    @property
    def reads(self) -> tuple[str, ...]:
        return ("image_text",)

    def dims(self) -> dict[str, int]:
        return {"n_values": int(SIZES.sum())}

    def __call__(self, batch: PostBatch) -> dict[str, np.ndarray]:
        values = np.zeros((len(batch.token), len(SIZES)), dtype=np.int64)
        available = np.zeros(len(batch.token), dtype=bool)
        forms = [compact(word) for word in batch.words]
        ends = np.cumsum(batch.lengths)
        for doc, length, end, masked in zip(
            batch.docs, batch.lengths, ends, batch.without_image, strict=True
        ):
            text = doc._.image_text  # a DocBin may hold any value
            phrases = phrases_of(text) if isinstance(text, str) and not masked else {}
            if phrases:
                tokens = slice(end - length, end)
                available[tokens] = True
                values[tokens] = match([forms[word] for word in batch.token[tokens]], phrases)
        return {"values": values + OFFSETS, "available": available}


def compact(text: str) -> str:
    """Return a text without spaces, punctuation and symbols; "" if it has no letter or digit."""
    kept = [c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c)[0] in "LMN"]
    return "".join(kept) if any(map(str.isalnum, kept)) else ""


def phrases_of(text: str) -> dict[str, Phrase]:
    """Return the phrases of an image text by their case-folded form."""
    words = [form for word in WORD.findall(text[:MAX_CHARACTERS]) if (form := compact(word))]
    phrases: dict[str, Phrase] = {}
    for start in range(len(words)):
        for end in range(start + 1, min(start + MAX_SPAN, len(words)) + 1):
            form = "".join(words[start:end])
            phrase = phrases.setdefault(form.casefold(), Phrase())
            phrase.forms.add(form)
            phrase.case = max(phrase.case, case_of(words[start:end]))
    return phrases


def case_of(words: Sequence[str]) -> int:
    """Return the case of a phrase; it is capitalized if its first and last words are."""
    form = "".join(words)
    if form.lower() == form.upper():
        return UNCASED
    if form.isupper():
        return UPPER
    is_lower = words[0][0].islower() or words[-1][0].islower()
    return LOWER if is_lower else CAPITALIZED


def match(forms: Sequence[str], phrases: Mapping[str, Phrase]) -> np.ndarray:
    """Return the features of the tokens of a post: int64 [n_tokens, n_features].

    forms: the tokens, `compact`.
    """
    values = np.zeros((len(forms), len(SIZES)), dtype=np.int64)
    for find in (equal_matches, fuzzy_matches):
        # Spans of tokens that have no match yet.
        for one in sorted(find(forms, phrases, values[:, 0] == 0), key=lambda one: one.rank):
            if not values[one.start : one.end, 0].any():
                n_characters = sum(map(len, forms[one.start : one.end]))
                scale = min(n_characters.bit_length(), MAX_LOG_CHARACTERS)
                row = (one.kind, one.phrase.case, one.end - one.start, scale, 0)
                values[one.start : one.end] = row
                values[one.start, -1] = 1
    return values


def spans_of(forms: Sequence[str], is_free: np.ndarray) -> Iterator[tuple[int, int, str]]:
    """Yield the spans of free tokens that start and end with a word: start, end, and form."""
    for start in range(len(forms)):
        form = ""
        for end in range(start + 1, min(start + MAX_SPAN, len(forms)) + 1):
            if not is_free[end - 1]:
                break
            form += forms[end - 1]
            if forms[start] and forms[end - 1]:
                yield start, end, form


def equal_matches(
    forms: Sequence[str], phrases: Mapping[str, Phrase], is_free: np.ndarray
) -> list[Match]:
    """Return the spans that equal a phrase but for case."""
    found = []
    for start, end, form in spans_of(forms, is_free):
        if phrase := phrases.get(form.casefold()):
            kind = EXACT if form in phrase.forms else FOLDED
            found.append(Match((start - end, start), start, end, kind, phrase))
    return found


def fuzzy_matches(
    forms: Sequence[str], phrases: Mapping[str, Phrase], is_free: np.ndarray
) -> list[Match]:
    """Return the spans that are similar to a phrase, each with the best one.

    The best match has most characters in common, minus those in which they differ: of similar spans
    the longest one, but without tokens that are not in the phrase.
    """
    keys = [key for key in phrases if len(key) >= MIN_FUZZY]
    spans = [
        (start, end, form.casefold())
        for start, end, form in spans_of(forms, is_free)
        if len(form) >= MIN_FUZZY
    ]
    found, n_key_characters = [], [*map(len, keys)]
    n_rows = MAX_CELLS // max(len(keys), 1)
    for chunk in (spans[i : i + n_rows] for i in range(0, len(spans) if keys else 0, n_rows)):
        queries = [key for _, _, key in chunk]
        similarity = process.cdist(queries, keys, scorer=fuzz.ratio, score_cutoff=SIMILARITY) / 100
        n_characters = np.add.outer([*map(len, queries)], n_key_characters)
        # A whole number, and 0 below the cutoff.
        scores = np.rint((2 * similarity - 1) * n_characters).clip(min=0)
        best = scores.argmax(axis=1)
        for i in scores.max(axis=1).nonzero()[0]:
            start, end, _ = chunk[i]
            rank = (-int(scores[i, best[i]]), start - end, start)
            found.append(Match(rank, start, end, FUZZY, phrases[keys[best[i]]]))
    return found
