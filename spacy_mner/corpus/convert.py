"""Corpora from one format to another; the suffix of a file says which it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
import spacy
from PIL import Image
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from ..errors import CorpusError, UsageError
from ..extensions import has_image
from ..images.reference import references
from . import docbin, jsonl, labelstudio
from .attach_images import Attach
from .conll import Repairs, parse_conll, read_lines
from .posts import Labels, Post, make_doc, rename_labels
from .predicted import make_predicted
from .problems import Problem
from .record import as_descriptor, as_objects
from .summary import Summary, write_summary
from .tags import Orphans

CONLL = (".txt", ".conll", ".bio", ".iob", ".iob2", ".tsv", "")
OUTPUTS = (docbin.SUFFIX, jsonl.SUFFIX, labelstudio.SUFFIX)
INPUTS = (*CONLL[:-1], *OUTPUTS)

# What a reference to an image may be, as far as a file holds it.
REFERENCES = (str, Path, bytes, Image.Image, np.ndarray)


@dataclass(frozen=True)
class Options:
    """How to convert.

    images_root: folder in which images are looked up; references become relative to it.
    features: `.npz` file with `ids` and `features` for `doc._.image_features`.
    captions: file with lines `id<TAB>caption` for `doc._.image_text`.
    orphans: the protocol, what becomes of an `I-` with no opening tag: "open" lets it begin an
        entity (lenient), "drop" reads it as outside (strict).
    rename: old label → new label; labels stay as they are otherwise.
    nlp: pipeline whose tokenizer is used for posts without tokens, and to count the spans that do
        not align with its tokens; None: a blank English one.
    """

    images_root: Path | None = None
    features: Path | None = None
    captions: Path | None = None
    orphans: Orphans = "open"
    rename: Mapping[str, str] = field(default_factory=dict)
    nlp: Language | None = None


def convert(source: Path, target: Path, options: Options | None = None) -> Summary:
    """Convert a corpus and write a summary beside the output.

    The formats follow from the suffixes. Raises CorpusError for input or options that cannot
    be used at all; what is wrong with single lines is in the summary.
    """
    options = options or Options()
    _check(source, target, options)
    summary = Summary(str(source), str(target), options.orphans)
    labels = Labels(options.rename)
    attach = Attach(
        options.images_root,
        options.features,
        options.captions,
        by_id=source.suffix.lower() in CONLL,
        summary=summary,
    )
    docs = _counted(map(attach, _read(source, options, labels, summary)), summary)
    _write(_at_least_one(docs, source, summary), target, options)
    summary.unused_names = sorted(set(options.rename) - labels.seen)
    write_summary(summary)
    return summary


def _check(source: Path, target: Path, options: Options) -> None:
    if not source.is_file():
        raise CorpusError(f"There is no file {source}.")
    if source.suffix.lower() not in (*INPUTS, ""):
        raise UsageError(f"{source}: an input ends in one of {', '.join(INPUTS)}.")
    if target.suffix.lower() not in OUTPUTS:
        raise UsageError(f"{target}: an output ends in one of {', '.join(OUTPUTS)}.")
    if options.orphans not in ("open", "drop"):
        raise UsageError(f'orphans is "open" or "drop", not "{options.orphans}".')


def _at_least_one(docs: Iterator[Doc], source: Path, summary: Summary) -> Iterator[Doc]:
    """The same Docs, of which one is read at once: without any, nothing is to be written."""
    first = next(docs, None)
    if first is None:
        raise CorpusError(f"There is no post in {source}. {_first_problem(summary)}".strip())
    return chain([first], docs)


def _first_problem(summary: Summary) -> str:
    if not summary.problems:
        return ""
    first = summary.problems[0]
    number = f"{summary.unit} {first.line}"
    return f"{len(summary.problems)} problems, the first in {number}: {first.reason}."


def _read(source: Path, options: Options, labels: Labels, summary: Summary) -> Iterator[Doc]:
    nlp = options.nlp or blank_pipeline("en")
    if source.suffix.lower() == docbin.SUFFIX:
        docs = _read_docs(source, nlp, labels, summary)
    else:
        posts = _read_posts(source, options, nlp, labels, summary)
        docs = (make_doc(post, nlp.vocab) for post in posts)
    for doc in docs:
        if doc.ents:
            summary.alignment.update(Example(make_predicted(doc, nlp), doc))
        yield doc


def _read_posts(
    source: Path, options: Options, nlp: Language, labels: Labels, summary: Summary
) -> Iterator[Post]:
    report = summary.problems.append
    suffix = source.suffix.lower()
    if suffix == labelstudio.SUFFIX:
        tasks = labelstudio.read_tasks(source)
        return labelstudio.parse_tasks(tasks, nlp=nlp, labels=labels, report=report)
    if suffix == jsonl.SUFFIX:
        return jsonl.parse_jsonl(read_lines(source), nlp=nlp, labels=labels, report=report)
    return _read_conll(source, options, labels, summary)


def blank_pipeline(lang: str) -> Language:
    """Create a blank pipeline; raises UsageError for a language that spaCy does not have."""
    try:
        return spacy.blank(lang)
    except ImportError as error:
        raise UsageError(f"--lang {lang}: spaCy has no such language ({error}).") from error


def _read_docs(source: Path, nlp: Language, labels: Labels, summary: Summary) -> Iterator[Doc]:
    for number, doc in enumerate(docbin.read_docs(source, nlp.vocab), start=1):
        if not len(doc):
            summary.problems.append(Problem(number, "no text; left out"))
            continue
        rename_labels(doc, labels)
        for reason in _left_out(doc):
            summary.problems.append(Problem(number, f"{reason}; left out"))
        yield doc


def _left_out(doc: Doc) -> Iterator[str]:
    """Take from a Doc what no other format can hold, saying why."""
    text, features, image = doc._.image_text, doc._.image_features, doc._.image
    if not isinstance(text, str | None):
        yield f"image_text is of type {type(text).__name__}, not a string"
        doc._.image_text = None
    try:
        _ = features is None or as_descriptor(features)
    except ValueError as error:
        yield str(error)
        doc._.image_features = None
    try:
        _ = doc._.image_objects is None or as_objects(doc._.image_objects)
    except ValueError as error:
        yield str(error)
        doc._.image_objects = None
    images = [one for one in references(image) if isinstance(one, REFERENCES)]
    if len(images) < len(references(image)):
        yield "image is neither a reference nor a list of references"
        doc._.image = images or None


def _read_conll(source: Path, options: Options, labels: Labels, summary: Summary) -> Iterator[Post]:
    repairs = Repairs()
    yield from parse_conll(
        read_lines(source),
        labels=labels,
        orphans=options.orphans,
        report=summary.problems.append,
        repairs=repairs,
    )
    summary.repaired_tags = repairs.orphans
    summary.repaired_tokens = repairs.changed


def _counted(docs: Iterable[Doc], summary: Summary) -> Iterator[Doc]:
    for doc in docs:
        summary.posts += 1
        summary.tokens += len(doc)
        summary.entities.update(entity.label_ for entity in doc.ents)
        summary.posts_with_image += has_image(doc)
        yield doc


def _write(docs: Iterable[Doc], target: Path, options: Options) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    suffix = target.suffix.lower()
    if suffix == labelstudio.SUFFIX:
        labelstudio.write_tasks(docs, target, options.images_root)
    elif suffix == jsonl.SUFFIX:
        jsonl.write_jsonl(docs, target)
    else:
        docbin.write_docs(docs, target)
