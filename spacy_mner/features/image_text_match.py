"""Tokens of a post that occur in the text of its image."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
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
# The longest one of single letters and punctuation, or of scripts without spaces. It bounds the
# time: of a longer equal text without spaces, each part has a match.
MAX_CHARACTER_SPAN = 32
# Of an image text, only the first characters are read: those of a dense page.
MAX_CHARACTERS = 2000
# A fuzzy match has at least this similarity (Indel, in per cent: one wrong letter of five) and
# number of characters.
SIMILARITY = 80
MIN_FUZZY = 5
# Cells of a matrix of similarities, which limits memory.
MAX_CELLS = 2**20

# Values of the features: of the match; of its case in the image; tokens, at most MAX_SPAN;
# characters on a binary logarithmic scale; whether the token is the first one. All are 0 for a
# token without a match.
FUZZY, FOLDED, EXACT = 1, 2, 3
UNCASED, LOWER, CAPITALIZED, UPPER = 1, 2, 3, 4
MAX_LOG_CHARACTERS = 5
SIZES = np.asarray([EXACT + 1, UPPER + 1, MAX_SPAN + 1, MAX_LOG_CHARACTERS + 1, 2])
OFFSETS = np.cumsum(SIZES) - SIZES

# Parts of a word of an image text: in scripts without spaces, and in other ones.
UNSPACED_WORD = re.compile(UNSPACED)
PARTS = re.compile(rf"{UNSPACED}+|(?:(?!{UNSPACED}).)+")
# Marks of symbols, such as the one that makes an emoji of a heart.
SYMBOL_MARK = re.compile("[\u20d0-\u20ff\ufe00-\ufe0f]")


@dataclass(slots=True)
class Phrase:
    """One or more successive words of an image text.

    forms: as they are written, without spaces, `decomposed`. case: UPPER, if they are so anywhere,
    and so on.
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
    equal match. Spans and phrases have up to MAX_SPAN tokens or words. In scripts without spaces,
    phrases start and end at any character, and equal spans have up to MAX_CHARACTER_SPAN tokens,
    as have spans of single letters: a name matches whichever way it is tokenized.

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
            image = ImageWords(text if isinstance(text, str) and not masked else "")
            if image.words:
                tokens = slice(end - length, end)
                available[tokens] = True
                values[tokens] = match([forms[word] for word in batch.token[tokens]], image)
        return {"values": values + OFFSETS, "available": available}


def compact(text: str) -> str:
    """Return a text without spaces, punctuation and symbols; "" if it has no letter or digit.

    A text of combining marks only is kept: they belong to the letter of the token before.
    """
    normalized = unicodedata.normalize("NFKC", text)
    kept = "".join(c for c in normalized if unicodedata.category(c)[0] in "LMN")
    is_mark = kept == normalized and not SYMBOL_MARK.search(kept)
    return kept if is_mark or any(map(str.isalnum, kept)) else ""


def decomposed(form: str) -> str:
    """Return a form in which a letter and its mark are the same in one token and in two."""
    return unicodedata.normalize("NFD", form)


def parts_of(word: str) -> list[str]:
    """Return the parts of a word, `compact`; in scripts without spaces, its characters."""
    parts: list[str] = []
    for part in PARTS.findall(word):
        form = compact(part)
        parts += form if UNSPACED_WORD.match(part) else [form] * bool(form)
    return parts


def join(texts: Sequence[str]) -> tuple[str, list[int]]:
    """Return the texts as one, and the offset at which each starts; last, the length."""
    return "".join(texts), [*accumulate(map(len, texts), initial=0)]


