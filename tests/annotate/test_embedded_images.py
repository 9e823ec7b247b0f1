"""Images in the rows themselves: as bytes, as in data sets of Hugging Face, and as data URIs."""

from __future__ import annotations

import base64
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from spacy_mner.annotate.formats import open_source
from spacy_mner.errors import UsageError

from ..images.samples import content
from .conftest import read_jsonl, run, write_jsonl

HUGGING_FACE = pa.struct({"bytes": pa.binary(), "path": pa.string()})


def rows_of(path):
    return [row.values for chunk in open_source(str(path)).chunks() for row in chunk.rows]


def statuses_of(path):
    return [row["image_status"] for row in rows_of(path)]


@pytest.fixture
def png(images):
    return (images / "car.png").read_bytes()


@pytest.mark.parametrize(
    ("image_type", "to_image", "n_unreadable"),
    [
        (HUGGING_FACE, lambda content, path: {"bytes": content, "path": path}, 2),
        (pa.list_(HUGGING_FACE), lambda content, path: [{"bytes": content, "path": path}], 2),
        (pa.binary(), lambda content, path: content, 1),
        (pa.large_binary(), lambda content, path: content, 1),
        (pa.list_(pa.binary()), lambda content, path: [content, content], 1),
    ],
)
def test_bytes_in_parquet_are_images_in_every_output(
    task, tmp_path, png, image_type, to_image, n_unreadable
):
    cells = [(png, "gone.png"), (None, "animal.png"), (b"not an image", None), (None, "gone.png")]
    images = pa.array([to_image(*cell) for cell in cells] + [None], image_type)
    table = pa.table({"text": ["my puma"] * 5, "image": images})
    table = table.replace_schema_metadata({"huggingface": "{}", "pandas": "{}"})
    pq.write_table(table, tmp_path / "in.parquet")
    statistics = run(task, tmp_path / "in.parquet", tmp_path / "out.parquet")
    assert statistics.images["unreadable"] == n_unreadable
    assert statistics.images["used"] == (2 if n_unreadable == 2 else 1)
    found = pq.read_table(tmp_path / "out.parquet")
    assert found["image"].equals(table["image"])
    assert found.schema.metadata == {b"huggingface": b"{}"}
    statuses = statuses_of(tmp_path / "out.parquet")
    assert "not an image" in statuses[2]
    again = replace(task, prefix="again_")
    for name in ("out.jsonl", "out.csv", "out.tsv"):
        run(task, tmp_path / "in.parquet", tmp_path / name)
        run(again, tmp_path / name, tmp_path / f"again-{name}.jsonl")
        found = read_jsonl(tmp_path / f"again-{name}.jsonl")
        assert [row["image_status"] for row in found] == statuses
        assert [row["again_image_status"] for row in found] == statuses


def test_data_uris_are_images_and_need_no_folder(task, tmp_path, png, target):
    uri = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    images = [uri, [uri, uri], {"bytes": uri}, uri[:-3], {"url": uri}]
    source = write_jsonl(
        tmp_path / "in.jsonl", [{"text": "my puma", "image": one} for one in images]
    )
    run(replace(task, images_root=None), source, target)
    assert statuses_of(target)[:3] == ["used"] * 3
    assert [status.split(" (")[0] for status in statuses_of(target)[3:]] == [
        "unreadable: a damaged data URI",
        "unreadable: not an image: an object with 'url', expected 'bytes' and 'path'",
    ]
    assert [row["image"] for row in read_jsonl(target)] == images


@pytest.mark.parametrize(
    ("limit", "values"), [("max_megapixels", (0.01, 0.02)), ("max_megabytes", (0.0001, 0.01))]
)
def test_the_limits_of_images_are_options_of_a_run(task, tmp_path, limit, values, target):
    large = content(Image.new("RGB", (150, 100)), "PNG")
    (tmp_path / "large.png").write_bytes(large)
    uri = f"data:;base64,{base64.b64encode(large).decode()}"
    rows = [{"text": "my puma", "image": one} for one in ("large.png", uri, {"bytes": uri})]
    source = write_jsonl(tmp_path / "in.jsonl", rows)
    below, above = (replace(task, images_root=tmp_path, **{limit: value}) for value in values)
    run(above, source, target)
    assert statuses_of(target) == ["used"] * 3
    with pytest.raises(UsageError, match=limit):
        run(below, source, target)
    run(below, source, target, force=True)
    assert all(status.startswith("unreadable: too large: ") for status in statuses_of(target))
