"""Round trips of all formats; rows that cannot be read keep their content in an error."""

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
from spacy_mner.errors import CorpusError, UsageError

ENTITY = {"start": 0, "end": 2, "label": "PER", "text": "Bo", "score": 0.5}
ATTENTION = [
    {
        "start": 0,
        "end": 2,
        "weights": {"word": 0.75, "image": 0.25},
        "regions": {"image": [0.5, 0.5]},
    }
]
ANNOTATED = {"entities": [ENTITY], "attention": ATTENTION, "image_status": "used", "error": None}
FAILED = {"entities": None, "attention": None, "image_status": None, "error": "no text"}

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def convert(tmp_path, source, output, prefix=""):
    """Write an output in which every second row has failed.

    Returns its path and the errors of the input's rows.
    """
    task = Task("model", attention=True, prefix=prefix)
    rows = open_source(str(source))
    sink = open_sink(output, task, rows.inspect())
    errors, chunks = [], []
    for chunk in rows.chunks():
        errors += [row.error for row in chunk.rows]
        annotations = [FAILED if i % 2 else ANNOTATED for i in range(len(chunk.rows))]
        chunks.append(tmp_path / f"{chunk.index}.chunk")
        chunks[-1].write_bytes(sink.encode(chunk, annotations))
    with (tmp_path / output).open("wb") as file:
        sink.concatenate(chunks, file)
    return tmp_path / output, errors


def write_json(tmp_path, *rows):
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def rows_of(path, content):
    """Write an input and return its rows."""
    path.write_bytes(content)
    return [row for chunk in open_source(str(path)).chunks() for row in chunk.rows]


# JSONL


def test_objects_keep_their_content_and_gain_the_annotation(tmp_path):
    rows = [{"text": "Bo 🎸", "n": 1.5, "deep": {"a": [1, None]}}, {"text": "\ud800"}, {"z": True}]
    (tmp_path / "in.jsonl").write_text("\n\n".join(map(json.dumps, rows)))
    path, errors = convert(tmp_path, tmp_path / "in.jsonl", "out.jsonl")
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    added = [ANNOTATED, FAILED, ANNOTATED]
    assert found == [{**row, **more} for row, more in zip(rows, added, strict=True)]
    assert errors == ["", "", ""]


@pytest.mark.parametrize(
    "line", [b"{", b"[1]", b"\xff\xfe", b'{"text": "a"} {}', b"[" * 50_000, b"NULL", b'"text"']
)
def test_the_error_of_an_invalid_line_contains_it(tmp_path, line):
    (tmp_path / "in.jsonl").write_bytes(b'{"text": "a"}\n' + line + b'\r\n{"text": "b"}')
    path, errors = convert(tmp_path, tmp_path / "in.jsonl", "out.jsonl")
    assert len(path.read_text().splitlines()) == 3
    assert errors[0] == errors[2] == ""
    assert errors[1].endswith(line.decode("utf-8", "backslashreplace"))


def test_of_a_line_above_the_limit_only_the_beginning_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("spacy_mner.annotate.formats.jsonl_rows.MAX_ROW", 100)
    lines = [b'{"text": "a"}', b'{"text": "' + b"b" * 350 + b'"}', b'{"text": "c"}']
    first, long, last = rows_of(tmp_path / "in.jsonl", b"\n".join(lines))
    assert not first.error and not last.error and "more than 100 bytes" in long.error


@pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ('{"a": ', "}")])
@pytest.mark.parametrize(
    ("depth", "is_valid"), [(99, True), (100, False), (600, False), (50_000, False)]
)
def test_rows_that_are_nested_too_deeply_for_another_process_are_errors(
    tmp_path, opened, closed, depth, is_valid
):
    line = f'{{"text": "a", "x": {opened * depth}1{closed * depth}}}'
    (tmp_path / "in.jsonl").write_text(line + '\n{"text": "b"}')
    [chunk] = open_source(str(tmp_path / "in.jsonl")).chunks()
    assert pickle.loads(pickle.dumps(chunk)) == chunk
    deep, flat = chunk.rows
    assert not flat.error and (not deep.error) == is_valid


# CSV and TSV


