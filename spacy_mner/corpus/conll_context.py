"""Text about the image behind the tokens of a post, as the corpora of AdaSeq, ITA and MoRe have it.

`<EOS>` separates the tokens of the post from those of captions or retrieved knowledge, which all
have one label, such as X.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .tags import Tag

SEPARATOR = "<EOS>"


@dataclass(frozen=True)
class Token:
    """A token of a file.

    cell: what its line has in the column of tags; None if it is shorter. tag: None if `cell` is
    not a tag.
    """

    line: int
    word: str
    cell: str | None
    tag: Tag | None

    @property
    def label(self) -> str | None:
        return self.tag.label if self.tag else self.cell


def at_separator(tokens: list[Token]) -> tuple[list[Token], list[Token]]:
    """Split tokens before the first separator."""
    first = next((i for i, token in enumerate(tokens) if token.word == SEPARATOR), len(tokens))
    return tokens[:first], tokens[first:]


def at_context(tokens: list[Token], label: str) -> tuple[list[Token], str | None]:
    """Split off the tokens at the end that have a label or are separators.

    Returns the other tokens and the text of those: words joined by spaces, a line feed for a
    separator; None if there is no text.
    """
    end = len(tokens)
    while end and (tokens[end - 1].word == SEPARATOR or tokens[end - 1].label == label):
        end -= 1
    lines = " ".join(token.word for token in tokens[end:]).split(SEPARATOR)
    return tokens[:end], "\n".join(line.strip() for line in lines if line.strip()) or None


def label_of_contexts(posts: Iterable[list[Token]]) -> str | None:
    """Return the one label of all tokens after separators; None if there are several, or none."""
    labels = {
        token.label
        for tokens in posts
        for token in at_separator(tokens)[1]
        if token.word != SEPARATOR
    }
    return labels.pop() if len(labels) == 1 else None
