"""The columns of a file of tokens with tags, found by their content in the whole file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from ..errors import CorpusError
from ..utils.text import first_items, short_repr
from .tags import Tag

# Columns of words and of tags, counted from 1.
Columns = tuple[int, int]

# Labels of syntactic chunks, which CoNLL-2000 and CoNLL-2003 have beside entities.
CHUNKS = frozenset(
    [
        *["NP", "VP", "PP", "ADVP", "ADJP", "SBAR", "PRT", "CONJP", "INTJ", "LST", "UCP"],
        *["NC", "VC", "PC"],
    ]
)
# Numbers of tokens and sentences, and offsets: "12", and "1-2" or "8.1" in CoNLL-U.
NUMBER = re.compile(r"\d+([-.]\d+)?")
# The name or number of a post, but not a score.
POST_NAME = re.compile(r"(?!\d*\.\d+$).*\d.*")
# Different values of a column of parts of speech or languages at most.
MAX_CLOSED = 60
# Names of columns, in a first line of names or in `# global.columns` of CoNLL-U Plus.
WORD_NAMES = frozenset({"form", "word", "words", "token", "tokens"})
TAG_NAME = re.compile(r"(?i)(.*[\W_])?(ner?|named.?entity|entity)([\W_].*)?")
# A feature of CoNLL-U whose value is a tag, such as "ner=B-PER" of Stanza.
TAG_FEATURE = re.compile(r"(?:^|\|)(\w+)=(O|[BIELSUMW]-[^|]+)")
CONLLU_WIDTH = 10


@dataclass(frozen=True)
class Row:
    """A line with content. line: its number; text: as it is in the file; cells: its columns."""

    line: int
    text: str
    cells: list[str]


@dataclass(frozen=True)
class Layout:
    """The columns of a file.

    width: number of columns of most lines. word, tag: indices of columns.
    has_numbers: the first column has the number of the token.
    """

    width: int
    word: int
    tag: int
    has_numbers: bool


def split_cells(line: str) -> list[str]:
    """Split a line at tabs, or at spaces if it has no tab."""
    if "\t" in line:
        cells = [cell.strip(" ") or cell for cell in line.split("\t")]
        while len(cells) > 1 and not cells[-1].strip(" "):
            cells.pop()
        return cells
    # Only at plain spaces: a no-break space is a token of Twitter-2015.
    return re.split(" +", line.strip(" "))


def find_layout(
    posts: Sequence[Sequence[Row]],
    parse: Callable[[str], Tag | None],
    columns: Columns | None = None,
    names: Sequence[str] = (),
) -> Layout | None:
    """Return the layout of a file, or None if no column has tags.

    parse: parses a tag. columns: those of words and tags, if the user chose them. names: of all
    columns, if the file has names.

    Raises CorpusError if several columns have tags, or none has words.
    """
    # A line that begins with "#" is a comment or a token: decided by the layout.
    plain = [[row for row in post if not row.text.startswith("#")] for post in posts]
    lines = plain if any(plain) else posts
    widths = Counter(len(row.cells) for post in lines for row in post)
    width = max(widths, key=lambda one: (widths[one], one), default=0)
    full = [[row for row in post if len(row.cells) == width] for post in lines]
    rows = [row for post in full for row in post]
    if not rows:
        return None
    if columns is None and width == CONLLU_WIDTH and _append_tag_feature(rows):
        width, names = width + 1, names or ("ID", "FORM")
    table = _Table(full, [[row.cells[i] for row in rows] for i in range(width)], parse, names)
    found = table.choose() if columns is None else table.check(columns)
    return found and Layout(width, *found, has_numbers=table.is_numbered() and found[0] != 0)


class _Table:
    """The lines of full width. cells: by column."""

    def __init__(
        self,
        posts: list[list[Row]],
        cells: list[list[str]],
        parse: Callable[[str], Tag | None],
        names: Sequence[str],
    ) -> None:
        self.posts = posts
        self.cells = cells
        self.tags = [[parse(cell) for cell in column] for column in cells]
        self.names = [*names, *[""] * len(cells)]

    def choose(self) -> tuple[int, int] | None:
        """Return the columns of words and tags; None if no column has tags."""
        tagged = [i for i in range(len(self.cells)) if self.has_tags(i)]
        if len(tagged) == len(self.cells):
            # One column is that of the words, such as "O" and "B-52".
            certain = [i for i in tagged if None not in self.tags[i]]
            tagged = certain if 0 < len(certain) < len(tagged) else tagged[1:]
        return (self._words(tagged), self._entities(tagged)) if tagged else None

    def check(self, columns: Columns) -> tuple[int, int]:
        """Return the columns that the user chose. Raises CorpusError if they do not fit."""
        word, tag = (column - 1 for column in columns)
        n_columns = len(self.cells)
        if word != tag and word < n_columns and tag < n_columns and self.has_tags(tag):
            return word, tag
        raise CorpusError(
            f"--columns {columns[0]},{columns[1]}: no tags such as O and B-PER in column "
            f"{columns[1]}, or no other column {columns[0]}; {self._example()}."
        )

    def has_tags(self, column: int) -> bool:
        """Return whether most cells are tags, and most of those that are not O.

        One cell of another kind is an error in any file; several where O is missing are not.
        """
        tags = self.tags[column]
        n_other, n_labels = tags.count(None), sum(bool(tag and tag.label) for tag in tags)
        has_outside = n_labels + n_other < len(tags)
        return 2 * n_other <= len(tags) and n_other <= max(n_labels * has_outside, 1)

    def is_number(self, column: int) -> bool:
        return all(map(NUMBER.fullmatch, self.cells[column]))

    def is_numbered(self) -> bool:
        """Return whether the first column numbers most tokens, apart from ranges of CoNLL-U."""
        return self.is_number(0) and 2 * sum(map(str.isdigit, self.cells[0])) > len(self.cells[0])

    def _entities(self, tagged: list[int]) -> int:
        labels = {i: {tag.label for tag in self.tags[i] if tag and tag.label} for i in tagged}
        found = [i for i in tagged if labels[i] and not labels[i] <= CHUNKS]
        if len(found) > 1:
            found = [i for i in found if TAG_NAME.fullmatch(self.names[i])] or found
        if len(found) > 1:
            examples = (
                f"column {i + 1} ({', '.join(first_items(sorted(labels[i])))})" for i in found
            )
            raise CorpusError(
                f"Several columns have tags: {'; '.join(examples)}. Choose with --columns "
                f"WORD,TAG, the numbers of two columns; {self._example()}."
            )
        # Of columns of O alone, any is right.
        [tag] = found or [i for i in tagged if not labels[i]][-1:] or tagged[-1:]
        if labels[tag] and not found:
            raise CorpusError(
                f"The tags in column {tag + 1} are of syntactic chunks, such as "
                f"{min(labels[tag])}, not of entities. If you want them, choose them with "
                f"--columns WORD,{tag + 1}."
            )
        return tag

    def _words(self, tagged: list[int]) -> int:
        others = [i for i in range(len(self.cells)) if i not in tagged]
        filled = [i for i in others if 2 * self.cells[i].count("") <= len(self.cells[i])]
        found = [i for i in filled if not self.is_number(i)]
        if not found:
            raise CorpusError(
                f"No column has words; {self._example()}. If one has, choose with --columns "
                "WORD,TAG, the numbers of two columns."
            )
        found = [i for i in found if self.names[i].lower() in WORD_NAMES][:1] or found
        if sum(map(bool, self.posts)) == 1:
            word = found if len(found) == 1 else []
            for i in {*range(found[-1] + 1), len(self.cells) - 1} - {*tagged, *word}:
                self._refuse_marks(i)
        return self._richest([i for i in found if not self._names_posts(i)] or found)

    def _richest(self, columns: list[int]) -> int:
        """Return the first column, or one with more values, if the first has few.

        Raises CorpusError if the difference is small.
        """
        first, *others = columns
        counts = [len(set(cells)) for cells in self.cells]
        if counts[first] > MAX_CLOSED:
            return first
        for i in others:
            if counts[i] > 2 * counts[first]:
                return i
            if 2 * counts[i] >= 3 * counts[first]:
                raise CorpusError(
                    f"Column {first + 1} or {i + 1} can be that of the words; {self._example()}. "
                    "Choose with --columns WORD,TAG, the numbers of two columns."
                )
        return first

    def _refuse_marks(self, column: int) -> None:
        """Raise CorpusError if a column of the only post numbers posts, or tokens from 1 again.

        The number of a post is in the line of each token, or of the first.
        """
        cells = self.cells[column]
        runs = [cell for cell, _ in groupby(cells) if cell]
        field = f"${column + 1}"
        if cells[0] and all(map(POST_NAME.fullmatch, runs)):
            if 1 < len(set(runs)) == len(runs) < len(cells):
                what, condition = "posts", f'{field} != "" && {field} != last'
            elif column == 0 and self._restarts():
                what, condition = "the tokens of several posts", f"{field} == {cells[0]}"
            else:
                return
            has_tabs = any("\t" in row.text for post in self.posts for row in post)
            separator = "-F'\\t' " if has_tabs else ""
            raise CorpusError(
                f"Column {column + 1} seems to number {what} ({', '.join(map(repr, runs[:2]))}). "
                f"Separate them by empty lines: awk {separator}"
                f"'{condition} {{print \"\"}} {{last = {field}; print}}' FILE > NEW_FILE"
            )

    def _restarts(self) -> bool:
        """Return whether the first column counts 1, 2, … and begins again."""
        cells = self.cells[0]
        if not all(map(str.isdecimal, cells)) or len(set(cells)) == 1:
            return False
        numbers = [*map(int, cells)]
        is_count = all(b in (a + 1, numbers[0]) for a, b in pairwise(numbers))
        return is_count and numbers[0] in numbers[1:]

    def _names_posts(self, column: int) -> bool:
        """Return whether all tokens of a post have the same value, such as the id of the post."""
        posts = [{row.cells[column] for row in post} for post in self.posts if len(post) > 1]
        return len(posts) > 1 and all(len(values) == 1 for values in posts)

    def _example(self) -> str:
        row = next(row for post in self.posts for row in post)
        cells = ", ".join(f"{i}: {short_repr(cell)}" for i, cell in enumerate(row.cells, start=1))
        return f"line {row.line} has the columns {cells}"


def _append_tag_feature(rows: list[Row]) -> bool:
    """Append the tags among the features of CoNLL-U as a column, and return whether any are."""
    features = [dict(TAG_FEATURE.findall(row.cells[-1])) for row in rows]
    counts = Counter(key for one in features for key in one)
    key = max(counts, key=lambda one: counts[one], default="")
    if 2 * counts[key] < len(rows):
        return False
    for row, found in zip(rows, features, strict=True):
        row.cells.append(found.get(key, ""))
    return True