@given(st.lists(st.tuples(texts, texts), max_size=5))
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None
)
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_cells_keep_their_content(tmp_path, suffix, rows):
    delimiter = "\t" if suffix == ".tsv" else ","
    with (tmp_path / f"in{suffix}").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows([("text", "note"), *rows])
    path, errors = convert(tmp_path, tmp_path / f"in{suffix}", f"out{suffix}")
    with path.open(newline="", encoding="utf-8") as file:
        header, *found = csv.reader(file, delimiter=delimiter)
    assert header == ["text", "note", "entities", "attention", "image_status", "error"]
    assert [tuple(row[:2]) for row in found] == rows and not any(errors)
    added = [json.dumps([ENTITY]), json.dumps(ATTENTION), "used", ""]
    assert all(row[2:] == added for row in found[::2])


def test_a_record_above_the_limit_is_not_read_into_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("spacy_mner.annotate.formats.csv_rows.MAX_ROW", 100)
    wide = ",".join(["b"] * 1000)
    long = ",".join(['"b\n"'] * 30)
    content = f"text,note\na,b\n{wide}\nc,d\n{long}\n"
    rows = rows_of(tmp_path / "in.csv", content.encode())
    assert open_source(str(tmp_path / "in.csv"), "standard").inspect().n_rows == len(rows)
    assert [row.values["text"] for row in rows if not row.error][:2] == ["a", "c"]
    assert sum("a row of more than 100 characters" in row.error for row in rows) == 2


def test_a_byte_order_mark_in_a_column_name_is_kept(tmp_path):
    path, _ = convert(tmp_path, write_json(tmp_path, {"\ufefftext": "a", "text": "b"}), "out.csv")
    assert list(open_source(str(path)).inspect().columns)[:2] == ["\ufefftext", "text"]


# Parquet


def make_table(n=3):
    return pa.table(
        {
            "text": pa.array([f"t{i}" for i in range(n)]).dictionary_encode(),
            "at": pa.array([1_700_000_000_123_456_789 + i for i in range(n)], pa.timestamp("ns")),
            "raw": pa.array([b"\xff"] * n),
            "deep": pa.array([{"a": [i]} for i in range(n)]),
        }
    )


def test_parquet_columns_keep_their_types(tmp_path):
    pq.write_table(make_table(), tmp_path / "in.parquet", row_group_size=2)
    path, _ = convert(tmp_path, tmp_path / "in.parquet", "out.parquet")
    found = pq.read_table(path)
    assert found.select(["text", "at", "raw", "deep"]).equals(make_table())
    assert found["entities"].to_pylist() == [[ENTITY], None, [ENTITY]]
    (token,) = found["attention"][0].as_py()
    assert token["weights"] == [("word", 0.75), ("image", 0.25)]
    assert token["regions"] == [("image", [0.5, 0.5])]
    assert found["error"].to_pylist() == [None, "no text", None]


def test_parquet_values_that_json_does_not_have_are_written_as_text(tmp_path):
    pq.write_table(make_table(1), tmp_path / "in.parquet")
    path, _ = convert(tmp_path, tmp_path / "in.parquet", "out.jsonl")
    found = json.loads(path.read_text())
    assert (
        found["text"] == "t0"
        and found["deep"] == {"a": [0]}
        and found["raw"] == "data:;base64,/w=="
    )
    assert datetime.datetime.fromisoformat(found["at"][:26]).year == 2023
    table = pa.table({"text": ["a"], "raw": [b"\xff"], "deep": [{"raw": b"\xff"}]})
    pq.write_table(table, tmp_path / "in.parquet")
    path, _ = convert(tmp_path, tmp_path / "in.parquet", "out.csv")
    with path.open(newline="", encoding="utf-8") as file:
        [row] = csv.DictReader(file)
    raw = "data:;base64,/w=="
    assert (row["raw"], row["deep"]) == (raw, json.dumps({"raw": raw}))