class ImageWords:
    """The words of an image text, in which phrases are found.

    words: `parts_of` them.
    """

    def __init__(self, text: str) -> None:
        words = [parts for word in text[:MAX_CHARACTERS].split() if (parts := parts_of(word))]
        self.words = [part for parts in words for part in parts]
        self._numbers = [number for number, parts in enumerate(words) for _ in parts]
        self._written, self._offsets = join([decomposed(word) for word in self.words])
        self.text, offsets = join([decomposed(word.casefold()) for word in self.words])
        self._indices = {offset: index for index, offset in enumerate(offsets)}
        self._phrases: dict[str, Phrase] = {}

    def find(self, form: str) -> Phrase:
        """Return the phrase that equals a form but for case; it has no forms if there is none."""
        key = decomposed(form.casefold())
        if key not in self._phrases:
            self._phrases[key] = self._search(key)
        return self._phrases[key]

    def _search(self, key: str) -> Phrase:
        phrase = Phrase()
        position = self.text.find(key)
        while position >= 0:
            start = self._indices.get(position)
            end = self._indices.get(position + len(key))
            # Not a part of a word.
            if start is not None and end is not None:
                self._add(phrase, start, end)
            # An uncased phrase is the same everywhere.
            is_complete = phrase.case == UNCASED
            position = -1 if is_complete else self.text.find(key, position + 1)
        return phrase

    def _add(self, phrase: Phrase, start: int, end: int) -> None:
        if self._numbers[end - 1] - self._numbers[start] >= MAX_SPAN:
            return
        form = self._written[self._offsets[start] : self._offsets[end]]
        # The case depends on the words, too; in a long phrase, that matters less than the time.
        if end - start <= MAX_SPAN or form not in phrase.forms:
            phrase.forms.add(form)
            phrase.case = max(phrase.case, case_of(self.words[start:end]))

    def keys(self) -> list[str]:
        """Return the case-folded forms of up to MAX_SPAN words that may match fuzzily."""
        words = [word.casefold() for word in self.words]
        forms = (
            "".join(words[start:end])
            for start in range(len(words))
            for end in range(start + 1, min(start + MAX_SPAN, len(words)) + 1)
        )
        return [form for form in dict.fromkeys(forms) if len(form) >= MIN_FUZZY]


def case_of(words: Sequence[str]) -> int:
    """Return the case of a phrase; it is capitalized if its first and last words are."""
    form = "".join(words)
    if form.lower() == form.upper():
        return UNCASED
    if form.isupper():
        return UPPER
    is_lower = words[0][0].islower() or words[-1][0].islower()
    return LOWER if is_lower else CAPITALIZED


def match(forms: Sequence[str], image: ImageWords) -> np.ndarray:
    """Return the features of the tokens of a post: int64 [n_tokens, n_features].

    forms: the tokens, `compact`.
    """
    values = np.zeros((len(forms), len(SIZES)), dtype=np.int64)
    for find in (equal_matches, fuzzy_matches):
        # Spans of tokens that have no match yet.
        for one in sorted(find(forms, image, values[:, 0] == 0), key=lambda one: one.rank):
            if not values[one.start : one.end, 0].any():
                n_tokens = min(one.end - one.start, MAX_SPAN)
                n_characters = sum(map(len, forms[one.start : one.end]))
                scale = min(n_characters.bit_length(), MAX_LOG_CHARACTERS)
                values[one.start : one.end] = (one.kind, one.phrase.case, n_tokens, scale, 0)
                values[one.start, -1] = 1
    return values


def spans_of(
    forms: Sequence[str], is_free: np.ndarray, max_span: int
) -> Iterator[tuple[int, int, str]]:
    """Yield the spans of free tokens that start and end with a word: start, end, and form.

    max_span: tokens of a span of single letters and punctuation, or in scripts without spaces.
    """
    is_character = [UNSPACED_WORD.match(form) or sum(map(str.isalnum, form)) <= 1 for form in forms]
    for start in range(len(forms)):
        form, limit = "", max_span
        for end in range(start + 1, len(forms) + 1):
            limit = limit if is_character[end - 1] else MAX_SPAN
            if not is_free[end - 1] or end - start > limit:
                break
            form += forms[end - 1]
            if forms[start] and forms[end - 1]:
                yield start, end, form


def equal_matches(forms: Sequence[str], image: ImageWords, is_free: np.ndarray) -> list[Match]:
    """Return the spans that equal a phrase but for case."""
    found = []
    for start, end, form in spans_of(forms, is_free, MAX_CHARACTER_SPAN):
        if len(form) <= len(image.text) and (phrase := image.find(form)).forms:
            kind = EXACT if decomposed(form) in phrase.forms else FOLDED
            found.append(Match((start - end, start), start, end, kind, phrase))
    return found


def fuzzy_matches(forms: Sequence[str], image: ImageWords, is_free: np.ndarray) -> list[Match]:
    """Return the spans that are similar to a phrase, each with the best one.

    The best match has most characters in common, minus those in which they differ: of similar spans
    the longest one, but without tokens that are not in the phrase.
    """
    keys = image.keys()
    spans = [
        (start, end, form.casefold())
        for start, end, form in spans_of(forms, is_free, MAX_SPAN)
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
            found.append(Match(rank, start, end, FUZZY, image.find(keys[best[i]])))
    return found
