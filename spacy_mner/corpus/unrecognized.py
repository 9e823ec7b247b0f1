"""What a file without a column of tags looks like, and what to do with it."""

from __future__ import annotations

import codecs
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

TO_UTF8 = "If it is Latin-1: iconv -f ISO-8859-1 -t UTF-8 FILE > NEW_FILE"
# How other files begin, what they are, and what to do.
SIGNATURES = (
    (b"\x1f\x8b", "compressed with gzip: gunzip -c FILE > NEW_FILE"),
    (b"PK\x03\x04", "a zip archive: unzip FILE"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself: git lfs pull"),
)

# A tag, and lines of several.
TAG = r"(O|[BIELSUMW]-[^\s,;|\]'\"]+)"
TAGS = rf"\[?['\"]?{TAG}(['\"]?( +| *, *)['\"]?{TAG})+['\"]?\]?\s*"


def sed(script: str) -> str:
    """Return a command that edits the lines of a file apart from headers; it removes CRs."""
    return f"sed -E 's/\\r$//;/^\\W*(IMGID|WID):/I!{{{script}}}' FILE > NEW_FILE"


# What stands for the hyphen of a tag.
DASH = "([_:./|+]|–|—|‐|‑|−)"
# Tags in another notation, in a column with O: their pattern, what they have, how to convert them.
NOTATIONS = (
    (r"\S+[-_][BIELSUMW]", "the label before the prefix", r"s/(\S+)[-_]([BIELSUMW])$/\2-\1/"),
    (
        rf"[BIELSUMW]{DASH}\S+",
        "no hyphen after the prefix",
        rf"s/(\s[BIELSUMW]){DASH}(\S+)$/\1-\3/",
    ),
    (r"[bielsumw]-\S+", "a prefix in lower case", r"s/(\s)([bielsumw]-\S+|o)$/\1\u\2/"),
    (r"[BIELSUMW]", "no label (ENTITY stands for it)", r"s/(\s[BIELSUMW])$/\1-ENTITY/"),
    (
        r"[^\W\d][^\s*(),]*",
        "no prefix, so that adjacent entities of one label cannot be told apart",
        r"s/(\s)(\S+)$/\1I-\2/;s/I-O$/O/",
    ),
)
# Other files: a pattern of most lines, what they are, what to do.
KINDS = (
    (r"(T\d+\t\S+ \d+ \d+.*|[REAMN#*]\d*\t.*)", BRAT, ""),
    (
        r"<.*|.*(<(\w+)\b[^>]*>.*</\2>|\[[^]]+\]\(\w+\)).*",
        "XML, HTML or text with annotation in it, which is not read. Instead,",
        WRITE_JSONL,
    ),
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
        rf"(\S+\|[^\s|]+\|{TAG}(\s+|$))+",
        "tokens with tags on one line, word|POS|TAG.",
        "Write one token per line: "
        + sed(r"s/\s*$/ /;s,\|([^|[:space:]]+)\|([^|[:space:]]+)\s+,\t\1\t\2\n,g"),
    ),
    (
        r"(\S+[/|](O|[A-Z][\w-]*)(\s+|$))+",
        "tokens with tags on one line, word/TAG.",
        "Write one token per line: " + sed(r"s/\s*$/ /;s,[/|]([^/|[:space:]]+)\s+,\t\1\n,g"),
    ),
    (
        r".*[^\s\d]\s+\d{1,2}",
        "tokens with integers.",
        "If these are tags, write their names, such as B-PER (--labels is for JSON)",
    ),
)


def describe(rows: Sequence[Row], *, has_headers: bool) -> str:
    """Return the message for lines without a column of tags."""
    rows = [row for row in rows if not row.text.startswith("#")][:MAX_ROWS] or rows[:MAX_ROWS]
    found = _other_outside(rows) or _other_notation(rows) or _other_kind(rows, has_headers)
    return (
        f"No column has tags such as O and B-PER (line {rows[0].line} is "
        f"{short_repr(rows[0].text)}). {found}."
    )


