"""Replaces the image texts of a corpus by what RapidOCR reads in the images (extra `ocr`).

    python experiments/read_image_text.py OUT.spacy IN.spacy... --images-root DIR

OUT has the posts of all IN in order. Posts without an image text stay without one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import spacy

from spacy_mner.corpus.docbin import read_docs, write_docs
from spacy_mner.extensions import has_image_text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("inputs", type=Path, nargs="+")
    parser.add_argument("--images-root", default=".")
    options = parser.parse_args()
    nlp = spacy.blank("en")
    read = nlp.add_pipe("image_text", config={"images_root": options.images_root})
    docs, posts, words, found = [], 0, 0, 0
    for path in options.inputs:
        for doc in read_docs(path, nlp.vocab):
            if has_image_text(doc):
                shown = set(doc._.image_text.casefold().split())
                doc._.image_text = None
                read(doc)
                posts, words = posts + 1, words + len(shown)
                found += len(shown & set((doc._.image_text or "").casefold().split()))
            docs.append(doc)
    write_docs(docs, options.output)
    print(
        f"{options.output}: {len(docs)} posts, {posts} with text in the image; "
        f"{found} of its {words} words read"
    )


if __name__ == "__main__":
    main()
