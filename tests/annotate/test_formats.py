"""Rows come back as they went in, whatever the format, and nothing of a broken one is lost."""

from __future__ import annotations

import csv
import datetime
import json
import pickle
import tracemalloc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spacy_mner.annotate.chunks import SIZE
from spacy_mner.annotate.formats import open_sink, open_source
from spacy_mner.annotate.task import Task
from spacy_mner.errors import CorpusError

ENTITY = {"start": 0, "end": 2, "label": "PER", "text": "Bo", "score": 0.5}
WEIGHTS = [
    {
        "start": 0,
        "end": 2,
        "weights": {"word": 0.75, "image": 0.25},
        "regions": {"image": [0.5, 0.5]},
    }
]
FOUND = {"entities": [ENTITY], "attention": WEIGHTS, "image_status": "used", "error": None}
FAILED = {"entities": None, "attention": None, "image_status": None, "error": "no text"}

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def pass_through(tmp_path, source, output, prefix=""):
    """Every second row fails; returns the output's path and the rows' problems."""
    task = Task("model", attention=True, prefix=prefix)
    rows = open_source(str(source))
    sink = open_sink(output, task, rows.survey())
    problems, parts = [], []
    for chunk in rows.chunks():
        problems += [row.problem for row in chunk.rows]
        annotations = [FAILED if i % 2 else FOUND for i in range(len(chunk.rows))]
        parts.append(tmp_path / f"{chunk.number}.part")
        parts[-1].write_bytes(sink.encode(chunk, annotations))
    with (tmp_path / output).open("wb") as file:
        sink.join(parts, file)
    return tmp_path / output, problems


def test_lines_of_json_keep_what_they_hold_and_gain_the_annotation(tmp_path):
    rows = [{"text": "Bo 🎸", "n": 1.5, "deep": {"a": [1, None]}}, {"text": "\ud800"}, {"z": True}]
    (tmp_path / "in.jsonl").write_text("\n\n".join(map(json.dumps, rows)))
    path, problems = pass_through(tmp_path, tmp_path / "in.jsonl", "out.jsonl")
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    added = [FOUND, FAILED, FOUND]
    assert found == [{**row, **more} for row, more in zip(rows, added, strict=True)]
    assert problems == ["", "", ""]


@pytest.mark.parametrize(
    "line", [b"{", b"[1]", b"\xff\xfe", b'{"text": "a"} {}', b"[" * 50_000, b"NULL", b'"text"']
)
def test_a_broken_line_is_a_row_whose_problem_shows_it(tmp_path, line):
    (tmp_path / "in.jsonl").write_bytes(b'{"text": "a"}\n' + line + b'\r\n{"text": "b"}')
    path, problems = pass_through(tmp_path, tmp_path / "in.jsonl", "out.jsonl")
    assert len(path.read_text().splitlines()) == 3
    assert problems[0] == problems[2] == ""
    assert problems[1].endswith(line.decode("utf-8", "backslashreplace"))


def test_a_line_that_would_fill_the_memory_is_not_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("spacy_mner.annotate.formats.jsonl_rows.MAX_ROW", 100)
    lines = [b'{"text": "a"}', b'{"text": "' + b"b" * 350 + b'"}', b'{"text": "c"}']
    (tmp_path / "in.jsonl").write_bytes(b"\n".join(lines))
    _, problems = pass_through(tmp_path, tmp_path / "in.jsonl", "out.jsonl")
    assert [bool(problem) for problem in problems] == [False, True, False]
    assert "line of more than 100 bytes" in problems[1]


@pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ('{"a": ', "}")])
@pytest.mark.parametrize(
    ("depth", "is_row"), [(99, True), (100, False), (600, False), (50_000, False)]
)
def test_a_row_goes_to_another_process_or_is_too_deep(tmp_path, opened, closed, depth, is_row):
    line = f'{{"text": "a", "x": {opened * depth}1{closed * depth}}}'
    (tmp_path / "in.jsonl").write_text(line + '\n{"text": "b"}')
    [chunk] = open_source(str(tmp_path / "in.jsonl")).chunks()
    assert pickle.loads(pickle.dumps(chunk)) == chunk
    deep, flat = (row.problem for row in chunk.rows)
    assert flat == "" and (deep == "") == is_row
    assert is_row or deep.startswith("more than 100 lists and objects within each other: {")


