"""CSV and TSV with and without quoting: no row is lost or merged, or the file is refused."""

from __future__ import annotations

import csv
import json

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spacy_mner.annotate.formats import open_source
from spacy_mner.annotate.task import Task
from spacy_mner.errors import CorpusError, UsageError

from .conftest import run
from .test_formats import convert

# Raw posts, in which a quote is a character like any other.
TWEETS = [
    "my jaguar one",
    '"best day ever with my puma',
    "my jaguar three",
    'he said "jaguar" ok',
    'my puma five" end',
    '"quoted" start',
    '"',
    '""',
    "",
    "my puma eight\r",
]
UNQUOTED = "id\ttext\timage\n" + "".join(f"{i}\t{t}\tcar.png\n" for i, t in enumerate(TWEETS))


def read(path, content, quoting=None):
    """Cells of all rows, without the header; the error of a row in place of its cells."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    source = open_source(str(path), quoting)
    info = source.inspect()
    rows = [row for chunk in source.chunks() for row in chunk.rows]
    assert info.n_rows == len(rows)
    return [row.error or list(row.values.values()) for row in rows]


def texts_of(path):
    with path.open(encoding="utf-8", newline="\n" if path.suffix == ".tsv" else "") as file:
        if path.suffix == ".jsonl":
            return [json.loads(line)["text"] for line in file]
        if path.suffix == ".csv":
            return [row["text"] for row in csv.DictReader(file)]
        return [line.split("\t")[1] for line in file][1:]


@pytest.mark.parametrize("suffix", [".tsv", ".csv", ".jsonl", ".parquet"])
def test_posts_without_quoting_keep_their_texts_in_every_format(tmp_path, ruler, suffix):
    (tmp_path / "in.tsv").write_bytes(UNQUOTED.encode())
    output = tmp_path / f"out{suffix}"
    with pytest.raises(CorpusError, match=r"in\.tsv, line 3: .*--quoting none"):
        run(Task(ruler), tmp_path / "in.tsv", output)
    assert not output.exists()
    assert run(Task(ruler, quoting="none"), tmp_path / "in.tsv", output).entities == {"CAT": 3}
    is_parquet = suffix == ".parquet"
    found = pq.read_table(output)["text"].to_pylist() if is_parquet else texts_of(output)
    assert found == TWEETS
    # Only TSV is written without quoting.
    quoting = "none" if suffix == ".tsv" else None
    again = tmp_path / f"again{suffix}"
    run(Task(ruler, prefix="mner_", quoting=quoting), output, again)
    assert (pq.read_table(again)["text"].to_pylist() if is_parquet else texts_of(again)) == TWEETS


def test_quoting_is_part_of_the_identity_of_a_run(tmp_path, ruler, target):
    (tmp_path / "in.tsv").write_bytes(UNQUOTED.encode())
    run(Task(ruler, quoting="none"), tmp_path / "in.tsv", target)
    with pytest.raises(UsageError, match="quoting"):
        run(Task(ruler, quoting="standard"), tmp_path / "in.tsv", target)


@pytest.mark.parametrize("name", ["in.jsonl", "in.parquet", "-"])
def test_quoting_is_an_option_for_csv_and_tsv_alone(name):
    with pytest.raises(UsageError, match="--quoting"):
        open_source(name, "none")


cells = st.text(st.sampled_from('ab"",\t\n '), max_size=6)


@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=6), st.sampled_from([0, 1]))
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None
)
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_a_quoted_file_is_read_right_or_refused_and_an_unquoted_one_without_guessing(
    tmp_path, suffix, rows, quoting
):
    path, delimiter = tmp_path / f"in{suffix}", ",\t"[suffix == ".tsv"]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter, quoting=quoting).writerows([("x", "y"), *rows])
    expected = [list(row) for row in rows]
    assert read(path, path.read_bytes(), "standard") == expected
    if quoting == csv.QUOTE_ALL:  # the header is quoted
        assert read(path, path.read_bytes()) == expected
    plain = [["".join(c for c in cell if c not in "\n\t,") for cell in row] for row in rows]
    content = "".join(delimiter.join(row) + "\n" for row in [["x", "y"], *plain])
    assert read(path, content, "none") == plain
    try:
        found = read(path, content)
    except CorpusError:
        assert any(cell.startswith('"') for row in plain for cell in row)
    else:  # no row is lost or merged; a cell in quotes may lose them
        assert len(found) == len(plain)


H = "id\ttext\timage\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (H + '1\t"a\nb"\tx\n2\tc\tx\n', [["1", "a\nb", "x"], ["2", "c", "x"]]),
        (H + '1\t"a ""b"""\tx\n2\tc "d"\tx', [["1", 'a "b"', "x"], ["2", 'c "d"', "x"]]),
        (H + '1\t"a\tx\n2\tb"\tx\n', "line 2: .* on several lines"),
        # The same characters in a file with a cell that must have been quoted.
        (H + '1\t"a\tx\n2\tb"\tx\n3\t"c\td"\te\n', [["1", "a\tx\n2\tb", "x"], ["3", "c\td", "e"]]),
        ('id\t"text"\timage\n1\t"a\tx\n2\tb"\tx\n', [["1", "a\tx\n2\tb", "x"]]),
        (H + '1\t"a" b\tx\n', "line 2: .*--quoting none"),
        (H + '1\tc\tx\n\n1\t"a b\tx\n2\tc\tx\n', "line 4: .*--quoting none"),
        (H + '1\ta "b" c\tx\n2\t"d"\tx\n', "line 3: .* line 2 .*--quoting none"),
        (H + '1\ta "b" c\tx\n2\t"d\te"\tx\n', [["1", 'a "b" c', "x"], ["2", "d\te", "x"]]),
        (H + '1\t5 " screen\tx\n', [["1", '5 " screen', "x"]]),
        (H + '1\t"a"\n', "line 2: 2 cells, but the header has 3.*--quoting none"),
        (H + "1\ta\n", ['2 cells, but the header has 3: ["1", "a"]']),
    ],
)
def test_quoted_cells_are_read_if_all_of_them_close_cleanly(tmp_path, content, expected):
    if isinstance(expected, str):
        with pytest.raises(CorpusError, match=rf"in\.tsv, {expected}"):
            read(tmp_path / "in.tsv", content)
    else:
        assert read(tmp_path / "in.tsv", content) == expected


