"""Posts as the word pieces of a pretrained transformer."""

from __future__ import annotations

import logging
import re
from dataclasses import asdict
from functools import lru_cache
from itertools import chain, groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from spacy.tokens import Doc

from ..extensions import has_image_text
from .batch import PostBatch
from .featurizer import Featurizer
from .huggingface import EncoderFiles, read_files, tokenizers

logger = logging.getLogger("spacy")

# Two neighboring segments of a post that is too long for one share at least this part of each.
OVERLAP = 1 / 4

# Of a post that does not fit into one segment with the text about its image, at most this part of
# each segment is kept for that text: enough for a caption (64 of 256 pieces), and little enough
# that a token is read among the others of its post above all.
CONTEXT_SHARE = 1 / 4

# The host of a web address. What follows it is mostly random ("t.co/Z3neVBQ7vF"), and would be
# half of what is read of posts that have links.
ADDRESS = re.compile(r"https?://(?:www\.)?([^/?#\s]+)\S*", re.IGNORECASE)


class Segment(NamedTuple):
    """What the encoder reads at once.

    first: the column where the post begins.
    pieces, types: the word pieces, special ones included, and the text that each belongs to.
    """

    first: int
    pieces: list[int]
    types: list[int]


class TransformerFeaturizer(Featurizer):
    """Spells posts in word pieces, and finds the piece that speaks for each token: its first.

    No token is left without one. A token that the tokenizer makes nothing of (a space, U+FE0F,
    U+200B) is the unknown piece, so that it is still read in its place. A post that is too long
    is read in overlapping segments, and a token is taken from the segment in which it stands
    farthest from where the post was cut. Of a web address, only the host is spelled.

    name: of a model on the Hugging Face hub, or a folder. It is looked up when a model is
        initialized; from then on the tokenizer and the encoder's config are part of the `state`
        (half a megabyte for English, several for a hundred languages).
    context: let the encoder read `doc._.image_text` as a second text after the post (Wang et al.
        2022, ITA). A post that does not fit into one segment with it is cut into narrower ones,
        so that each has room for that text, up to a quarter of `max_length`; what is longer is
        cut to the room that the post leaves. A post that is to do without its image does
        without that text as well.
    max_length: of a segment in word pieces, special ones included; what the encoder can read at
        most, where that is less.
    """

    def __init__(self, name: str, *, context: bool = False, max_length: int = 256):
        self.name = name
        self.context = context
        self.max_length = max_length
        self._files: EncoderFiles | None = None
        self._has_context = False

    def update_vocab(self, doc: Doc, images_root: Path | None) -> None:
        self._has_context = self._has_context or has_image_text(doc)

    def finalize(self) -> None:
        has_context, self._has_context = self._has_context, False  # the next one begins anew
        if self.context and not has_context:
            logger.warning(
                "The transformer of the config has context = true, but no training post brings "
                "image_text: it learns nothing of such text. Give the posts theirs (convert the "
                "corpus with --captions), or set context to false."
            )
        self._files = self._checked(read_files(self.name))

    def _checked(self, files: EncoderFiles) -> EncoderFiles:
        shortest = _speller(files.tokenizer).paired.n_special + 1
        if self.max_length < shortest:
            raise ValueError(
                f"max_length must be {shortest} word pieces at least for {self.name!r}, "
                f"got {self.max_length}"
            )
        return files

    @property
    def _longest(self) -> int:
        return min(self.max_length, self.files.longest)

    @property
    def files(self) -> EncoderFiles:
        if self._files is None:
            raise ValueError("The transformer is not initialized: call nlp.initialize() first.")
        return self._files

    def dims(self) -> dict[str, Any]:
        return {"config": self.files.config}

    @property
    def settings(self) -> dict[str, Any]:
        return {"context": self.context, "max_length": self.max_length}

    def __call__(self, batch: PostBatch) -> dict[str, np.ndarray]:
        speller = _speller(self.files.tokenizer)
        spelled = [speller.word(word) or [self.files.unknown] for word in batch.words]
        segments: list[Segment] = []
        # Of every token: its segment, and the column there of its first piece.
        segment, column = np.zeros((2, len(batch.token)), dtype=np.int64)
        ends = np.cumsum(batch.lengths)
        for i, end in enumerate(ends):
            tokens = slice(end - batch.lengths[i], end)
            words = [spelled[form] for form in batch.token[tokens]]
            firsts = np.cumsum([0, *map(len, words)])[:-1]
            # A post without tokens is a piece as well: some tokenizers put nothing around it.
            post = list(chain.from_iterable(words)) or [self.files.unknown]
            context = speller.text(self._context(batch, i))
            window = self._window(speller, len(post), len(context))
            starts, owner = cut(len(post), window, firsts)
            parts = [self._segment(speller, post[s : s + window], context) for s in starts]
            segment[tokens] = len(segments) + owner
            column[tokens] = firsts - starts[owner] + np.asarray([p.first for p in parts])[owner]
            segments += parts
        return self._collate(segments, segment, column)

    def _context(self, batch: PostBatch, i: int) -> str:
        """What is said of a post's image."""
        text = batch.docs[i]._.image_text
        is_read = self.context and not batch.without_image[i] and isinstance(text, str)
        return text if is_read else ""

    def _window(self, speller: WordPieceTokenizer, n_post: int, n_context: int) -> int:
        """How many pieces of a post a segment has at most."""
        room = self._longest - speller.paired.n_special
        # One piece of the post at least.
        kept = min(n_context, int(self._longest * CONTEXT_SHARE), room - 1)
        if not kept:
            return self._longest - speller.alone.n_special
        return room if n_post + n_context <= room else room - kept

    def _segment(self, speller: WordPieceTokenizer, post: list[int], context: list[int]) -> Segment:
        room = max(self._longest - speller.paired.n_special - len(post), 0)
        if context[:room]:
            return speller.paired.fill(post, context[:room])
        return speller.alone.fill(post)

    def _collate(
        self, segments: list[Segment], segment: np.ndarray, column: np.ndarray
    ) -> dict[str, np.ndarray]:
        lengths = np.asarray([len(one.pieces) for one in segments], dtype=np.int64)
        order = np.argsort(-lengths, kind="stable")
        first = np.empty_like(lengths)
        first[order] = np.cumsum(lengths[order]) - lengths[order]
        features = {
            "pieces": np.asarray([id for i in order for id in segments[i].pieces], dtype=np.int64),
            "lengths": lengths[order],
            "place": first[segment] + column,
        }
        if self.files.config.get("type_vocab_size", 0) > 1:
            types = [kind for i in order for kind in segments[i].types]
            features["types"] = np.asarray(types, dtype=np.int64)
        return features

    @property
    def state(self) -> dict[str, Any]:
        return asdict(self.files)

    @state.setter
    def state(self, value: dict[str, Any]) -> None:
        self._files = self._checked(EncoderFiles(**value))


