"""Removes training posts whose text occurs in a dev or test post of any of the corpora.

    python pipelines/drop_seen_posts.py SOURCE HELD_OUT TARGET

reads NAME.train.spacy in the first folder and writes it to the third, without the posts whose text
is that of a post of a .dev.spacy or .test.spacy file in the second. Texts are compared by their
letters and digits alone, ignoring case.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import spacy
from spacy.tokens import Doc

from spacy_mner.corpus.docbin import read_docs, write_docs
from spacy_mner.errors import CorpusError

VOCAB = spacy.blank("en").vocab


def text_key(doc: Doc) -> str:
    """Return the letters and digits of a post, casefolded."""
    return "".join(filter(str.isalnum, doc.text.casefold()))


def texts_of(folder: Path, split: str) -> set[str]:
    """Return the key of each post of a split, without those that have no letters and digits."""
    paths = sorted(folder.glob(f"*.{split}.spacy"))
    return {text_key(doc) for path in paths for doc in read_docs(path, VOCAB)} - {""}


def drop_seen_posts(source: Path, held_out: Path, target: Path) -> Iterator[tuple[str, int, int]]:
    """Write the training posts that are in no dev or test post.

    Yields the name of each file, and its number of posts before and after. A post without letters
    and digits is kept.
    """
    seen = texts_of(held_out, "dev") | texts_of(held_out, "test")
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.glob("*.train.spacy")):
        docs = list(read_docs(path, VOCAB))
        kept = [doc for doc in docs if text_key(doc) not in seen]
        write_docs(kept, target / path.name)
        yield path.name, len(docs), len(kept)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="folder of the training posts")
    parser.add_argument("held_out", type=Path, help="folder of the dev and test posts")
    parser.add_argument("target", type=Path)
    options = parser.parse_args()
    try:
        for name, before, after in drop_seen_posts(
            options.source, options.held_out, options.target
        ):
            print(f"{name}: {before - after:,} of {before:,} posts are in dev or test; removed")
    except CorpusError as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
