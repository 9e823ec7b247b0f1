"""Adds the dev posts to the training posts, for the weights that are published.

    python pipelines/add_dev_posts.py SOURCE TARGET

reads NAME.train.spacy and NAME.dev.spacy in the first folder and writes the posts of both as
NAME.train.spacy in the second, without the dev posts whose text is that of a post of a .test.spacy
file in the first. All settings are chosen before, with the dev posts held out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from drop_seen_posts import VOCAB, text_key, texts_of
from spacy_mner.corpus.docbin import read_docs, write_docs
from spacy_mner.errors import CorpusError


def add_dev_posts(source: Path, target: Path) -> Iterator[tuple[str, int, int]]:
    """Write the training posts with the dev posts that are no test post.

    Yields the name of each file, and its number of posts before and after.
    """
    tested = texts_of(source, "test")
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.glob("*.train.spacy")):
        docs = list(read_docs(path, VOCAB))
        added = read_docs(source / path.name.replace(".train.", ".dev."), VOCAB)
        merged = [*docs, *(doc for doc in added if text_key(doc) not in tested)]
        write_docs(merged, target / path.name)
        yield path.name, len(docs), len(merged)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    options = parser.parse_args()
    try:
        for name, before, after in add_dev_posts(options.source, options.target):
            print(f"{name}: {before:,} posts, with those of dev {after:,}")
    except (CorpusError, OSError) as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
