r"""WebAnno TSV 3, which INCEpTION and WebAnno export; a sentence is one post.

    #FORMAT=WebAnno TSV 3.3
    #T_SP=webanno.custom.NamedEntity|identifier|value

    #Text=Mira Tolvan sings
    1-1	0-4	Mira	*[1]	PER[1]
    1-2	5-11	Tolvan	*[1]	PER[1]
    1-3	12-17	sings	_	_

`#T_` lines name the layers, and so the columns after the text of the token: spans (SP), relations
(RL) and chains (CH), with a column per feature. In a cell, `_` is no annotation, `*` annotation
without a value, `[1]` joins the tokens of a span, `|` separates stacked spans, and a backslash
escapes these characters. `1-1.1` is a part of token `1-1` with annotation of its own. Described in
the user guide of INCEpTION, appendix "WebAnno TSV 3".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from spacy.tokens import Doc

from ..errors import CorpusError
from ..utils.text import short_repr
from .posts import ReadContext
from .record import parse_records
from .spans import CharSpan, Offsets, split_at

FORMAT = "#FORMAT=WebAnno TSV "
VERSION = "3"
# How earlier versions begin.
EARLIER = re.compile(r"#id=\d+\n#text=|#\s*(webanno\.|de\.tudarmstadt\.)\S")
TEXT = "#Text="
LAYER = re.compile(r"#T_(SP|RL|CH)=([^|]+)\|?(.*)")
# The numbers of sentence, token and part of it; offsets in the document.
TOKEN_LINE = re.compile(r"\d+-\d+(\.\d+)?\t\d+-\d+\t")
FIRST_FEATURE = 3

ENTITY_LAYER = "NamedEntity"
LABEL_FEATURE = "value"
SLOT = "ROLE_"
# Layers of WebAnno that annotate every token, or phrases.
OTHER_LAYERS = ("POS", "Lemma", "Stem", "MorphologicalFeatures", "Chunk", "SurfaceForm")

# A value, and the number of its span; values are separated by "|".
VALUE = re.compile(r"((?:\\.|[^\\|\[])+)(?:\[(\d+)\])?")
ESCAPED = re.compile(r"\\(.)")
CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


@dataclass
class _Sentence:
    """The lines of a sentence: its text, then a token each."""

    line: int
    text: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)


def is_webanno(lines: Sequence[str]) -> bool:
    """Return whether the lines are WebAnno TSV 3. Raises CorpusError for earlier versions."""
    begin = "\n".join(lines[:9]).lstrip()
    if begin.startswith(FORMAT + VERSION):
        return True
    if begin.startswith(FORMAT) or EARLIER.match(begin):
        raise CorpusError(
            f"It is WebAnno TSV 1 or 2: it begins with {short_repr(begin)}. Export WebAnno TSV 3 "
            "from INCEpTION or WebAnno."
        )
    return False


def parse_webanno(lines: Sequence[str], context: ReadContext) -> Iterator[Doc]:
    """Parse the sentences of WebAnno TSV 3.

    Raises CorpusError if no layer, or more than one, can be that of the entities.
    """
    column = _label_column(lines, context)
    sentences = list(_sentences(lines))
    for before, after in pairwise(sentences):
        shared = _numbers(before.rows[-1:], column) & _numbers(after.rows[:1], column)
        for number in sorted(shared):
            reason = f"span [{number}] goes on from the sentence before; it became two entities"
            context.report(after.line, reason)
    numbered = [(one.line, one) for one in sentences]
    return parse_records(
        numbered, lambda one, _: _to_record(one, column, context), "sentence", context
    )


def _numbers(rows: Sequence[list[str]], column: int) -> set[str]:
    """Return the numbers of the spans in a column."""
    cells = [cell for row in rows for cell in row[column : column + 1]]
    return {number for cell in cells for _, number in VALUE.findall(cell) if number}


def _label_column(lines: Sequence[str], context: ReadContext) -> int:
    """Return the index of the column with the labels of entities, and report other layers."""
    columns: list[tuple[str, str, str]] = []  # kind, layer, feature
    for line in lines:
        if match := LAYER.match(line):
            kind, layer, features = match.groups()
            columns += [(kind, layer.split(".")[-1], name) for name in features.split("|")]
    spans = {
        i: f"column {FIRST_FEATURE + i + 1}: {layer}, {name or 'no feature'}"
        for i, (kind, layer, name) in enumerate(columns)
        if kind == "SP"
    }
    if not spans:
        raise CorpusError("It is WebAnno TSV with no layer of spans (#T_SP=…), so no entities.")
    if context.columns is None:
        candidates = _candidates(columns)
        what = "It is not clear which layer of WebAnno TSV has the entities"
    else:
        word, label = context.columns
        candidates = [label - 1 - FIRST_FEATURE] if word == FIRST_FEATURE else []
        what = f"--columns {word},{label} does not fit WebAnno TSV"
    if len(candidates) != 1 or candidates[0] not in spans:
        raise CorpusError(
            f"{what}. Choose a column with --columns {FIRST_FEATURE},N "
            f"({'; '.join(spans.values())})."
        )
    chosen = columns[candidates[0]][1]
    if others := sorted({layer for _, layer, _ in columns} - {chosen}):
        context.report(1, f"the layers {', '.join(others)} are left out")
    return candidates[0] + FIRST_FEATURE


def _candidates(columns: list[tuple[str, str, str]]) -> list[int]:
    found = [
        i
        for i, (kind, layer, name) in enumerate(columns)
        if kind == "SP"
        and name
        and not name.startswith(SLOT)
        and not (i and columns[i - 1][2].startswith(SLOT))  # the type of the slot
        and layer not in OTHER_LAYERS
    ]
    found = [i for i in found if columns[i][1] == ENTITY_LAYER] or found
    layers = {columns[i][1] for i in found}
    return [i for i in found if columns[i][2] == LABEL_FEATURE and len(layers) == 1] or found


def _sentences(lines: Sequence[str]) -> Iterator[_Sentence]:
    sentence: _Sentence | None = None
    for number, line in enumerate(lines, start=1):
        if line.startswith(TEXT):
            if sentence is None or sentence.rows:
                if sentence:
                    yield sentence
                sentence = _Sentence(number)
            sentence.text.append(_unescape(line.removeprefix(TEXT)))
        elif TOKEN_LINE.match(line):
            if sentence is None:
                raise CorpusError(f"line {number} is a token without {TEXT} before it.")
            sentence.rows.append(line.split("\t"))
        elif line.strip() and not line.startswith("#"):
            raise CorpusError(f"line {number} is no token of WebAnno TSV 3: {short_repr(line)}.")
    if sentence:
        yield sentence


def _to_record(sentence: _Sentence, column: int, context: ReadContext) -> dict[str, Any]:
    """Return the record of a sentence. Raises ValueError if its tokens do not fit together."""
    if not sentence.rows:
        raise ValueError("it has no tokens")
    text = "\n".join(sentence.text)
    tokens: list[Offsets] = []
    spans: dict[str, CharSpan] = {}
    for row in sentence.rows:
        if len(row) <= column:
            raise ValueError(f"token {row[0]} has no column {column + 1}")
        word = _unescape(row[2])
        if "." in row[0] and tokens:
            start = _start_of_part(row, sentence.rows, text, tokens[-1][0])
        else:
            end = tokens[-1][1] if tokens else 0
            start = text.find(word, end)
            if start < 0 or text[end:start].strip():
                raise ValueError(f"its text does not have the token {row[0]} {word!r}")
            tokens.append((start, start + len(word)))
        for value, number in VALUE.findall(row[column]):
            if value != "_":
                key = number or f"{row[0]} {len(spans)}"
                begin = spans[key].start if key in spans else start
                if key in spans and text[spans[key].end : start].strip():
                    raise ValueError(f"its span [{number}] has tokens that are not adjacent")
                label = "" if value == "*" else _unescape(value)
                spans[key] = CharSpan(begin, start + len(word), label)
    if text[tokens[-1][1] :].strip():
        raise ValueError(f"its text goes on after the last token, {row[0]} {word!r}")
    if any(not span.label for span in spans.values()):
        context.report(sentence.line, "a span has no label; its annotation is missing")
    return {
        "text": text,
        # A part of a token with annotation becomes a token.
        "tokens": [_offsets(start, end) for start, end in split_at(tokens, spans.values())],
        "spans": [
            _offsets(one.start, one.end) | {"label": one.label}
            for one in spans.values()
            if one.label
        ],
        "missing": [_offsets(one.start, one.end) for one in spans.values() if not one.label],
    }


def _start_of_part(
    row: list[str], rows: Sequence[list[str]], text: str, start_of_token: int
) -> int:
    """Return where a part of a token begins. Offsets count UTF-16 code units of the document."""
    number = row[0].partition(".")[0]
    [token] = [other for other in rows if other[0] == number]
    offset, start = (int(one[1].partition("-")[0]) for one in (row, token))
    before = text[start_of_token:].encode("utf-16-le")[: 2 * (offset - start)]
    return start_of_token + len(before.decode("utf-16-le"))


def _offsets(start: int, end: int) -> dict[str, Any]:
    return {"start": start, "end": end}


def _unescape(text: str) -> str:
    return ESCAPED.sub(lambda match: CONTROLS.get(match[1], match[1]), text)
