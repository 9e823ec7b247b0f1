"""Word pieces of a pretrained transformer."""

from __future__ import annotations

import logging
import re
from dataclasses import asdict
from itertools import chain, groupby
from typing import Any, NamedTuple

import numpy as np
from spacy.tokens import Doc

from ..extensions import has_image_text
from ..utils.hub_model import import_library
from ..utils.text import UNSPACED
from .batch import PostBatch
from .featurizer import Featurizer
from .huggingface import EncoderFiles, read_files

logger = logging.getLogger("spacy")

# Minimum share of a segment that overlaps with the next segment of the same post.
OVERLAP = 1 / 4

# Where a post and its image text do not fit into one segment, the maximum share of each segment
# for the image text: enough for a caption (64 of 256 pieces), while most pieces are the post's.
CONTEXT_SHARE = 1 / 4

# The piece of SentencePiece for a space, and words that have none before them.
SPACE = "▁"
UNSPACED_WORD = re.compile(UNSPACED)

# Captures the host of a web address. The rest is mostly random ("t.co/Z3neVBQ7vF") and would be
# half of the pieces of a post with links.
ADDRESS = re.compile(r"https?://(?:www\.)?([^/?#\s]+)\S*", re.IGNORECASE)


class Segment(NamedTuple):
    """One input sequence of the encoder.

    offset: column of the post's first piece.
    pieces, types: ids of word pieces, special ones included, and their token types.
    """

    offset: int
    pieces: list[int]
    types: list[int]


