"""Gives the training posts of the open corpora random images of the sample corpus.

    python pipelines/add_random_images.py SOURCE TARGET assets/train.jsonl

reads NAME.train.spacy in the first folder and writes it to the second. The open corpora have no
images. Trained on them as they are, a pipeline takes every image for one of the sample corpus,
where the image decides, and misses names that the text alone makes clear. With images that have
nothing to do with the post, it learns to weigh both.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import spacy
import srsly
from spacy.tokens import Doc

from spacy_mner.corpus.docbin import read_docs, write_docs
from spacy_mner.errors import CorpusError

SEED = 0


def image_names(posts: Path) -> list[str]:
    """Return the distinct images of the posts in a JSONL file, sorted."""
    return sorted({post["image"] for post in srsly.read_jsonl(posts)} - {None})


def with_random_images(docs: Iterable[Doc], images: Sequence[str]) -> Iterator[Doc]:
    """Set the image of each post to one of the images."""
    rng = random.Random(SEED)
    for doc in docs:
        doc._.image = rng.choice(images)
        yield doc


def add_random_images(source: Path, target: Path, images: Sequence[str]) -> None:
    """Write the training posts, each with one of the images."""
    vocab = spacy.blank("en").vocab
    for path in sorted(source.glob("*.train.spacy")):
        write_docs(with_random_images(read_docs(path, vocab), images), target / path.name)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="folder of the training posts")
    parser.add_argument("target", type=Path)
    parser.add_argument("posts", type=Path, help="JSONL with images, relative to its folder")
    options = parser.parse_args()
    try:
        add_random_images(options.source, options.target, image_names(options.posts))
    except (CorpusError, OSError, ValueError) as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