def describe_bytes(line: bytes) -> str | None:
    """Return what a file is, given its first line; None if it may be text in UTF-8."""
    for begin, what in SIGNATURES:
        if line.startswith(begin):
            return what
    nulls = line.count(0) / max(len(line), 1)
    if nulls > 0.25 or line[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        name = "UTF-32" if nulls > 0.6 else "UTF-16BE" if line[0] in b"\0\xfe" else "UTF-16LE"
        return f"{name}, not UTF-8: iconv -f {name} -t UTF-8 FILE > NEW_FILE"
    return None


def describe_posts(rows: Sequence[Row]) -> str | None:
    """Return the message for posts with all tags in one line, or in the next; None for others."""
    rows = rows[:MAX_ROWS]
    pairs = zip(rows[::2], rows[1::2], strict=False)
    in_next = [all(map(parse_tag, b.cells)) and not any(map(parse_tag, a.cells)) for a, b in pairs]
    if _share(rf".*(\t|\|\|\| *){TAGS}", [row.text for row in rows]) > 0.5:
        what = "a post per line with its tags"
    elif 2 * sum(in_next) > len(in_next):
        what = "posts with a line of tags each"
    else:
        return None
    return (
        f"It looks like {what}, first in line {rows[0].line}. Write one token with its tag per "
        "line, and an empty line after each post."
    )


def describe_words(words: set[str]) -> str | None:
    """Return what all words have that does not belong to them, and how to remove it."""
    [prefix] = re.findall(r"^[a-z]{2,3}:(?=.)", min(words, default="")) or [None]
    if prefix and len(words) > 1 and all(word.startswith(prefix) for word in words):
        what, script = f"begin with {prefix!r}, as in WikiANN", f"s/^{prefix}//"
    elif words and not "".join(words).isascii() and _share(r".\d", words) == 1:
        what, script = "end with a digit, as in Weibo NER", r"s/[0-9](\s)/\1/"
    else:
        return None
    return f"All words {what}. Remove it: {sed(script)}"


def _columns(rows: Sequence[Row]) -> Iterator[tuple[int, list[str]]]:
    """Yield the numbers of the columns with their content, from the last to the first."""
    for i in reversed(range(max(len(row.cells) for row in rows))):
        yield i + 1, [row.cells[i] if i < len(row.cells) else "" for row in rows]


def _other_outside(rows: Sequence[Row]) -> str | None:
    """Describe a column of tags in which all others are one value."""
    for number, cells in _columns(rows):
        tags = [cell for cell in cells if parse_tag(cell)]
        others = Counter(cell for cell in cells if not parse_tag(cell))
        if tags and "O" not in tags and others and max(others.values()) > 0.8 * others.total():
            [(outside, _)] = others.most_common(1)
            name = repr(outside) if outside else "nothing"
            found = f"Column {number} has {short_repr(tags[0])}, but {name} where O is expected"
            script = rf"s/(\s){re.escape(outside)}$/\1O/"
            return f"{found}; if it is the last column: {sed(script)}" if outside else found
    return None


def _other_notation(rows: Sequence[Row]) -> str | None:
    for number, cells in _columns(rows):
        labels = {cell for cell in cells if cell not in ("o", "") and not parse_tag(cell)}
        if not {"O", "o"} & set(cells) or len(labels) > min(MAX_LABELS, len(cells) / 2 + 2):
            continue
        tag = next((cell for cell in cells if cell != "O" and parse_tag(cell)), None)
        if tag and labels:
            label = max(labels, key=cells.count)
            return (
                f"Column {number} has tags such as {tag}, and {short_repr(label)}, which is none. "
                "Correct it, or if it marks text about the image, convert with --context-label"
            )
        for pattern, what, command in NOTATIONS:
            if labels and _share(pattern, labels) > 0.5:
                found = f"Column {number} has labels such as {short_repr(min(labels))}, with {what}"
                return f"{found}; if it is the last column: {sed(command)}"
    return None


def _other_kind(rows: Sequence[Row], has_headers: bool) -> str:
    lines = [row.text for row in rows]
    for pattern, what, remedy in KINDS:
        if _share(pattern, lines) > 0.5:
            return f"It looks like {what} {remedy}".rstrip()
    if has_headers:
        what = "headers of posts, and tokens or texts without tags"
    elif _share(r".*(\t|,\S).*", lines) > 0.5:
        what = "a table without tags"
    elif _share(r"\S+", lines) > 0.5:
        what = "one token per line, without tags"
    else:
        what = "running text"
    return f"It looks like {what}. {ANNOTATE}{WRITE_JSONL}"


def _share(pattern: str, texts: Sequence[str] | set[str]) -> float:
    """Return the share of texts that match a pattern."""
    return sum(bool(re.fullmatch(pattern, text)) for text in texts) / len(texts)
