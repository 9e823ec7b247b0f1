"""Joins the words of a post that has no text, as in CoNLL, into a probable text.

Of the spaces in the 2,056 tweets of IDRISI dev (50,030 pairs of spaCy's tokens), 97.8 % are
predicted (`benchmarks/join_words.py`). The detokenizer of Moses (`sacremoses`) predicts 92.6 %: it
has no rule for mentions and hashtags.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

from spacy.tokens import Doc, DocBin

from ..utils.text import UNSPACED

# Removed in this order; the text has one space between two words.
_SPACES = [
    re.compile(f"(?<={UNSPACED}) (?={UNSPACED})"),
    # Closing punctuation, and contractions such as "do n't", "Mary 's" and "Mary ' s".
    re.compile(r" (?=[.,!?;:…%)\]}”»]+(?: |$))"),
    re.compile(r" (?=(?:n['’]t|['’] ?(?:s|m|d|t|re|ve|ll))(?!\w))", re.IGNORECASE),
    re.compile(r"(?<=\w['’]) (?=(?:s|m|d|t|re|ve|ll)(?!\w))", re.IGNORECASE),
    # Opening punctuation, currencies, and the signs of mentions and hashtags: "@ name", "# name".
    re.compile(r"""(?:(?<=[ "'])|(?<=^))([(\[{“«$£€@#]) (?=\w)"""),
]
# The inner spaces of a pair of quotation marks; bounded, because each mark starts a search.
_QUOTED = re.compile(r"""(?:(?<= )|(?<=^))(["']) (.{1,300}?) \1(?= |$)""")


def join_words(words: Sequence[str]) -> str:
    """Join words by spaces, but none between words of scripts that are written without, before
    closing punctuation and contractions, after opening punctuation, `@` and `#`, and inside pairs
    of quotation marks.

    The result has the characters of the words in their order, and differs in spaces only.
    """
    text = _QUOTED.sub(r"\1\2\1", " ".join(words))
    for space in _SPACES:
        text = space.sub(r"\1" if space.groups else "", text)
    return text


def spaces_after(words: Sequence[str]) -> list[bool]:
    """Return whether a space follows each word in the text of `join_words`."""
    text = join_words(words)
    spaces, position = [], 0
    for word in words:
        for character in word:
            # A space inside a word may have been removed.
            position += text.startswith(character, position)
        spaces.append(text.startswith(" ", position))
        position += spaces[-1]
    return spaces


def with_joined_words(doc: Doc) -> Doc:
    """Return a copy of a Doc with unknown spaces whose text is the words, joined by `join_words`.

    Tokens, annotation of tokens and attributes of the Doc are unchanged.
    """
    words = [token.text for token in doc]
    joined = Doc(doc.vocab, words=words, spaces=spaces_after(words), user_data=doc.user_data)
    attributes: list[Any] = list(DocBin().attrs)
    return joined.from_array(attributes, cast(Any, doc.to_array(attributes)))