class Template:
    """Where an encoder wants its special pieces: around a text, or around and between two.

    example: what the tokenizer makes of such a text, or of such two.

    n_special: how many special pieces there are.
    """

    def __init__(self, example: Any):
        marked = zip(example.sequence_ids, example.type_ids, example.ids, strict=True)
        # Of every run of pieces: its text (None for special ones), its type, its pieces.
        self._runs = [
            (text, kind, [piece for _, _, piece in run])
            for (text, kind), run in groupby(marked, key=lambda marked: marked[:2])
        ]
        self.n_special = example.sequence_ids.count(None)
        self._first = example.sequence_ids.index(0)

    def fill(self, *texts: list[int]) -> Segment:
        filled = [(kind, ids if text is None else texts[text]) for text, kind, ids in self._runs]
        return Segment(
            self._first,
            [piece for _, ids in filled for piece in ids],
            [kind for kind, ids in filled for _ in ids],
        )


class WordPieceTokenizer:
    """Makes word pieces, without special ones, of a tokenizer.json.

    alone, paired: what to put around a text, and around two.
    """

    def __init__(self, tokenizer: str):
        self._tokenizer = tokenizers().Tokenizer.from_str(tokenizer)
        self._tokenizer.encode_special_tokens = True  # a post that says "[SEP]" is still one
        self.alone = Template(self._tokenizer.encode("a"))
        self.paired = Template(self._tokenizer.encode("a", "a"))

    def word(self, word: str) -> list[int]:
        address = ADDRESS.fullmatch(word)
        word = address[1] if address else word
        encoding = self._tokenizer.encode([word], is_pretokenized=True, add_special_tokens=False)
        return encoding.ids

    def text(self, text: str) -> list[int]:
        """Halves of a surrogate pair are read as the character that they make, or as U+FFFD."""
        # A string may hold them, from JSON for one; the tokenizer takes no such string.
        whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return self._tokenizer.encode(whole, add_special_tokens=False).ids if whole else []


# Kept out of the featurizer, because a tokenizer does not survive pickling with its settings.
_speller = lru_cache(maxsize=8)(WordPieceTokenizer)


def cut(n_pieces: int, window: int, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut a post into windows of equal length, evenly spread, and choose one for each position.

    Returns the start of each window, int64 [n_windows], and the index of the window in which each
    position is farthest from a cut.
    """
    step = window - int(window * OVERLAP)
    n_windows = 1 + max(-(-(n_pieces - window) // step), 0)
    starts = np.linspace(0, max(n_pieces - window, 0), n_windows).astype(np.int64)
    # What two windows share is divided in its middle.
    middles = (starts[1:] + starts[:-1] + window) / 2
    return starts, np.searchsorted(middles, positions + 0.5)