def test_of_an_invalid_record_only_the_first_line_is_an_error(tmp_path):
    found = read(tmp_path / "in.tsv", UNQUOTED, "standard")
    failed = [i for i, row in enumerate(found) if isinstance(row, str)]
    assert failed == [1, 5, 6, 9] and found[1].endswith(f": 1\t{TWEETS[1]}\tcar.png")
    assert [found[i][1] for i in (0, 2, 3, 4, 7, 8)] == [*TWEETS[:1], *TWEETS[2:5], "", ""]
    assert len(found) == len(TWEETS)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('text;image\n"a;1";x\nb, c;y\n', [["a;1", "x"], ["b, c", "y"]]),
        ("text\timage\na, b\tx\n", [["a, b", "x"]]),
        ('text,image\ra,x\r"b\rc",y\r', [["a", "x"], ["b\rc", "y"]]),
        ("\ufefftext,image\r\na\0b,x\r\n", [["a\0b", "x"]]),
        ('text\n"a\nb"\n', "line 2: .*--quoting standard"),
        ('text\n"a\nb"\n"c,d"\n', [["a\nb"], ["c,d"]]),
        ('text\na\n\n""\nb\n\n', [["a"], [""], ["b"]]),
        (
            b'\xef\xbb\xbftext,note\n"caf\xe9\n",b\n\xc3\xb8,c\nd,e,f\n',
            [
                r'not UTF-8 (save the file as UTF-8): ["caf\xe9\n", "b"]',
                ["ø", "c"],
                '3 cells, but the header has 2: ["d", "e", "f"]',
            ],
        ),
        ("", "is empty"),
        ("text,text\n", "distinct column names"),
        ("sep=;\ntext;image\n", "sep=;"),
        ("text;image\né;x\n".encode("utf-16"), "iconv -f UTF-16"),
        ("text;image\né;x\n".encode("utf-16-le"), "iconv -f UTF-16"),
        ("text;größe\né;x\n".encode("cp1252"), "iconv -f CP1252"),
        ("text,a\0b\nc,d\n", [["c", "d"]]),
    ],
)
def test_other_dialects_of_csv_are_read_or_refused(tmp_path, content, expected):
    if isinstance(expected, str):
        with pytest.raises(CorpusError, match=expected):
            read(tmp_path / "in.csv", content)
    else:
        assert read(tmp_path / "in.csv", content) == expected
        convert(tmp_path, tmp_path / "in.csv", "out.csv")
