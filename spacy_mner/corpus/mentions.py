"""User mentions in posts, and the entities that are nothing but one."""

from __future__ import annotations

import re
from collections.abc import Iterable

from spacy.tokens import Doc

from ..pipeline.post_tokenizer import MENTION_SIGN

# Not after a word character, as in e-mail addresses, but of a script with spaces: ideographs may
# stand before a mention.
_MENTION = re.compile(rf"(?<![A-Za-z0-9_]){MENTION_SIGN}\w+")
_MENTION_IN_WORDS = re.compile(rf"(?<![A-Za-z0-9_]){MENTION_SIGN} ?\w+")

Offsets = tuple[int, int]


def find_mentions(doc: Doc) -> list[Offsets]:
    """Return the start and end of each user mention (`@name`) in the text of a post.

    If the spaces are unknown, a sign and the word after it are a mention (`@ name`).
    """
    pattern = _MENTION_IN_WORDS if doc.has_unknown_spaces else _MENTION
    return [match.span() for match in pattern.finditer(doc.text)]


def is_only_mention(start: int, end: int, mentions: Iterable[Offsets]) -> bool:
    """Whether a span lies within a user mention: `@name`, its sign, or its name.

    In `@ Madison Square Garden`, the span of three words does not.
    """
    return any(first <= start and end <= last for first, last in mentions)


def remove_mentions(doc: Doc) -> int:
    """Replace entities that are only a user mention by missing annotation, in place.

    Returns their number.
    """
    mentions = find_mentions(doc)
    found = [e for e in doc.ents if is_only_mention(e.start_char, e.end_char, mentions)]
    doc.set_ents([], missing=found, default="unmodified")
    return len(found)
