"""Share of the spaces between tokens that `join_words` predicts, on posts with their text.

    python benchmarks/join_words.py idrisi.dev.jsonl

The file has one post per line with its `text`. Tokens are those of spaCy's English tokenizer.
Compared are joining by spaces and, if it is installed, the detokenizer of `sacremoses`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import spacy

from spacy_mner.corpus.join_words import join_words

Join = Callable[[Sequence[str]], str]


def joins() -> dict[str, Join]:
    found: dict[str, Join] = {"spaces": " ".join, "join_words": join_words}
    if find_spec("sacremoses"):
        from sacremoses import MosesDetokenizer

        detokenizer = MosesDetokenizer("en")
        found["sacremoses"] = lambda words: detokenizer.detokenize(words, unescape=False)
    return found


def has_spaces(words: Sequence[str], text: str) -> list[bool]:
    """Whether a space follows each word but the last, in a text with their characters."""
    result, position = [], 0
    for word in words[:-1]:
        for character in word:
            position = text.index(character, position) + 1
        result.append(text[position : position + 1].isspace())
    return result


def main() -> None:
    tokenizer = spacy.blank("en").tokenizer
    lines = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    posts = [" ".join(json.loads(line)["text"].split()) for line in lines]
    docs = [[token.text for token in tokenizer(post)] for post in posts]
    expected = [
        space for words, post in zip(docs, posts, strict=True) for space in has_spaces(words, post)
    ]
    print(f"{len(posts):,} posts, {len(expected):,} pairs of tokens")
    for name, join in joins().items():
        found = [space for words in docs for space in has_spaces(words, join(words))]
        n_equal = sum(a == b for a, b in zip(found, expected, strict=True))
        print(f"{name}: {n_equal / len(expected):.1%}")


if __name__ == "__main__":
    main()