@pytest.mark.parametrize(
    ("values", "arrow_type", "expected"),
    [
        ([1, 2], pa.int64(), [1, 2]),
        ([1, 0.5], pa.float64(), [1.0, 0.5]),
        ([True, None], pa.bool_(), [True, None]),
        ([None, None], pa.string(), [None, None]),
        (["a", 3], pa.string(), ["a", "3"]),
        ([[1], None], pa.string(), ["[1]", None]),
        ([1 << 70, None], pa.string(), [str(1 << 70), None]),
        ([1, (1 << 53) + 1, -(1 << 63) + 1], pa.int64(), [1, (1 << 53) + 1, -(1 << 63) + 1]),
        ([0.5, 1 << 53, -(1 << 53)], pa.float64(), [0.5, float(1 << 53), float(-(1 << 53))]),
        *(
            ([other, number], pa.string(), [json.dumps(other), str(number)])
            for other in (2.5, -0.0, 1e300)
            for number in ((1 << 53) + 1, -(1 << 53) - 1, (1 << 63) - 1, -(1 << 63), 1 << 63)
        ),
    ],
)
def test_json_columns_get_the_simplest_arrow_type_that_is_exact(
    tmp_path, values, arrow_type, expected
):
    source = write_json(tmp_path, *({"text": "a", "n": value} for value in values), {"text": "b"})
    path, _ = convert(tmp_path, source, "out.parquet")
    column = pq.read_table(path)["n"]
    assert column.type == arrow_type and column.to_pylist() == [*expected, None]


def test_chunks_do_not_depend_on_row_groups(tmp_path):
    n = 2 * SIZE + 7
    table = pa.table({"text": [str(i) for i in range(n)]})
    for size in (n, 100):
        pq.write_table(table, tmp_path / "in.parquet", row_group_size=size)
        chunks = list(open_source(str(tmp_path / "in.parquet")).chunks())
        assert [len(chunk.rows) for chunk in chunks] == [SIZE, SIZE, 7]
        texts = [row.values["text"] for chunk in chunks for row in chunk.rows]
        assert texts == table["text"].to_pylist()


def damaged_page(path):
    pq.write_table(pa.table({"text": ["a", "b"]}), path)
    content = path.read_bytes()
    path.write_bytes(content[:4] + bytes(8) + content[12:])


def text_that_is_not_utf8(path):
    # Arrow does not create such a column.
    pq.write_table(pa.table({"text": ["aXb"]}), path, compression="none")
    path.write_bytes(path.read_bytes().replace(b"aXb", b"a\xffb"))


def date_that_python_cannot_represent(path):
    days = pa.array([[2**31 - 1]], pa.list_(pa.date32()))
    pq.write_table(pa.table({"text": ["a"], "days": days}), path)


def wrong_number_of_rows(path):
    pq.write_table(pa.table({"text": ["a"] * 77}), path)
    start, end = path.read_bytes().split(b"schema", 1)  # in the footer, followed by the number
    path.write_bytes(start + b"schema" + end.replace(b"\x9a\x01", b"\x9c\x01", 1))


def duplicate_columns(path):
    column = pa.array(["a"])
    pq.write_table(pa.Table.from_arrays([column, column], names=["text", "text"]), path)


@pytest.mark.parametrize(
    ("write", "has_valid_footer"),
    [
        (lambda path: path.write_bytes(b""), False),
        (lambda path: path.write_bytes(b"not parquet"), False),
        (duplicate_columns, False),
        (damaged_page, True),
        (text_that_is_not_utf8, True),
        (date_that_python_cannot_represent, True),
        (wrong_number_of_rows, True),
    ],
)
def test_an_invalid_parquet_file_is_refused(tmp_path, write, has_valid_footer):
    write(tmp_path / "in.parquet")
    source = open_source(str(tmp_path / "in.parquet"))
    if has_valid_footer:
        assert source.inspect().n_rows
    with pytest.raises(CorpusError, match=r"in\.parquet"):
        list(source.chunks()) if has_valid_footer else source.inspect()


# Columns


def test_a_lone_surrogate_in_a_column_name_is_escaped(tmp_path):
    path, _ = convert(tmp_path, write_json(tmp_path, {"text": "a", "\ud800": 1}), "out.parquet")
    assert pq.read_table(path)["\\ud800"].to_pylist() == [1]