@given(st.lists(st.tuples(texts, texts), max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_cells_come_back_as_they_were(tmp_path, suffix, rows):
    delimiter = "\t" if suffix == ".tsv" else ","
    with (tmp_path / f"in{suffix}").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows([("text", "note"), *rows])
    path, problems = pass_through(tmp_path, tmp_path / f"in{suffix}", f"out{suffix}")
    with path.open(newline="", encoding="utf-8") as file:
        header, *found = csv.reader(file, delimiter=delimiter)
    assert header == ["text", "note", "entities", "attention", "image_status", "error"]
    assert [tuple(row[:2]) for row in found] == rows
    assert not any(problems)
    assert [row[2:] for row in found[:1]] == [
        [json.dumps([ENTITY]), json.dumps(WEIGHTS), "used", ""] for _ in found[:1]
    ]


def test_a_row_with_too_few_cells_shows_them(tmp_path):
    (tmp_path / "in.csv").write_text("text,image\na,b\nc\nd,e,f\n", encoding="utf-8-sig")
    _, problems = pass_through(tmp_path, tmp_path / "in.csv", "out.csv")
    assert problems == [
        "",
        '1 cells where the header has 2: ["c"]',
        '3 cells where the header has 2: ["d", "e", "f"]',
    ]


def test_a_row_of_cells_that_is_not_utf8_shows_them_and_the_others_are_read(tmp_path):
    (tmp_path / "in.csv").write_bytes(b'text,note\n"caf\xe9\n",b\n\xc3\xb8,c\n')
    [chunk] = open_source(str(tmp_path / "in.csv")).chunks()
    assert [row.values for row in chunk.rows] == [{}, {"text": "ø", "note": "c"}]
    expected = r'not UTF-8 (save the file as UTF-8): ["caf\xe9\n", "b"]'
    assert [row.problem for row in chunk.rows] == [expected, ""]


def test_a_header_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "in.csv").write_text("text,größe\na,b\n", encoding="latin-1")
    with pytest.raises(CorpusError, match=r"first line of .*in\.csv is not UTF-8 \(save"):
        open_source(str(tmp_path / "in.csv")).survey()


def test_a_row_of_cells_that_would_fill_the_memory_is_not_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("spacy_mner.annotate.formats.csv_rows.MAX_ROW", 100)
    wide = ",".join(["b"] * 1000)
    long = ",".join(['"b\n"'] * 30)
    (tmp_path / "in.csv").write_text(f"text,note\na,b\n{wide}\nc,d\n{long}\n")
    source = open_source(str(tmp_path / "in.csv"))
    rows = [row for chunk in source.chunks() for row in chunk.rows]
    assert source.survey().rows == len(rows)
    read = [row.values["text"] for row in rows if not row.problem]
    assert read[:2] == ["a", "c"]
    told = [row.problem for row in rows if "a row of 100 characters or more" in row.problem]
    assert len(told) == 2


def test_a_blank_line_is_no_row_but_an_empty_cell_is_one(tmp_path):
    (tmp_path / "in.csv").write_text('text\na\n\n""\nb\n\n')
    [chunk] = open_source(str(tmp_path / "in.csv")).chunks()
    assert [row.values["text"] for row in chunk.rows] == ["a", "", "b"]


@pytest.mark.parametrize("header", ["", "text,text\n"])
def test_a_header_must_tell_columns_apart(tmp_path, header):
    (tmp_path / "in.csv").write_text(header)
    with pytest.raises(CorpusError, match="different column names"):
        open_source(str(tmp_path / "in.csv")).survey()


def a_table(n=3):
    return pa.table(
        {
            "text": pa.array([f"t{i}" for i in range(n)]).dictionary_encode(),
            "at": pa.array([1_700_000_000_123_456_789 + i for i in range(n)], pa.timestamp("ns")),
            "raw": pa.array([b"\xff"] * n),
            "deep": pa.array([{"a": [i]} for i in range(n)]),
        }
    )


def test_parquet_keeps_its_types_to_the_nanosecond(tmp_path):
    pq.write_table(a_table(), tmp_path / "in.parquet", row_group_size=2)
    path, _ = pass_through(tmp_path, tmp_path / "in.parquet", "out.parquet")
    found = pq.read_table(path)
    assert found.select(["text", "at", "raw", "deep"]).equals(a_table())
    assert found["entities"].to_pylist() == [[ENTITY], None, [ENTITY]]
    (token,) = found["attention"][0].as_py()
    assert token["weights"] == [("word", 0.75), ("image", 0.25)]
    assert token["regions"] == [("image", [0.5, 0.5])]
    assert found["error"].to_pylist() == [None, "no text", None]


def test_parquet_goes_out_as_lines_of_json(tmp_path):
    pq.write_table(a_table(1), tmp_path / "in.parquet")
    path, _ = pass_through(tmp_path, tmp_path / "in.parquet", "out.jsonl")
    found = json.loads(path.read_text())
    assert found["text"] == "t0" and found["deep"] == {"a": [0]} and found["raw"] == "/w=="
    assert datetime.datetime.fromisoformat(found["at"][:26]).year == 2023


def test_bytes_of_parquet_are_base64_in_a_cell_and_what_holds_them_is_json(tmp_path):
    table = pa.table({"text": ["a"], "raw": [b"\xff"], "deep": [{"raw": b"\xff"}]})
    pq.write_table(table, tmp_path / "in.parquet")
    path, _ = pass_through(tmp_path, tmp_path / "in.parquet", "out.csv")
    with path.open(newline="", encoding="utf-8") as file:
        [row] = csv.DictReader(file)
    assert (row["raw"], row["deep"]) == ("/w==", '{"raw": "/w=="}')


def test_a_name_of_a_column_that_no_file_can_hold_stands_as_its_escape(tmp_path):
    (tmp_path / "in.jsonl").write_text(json.dumps({"text": "a", "\ud800": 1}))
    path, _ = pass_through(tmp_path, tmp_path / "in.jsonl", "out.parquet")
    assert pq.read_table(path)["\\ud800"].to_pylist() == [1]


@pytest.mark.parametrize("output", ["out.csv", "out.tsv", "out.parquet"])
def test_names_of_columns_that_would_become_one_are_refused_before_any_work(tmp_path, output):
    (tmp_path / "in.jsonl").write_text(json.dumps({"text": "a", "\ud800": 1, "\\ud800": 2}))
    with pytest.raises(CorpusError, match=r"'\\ud800' and '\\\\ud800' of the input have one name"):
        pass_through(tmp_path, tmp_path / "in.jsonl", output)
    assert pass_through(tmp_path, tmp_path / "in.jsonl", "out.jsonl")[1] == [""]


def test_a_byte_order_mark_in_a_name_stays_there(tmp_path):
    (tmp_path / "in.jsonl").write_text(json.dumps({"\ufefftext": "a", "text": "b"}))
    path, _ = pass_through(tmp_path, tmp_path / "in.jsonl", "out.csv")
    assert list(open_source(str(path)).survey().columns)[:2] == ["\ufefftext", "text"]


def test_columns_of_json_get_the_simplest_arrow_type_that_holds_them(tmp_path):
    rows = [
        {"text": "a", "n": 1, "x": 1, "mixed": "a", "none": None, "big": 1 << 70},
        {"text": "b", "n": 2, "x": 0.5, "mixed": 3, "flag": True, "list": [1]},
    ]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, rows)))
    path, _ = pass_through(tmp_path, tmp_path / "in.jsonl", "out.parquet")
    found = pq.read_table(path)
    assert found["n"].type == pa.int64() and found["n"].to_pylist() == [1, 2]
    assert found["x"].type == pa.float64() and found["x"].to_pylist() == [1.0, 0.5]
    assert found["flag"].to_pylist() == [None, True] and found["none"].to_pylist() == [None, None]
    assert found["mixed"].to_pylist() == ["a", "3"] and found["list"].to_pylist() == [None, "[1]"]
    assert found["big"].to_pylist() == [str(1 << 70), None]


