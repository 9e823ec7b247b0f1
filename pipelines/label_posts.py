"""Labels the texts of IDRISI with a pretrained pipeline, as training posts of a smaller one.

    python pipelines/label_posts.py MODEL IDRISI HELD_OUT TARGET.spacy

reads the files train.jsonl and dev.jsonl in the folders of IDRISI and writes each distinct text
that is no dev or test post of the second folder, with the entities that the pipeline finds. An
entity of low probability is missing annotation. IDRISI's own annotation (locations alone) is not
used.
"""

from __future__ import annotations

import argparse
import html
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import spacy
import srsly
from spacy.language import Language
from spacy.tokens import Doc, Span

from drop_seen_posts import text_key, texts_of
from spacy_mner.corpus.docbin import write_docs
from spacy_mner.corpus.mentions import remove_mentions
from spacy_mner.errors import MNERError

MIN_SCORE = 0.6


def texts_in(folder: Path) -> Iterator[str]:
    """Yield the texts of the training and dev files, in which `&` is written as `&amp;`."""
    for split in ("train", "dev"):
        for path in sorted(folder.glob(f"*/{split}.jsonl")):
            yield from (html.unescape(post["text"]) for post in srsly.read_jsonl(path))


def unseen_docs(nlp: Language, texts: Iterable[str], seen: set[str]) -> Iterator[Doc]:
    """Yield each distinct text as a post, unless its key is in `seen`."""
    seen = set(seen)
    for doc in map(nlp.make_doc, texts):
        key = text_key(doc)
        if key not in seen:
            seen.add(key)
            yield doc


def with_labels(nlp: Language, docs: Iterable[Doc]) -> Iterator[Doc]:
    """Annotate the posts with the entities of the pipeline."""
    for doc in nlp.pipe(docs):
        unsure = [entity for entity in doc.ents if entity._.score < MIN_SCORE]
        doc.set_ents([], missing=unsure, default="unmodified")
        remove_mentions(doc)
        labeled = Doc(
            nlp.vocab,
            words=[token.text for token in doc],
            spaces=[bool(token.whitespace_) for token in doc],
        )
        labeled.set_ents(
            [Span(labeled, e.start, e.end, label=e.label_) for e in doc.ents],
            missing=[labeled[t.i : t.i + 1] for t in doc if t.ent_iob == 0],
        )
        yield labeled


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="name or folder of a pipeline")
    parser.add_argument("idrisi", type=Path, help="folder with a folder per event")
    parser.add_argument("held_out", type=Path, help="folder of the dev and test posts")
    parser.add_argument("target", type=Path)
    options = parser.parse_args()
    try:
        nlp = spacy.load(options.model)
        seen = texts_of(options.held_out, "dev") | texts_of(options.held_out, "test")
        docs = unseen_docs(nlp, texts_in(options.idrisi), seen)
        write_docs(with_labels(nlp, docs), options.target)
    except (MNERError, OSError, ValueError) as error:
        sys.exit(f"{error}")
    print(f"Wrote {options.target}")


if __name__ == "__main__":
    main()