class TransformerFeaturizer(Featurizer):
    """Tokenizes posts into word pieces and aligns each token with its first piece.

    A token without word pieces (a space, U+FE0F, U+200B) becomes the unknown piece. A post longer
    than a segment is split into overlapping segments; each token is taken from the segment in
    which it has the most context on its shorter side. Web addresses are reduced to their host.

    name, revision: as in `from_pretrained`. Resolved in `finalize`; afterwards the tokenizer and
        the encoder's config are part of the `state` (0.5 MB for English, several for a hundred
        languages).
    context: append `doc._.image_text` as a second text (Wang et al. 2022, ITA). Where both do not
        fit into one segment, each segment of the post is followed by the image text, truncated
        to a quarter of `max_length`. Image dropout drops the image text as well.
    max_length: of a segment in word pieces, special ones included; limited to the encoder's own.
    """

    def __init__(
        self,
        name: str,
        *,
        revision: str | None = None,
        context: bool = False,
        max_length: int = 256,
    ):
        self.name = name
        self.revision = revision
        self.context = context
        self.max_length = max_length
        self._files: EncoderFiles | None = None
        self._tokenizer: WordPieceTokenizer | None = None
        self._has_context = False

    def update_vocab(self, doc: Doc) -> None:
        self._has_context = self._has_context or has_image_text(doc)

    def finalize(self) -> None:
        has_context, self._has_context = self._has_context, False
        if self.context and not has_context:
            logger.warning(
                "Transformer.v1 has context = true, but no training post has an image_text. Add "
                "image texts to the corpus (spacy-mner convert --captions), or set context = "
                "false."
            )
        self._set_files(read_files(self.name, self.revision))

    def _set_files(self, files: EncoderFiles) -> None:
        self._files, self._tokenizer = files, None
        shortest = self.tokenizer.paired.n_special + 1
        if self.max_length < shortest:
            raise ValueError(
                f"max_length must be at least {shortest} word pieces for {self.name!r}, "
                f"got {self.max_length}"
            )

    @property
    def files(self) -> EncoderFiles:
        if self._files is None:
            raise ValueError("The transformer is not initialized: call nlp.initialize() first.")
        return self._files

    @property
    def tokenizer(self) -> WordPieceTokenizer:
        if self._tokenizer is None:
            self._tokenizer = WordPieceTokenizer(self.files.tokenizer)
        return self._tokenizer

    @property
    def _longest(self) -> int:
        return min(self.max_length, self.files.longest)

    def dims(self) -> dict[str, Any]:
        return {"config": self.files.config}

    @property
    def settings(self) -> dict[str, Any]:
        return {"context": self.context, "max_length": self.max_length}

    @property
    def reads(self) -> tuple[str, ...]:
        return ("image_text",) if self.context else ()

    def __call__(self, batch: PostBatch) -> dict[str, np.ndarray]:
        unknown = [self.files.unknown]
        pieces = [ids or unknown for ids in self.tokenizer.encode_words(batch.words)]
        segments: list[Segment] = []
        # Of every token: the index of its segment, and the column of its first piece there.
        segment, column = np.zeros((2, len(batch.token)), dtype=np.int64)
        ends = np.cumsum(batch.lengths)
        for i, end in enumerate(ends):
            tokens = slice(end - batch.lengths[i], end)
            words = [pieces[word] for word in batch.token[tokens]]
            firsts = np.cumsum([0, *map(len, words)])[:-1]
            # An empty post is one piece, because some tokenizers add no special pieces.
            post = list(chain.from_iterable(words)) or unknown
            context = self.tokenizer.encode_text(self._context(batch, i))
            window = self._window(len(post), len(context))
            starts, owner = split_windows(len(post), window, firsts)
            parts = [self._segment(post[s : s + window], context) for s in starts]
            segment[tokens] = len(segments) + owner
            column[tokens] = firsts - starts[owner] + np.asarray([p.offset for p in parts])[owner]
            segments += parts
        return self._collate(segments, segment, column)

    def _context(self, batch: PostBatch, i: int) -> str:
        text = batch.docs[i]._.image_text
        is_used = self.context and not batch.without_image[i] and isinstance(text, str)
        return text if is_used else ""

    def _window(self, n_post: int, n_context: int) -> int:
        """Maximum number of the post's pieces in a segment."""
        capacity = self._longest - self.tokenizer.paired.n_special
        reserved = min(n_context, int(self._longest * CONTEXT_SHARE), capacity - 1)
        if not reserved:
            return self._longest - self.tokenizer.single.n_special
        return capacity if n_post + n_context <= capacity else capacity - reserved

    def _segment(self, post: list[int], context: list[int]) -> Segment:
        capacity = max(self._longest - self.tokenizer.paired.n_special - len(post), 0)
        if context[:capacity]:
            return self.tokenizer.paired.fill(post, context[:capacity])
        return self.tokenizer.single.fill(post)

    def _collate(
        self, segments: list[Segment], segment: np.ndarray, column: np.ndarray
    ) -> dict[str, np.ndarray]:
        lengths = np.asarray([len(one.pieces) for one in segments], dtype=np.int64)
        order = np.argsort(-lengths, kind="stable")
        start = np.empty_like(lengths)
        start[order] = np.cumsum(lengths[order]) - lengths[order]
        features = {
            "pieces": np.asarray([id for i in order for id in segments[i].pieces], dtype=np.int64),
            "lengths": lengths[order],
            "first_piece": start[segment] + column,
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
        self._set_files(EncoderFiles(**value))

    def __getstate__(self) -> dict[str, Any]:
        # Pickling a tokenizer of `tokenizers` loses `encode_special_tokens`.
        return {**self.__dict__, "_tokenizer": None}


class Template:
    """The special pieces around one text, or around and between two.

    example: the `tokenizers.Encoding` of one text, or of two.

    n_special: number of special pieces.
    """

    def __init__(self, example: Any):
        rows = zip(example.sequence_ids, example.type_ids, example.ids, strict=True)
        # Per run of pieces: index of its text (None for special pieces), token type, pieces.
        self._runs = [
            (text, kind, [piece for _, _, piece in run])
            for (text, kind), run in groupby(rows, key=lambda row: row[:2])
        ]
        self.n_special = example.sequence_ids.count(None)
        self._offset = example.sequence_ids.index(0)

    def fill(self, *texts: list[int]) -> Segment:
        filled = [(kind, ids if text is None else texts[text]) for text, kind, ids in self._runs]
        return Segment(
            self._offset,
            [piece for _, ids in filled for piece in ids],
            [kind for kind, ids in filled for _ in ids],
        )


class WordPieceTokenizer:
    """Encodes text as ids of word pieces, without special pieces.

    tokenizer: the content of a tokenizer.json.

    single, paired: templates of the special pieces for one text and for two.
    """

    def __init__(self, tokenizer: str):
        self._tokenizer = import_library("tokenizers").Tokenizer.from_str(tokenizer)
        self._tokenizer.encode_special_tokens = True  # "[SEP]" in a post is ordinary text
        # SentencePiece encodes the space before a word. Where it is a piece of its own, the first
        # piece of every Chinese character would be the same.
        self._space = [self._tokenizer.token_to_id(SPACE)]
        self.single = Template(self._tokenizer.encode("a"))
        self.paired = Template(self._tokenizer.encode("a", "a"))

    def encode_words(self, words: list[str]) -> list[list[int]]:
        """Encode each word on its own; a web address as its host."""
        hosts = [ADDRESS.sub(r"\1", word) if ADDRESS.fullmatch(word) else word for word in words]
        # One call for all words; encode_batch would start threads, which break a later fork.
        encoding = self._tokenizer.encode(hosts, is_pretokenized=True, add_special_tokens=False)
        pieces: list[list[int]] = [[] for _ in words]
        for word, piece in zip(encoding.word_ids, encoding.ids, strict=True):
            pieces[word].append(piece)
        return [
            ids[1:] or ids if ids[:1] == self._space and UNSPACED_WORD.match(word) else ids
            for ids, word in zip(pieces, hosts, strict=True)
        ]

    def encode_text(self, text: str) -> list[int]:
        """Encode a text; unpaired surrogates become U+FFFD."""
        # JSON strings may contain surrogates, which `tokenizers` rejects.
        valid = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return self._tokenizer.encode(valid, add_special_tokens=False).ids if valid else []


def split_windows(
    n_pieces: int, window: int, positions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Split pieces into evenly spaced windows of equal length and assign each position to one.

    Returns the start of each window, int64 [n_windows], and for each position the index of the
    window in which its distance to the nearer cut is largest.
    """
    step = window - int(window * OVERLAP)
    n_windows = 1 + max(-(-(n_pieces - window) // step), 0)
    starts = np.linspace(0, max(n_pieces - window, 0), n_windows).astype(np.int64)
    # The overlap of two windows is divided at its center.
    centers = (starts[1:] + starts[:-1] + window) / 2
    return starts, np.searchsorted(centers, positions + 0.5)
