"""CoNLL with image headers: `IMGID:` (Twitter-2015 and Twitter-2017) and `WID:` (CMNER).

A block is an optional header `IMGID:<id>`, then a line `token<TAB>label` per token, then an empty
line. `IMGID:<name>,<name>` (or `;`, or names with extensions and spaces between) has several
images. In CMNER (Ji et al. 2024), posts from Weibo, the header is `WID:<id>`, and the images of a
post are all that are named `<id>_…`. Accepted variants: spaces for tabs, more columns, tokens
without label, headers without tokens; what is skipped is reported by line number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spacy.tokens import Doc

from ..errors import CorpusError
from .image_names import AllImagesOf, stem
from .posts import ReadContext, make_doc
from .tags import Tag, detect_scheme, parse_tag

SUFFIXES = (".txt", ".conll", ".bio", ".iob", ".iob2", ".tsv", "")
TWITTER_HEADER = "IMGID:"
WEIBO_HEADER = "WID:"
HEADERS = (TWITTER_HEADER, WEIBO_HEADER)
BYTE_ORDER_MARK = "\ufeff"


@dataclass
class _Block:
    """The lines of one post. header, id: None if the block has no header, or one without id."""

    line: int
    header: str | None = None
    id: str | None = None
    words: list[str] = field(default_factory=list)
    tags: list[Tag | None] = field(default_factory=list)


def read_lines(path: Path) -> Iterator[str]:
    """Read the lines of a UTF-8 file without their ends. Raises CorpusError for other encodings.

    Unlike `str.splitlines`, splits at line feeds only: tokens may contain U+0085, U+2028 and other
    separators.
    """
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            try:
                line = raw.decode("utf-8")
            except UnicodeDecodeError as error:
                raise CorpusError(
                    f"{path}, line {number} is not UTF-8 ({error.reason}); "
                    "save the file as UTF-8 and convert again."
                ) from error
            if number == 1:
                line = line.removeprefix(BYTE_ORDER_MARK)
            yield line.removesuffix("\n").removesuffix("\r")


def parse_conll(lines: Iterable[str], context: ReadContext) -> Iterator[Doc]:
    """Parse the posts of a file.

    `doc._.image` is the id of the image, a list of ids, or `AllImagesOf` the post: to be resolved
    against files or descriptors.
    """
    blocks = []
    for block in _blocks(lines, context):
        if block.words:
            blocks.append(block)
        else:
            context.report(block.line, f"{block.header}{block.id or ''} has no tokens; left out")
    scheme = detect_scheme(block.tags for block in blocks)
    for block in blocks:
        yield make_doc(
            context,
            block.words,
            entities=context.entities_of_tags(block.tags, scheme),
            missing=[i for i, tag in enumerate(block.tags) if tag is None],
            post_id=block.id,
            image=_images(block),
        )


def _blocks(lines: Iterable[str], context: ReadContext) -> Iterator[_Block]:
    block: _Block | None = None
    has_headers = False
    for number, line in enumerate(lines, start=1):
        # Concatenated files have byte order marks in the middle.
        if line.lstrip(BYTE_ORDER_MARK).startswith(HEADERS):
            if block:
                yield block
            block = _parse_header(line, number, context)
            has_headers = True
        elif not line.strip(" \t"):
            # A header may be followed by an empty line before its tokens.
            if block and block.words:
                yield block
                block = None
        else:
            if block is None:
                # Plain CoNLL has no headers; among others, a block without loses its image.
                if has_headers:
                    context.report(number, f"tokens without a header {TWITTER_HEADER}; no image")
                block = _Block(number)
            _add_token(block, number, line, context)
    if block:
        yield block


def _parse_header(line: str, number: int, context: ReadContext) -> _Block:
    header, colon, name = line.lstrip(BYTE_ORDER_MARK).partition(":")
    block = _Block(number, header + colon, name.strip() or None)
    if block.id is None:
        context.report(number, f"{block.header} without an id; no image")
    return block


def _images(block: _Block) -> Any:
    """Return the image references of a header: none, one id, several, or all of the post."""
    if block.id is None:
        return None
    if block.header == WEIBO_HEADER:
        return AllImagesOf(block.id)
    names = [name.strip() for name in re.split("[,;]", block.id) if name.strip()]
    words = block.id.split()
    if len(names) < 2 and all(stem(word) != word for word in words):
        names = words
    return names if len(names) > 1 else block.id


def _add_token(block: _Block, number: int, line: str, context: ReadContext) -> None:
    columns = _columns(line)
    word = columns[0]
    if not word:
        context.report(number, f"no token before the label {columns[-1]!r}; line left out")
        return
    tag = parse_tag(columns[-1]) if len(columns) > 1 else None
    if tag is None:
        found = (
            f"{columns[-1]!r} is not O, B-…, I-… or another tag" if len(columns) > 1 else "no label"
        )
        context.report(number, f"{found}; token {word!r} kept, its annotation is missing")
    block.words.append(word)
    block.tags.append(tag)


def _columns(line: str) -> list[str]:
    """Split a line at tabs, or at spaces if it has no tab. The last column is the label."""
    if "\t" in line:
        columns = line.split("\t")
        while len(columns) > 1 and not columns[-1].strip(" "):
            columns.pop()
        return [columns[0], *(column.strip(" ") for column in columns[1:])]
    # Only at plain spaces: a no-break space is a token of Twitter-2015.
    return re.split(" +", line.strip(" "))
