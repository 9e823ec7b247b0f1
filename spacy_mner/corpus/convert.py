"""Conversion of corpora between formats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Literal, get_args

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import get_lang_class

from ..errors import CorpusError, UsageError
from ..extensions import has_image
from ..utils.atomic_file import refuse_input_as_output
from ..utils.text import pluralize
from .attach_images import ImageAttacher
from .conll import read_conll
from .formats import Format, format_of, writer_of
from .join_words import with_joined_words
from .mentions import remove_mentions
from .posts import ReadContext, names_of_annotated_labels
from .predicted import make_joined, make_predicted
from .summary import Summary
from .tags import Orphans

StoredTokens = Literal["corpus", "pipeline"]
StoredMentions = Literal["annotated", "missing"]


@dataclass(frozen=True)
class Options:
    """Options of a conversion.

    images_root: folder in which images are looked up; references become relative to it.
    features: `.npz` file with `ids` and `features` for `doc._.image_features`.
    captions: file with lines `id<TAB>caption` for `doc._.image_text`.
    orphans: convention for an orphan `I-`, one without a preceding tag: "open" begins an entity
        (lenient), "drop" reads it as outside (strict).
    rename: old label → new label, or "" to drop its spans; other labels are unchanged.
    columns: numbers of the columns of words and tags, from 1, in a file of tokens with tags; None:
        found by their content.
    context_label: label of text about the image after the tokens of a post in such a file, as
        `<EOS>` separates it; it becomes `doc._.image_text`, which `captions` replace.
    tag_names: names of the integer tags of a JSON file, in order.
    annotates: the labels that the corpus annotates, by their new names: of any other label it is
        unknown whether a post has entities (`doc._.annotated_labels`). None: as in the input, where
        it is all labels unless it was converted with this option.
    tokens: "corpus" keeps unknown spaces, so that the words of a post without text are the tokens
        of a pipeline; "pipeline" joins them by `join_words` to a text, which pipelines tokenize.
    mentions: "missing" replaces entities that are only a user mention by missing annotation, which
        is unknown in training and ignored in scores; "annotated" keeps them.
    nlp: pipeline whose tokenizer is used for posts without tokens, and to count the spans that do
        not align with its tokens; None: a blank English one.
    """

    images_root: Path | None = None
    features: Path | None = None
    captions: Path | None = None
    orphans: Orphans = "open"
    rename: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[int, int] | None = None
    context_label: str | None = None
    tag_names: Sequence[str] | None = None
    annotates: Sequence[str] | None = None
    tokens: StoredTokens = "corpus"
    mentions: StoredMentions = "annotated"
    nlp: Language | None = None


def convert(source: Path, target: Path, options: Options | None = None) -> Summary:
    """Convert a corpus and write a summary next to the output.

    The suffixes determine the formats. Raises CorpusError for an unreadable input and UsageError
    for invalid options; problems with single posts are in the summary.
    """
    options = options or Options()
    reader, write = format_of(source), writer_of(target)
    if not source.is_file():
        raise CorpusError(f"There is no file {source}.")
    refuse_input_as_output(source, target)
    _check_options(options, reader)
    context = ReadContext(
        options.nlp or blank_pipeline("en"),
        options.rename,
        options.orphans,
        options.columns,
        options.context_label,
        options.tag_names,
    )
    summary = Summary(str(source), str(target), options.orphans, problems=context.problems)
    attach = ImageAttacher(
        options.images_root,
        options.features,
        options.captions,
        by_id=reader.images_by_id,
        summary=summary,
    )
    docs = _with_annotated_labels(reader.read(source, context), options.annotates, source)
    docs = _with_counted_annotation(map(attach, docs), summary)
    if options.mentions == "missing":
        docs = _without_mentions(docs, summary)
    if options.tokens == "pipeline":
        docs = (with_joined_words(doc) if doc.has_unknown_spaces else doc for doc in docs)
    docs = _counted(docs, summary, context.nlp)
    docs = _require_one(docs, source, reader, context)
    target.parent.mkdir(parents=True, exist_ok=True)
    write(docs, target, options.images_root)
    summary.tag_scheme = context.scheme
    summary.incomplete_entities, summary.changed_tags = context.n_orphans, context.n_changed
    summary.dropped = dict(context.dropped)
    summary.unread_keys = sorted(context.unread_keys)
    summary.unread_images = dict(context.unread_images)
    summary.empty_images = context.empty_images
    summary.offset_hint = context.offset_check.hint
    summary.unused_names = sorted(set(options.rename) - context.labels_seen)
    summary.labels_without_spans = sorted({*(options.annotates or ())} - {*summary.entities})
    summary.write()
    return summary


def _check_options(options: Options, reader: Format) -> None:
    choices = {"orphans": Orphans, "tokens": StoredTokens, "mentions": StoredMentions}
    for name, choice in choices.items():
        if (value := getattr(options, name)) not in get_args(choice):
            raise UsageError(f"{name} must be one of {', '.join(get_args(choice))}, not {value!r}.")
    if options.context_label == "O":
        raise UsageError("--context-label is a label other than O.")
    if min(options.columns or (1,)) < 1:
        raise UsageError("--columns counts from 1.")
    values = {"--columns": options.columns, "--context-label": options.context_label}
    for name in filter(values.get, values):
        if reader.read is not read_conll:
            raise UsageError(f"{name} is for files of tokens with tags.")
    if len(set(options.tag_names or ())) < len(options.tag_names or ()):
        raise UsageError("--labels has a name twice: it names the tags 0, 1 and so on, in order.")
    if options.tag_names and not {".json", ".jsonl"} & {*reader.suffixes}:
        raise UsageError("--labels names the integer tags of .json and .jsonl files.")


def blank_pipeline(lang: str) -> Language:
    """Create a blank pipeline.

    Raises UsageError for a language that spaCy does not have, or whose tokenizer needs a package
    that is not installed.
    """
    try:
        language = get_lang_class(lang)
    except ImportError as error:
        raise UsageError(
            f"--lang {lang}: spaCy has no such language. Use a code such as en or zh, or xx for "
            "several languages: https://spacy.io/usage/models#languages lists them."
        ) from error
    try:
        return language()
    except ImportError as error:
        raise UsageError(
            f"--lang {lang}: the tokenizer of this language cannot be created. {error}"
        ) from error


def _with_annotated_labels(
    docs: Iterable[Doc], labels: Sequence[str] | None, source: Path
) -> Iterator[Doc]:
    for doc in docs:
        if labels is not None:
            doc._.annotated_labels = labels
        annotated = doc._.annotated_labels
        for entity in doc.ents:
            if annotated is not None and entity.label_ not in annotated:
                raise UsageError(
                    f"{source} has a span with the label {entity.label_}, which is not one of its "
                    f"annotated labels {', '.join(annotated)}. Add it to --annotates, or rename or "
                    f"drop it with --map {entity.label_}=NEW."
                )
        yield doc


def _with_counted_annotation(docs: Iterable[Doc], summary: Summary) -> Iterator[Doc]:
    for doc in docs:
        if doc.has_annotation("ENT_IOB"):
            summary.annotated_labels[names_of_annotated_labels(doc)] += 1
        else:
            summary.unannotated += 1
        yield doc


def _without_mentions(docs: Iterable[Doc], summary: Summary) -> Iterator[Doc]:
    summary.missing_mentions = 0
    for doc in docs:
        summary.missing_mentions += remove_mentions(doc)
        yield doc


def _counted(docs: Iterable[Doc], summary: Summary, nlp: Language) -> Iterator[Doc]:
    for doc in docs:
        summary.posts += 1
        summary.tokens += len(doc)
        summary.entities.update(entity.label_ for entity in doc.ents)
        summary.posts_with_image += has_image(doc)
        if doc.ents:
            make = make_joined if doc.has_unknown_spaces else make_predicted
            summary.alignment.update(Example(make(doc, nlp), doc))
        yield doc


def _require_one(
    docs: Iterator[Doc], source: Path, reader: Format, context: ReadContext
) -> Iterator[Doc]:
    """Raise CorpusError for a corpus without posts, before anything is written."""
    first = next(docs, None)
    if first is not None:
        return chain([first], docs)
    message = f"There is no post in {source}."
    if context.problems:
        one = context.problems[0]
        n_problems = pluralize(len(context.problems), "problem")
        message += f" {n_problems}, the first in {reader.unit} {one.line}: {one.reason}."
    raise CorpusError(message)