@pytest.mark.parametrize("other", [2.5, -0.0, 1e300])
def test_an_integer_that_no_float_holds_is_kept_beside_one(tmp_path, other):
    numbers = [(1 << 53) + 1, -(1 << 53) - 1, (1 << 63) - 1, -(1 << 63), 1 << 63]
    for number in numbers:
        rows = [{"text": "a", "n": other}, {"text": "b", "n": number}, {"text": "c"}]
        (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, rows)))
        path, _ = pass_through(tmp_path, tmp_path / "in.jsonl", "out.parquet")
        column = pq.read_table(path)["n"].to_pylist()
        assert column[2] is None and [json.loads(text) for text in column[:2]] == [other, number]


def test_small_and_large_integers_are_integers(tmp_path):
    numbers = [1, (1 << 53) + 1, -(1 << 63) + 1, (1 << 63) - 1]
    rows = [json.dumps({"text": "a", "n": number}) for number in numbers]
    (tmp_path / "in.jsonl").write_text("\n".join(rows))
    path, _ = pass_through(tmp_path, tmp_path / "in.jsonl", "out.parquet")
    found = pq.read_table(path)["n"]
    assert found.type == pa.int64() and found.to_pylist() == numbers


def test_integers_that_a_float_holds_are_floats_beside_one(tmp_path):
    numbers = [0.5, 1 << 53, -(1 << 53)]
    rows = [json.dumps({"text": "a", "n": number}) for number in numbers]
    (tmp_path / "in.jsonl").write_text("\n".join(rows))
    path, _ = pass_through(tmp_path, tmp_path / "in.jsonl", "out.parquet")
    found = pq.read_table(path)["n"]
    assert found.type == pa.float64() and found.to_pylist() == numbers


