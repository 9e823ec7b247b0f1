"""Files of tokens with tags, one token per line and an empty line after each post.

Posts with images have a header: `IMGID:<id>` (Twitter-2015 and Twitter-2017), `IMGID:<name>,<name>`
(or `;`, or names with extensions and spaces between) for several images, or `WID:<id>` (CMNER, Ji
et al. 2024, posts from Weibo) for all images that are named `<id>_…`.

Columns are separated by tabs or spaces; `conll_layout` finds those of words and tags, and `tags`
the scheme of the tags. So the files of CoNLL-2002 and 2003, CoNLL-U (Plus), Universal NER, WNUT
and MultiCoNER are read. Skipped are `-DOCSTART-`, comments, and ranges and empty nodes of CoNLL-U.
Lines without a token or a tag are reported by their number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

from spacy.tokens import Doc

from ..errors import CorpusError
from ..utils.text import short_repr
from .conll_context import SEPARATOR, Token, at_context, at_separator, label_of_contexts
from .conll_layout import WORD_NAMES, Layout, Row, find_layout, split_cells
from .image_names import AllImagesOf, stem
from .posts import ReadContext, make_doc
from .tags import Scheme, Tag, detect_scheme, parse_tag
from .unrecognized import BRAT, TO_UTF8, describe, describe_bytes, describe_posts, describe_words
from .webanno import is_webanno, parse_webanno

SUFFIXES = (
    *(".txt", ".conll", ".bio", ".iob", ".iob2", ".bioes", ".bmes", ".tsv"),
    *(".conllu", ".conllup", ".conllp", ""),
)
TWITTER_HEADER = "IMGID:"
WEIBO_HEADER = "WID:"
HEADER = re.compile(rf"[\ufeff #]*({TWITTER_HEADER}|{WEIBO_HEADER})(.*)", re.IGNORECASE | re.DOTALL)
DOCUMENT_START = "-DOCSTART-"
# A header behind a tag, where a file without a final newline was joined with another.
GLUED_HEADER = re.compile(rf".*[\t ](O|[BIELSUMW]-\S*?)({TWITTER_HEADER}|{WEIBO_HEADER})\S*")
BYTE_ORDER_MARK = "\ufeff"
# Before a token, where a file was joined with others.
BYTE_ORDER_MARKS = re.compile(r"^\ufeff+(?=[^\t ]|$)")

COMMENT = re.compile(r"#(\s|\w+\s*=)")
# Begins a comment even if the rest looks like a token with a tag.
KEY_AND_VALUE = re.compile(r"#\s*[\w.:-]+ = ")
# `# sent_id = 3` in CoNLL-U, `# id 3 domain=en` in MultiCoNER.
POST_ID = re.compile(r"#\s*(?:sent_)?id\s*[=:\s]\s*(\S+)")
COLUMN_NAMES = re.compile(r"#\s*global\.columns\s*=\s*(.*)")
# Tokens of CoNLL-U that repeat others or are not in the text.
RANGE_OR_EMPTY = re.compile(r"\d+[-.]\d+")

# A line with more of them is a file with the line ends of old Macs, and a longer post one without
# empty lines between posts.
MAX_CARRIAGE_RETURNS = 9
MAX_TOKENS = 1_000


@dataclass
class _Post:
    """The lines of one post. header, id: None if it has no header, or one without id."""

    line: int
    header: str | None = None
    id: str | None = None
    rows: list[Row] = field(default_factory=list)
    comment_id: str | None = None
    tokens: list[Token] = field(default_factory=list)
    image_text: str | None = None


def read_lines(path: Path) -> Iterator[str]:
    """Read the lines of a UTF-8 file without their ends. Raises CorpusError for other files.

    Unlike `str.splitlines`, splits at line feeds only: tokens may contain U+0085, U+2028 and other
    separators.
    """
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            if number == 1 and (what := describe_bytes(raw)):
                raise CorpusError(f"{path} is {what}.")
            try:
                line = raw.decode("utf-8")
            except UnicodeDecodeError as error:
                raise CorpusError(
                    f"{path}, line {number} is not UTF-8 ({error.reason}). {TO_UTF8}"
                ) from error
            if number == 1:
                line = line.removeprefix(BYTE_ORDER_MARK)
            yield line.removesuffix("\n").removesuffix("\r")


def read_conll(path: Path, context: ReadContext) -> Iterator[Doc]:
    """Read the posts of a file, which can also be WebAnno TSV; see `parse_conll`."""
    lines = list(read_lines(path))
    try:
        yield from (parse_webanno if is_webanno(lines) else parse_conll)(lines, context)
    except CorpusError as error:
        beside = path.with_suffix(".ann")
        hint = f"\n{beside.name} beside it is {BRAT}" if beside.is_file() else ""
        raise CorpusError(f"{path}: {error}{hint}") from error


def parse_conll(lines: Iterable[str], context: ReadContext) -> Iterator[Doc]:
    """Parse the posts of a file.

    `doc._.image` is the id of the image, a list of ids, or `AllImagesOf` the post: to be resolved
    against files or descriptors.

    Raises CorpusError for a file of another kind, and for ambiguous columns or tags.
    """
    posts = list(_posts(lines, context))
    if any(post.rows for post in posts):
        posts = list(_TokenParser(posts, context).parse())
    _require_tags(posts)
    if what := describe_words({token.word for post in posts for token in post.tokens}):
        raise CorpusError(what)
    if context.context_label is not None:
        _split_contexts(posts, context.context_label, context)
    _report_missing(posts, context)
    context.problems.sort(key=lambda problem: problem.line)
    scheme = detect_scheme([token.tag for token in post.tokens] for post in posts)
    for post in posts:
        if post.tokens:
            yield _make_doc(post, scheme, context)


def _posts(lines: Iterable[str], context: ReadContext) -> Iterator[_Post]:
    post: _Post | None = None
    has_headers = False
    for number, raw in enumerate(lines, start=1):
        line = BYTE_ORDER_MARKS.sub("", raw)
        if line.count("\r") > MAX_CARRIAGE_RETURNS:
            raise CorpusError(
                f"line {number} has carriage returns in it. Replace the line ends of old Macs: "
                r"tr '\r' '\n' < FILE > NEW_FILE"
            )
        if match := GLUED_HEADER.fullmatch(line):
            raise CorpusError(f"line {number} has {match[2]} behind a tag. Begin a line with it.")
        if "\0" in line:
            context.report(number, "a NUL character in the line, which may be damaged")
        if header := _parse_header(line, number):
            if post:
                yield post
            post = header
            has_headers = True
            if post.id is None:
                context.report(number, f"{post.header} without an id; no image")
        elif not line.strip(" \t") or line.startswith(DOCUMENT_START):
            # A header may be followed by an empty line before its tokens.
            if post and post.rows:
                yield post
                post = None
        else:
            if post is None:
                # Plain CoNLL has no headers; among others, a post without loses its image.
                if has_headers:
                    context.report(number, f"tokens without a header {TWITTER_HEADER}; no image")
                post = _Post(number)
            post.rows.append(Row(number, line.lstrip(" "), split_cells(line)))
    if post:
        yield post


def _parse_header(line: str, number: int) -> _Post | None:
    match = HEADER.fullmatch(line)
    if match is None:
        return None
    name = match[2].strip()
    *before, last = split_cells(match[2])
    if before and parse_tag(last):
        # Some headers have a tag; so has the token `wid:`.
        name = " ".join(before).strip()
        if not name:
            return None
    return _Post(number, match[1].upper(), name or None)


class _TokenParser:
    """Parses the lines of posts to tokens. Raises CorpusError if no column has tags."""

    def __init__(self, posts: list[_Post], context: ReadContext) -> None:
        self.posts = posts
        self.context = context
        rows = [row for post in posts for row in post.rows]
        if what := describe_posts(rows):
            raise CorpusError(what)
        names = self._column_names()
        before = [[*takewhile(lambda row: SEPARATOR not in row.cells, p.rows)] for p in posts]
        layout = find_layout(before, self._parse_tag, context.columns, names)
        if layout is None:
            raise CorpusError(describe(rows, has_headers=any(post.header for post in posts)))
        self.layout: Layout = layout

    def parse(self) -> Iterator[_Post]:
        """Yield the posts with tokens, and with ids from comments."""
        for post in self.posts:
            for row in post.rows:
                if not self._is_comment(row, is_first=not post.tokens):
                    self._add_token(post, row)
                elif match := POST_ID.match(row.text):
                    if post.tokens:
                        yield post
                        post = _Post(row.line)
                    post.comment_id = match[1]
            yield post

    def _column_names(self) -> list[str]:
        """Return the names of the columns, if the file has them; remove a first line of names."""
        rows = next(post.rows for post in self.posts if post.rows)
        for row in rows:
            if match := COLUMN_NAMES.match(row.text):
                return match[1].split()
        cells = rows[0].cells
        is_names = any(cell.lower() in WORD_NAMES for cell in cells)
        if len(cells) > 1 and is_names and not any(map(parse_tag, cells)):
            del rows[0]
            return cells
        return []

    def _parse_tag(self, cell: str) -> Tag | None:
        return Tag("B", cell) if cell == self.context.context_label else parse_tag(cell)

    def _is_comment(self, row: Row, *, is_first: bool) -> bool:
        """Return whether a line is a comment; "#" is also a token of tweets.

        is_first: there is no token before it in its post.
        """
        if not COMMENT.match(row.text):
            return False
        if len(row.cells) != self.layout.width:
            return True
        if self._parse_tag(row.cells[self.layout.tag]):
            return is_first and bool(KEY_AND_VALUE.match(row.text))
        return is_first or bool(POST_ID.match(row.text))

    def _add_token(self, post: _Post, row: Row) -> None:
        cells, layout = row.cells, self.layout
        if layout.has_numbers and RANGE_OR_EMPTY.fullmatch(cells[0]):
            return
        # Which column has the tag is not clear in a line with more of them, or with fewer; only
        # tabs show that the last ones are empty.
        more = len(cells) - layout.width
        is_clear = more == 0 or (more < 0 and "\t" in row.text)
        end = None if more > 0 else layout.tag + 1
        cell = " ".join(cells[layout.tag : end]) or None if is_clear or more > 0 else None
        # A line that is too short for both columns is a token alone.
        words = cells[layout.word : layout.word + 1] or ([] if cell else cells[:1])
        if not any(words):
            self.context.report(row.line, f"no token for the label {cell!r}; line left out")
        else:
            [word] = words
            tag = self._parse_tag(cell) if cell is not None and is_clear else None
            post.tokens.append(Token(row.line, word, cell, tag))


def _require_tags(posts: list[_Post]) -> None:
    """Raise CorpusError if most lines, or the first ones of most posts, have no tag."""
    before = [tokens for post in posts if (tokens := at_separator(post.tokens)[0])]
    all_tokens = [token for tokens in before for token in tokens]
    untagged = [token for token in all_tokens if token.tag is None]
    first = [tokens[0] for tokens in before if tokens[0].tag is None]
    if 2 * len(untagged) > len(all_tokens):
        found = untagged[0]
        raise CorpusError(
            f"{len(untagged):,} of {len(all_tokens):,} lines have no tag such as O or B-PER, "
            f"first {short_repr(found.word)} in line {found.line}. Correct or remove them."
        )
    if len(first) > 1 and 2 * len(first) > len(before):
        raise CorpusError(
            f"{len(first):,} of {len(before):,} posts begin with a line without a tag, first "
            f"{short_repr(first[0].word)} in line {first[0].line}. If that is a header, write "
            f"{TWITTER_HEADER}<id> or {WEIBO_HEADER}<id>; if it is a comment, begin it with #."
        )
    if len(posts) == 1 and len(all_tokens) > MAX_TOKENS:
        raise CorpusError(
            f"all {len(all_tokens):,} tokens are one post. Separate posts by empty lines."
        )


def _split_contexts(posts: list[_Post], label: str, context: ReadContext) -> None:
    """Remove the text about the image from the tokens of each post, and set `image_text`."""
    for post in posts:
        post.tokens, post.image_text = at_context(post.tokens, label)
        for token in post.tokens:
            if token.label == label:
                reason = f"{token.word!r} has the label {label} before others; kept as an entity"
                context.report(token.line, reason)
    if posts and not any(post.image_text for post in posts):
        context.report(posts[0].line, f"no post ends with the label {label} (--context-label)")


def _report_missing(posts: list[_Post], context: ReadContext) -> None:
    """Report posts without tokens, tokens without tag, and once that there seem to be contexts."""
    label = label_of_contexts(post.tokens for post in posts)
    if label:
        line = next(after[0].line for post in posts if (after := at_separator(post.tokens)[1]))
        reason = f"all tokens after {SEPARATOR} have the label {label}; if they are text about the "
        context.report(line, reason + f"image, convert with --context-label {label}")
    tagged = [(token.tag.label, token.line) for one in posts for token in one.tokens if token.tag]
    for name, line in dict(tagged[::-1]).items():
        if " " in name:
            context.report(line, f"the label {name!r} has white space in it")
    for post in posts:
        if not post.tokens and post.header:
            context.report(post.line, f"{post.header}{post.id or ''} has no tokens; left out")
        for token in at_separator(post.tokens)[0] if label else post.tokens:
            if token.tag is None:
                found = "no label" if token.cell is None else f"{token.cell!r} is no tag"
                reason = f"{found}; token {token.word!r} kept, its annotation is missing"
                context.report(token.line, reason)


def _make_doc(post: _Post, scheme: Scheme, context: ReadContext) -> Doc:
    tags = [token.tag for token in post.tokens]
    return make_doc(
        context,
        [token.word for token in post.tokens],
        entities=context.entities_of_tags(tags, scheme),
        missing=[i for i, tag in enumerate(tags) if tag is None],
        post_id=post.id or post.comment_id,
        image=_images(post),
        image_text=post.image_text,
    )


def _images(post: _Post) -> Any:
    """Return the image references of a header: none, one id, several, or all of the post."""
    if post.id is None:
        return None
    if post.header == WEIBO_HEADER:
        return AllImagesOf(post.id)
    names = [name.strip() for name in re.split("[,;]", post.id) if name.strip()]
    words = post.id.split()
    if len(names) < 2 and all(stem(word) != word for word in words):
        names = words
    return names if len(names) > 1 else post.id