@pytest.mark.parametrize("output", ["out.csv", "out.tsv", "out.parquet"])
def test_columns_that_would_get_the_same_name_are_refused(tmp_path, output):
    source = write_json(tmp_path, {"text": "a", "\ud800": 1, "\\ud800": 2})
    with pytest.raises(UsageError, match=r"'\\ud800' and '\\\\ud800'"):
        convert(tmp_path, source, output)
    assert convert(tmp_path, source, "out.jsonl")[1] == [""]


def write_columns(tmp_path, n):
    return write_json(tmp_path, *({"text": "a", f"only here {i}": i} for i in range(n - 1)))


@pytest.mark.parametrize("output", ["out.csv", "out.parquet"])
def test_formats_with_a_header_limit_the_columns_of_jsonl(tmp_path, output):
    path, _ = convert(tmp_path, write_columns(tmp_path, 1000), output)
    assert b"only here 998" in path.read_bytes()
    too_many = write_columns(tmp_path, 1001)
    with pytest.raises(UsageError, match=r"\.jsonl"):
        convert(tmp_path, too_many, output)
    path, _ = convert(tmp_path, too_many, "out.jsonl")
    assert [*json.loads(path.read_text().splitlines()[-1])][:2] == ["text", "only here 999"]
    with pytest.raises(UsageError, match=r"1,000 characters"):
        convert(tmp_path, write_json(tmp_path, {"text": "a", "k" * 1001: 1}), output)


def test_the_memory_of_inspect_does_not_grow_with_the_number_of_columns(tmp_path):
    source = write_columns(tmp_path, 20_000)
    with source.open("a") as file:
        file.write('\n{"entities": []}')
    tracemalloc.start()
    info = open_source(str(source)).inspect(["entities", "image"])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000  # a set per name would take 216 bytes besides the name
    assert len(info.columns) == 1001 and not info.has_all_columns
    assert "entities" in info.columns and "image" not in info.columns


@pytest.mark.parametrize("output", ["out.jsonl", "out.csv", "out.parquet"])
def test_a_prefix_distinguishes_added_columns_from_those_of_the_input(tmp_path, output):
    source = write_json(tmp_path, {"text": "a", "entities": 1})
    path, _ = convert(tmp_path, source, output, prefix="mner_")
    assert b"mner_entities" in path.read_bytes()


def test_an_unknown_suffix_is_refused_with_the_list_of_formats():
    with pytest.raises(UsageError, match=r"posts\.xlsx: .*\.jsonl, \.csv, \.tsv, \.parquet"):
        open_source("posts.xlsx")


# Chunks


def test_large_rows_make_small_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr("spacy_mner.annotate.chunks.BYTES", 1000)
    source = write_json(tmp_path, *({"text": "x" * (900 if i < 4 else 1)} for i in range(10)))
    chunks = list(open_source(str(source)).chunks())
    assert [(chunk.first_row, len(chunk.rows)) for chunk in chunks] == [(1, 2), (3, 2), (5, 6)]
    wrong = ",".join(["b" * 450] * 2)
    (tmp_path / "in.csv").write_text("text\n" + f"{wrong}\n" * 4)
    chunks = list(open_source(str(tmp_path / "in.csv")).chunks())
    assert [len(chunk.rows) for chunk in chunks] == [2, 2]
    assert all(wrong[:450] in row.error for chunk in chunks for row in chunk.rows)


@pytest.mark.parametrize("value", [lambda n: "x" * n, lambda n: b"x" * n, lambda n: [{"a": 1}] * n])
def test_large_parquet_rows_make_small_chunks_of_the_same_table(tmp_path, monkeypatch, value):
    monkeypatch.setattr("spacy_mner.annotate.chunks.BYTES", 1000)
    values = [value(900 if i < 4 else 1) for i in range(40)]
    table = pa.table({"n": range(40), "value": values})
    pq.write_table(table, tmp_path / "in.parquet")
    chunks = list(open_source(str(tmp_path / "in.parquet")).chunks())
    assert [len(chunk.rows) for chunk in chunks[:2]] in ([2, 2], [1, 1])
    for chunk in chunks:
        assert chunk.table.to_pylist() == [row.values for row in chunk.rows]
        assert chunk.first_row == chunk.rows[0].values["n"] + 1
    assert pa.concat_tables([chunk.table for chunk in chunks]).to_pylist() == table.to_pylist()
