"""What a file without a column of tags looks like, and what to do with it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from ..utils.text import short_repr
from .conll_layout import Row
from .tags import parse_tag

# Lines that are examined, and different labels that a column of tags has at most.
MAX_ROWS = 1_000
MAX_LABELS = 200

WRITE_JSONL = (
    'write one line of JSONL per post: {"text": …, "spans": [{"start": …, "end": …, "label": …}], '
    '"image": …}'
)
ANNOTATE = (
    "To annotate posts without annotation, use `spacy-mner annotate`, which reads JSONL, CSV, TSV "
    "and Parquet; for annotated posts, "
)
BRAT = f"BRAT standoff annotation, which is not read. Instead, {WRITE_JSONL}"

# What other tools write for O.
OUTSIDE = ("_", "-", "*", "0", "o")
# Tags in another notation, in a column with O: their pattern, what they have, how to convert them.
NOTATIONS = (
    (
        r"\S+[-_][BIELSUMW]",
        "the label before the prefix",
        r"s/([^[:space:]]+)[-_]([BIELSUMW])$/\2-\1/",
    ),
    (
        r"[BIELSUMW][_:./|+]\S+",
        "no hyphen after the prefix",
        r"s/([BIELSUMW])[_:./|+]([^[:space:]]+)$/\1-\2/",
    ),
    (r"[bielsumw]-\S+", "a prefix in lower case", r"s/([[:space:]])([bielsumw]-|o$)/\1\u\2/"),
    (
        r"[^\W\d][^\s*()]*",
        "no prefix, so that adjacent entities of one label cannot be told apart",
        r"s/([[:space:]])([^[:space:]]+)$/\1I-\2/; s/I-O$/O/",
    ),
)
# Other files: a pattern of most lines, what they are, what to do.
KINDS = (
    (r"(T\d+\t\S+ \d+ \d+.*|[REAMN#*]\d*\t.*)", BRAT, ""),
    (r"<.*", "XML or HTML, which is not read. Instead,", WRITE_JSONL),
    (r'[{\[\]}"].*', "JSON.", "Rename it to .json, or to .jsonl if each line is one post"),
    (
        r"(.*\s)?(\(\w+)?\*\)?(\s.*)?",
        "entities in brackets, as in CoNLL-2012.",
        "Write tags such as O, B-PER and I-PER instead",
    ),
    (
        r"\d+([-.]\d+)?\t([^\t]*\t){8}[^\t]*",
        "CoNLL-U without entities.",
        "Write their tags as a feature of the last column, such as ner=B-PER, or as a column",
    ),
    (
        r".*,(O|[BIELSUMW]-\S+)",
        "tokens with tags separated by commas.",
        "Write tabs instead, and an empty line after each post",
    ),
    (
        r"(\S+[/|](O|[A-Z][\w-]*)(\s+|$))+",
        "tokens with tags on one line, word/TAG.",
        "Write one token per line: sed -E "
        r"'s/[[:space:]]*$/ /; s,[/|]([^/|[:space:]]+)[[:space:]]+,\t\1\n,g' FILE > NEW_FILE",
    ),
    (
        r".*(<(\w+)\b[^>]*>.*</\2>|\[[^]]+\]\(\w+\)).*",
        "text with annotation in it, which is not read. Instead,",
        WRITE_JSONL,
    ),
)
TABLE_NAMES = frozenset(
    [
        *["id", "tweet_id", "text", "full_text", "tweet", "content", "sentence", "caption"],
        *["image", "image_id", "photo", "url", "created_at", "user", "label"],
    ]
)


def describe(rows: Sequence[Row], *, has_headers: bool) -> str:
    """Return the message for lines without a column of tags."""
    rows = [row for row in rows if not row.text.startswith("#")][:MAX_ROWS] or rows[:MAX_ROWS]
    found = _other_outside(rows) or _other_notation(rows) or _other_kind(rows, has_headers)
    return (
        f"No column has tags such as O and B-PER (line {rows[0].line} is "
        f"{short_repr(rows[0].text)}). {found}."
    )


def _columns(rows: Sequence[Row]) -> Iterator[tuple[int, list[str]]]:
    """Yield the numbers of the columns with their content, from the last to the first."""
    for i in reversed(range(max(len(row.cells) for row in rows))):
        yield i + 1, [row.cells[i] for row in rows if i < len(row.cells)]


def _other_outside(rows: Sequence[Row]) -> str | None:
    for number, cells in _columns(rows):
        [(most, _)] = Counter(cells).most_common(1)
        if most in OUTSIDE and any(map(parse_tag, cells)):
            return (
                f"Column {number} has {most!r} where O is expected; if it is the last column: "
                rf"sed -E 's/([[:space:]]){re.escape(most)}$/\1O/' FILE > NEW_FILE"
            )
    return None


def _other_notation(rows: Sequence[Row]) -> str | None:
    for number, cells in _columns(rows):
        labels = {cell for cell in cells if cell != "o" and not parse_tag(cell)}
        if not {"O", "o"} & set(cells) or len(labels) > min(MAX_LABELS, len(cells) / 2 + 2):
            continue
        for pattern, what, command in NOTATIONS:
            if labels and _share(pattern, labels) > 0.5:
                return (
                    f"Column {number} has labels such as {short_repr(min(labels))}, with {what}; "
                    f"if it is the last column: sed -E '{command}' FILE > NEW_FILE"
                )
    return None


def _other_kind(rows: Sequence[Row], has_headers: bool) -> str:
    lines = [row.text for row in rows]
    for pattern, what, remedy in KINDS:
        if _share(pattern, lines) > 0.5:
            return f"It looks like {what} {remedy}".rstrip()
    names = {name.strip(" \"'").lower() for name in re.split("[\t,;]", lines[0])}
    if len(names) > 1 and names & TABLE_NAMES:
        what = "a table of posts with names of columns"
    elif has_headers:
        what = "headers of posts, and tokens or texts without tags"
    elif _share(r"\S+", lines) > 0.5:
        what = "one token per line, without tags"
    elif _share(r".*\t.*", lines) > 0.5:
        what = "a table without tags"
    else:
        what = "running text"
    return f"It looks like {what}. {ANNOTATE}{WRITE_JSONL}"


def _share(pattern: str, texts: Sequence[str] | set[str]) -> float:
    """Return the share of texts that match a pattern."""
    return sum(bool(re.fullmatch(pattern, text)) for text in texts) / len(texts)
