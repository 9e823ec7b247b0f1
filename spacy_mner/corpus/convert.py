"""Corpora from one format to another: `IMGID:` CoNLL and JSONL in, `.spacy` and JSONL out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import spacy
from spacy.language import Language
from spacy.tokens import Doc

from ..extensions import has_image
from ..images.reference import references
from . import docbin
from .conll import Repairs, parse_conll, read_lines
from .errors import CorpusError, Problem
from .jsonl import doc_to_json, parse_jsonl
from .pictures import (
    LEADS_OUT,
    CaptionFile,
    FeatureFile,
    NoPicture,
    PictureFolder,
    Source,
    climbs,
)
from .posts import POST_ID, Labels, make_doc, rename_labels
from .summary import MissingPicture, Summary, write_summary
from .tags import Orphans

JSONL = ".jsonl"
CONLL = (".txt", ".conll", ".bio", ".iob", ".iob2", ".tsv", "")
INPUTS = (*CONLL[:-1], JSONL, docbin.SUFFIX)
OUTPUTS = (docbin.SUFFIX, JSONL)


@dataclass(frozen=True)
class Options:
    """How to convert.

    images_root: folder in which pictures are looked up; references become relative to it.
    features: `.npz` file with `ids` and `features` for `doc._.image_features`.
    captions: file with lines `id<TAB>caption` for `doc._.image_text`.
    orphans: the protocol, what becomes of an `I-` with no opening tag: "open" lets it begin an
        entity (lenient), "drop" reads it as outside (strict).
    rename: old label → new label; labels stay as they are otherwise.
    lang: language whose tokeniser serves JSONL without tokens.
    """

    images_root: Path | None = None
    features: Path | None = None
    captions: Path | None = None
    orphans: Orphans = "open"
    rename: Mapping[str, str] = field(default_factory=dict)
    lang: str = "en"


def convert(source: Path, target: Path, options: Options | None = None) -> Summary:
    """Convert a corpus and write a summary beside the output.

    The formats follow from the suffixes. Raises CorpusError for input or options that cannot
    be used at all; what is wrong with single lines is in the summary.
    """
    options = options or Options()
    _check(source, target, options)
    summary = Summary(str(source), str(target), options.orphans)
    labels = Labels(options.rename)
    attach = _Attach(options, summary, by_id=source.suffix.lower() in CONLL)
    docs = _counted(map(attach, _read(source, options, labels, summary)), summary)
    # All is read before anything is written: the output may be the input.
    found = list(docs)
    if not found:
        raise CorpusError(f"There is no post in {source}. {_first_problem(summary)}".strip())
    _write(found, target)
    summary.unused_names = sorted(set(options.rename) - labels.seen)
    write_summary(summary)
    return summary


def _check(source: Path, target: Path, options: Options) -> None:
    if not source.is_file():
        raise CorpusError(f"There is no file {source}.")
    if source.suffix.lower() not in (*INPUTS, ""):
        raise CorpusError(f"{source}: an input ends in one of {', '.join(INPUTS)}.")
    if target.suffix.lower() not in OUTPUTS:
        raise CorpusError(f"{target}: an output ends in one of {', '.join(OUTPUTS)}.")
    if options.orphans not in ("open", "drop"):
        raise CorpusError(f'orphans is "open" or "drop", not "{options.orphans}".')


def _first_problem(summary: Summary) -> str:
    if not summary.problems:
        return ""
    first = summary.problems[0]
    return f"{len(summary.problems)} problems, the first in line {first.line}: {first.reason}."


def _read(source: Path, options: Options, labels: Labels, summary: Summary) -> Iterator[Doc]:
    nlp = _blank(options.lang)
    suffix = source.suffix.lower()
    if suffix == docbin.SUFFIX:
        yield from _read_docs(source, nlp, labels, summary)
    elif suffix == JSONL:
        lines = read_lines(source)
        posts = parse_jsonl(lines, nlp=nlp, labels=labels, report=summary.problems.append)
        for post in posts:
            yield make_doc(post, nlp.vocab)
    else:
        yield from _read_conll(source, nlp, options, labels, summary)


def _blank(lang: str) -> Language:
    try:
        return spacy.blank(lang)
    except ImportError as error:
        raise CorpusError(f"spaCy cannot tokenise the language {lang!r}: {error}") from error


def _read_docs(source: Path, nlp: Language, labels: Labels, summary: Summary) -> Iterator[Doc]:
    for number, doc in enumerate(docbin.read_docs(source, nlp.vocab), start=1):
        rename_labels(doc, labels)
        text = doc._.image_text
        if not isinstance(text, str | None):
            reason = f"image_text is of type {type(text).__name__}, not a string; left out"
            summary.problems.append(Problem(number, reason))
            doc._.image_text = None
        yield doc


def _read_conll(
    source: Path, nlp: Language, options: Options, labels: Labels, summary: Summary
) -> Iterator[Doc]:
    repairs = Repairs()
    posts = parse_conll(
        read_lines(source),
        labels=labels,
        orphans=options.orphans,
        report=summary.problems.append,
        repairs=repairs,
    )
    for post in posts:
        yield make_doc(post, nlp.vocab)
    summary.repaired_tags = repairs.orphans
    summary.repaired_tokens = repairs.changed


class _Attach:
    """Replaces the references of a Doc by what was found for them.

    by_id: the references are ids of pictures, and so are no paths to any.
    """

    def __init__(self, options: Options, summary: Summary, *, by_id: bool) -> None:
        self.folder = PictureFolder(options.images_root) if options.images_root else None
        self.features = FeatureFile(options.features) if options.features else None
        self.captions = CaptionFile(options.captions) if options.captions else None
        self.by_id = by_id
        self.summary = summary

    def __call__(self, doc: Doc) -> Doc:
        given = references(doc._.image)
        if self.captions is not None:
            self._caption(doc, self.captions, [str(one) for one in given if _is_name(one)])
        if given:
            self._attach(doc, given)
        return doc

    def _attach(self, doc: Doc, given: list[Any]) -> None:
        names = [one for one in given if _is_name(one)]
        if self.features is not None:
            doc._.image_features = _stacked(self._find(doc, self.features, names))
        if self.folder is not None:
            doc._.image = _one_or_all(self._find(doc, self.folder, given))
        elif self.features is not None or self.by_id:
            doc._.image = _one_or_all([one for one in given if not _is_name(one)])
        else:
            self._leave_out_what_climbs(doc, given)

    def _caption(self, doc: Doc, captions: CaptionFile, names: list[str]) -> None:
        """Look captions up by the names of the pictures, else by the id of the post.

        A post that brings no picture misses none.
        """
        post_id = doc.user_data.get(POST_ID)
        found = []
        for name in names or [str(post_id)] * (post_id is not None):
            try:
                found.append(captions.find(name))
            except NoPicture as error:
                if names or has_image(doc):
                    missing = MissingPicture(self._name(doc), name, str(error))
                    self.summary.captions_missing.append(missing)
        self.summary.captions_matched += len(found)
        if found:
            doc._.image_text = "\n".join(found)

    def _leave_out_what_climbs(self, doc: Doc, given: list[Any]) -> None:
        """Wherever a path will be looked up: it is to stay below that folder."""
        kept = []
        for reference in given:
            if _is_name(reference) and climbs(str(reference)):
                self._miss(doc, reference, LEADS_OUT)
            else:
                kept.append(reference)
        if len(kept) < len(given):
            doc._.image = _one_or_all(kept)

    def _find(self, doc: Doc, source: Source, references: Iterable[Any]) -> list[Any]:
        found = []
        for reference in references:
            if not _is_name(reference):
                found.append(reference)
                continue
            try:
                found.append(source.find(str(reference)))
                self.summary.pictures_matched += 1
            except NoPicture as error:
                self._miss(doc, reference, str(error))
        return found

    def _miss(self, doc: Doc, reference: Any, reason: str) -> None:
        missing = MissingPicture(self._name(doc), str(reference), reason)
        self.summary.pictures_missing.append(missing)

    def _name(self, doc: Doc) -> str:
        return str(doc.user_data.get(POST_ID) or f"post {self.summary.posts + 1}")


def _is_name(reference: Any) -> bool:
    return isinstance(reference, str | Path)


def _one_or_all(found: list[Any]) -> Any:
    return found[0] if len(found) == 1 else (found or None)


def _stacked(found: list[np.ndarray]) -> np.ndarray | None:
    """Descriptors of several pictures as regions, one after the other; None of none."""
    if len(found) < 2:
        return found[0] if found else None
    return np.concatenate([np.atleast_2d(features) for features in found])


def _counted(docs: Iterable[Doc], summary: Summary) -> Iterator[Doc]:
    for doc in docs:
        summary.posts += 1
        summary.tokens += len(doc)
        summary.entities.update(entity.label_ for entity in doc.ents)
        summary.posts_with_picture += has_image(doc)
        yield doc


def _write(docs: list[Doc], target: Path) -> None:
    writers: dict[str, Callable[[list[Doc], Path], None]] = {
        docbin.SUFFIX: docbin.write_docs,
        JSONL: _write_jsonl,
    }
    writers[target.suffix.lower()](docs, target)


def _write_jsonl(docs: list[Doc], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding="utf-8", newline="\n") as file:
        for doc in docs:
            file.write(json.dumps(doc_to_json(doc), ensure_ascii=False) + "\n")