def of_so_many_columns(tmp_path, n):
    rows = ({"text": "a", f"only here {i}": i} for i in range(n - 1))
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path / "in.jsonl"


@pytest.mark.parametrize("output", ["out.csv", "out.parquet"])
def test_a_header_has_so_many_columns_and_no_more(tmp_path, output):
    path, _ = pass_through(tmp_path, of_so_many_columns(tmp_path, 1000), output)
    assert b"only here 998" in path.read_bytes()
    with pytest.raises(CorpusError, match=r"more than 1,000 columns.*to a \.jsonl file"):
        pass_through(tmp_path, of_so_many_columns(tmp_path, 1001), output)
    (tmp_path / "in.jsonl").write_text(json.dumps({"text": "a", "k" * 1001: 1}))
    with pytest.raises(CorpusError, match=r"name has more than 1,000 characters"):
        pass_through(tmp_path, tmp_path / "in.jsonl", output)


def test_lines_of_json_may_have_any_number_of_columns(tmp_path):
    path, _ = pass_through(tmp_path, of_so_many_columns(tmp_path, 1500), "out.jsonl")
    assert [*json.loads(path.read_text().splitlines()[-1])][:2] == ["text", "only here 1498"]


def test_a_survey_does_not_grow_with_the_names_of_columns_and_finds_those_that_are_asked_for(
    tmp_path,
):
    source = of_so_many_columns(tmp_path, 20_000)
    with source.open("a") as file:
        file.write('\n{"entities": []}')
    tracemalloc.start()
    survey = open_source(str(source)).survey(["entities", "image"])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000  # a set for each name takes 216 bytes, besides the name
    assert len(survey.columns) == 1001 and not survey.whole
    assert "entities" in survey.columns and "image" not in survey.columns


def test_chunks_do_not_depend_on_row_groups(tmp_path):
    n = 2 * SIZE + 7
    table = pa.table({"text": [str(i) for i in range(n)]})
    for size in (n, 100):
        pq.write_table(table, tmp_path / "in.parquet", row_group_size=size)
        chunks = list(open_source(str(tmp_path / "in.parquet")).chunks())
        assert [len(chunk.rows) for chunk in chunks] == [SIZE, SIZE, 7]
        assert [row.values["text"] for chunk in chunks for row in chunk.rows] == [
            str(i) for i in range(n)
        ]


def test_a_prefix_tells_added_columns_from_those_of_the_input(tmp_path):
    (tmp_path / "in.jsonl").write_text('{"text": "a", "entities": 1}')
    for output in ("out.jsonl", "out.csv", "out.parquet"):
        path, _ = pass_through(tmp_path, tmp_path / "in.jsonl", output, prefix="mner_")
        assert b"mner_entities" in path.read_bytes()


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet"])
def test_a_file_that_is_no_parquet_is_named(tmp_path, content):
    (tmp_path / "in.parquet").write_bytes(content)
    with pytest.raises(CorpusError, match=r"in\.parquet cannot be read as Parquet"):
        open_source(str(tmp_path / "in.parquet")).survey()


