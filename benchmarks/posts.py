"""Synthetic posts with the statistics of tweets: lengths, repetition and spelling."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

LABELS = ("LOC", "MISC", "ORG", "PER")
N_IMAGES = 64


@dataclass(frozen=True)
class Post:
    """A post with BIO tags.

    descriptor: of the image, float32 [dim] or [n_regions, dim], or None.
    image: path of a file, or None.
    """

    words: list[str]
    tags: list[str]
    descriptor: np.ndarray | None = None
    image: str | None = None


@dataclass(frozen=True)
class Lexicon:
    """Distinct words by frequency, with vectors float32 [n_words, dim]."""

    words: list[str]
    vectors: np.ndarray


def make_lexicon(rng: np.random.Generator, *, n_words: int = 12_000, dim: int = 100) -> Lexicon:
    """Create random words; frequent words are short, as in a natural language."""
    letters = np.array(list("etaoinshrdlcumwfgypbvk"))
    words: dict[str, None] = dict.fromkeys([".", "!", ",", "?", "@", "#", ":", "RT"])
    while len(words) < n_words:
        rank = len(words) / n_words
        length = 1 + rng.poisson(1.5 + 6 * rank**0.25)
        word = "".join(rng.choice(letters, length))
        words[word.capitalize() if rng.random() < 0.3 else word] = None
    vectors = rng.standard_normal((n_words, dim), dtype=np.float32)
    return Lexicon(list(words), vectors)


def make_posts(rng: np.random.Generator, lexicon: Lexicon, n_posts: int) -> list[Post]:
    """Create posts of about 16 tokens and one entity, without images."""
    # Zipf's law with an offset, so that a batch repeats tokens as often as one of tweets.
    weights = 1 / (np.arange(len(lexicon.words)) + 8.0)
    weights /= weights.sum()
    posts = []
    for _ in range(n_posts):
        length = int(np.clip(rng.normal(15.7, 5.2), 5, 40))
        words = [lexicon.words[i] for i in rng.choice(len(weights), length, p=weights)]
        posts.append(Post(words, _tags(rng, length)))
    return posts


def _tags(rng: np.random.Generator, length: int) -> list[str]:
    tags = ["O"] * length
    for _ in range(rng.poisson(1.2)):
        start, width = int(rng.integers(length - 1)), int(rng.integers(1, 3))
        if all(tag == "O" for tag in tags[max(start - 1, 0) : start + width + 1]):
            label = str(rng.choice(LABELS))
            tags[start : start + width] = [f"B-{label}", f"I-{label}"][:width]
    return tags


def with_descriptors(
    rng: np.random.Generator,
    posts: list[Post],
    *,
    shape: tuple[int, ...] = (384,),
    share: float = 0.9,
) -> list[Post]:
    """Add a random descriptor to most posts: a vector, or one for each region."""
    return [
        replace(post, descriptor=rng.standard_normal(shape, dtype=np.float32))
        if rng.random() < share
        else post
        for post in posts
    ]


def with_images(
    rng: np.random.Generator, posts: list[Post], folder: Path, *, share: float = 0.9
) -> list[Post]:
    """Add one of a few image files to most posts."""
    paths = [str(folder / f"{i:03}.png") for i in range(N_IMAGES)]
    for path in paths:
        Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(path)
    return [
        replace(post, image=paths[rng.integers(N_IMAGES)]) if rng.random() < share else post
        for post in posts
    ]


def shape(batches: list[list[Post]]) -> dict[str, Any]:
    """Return statistics of the posts, as means over batches."""
    tokens = [[word for post in batch for word in post.words] for batch in batches]
    return {
        "tokens per post": float(np.mean([len(p.words) for batch in batches for p in batch])),
        "longest post of a batch": float(np.mean([max(len(p.words) for p in b) for b in batches])),
        "distinct tokens of a batch": float(np.mean([len(set(words)) for words in tokens])),
        "characters of a distinct token": float(
            np.mean([len(word) for words in tokens for word in set(words)])
        ),
    }
