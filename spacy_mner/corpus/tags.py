"""Tags of tokens in BIO and its relatives, and the entities of a sequence of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from ..errors import CorpusError

Orphans = Literal["open", "drop"]

# First token, last token + 1, label.
Entity = tuple[int, int, str]

# The letters with which schemes mark a token inside an entity, its last one, and an only one.
INSIDE, LAST, SINGLE = (frozenset(letters) for letters in ("IM", "EL", "SUW"))
PREFIXES = INSIDE | LAST | SINGLE | {"B"}
# The letters of a scheme: that of a corpus is the first that has all of its letters.
SCHEMES = {"BIO": "BI", "BIOES": "BIES", "BILOU": "BILU", "BMES": "BMES", "BMEWO": "BMEW"}

# Another tag in a label, such as "PER|B-ORG" and "PER O B-LOC".
SECOND_TAG = re.compile(r"[\s,;|](O([\s,;|]|$)|[BIELSUMW]-)")


@dataclass(frozen=True)
class Tag:
    """One tag. prefix: "O" or one of PREFIXES; label: empty for "O"."""

    prefix: str
    label: str = ""

    def __str__(self) -> str:
        return f"{self.prefix}-{self.label}" if self.label else self.prefix


@dataclass(frozen=True)
class Scheme:
    """How the tags of a corpus mark the first and last token of an entity.

    name: such as "BIO".
    marks_first: the first token always has a tag of its own; not in IOB1.
    marks_last: the last token always has a tag of its own, as in BIOES.
    """

    name: str
    marks_first: bool = True
    marks_last: bool = False


BIO = Scheme("BIO")


@dataclass(frozen=True)
class Repaired:
    """The entities of a tag sequence.

    entities: in order, without overlaps.
    orphans: number of incomplete entities: those that lack the tag of the first token (orphan
        I-), or that of the last one where the scheme marks it.
    changed: number of tags that the convention for orphans changed: the first or last of an
        incomplete entity under "open", all of it under "drop".
    """

    entities: list[Entity]
    orphans: int
    changed: int


@dataclass
class _Run:
    """Tokens that belong together. begun, ended: whether a tag marks the first, the last one."""

    start: int
    end: int
    label: str
    begun: bool
    ended: bool


def parse_tag(text: str) -> Tag | None:
    """Parse "O", or a prefix with a label such as "B-PER"; return None for anything else.

    Two tags in one text are none.
    """
    if text == "O":
        return Tag("O")
    prefix, dash, label = text.partition("-")
    if prefix in PREFIXES and dash and label.strip() and not SECOND_TAG.search(label):
        return Tag(prefix, label.strip())
    return None


def detect_scheme(posts: Iterable[Sequence[Tag | None]]) -> Scheme:
    """Return the scheme of a corpus, given the tags of each post.

    The letters decide. B- and I- alone are IOB1 if some entity begins with I-, and B- stands only
    directly after an entity of its own label; otherwise BIO.

    Raises CorpusError for letters that exclude each other, such as E- and L-.
    """
    posts = list(posts)
    examples = {tag.prefix: tag for tags in posts for tag in tags if tag and tag.label}
    for group in (INSIDE, LAST, SINGLE):
        if len(both := sorted(group & set(examples))) > 1:
            raise CorpusError(
                f"The tags {' and '.join(str(examples[one]) for one in both)} are of different "
                "schemes. Use one scheme in the whole corpus, such as BIO or BIOES."
            )
    letters = set(examples)
    if letters == {"I", "E"}:
        return Scheme("IOE", marks_first=False)
    if letters == {"B", "I", "S"}:
        return Scheme("BIOS")
    if letters <= {"B", "I"} and _is_iob1(map(_runs, posts)):
        return Scheme("IOB1", marks_first=False)
    names = (name for name, known in SCHEMES.items() if letters <= set(known))
    name = next(names, "".join(sorted(letters)))
    return Scheme(name, marks_last=bool(letters & LAST))


def read_entities(tags: Sequence[Tag | None], orphans: Orphans, scheme: Scheme = BIO) -> Repaired:
    """Return the entities of a tag sequence.

    tags: one per token; None for missing annotation.
    orphans: convention for an orphan I-, and for any entity that is incomplete in its scheme:
        "open" (lenient, as in conlleval) reads an entity, "drop" (strict) reads its tokens as
        outside.
    """
    entities: list[Entity] = []
    n_orphans = changed = 0
    for run in _runs(tags):
        length = run.end - run.start
        lacking = (scheme.marks_first and not run.begun) + (scheme.marks_last and not run.ended)
        if lacking:
            n_orphans += 1
            changed += length if orphans == "drop" else min(lacking, length)
        if not lacking or orphans == "open":
            entities.append((run.start, run.end, run.label))
    return Repaired(entities, n_orphans, changed)


def _runs(tags: Sequence[Tag | None]) -> Iterator[_Run]:
    run: _Run | None = None
    for i, tag in enumerate(tags):
        begins = tag is not None and (tag.prefix == "B" or tag.prefix in SINGLE)
        if run and (begins or run.ended or tag is None or run.label != tag.label):
            yield run
            run = None
        if tag is None or not tag.label:
            continue
        run = run or _Run(i, i, tag.label, begins, False)
        run.end, run.ended = i + 1, tag.prefix in LAST | SINGLE
    if run:
        yield run


def _is_iob1(posts: Iterable[Iterable[_Run]]) -> bool:
    """Return whether some entity begins with I-, and each B- separates two of one label."""
    begins_without_b = False
    for runs in posts:
        previous = None
        for run in runs:
            if not run.begun:
                begins_without_b = True
            elif previous is None or (previous.end, previous.label) != (run.start, run.label):
                return False
            previous = run
    return begins_without_b