def damaged_page(path):
    pq.write_table(pa.table({"text": ["a", "b"]}), path)
    content = path.read_bytes()
    path.write_bytes(content[:4] + bytes(8) + content[12:])


def text_that_is_no_utf8(path):
    # Arrow itself would refuse to make such a column.
    pq.write_table(pa.table({"text": ["aXb"]}), path, compression="none")
    path.write_bytes(path.read_bytes().replace(b"aXb", b"a\xffb"))


def a_day_that_python_does_not_have(path):
    days = pa.array([[2**31 - 1]], pa.list_(pa.date32()))
    pq.write_table(pa.table({"text": ["a"], "days": days}), path)


def more_rows_than_there_are(path):
    pq.write_table(pa.table({"text": ["a"] * 77}), path)
    start, end = path.read_bytes().split(b"schema", 1)  # the footer's, where the number comes next
    path.write_bytes(start + b"schema" + end.replace(b"\x9a\x01", b"\x9c\x01", 1))


UNREADABLE = [damaged_page, text_that_is_no_utf8, a_day_that_python_does_not_have]


@pytest.mark.parametrize("write", [*UNREADABLE, more_rows_than_there_are])
def test_a_parquet_file_whose_rows_cannot_be_read_is_named(tmp_path, write):
    write(tmp_path / "in.parquet")
    source = open_source(str(tmp_path / "in.parquet"))
    assert source.survey().rows
    with pytest.raises(CorpusError, match=r"in\.parquet cannot be read as Parquet"):
        list(source.chunks())


def test_other_files_are_refused_with_the_list_of_formats():
    with pytest.raises(CorpusError, match=r"posts\.xlsx: .*\.jsonl, \.csv, \.tsv, \.parquet"):
        open_source("posts.xlsx")


def test_fat_rows_make_small_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr("spacy_mner.annotate.chunks.BYTES", 1000)
    lines = [json.dumps({"text": "x" * (900 if i < 4 else 1)}) for i in range(10)]
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    chunks = list(open_source(str(tmp_path / "in.jsonl")).chunks())
    assert [(chunk.first, len(chunk.rows)) for chunk in chunks] == [(1, 2), (3, 2), (5, 6)]


@pytest.mark.parametrize("of", [lambda n: "x" * n, lambda n: b"x" * n, lambda n: [{"a": 1}] * n])
def test_fat_rows_of_parquet_make_small_chunks_of_the_same_table(tmp_path, monkeypatch, of):
    monkeypatch.setattr("spacy_mner.annotate.chunks.BYTES", 1000)
    table = pa.table({"n": range(40), "fat": [of(900 if i < 4 else 1) for i in range(40)]})
    pq.write_table(table, tmp_path / "in.parquet")
    chunks = list(open_source(str(tmp_path / "in.parquet")).chunks())
    assert [len(chunk.rows) for chunk in chunks[:2]] in ([2, 2], [1, 1])
    for chunk in chunks:
        assert chunk.table.to_pylist() == [row.values for row in chunk.rows]
        assert chunk.first == chunk.rows[0].values["n"] + 1
    assert pa.concat_tables([chunk.table for chunk in chunks]).to_pylist() == table.to_pylist()


def test_rows_that_cannot_be_read_make_small_chunks_too(tmp_path, monkeypatch):
    monkeypatch.setattr("spacy_mner.annotate.chunks.BYTES", 1000)
    wrong = ",".join(["b" * 450] * 2)
    (tmp_path / "in.csv").write_text("text\n" + f"{wrong}\n" * 4)
    chunks = list(open_source(str(tmp_path / "in.csv")).chunks())
    assert [len(chunk.rows) for chunk in chunks] == [2, 2]
    assert all(wrong[:450] in row.problem for chunk in chunks for row in chunk.rows)


def test_two_columns_of_one_name_are_refused_before_any_work(tmp_path):
    column = pa.array(["a"])
    table = pa.Table.from_arrays([column, column], names=["text", "text"])
    pq.write_table(table, tmp_path / "in.parquet")
    with pytest.raises(CorpusError, match="two columns of one name"):
        open_source(str(tmp_path / "in.parquet")).survey()
