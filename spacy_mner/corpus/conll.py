"""`IMGID:` CoNLL, the format of Twitter-2015 and Twitter-2017, and its relatives.

A line `IMGID:<id>`, then `token<TAB>label` a line, then an empty line. `IMGID:<name>,<name>` (or
`;`, or names with an image's extension and spaces between) is a post with several images. In
CMNER (Ji et al. 2024), of posts from Weibo, the line is `WID:<id>`, and the images of a post are
all those that are named `<id>_…`. Files in the wild have
spaces for tabs, more columns, labels left out, posts without tokens and tokens without a post;
what can be read is read, and the rest is reported by line number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import CorpusError
from .image_names import AllImagesOf, stem
from .posts import Labels, Post
from .problems import Problem
from .tags import Orphans, Tag, parse_tag, read_entities

ID_MARK = "IMGID:"
WEIBO_MARK = "WID:"
MARKS = (ID_MARK, WEIBO_MARK)
BYTE_ORDER_MARK = "\ufeff"


@dataclass
class Repairs:
    """How many `I-` had no opening, and how many tags that changed; summed over posts."""

    orphans: int = 0
    changed: int = 0


@dataclass
class _Block:
    """The lines of one post, while they are being read."""

    line: int
    mark: str = ID_MARK
    id: str | None = None
    words: list[str] = field(default_factory=list)
    tags: list[Tag | None] = field(default_factory=list)


def read_lines(path: Path) -> Iterator[str]:
    """Lines of a UTF-8 file without their ends.

    Only line feeds (and the carriage return before one) end a line: tokens may hold U+0085,
    U+2028 and others that `str.splitlines` cuts at. Raises CorpusError for other encodings.
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


def parse_conll(
    lines: Iterable[str],
    *,
    labels: Labels,
    orphans: Orphans,
    report: Callable[[Problem], None],
    repairs: Repairs,
) -> Iterator[Post]:
    """Read posts from the lines of an `IMGID:` or `WID:` file.

    `post.image` is the name of the image, a list of them, or `AllImagesOf` the post: still to
    be matched with files or descriptors.
    report: is told of every line that could not be taken as it stands.
    repairs: is added to.
    """
    for block in _blocks(lines, report):
        if not block.words:
            report(Problem(block.line, f"{block.mark}{block.id or ''} has no tokens; left out"))
            continue
        tags = [
            tag and Tag(tag.prefix, labels(tag.label) if tag.label else "") for tag in block.tags
        ]
        repaired = read_entities(tags, orphans)
        repairs.orphans += repaired.orphans
        repairs.changed += repaired.changed
        yield Post(
            words=block.words,
            entities=repaired.entities,
            missing=[i for i, tag in enumerate(tags) if tag is None],
            id=block.id,
            image=_images(block),
            line=block.line,
        )


def _blocks(lines: Iterable[str], report: Callable[[Problem], None]) -> Iterator[_Block]:
    block: _Block | None = None
    has_headers = False
    for number, line in enumerate(lines, start=1):
        # Files that were joined have their byte order marks in the middle.
        if line.lstrip(BYTE_ORDER_MARK).startswith(MARKS):
            if block:
                yield block
            block = _open_block(line, number, report)
            has_headers = True
        elif not line.strip(" \t"):
            # An id may be followed by an empty line before its tokens.
            if block and block.words:
                yield block
                block = None
        else:
            if block is None:
                # Plain CoNLL has no headers; between others, a missing one loses an image.
                if has_headers:
                    report(Problem(number, f"tokens with no {ID_MARK} before them; no image"))
                block = _Block(number)
            _add_token(block, number, line, report)
    if block:
        yield block


def _open_block(line: str, number: int, report: Callable[[Problem], None]) -> _Block:
    mark, colon, name = line.lstrip(BYTE_ORDER_MARK).partition(":")
    block = _Block(number, mark + colon, name.strip() or None)
    if block.id is None:
        report(Problem(number, f"{block.mark} without an id; no image"))
    return block


def _images(block: _Block) -> Any:
    """What the header says of images: none, one name, several, or all that bear the id."""
    if block.id is None:
        return None
    if block.mark == WEIBO_MARK:
        return AllImagesOf(block.id)
    names = [name.strip() for name in re.split("[,;]", block.id) if name.strip()]
    words = block.id.split()
    if len(names) < 2 and all(stem(word) != word for word in words):
        names = words
    return names if len(names) > 1 else block.id


def _add_token(block: _Block, number: int, line: str, report: Callable[[Problem], None]) -> None:
    columns = _columns(line)
    word = columns[0]
    if not word:
        report(Problem(number, f"no token before the label {columns[-1]!r}; line left out"))
        return
    tag = parse_tag(columns[-1]) if len(columns) > 1 else None
    if tag is None:
        what = f"{columns[-1]!r} is not O, B-… or I-…" if len(columns) > 1 else "no label"
        report(Problem(number, f"{what}; token {word!r} kept, its annotation missing"))
    block.words.append(word)
    block.tags.append(tag)


def _columns(line: str) -> list[str]:
    """Split a line at tabs, or at spaces where it has no tab. The last column is the label."""
    if "\t" in line:
        columns = line.split("\t")
        while len(columns) > 1 and not columns[-1].strip(" "):
            columns.pop()
        return [columns[0], *(column.strip(" ") for column in columns[1:])]
    # Only at plain spaces: a no-break space is a token of Twitter-2015.
    return re.split(" +", line.strip(" "))
