"""`spacy-mner convert`: conversion of corpora between formats."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from wasabi import msg

from ..errors import UsageError
from ..utils.text import first_items, pluralize, printable, remaining_items, short_repr
from .console import user_errors
from .options import Code

if TYPE_CHECKING:
    from spacy.language import Language

    from ..corpus.summary import MissingImage, Summary


class OrphanChoice(str, Enum):
    """Convention for an orphan `I-`."""

    open = "open"
    drop = "drop"


class TokensOfWords(str, Enum):
    """Tokens of a corpus of words without text."""

    corpus = "corpus"
    pipeline = "pipeline"


class MentionsChoice(str, Enum):
    """Annotation of entities that are only a user mention."""

    annotated = "annotated"
    missing = "missing"


def convert_cli(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            help="Tokens with tags, with IMGID: or WID: headers or without (.txt, .conll, .bio, "
            ".tsv), WebAnno TSV 3 (.tsv), .jsonl (Prodigy, Doccano, Hugging Face and others), "
            ".json (Label Studio, or a list of posts) or .spacy.",
        ),
    ],
    target: Annotated[Path, typer.Argument(metavar="OUTPUT", help=".spacy, .jsonl or .json.")],
    images_root: Annotated[
        Path | None,
        typer.Option(help="Folder with the images; paths become relative to it."),
    ] = None,
    features: Annotated[
        Path | None, typer.Option(help="Descriptors: .npz with `ids` and `features`.")
    ] = None,
    captions: Annotated[
        Path | None, typer.Option(help="Captions of images: lines of id<TAB>caption.")
    ] = None,
    orphans: Annotated[
        OrphanChoice,
        typer.Option(
            help="Convention for an orphan I-, one without a preceding tag of its label: it "
            "begins an entity (open, lenient) or is read as outside (drop, strict)."
        ),
    ] = OrphanChoice.open,
    rename: Annotated[
        list[str] | None,
        typer.Option(
            "--map", metavar="OLD=NEW", help="Rename a label, or drop it (OLD=); repeatable."
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="O,B-PER,…",
            help="Names of integer tags in a JSON file, in order, separated by commas.",
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="WORD,TAG",
            help="Columns of words and tags in a file of tokens with tags, such as 1,4.  "
            "[default: found by their content]",
        ),
    ] = None,
    context_label: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL",
            help="Label of text about the image that follows the tokens of a post after <EOS>: "
            "read as image_text. Captions of --captions replace it.",
        ),
    ] = None,
    annotates: Annotated[
        str | None,
        typer.Option(
            metavar="PER,LOC,…",
            help="Labels that the corpus annotates, by their new names: where it has no span, "
            "other labels are unknown in training and ignored in scores.  [default: all]",
        ),
    ] = None,
    tokens: Annotated[
        TokensOfWords,
        typer.Option(
            help="Tokens of a corpus of words without text: the words are the tokens (corpus), or "
            "are joined to a text, which the pipeline's tokenizer splits (pipeline)."
        ),
    ] = TokensOfWords.corpus,
    mentions: Annotated[
        MentionsChoice,
        typer.Option(
            help="Spans that are only a user mention such as @name: annotated as they are, or "
            "missing annotation, unknown in training and ignored in scores."
        ),
    ] = MentionsChoice.annotated,
    lang: Annotated[
        str | None,
        typer.Option(
            metavar="CODE",
            help="Language of the tokenizer: for posts without tokens, and to count the spans "
            "that do not align with its tokens.  [default: en]",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="PIPELINE", help="Pipeline whose tokenizer is used instead of --lang."
        ),
    ] = None,
    code: Code = None,
) -> None:
    """Convert a corpus of posts with images, and report repairs, problems and missing images."""
    from ..corpus.convert import Options, convert

    with user_errors():
        names = parse_names(rename or [])
        nlp = _tokenizer(lang, model, code)
        options = Options(
            images_root=images_root,
            features=features,
            captions=captions,
            orphans=orphans.value,
            rename=names,
            columns=parse_columns(columns),
            context_label=context_label,
            tag_names=parse_list(labels),
            annotates=parse_list(annotates),
            tokens=tokens.value,
            mentions=mentions.value,
            nlp=nlp,
        )
        summary = convert(source, target, options)
    show(
        summary,
        has_image_source=bool(images_root or features),
        has_captions=bool(captions),
    )


def _tokenizer(lang: str | None, model: str | None, code: Path | None) -> Language:
    from ..corpus.convert import blank_pipeline
    from ..pipeline.load_for_command import import_code, load_pipeline

    if model is not None and lang is not None:
        raise UsageError("--lang and --model exclude each other: a pipeline has its own tokenizer.")
    if code is not None:
        import_code(code)
    return blank_pipeline(lang or "en") if model is None else load_pipeline(model)


def parse_list(names: str | None) -> list[str] | None:
    """Parse names separated by commas."""
    return [name.strip() for name in names.split(",")] if names else None


def parse_names(pairs: list[str]) -> dict[str, str]:
    """Parse pairs such as "OTHER=MISC" and "NORP=". Raises UsageError for anything else."""
    names = {}
    for pair in pairs:
        old, equals, new = pair.partition("=")
        if not old or not equals:
            raise UsageError(
                f"--map expects OLD=NEW, such as OTHER=MISC, or OLD= to drop a label, got {pair!r}."
            )
        names[old] = new
    return names


def parse_columns(text: str | None) -> tuple[int, int] | None:
    """Parse two numbers of columns such as "1,4". Raises UsageError for anything else."""
    if text is None:
        return None
    word, _, tag = text.partition(",")
    try:
        return int(word), int(tag)
    except ValueError:
        raise UsageError(f"--columns expects two numbers, such as 1,4, got {text!r}.") from None


def show(summary: Summary, *, has_image_source: bool, has_captions: bool) -> None:
    """Print the counts of a conversion, then its problems and missing images."""
    from ..corpus.formats import format_of
    from ..corpus.summary import SUFFIX
    from ..corpus.unread_annotation import unread_image_hint

    details = f"{Path(summary.output).name}{SUFFIX}"
    unit = format_of(Path(summary.input)).unit
    rows = _rows(summary, has_image_source, has_captions)
    msg.table(rows, aligns=("l", "r"))
    if summary.unannotated:
        keys = ", ".join(map(short_repr, first_items(summary.unread_keys)))
        msg.warn(
            f"{summary.unannotated:,} of {summary.posts:,} posts have no annotation"
            + (f"; their keys that are not read: {keys}" if keys else "")
        )
        _print_more(summary.unread_keys, details)
    for key, n in summary.unread_images.items():
        msg.warn(f"{pluralize(n, 'post')} without an image: {unread_image_hint(key)}")
    if summary.empty_images:
        msg.warn(f"{pluralize(summary.empty_images, 'post')} with an empty image, which is none")
    for problem in first_items(summary.problems):
        msg.warn(f"{unit} {problem.line}: {problem.reason}")
    _print_more(summary.problems, details)
    if has_image_source and len(summary.images_missing) > 1 and not summary.images_matched:
        first = summary.images_missing[0]
        msg.warn(
            f"None of the {len(summary.images_missing):,} images was found, e.g. "
            f"{printable(f'{first.reference}: {first.reason}')}; {details} lists all"
        )
    else:
        _print_missing("image", summary.images_missing, details)
    if summary.root_hint:
        msg.warn(printable(summary.root_hint))
    _print_missing("caption", summary.captions_missing, details)
    if summary.alignment.warning:
        hint = f" Perhaps {summary.offset_hint}." if summary.offset_hint else ""
        msg.warn(f"{summary.alignment.warning}{hint}")
    for name in summary.unused_names:
        msg.warn(f"--map {name}=…: {summary.input} has no label {name}")
    for name in summary.labels_without_spans:
        msg.warn(f"--annotates {name}: no span has the label {name}")
    if summary.looks_like_sentiment:
        msg.warn("The labels are those of sentiment, not of entities: is this the right file?")
    if not has_image_source:
        msg.info(_not_looked_up(summary))
    msg.good(f"Wrote {summary.output} and {details}.")


def _not_looked_up(summary: Summary) -> str:
    if summary.posts_with_unused_id:
        posts = pluralize(summary.posts_with_unused_id, "post")
        return f"{posts} with the id of an image: --images-root or --features looks them up."
    if summary.posts_with_image:
        return "The images were not looked up: --images-root checks that they exist."
    return "No post has an image; --images-root or --features attaches them."


def _rows(summary: Summary, has_image_source: bool, has_captions: bool) -> list[tuple[str, str]]:
    rows: list[tuple[str, int | str]] = [("posts", summary.posts), ("tokens", summary.tokens)]
    rows += [(f"entities {label}", n) for label, n in sorted(summary.entities.items())]
    rows += [(f"posts annotated with {names}", n) for names, n in summary.annotated_labels.items()]
    if summary.tag_scheme:
        rows.append(("tag scheme", summary.tag_scheme))
        rows.append((f"orphan tags (--orphans {summary.orphans})", summary.incomplete_entities))
    rows += [(f"dropped {label}", n) for label, n in sorted(summary.dropped.items())]
    if summary.missing_mentions is not None:
        rows.append(("mentions as missing annotation", summary.missing_mentions))
    rows.append(("posts with an image", summary.posts_with_image))
    if has_image_source:
        rows.append(("images matched", summary.images_matched))
        rows.append(("images missing", len(summary.images_missing)))
    if has_captions:
        rows.append(("captions matched", summary.captions_matched))
        rows.append(("captions missing", len(summary.captions_missing)))
    rows.append(("spans that do not align", summary.alignment.misaligned))
    if summary.alignment.inside_words:
        rows.append(("spans that begin or end inside a word", summary.alignment.inside_words))
    rows.append(("problems", len(summary.problems)))
    return [(name, f"{value:,}" if isinstance(value, int) else value) for name, value in rows]


def _print_missing(kind: str, items: list[MissingImage], details: str) -> None:
    for missing in first_items(items):
        line = f"no {kind} for {missing.post} ({missing.reference}): {missing.reason}"
        msg.warn(printable(line))
    _print_more(items, details)


def _print_more(items: list, details: str) -> None:
    """Print how many items follow the first, and the file that lists all."""
    if remaining_items(items):
        msg.text(f"{remaining_items(items)}: {details} lists all")
