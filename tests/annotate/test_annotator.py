"""One annotation a row, in the order of the rows, whatever a row holds."""

from __future__ import annotations

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc

from spacy_mner.annotate.annotator import Annotator
from spacy_mner.annotate.chunks import Chunk, Row
from spacy_mner.annotate.task import Columns, Task
from spacy_mner.images.reference import BytesImage, FileImage

from ..conftest import examples_of, gold_docs, make_doc
from .conftest import make_rows


@Language.component("stumbles", retokenizes=False)
def stumble(doc):
    """A component that knows nothing of error handlers, and fails on some posts."""
    if "stumble" in doc.text:
        raise RuntimeError("over a stone")
    return doc


@pytest.fixture
def cross_modal(small_model, images):
    """A pipeline whose tokens attend to the cells of a grid."""
    encoder = {"@image_encoders": "spacy_mner.EfficientNetLite.v1", "regions": "grid"}
    embed = {**small_model["embed"], "image": {**small_model["embed"]["image"], "encoder": encoder}}
    fuse = {"@architectures": "spacy_mner.CrossModal.v1", "width": 16, "heads": 2}
    nlp = spacy.blank("en")
    config = {"model": {**small_model, "embed": embed, "fuse": fuse}, "images_root": str(images)}
    nlp.add_pipe("multimodal_ner", config=config)
    nlp.initialize(lambda: examples_of(gold_docs(nlp)))
    return nlp


@Language.component("copies", retokenizes=True)
def copy(doc):
    """A component that makes a Doc of its own, which knows nothing of the one that came."""
    return Doc(doc.vocab, [token.text for token in doc], [bool(t.whitespace_) for t in doc])


def annotate(task, *values):
    annotator = Annotator(task)
    chunk = Chunk(0, [value if isinstance(value, Row) else Row(value) for value in values])
    return annotator(chunk, annotator.open(chunk))


@pytest.fixture
def task(model, images):
    return Task(model, images_root=images, attention=True, max_length=60)


def test_the_answers_are_those_of_the_pipeline(task, trained, images):
    rows = make_rows(12)
    found = annotate(task, *rows)
    for row, annotation in zip(rows, found, strict=True):
        doc = trained.make_doc(row["text"])
        given = row["image"]
        doc._.image = None if given == "../car.png" else given
        doc = trained(doc)
        assert [(e["start"], e["end"], e["label"], e["text"]) for e in annotation["entities"]] == [
            (e.start_char, e.end_char, e.label_, e.text) for e in doc.ents
        ]
        assert [e["score"] for e in annotation["entities"]] == pytest.approx(
            [e._.score for e in doc.ents], abs=1e-4
        )
        weights = [token["weights"]["word"] for token in annotation["attention"]]
        assert weights == pytest.approx(list(doc._.modality_attention["word"]), abs=1e-4)
        assert annotation["error"] is None
        if given != "../car.png":
            assert annotation["image_status"] == doc._.image_status


def test_an_image_outside_its_folder_is_not_opened_and_the_post_is_annotated(task, images):
    (images / "inner").mkdir(exist_ok=True)
    inner = Task(task.model, images_root=images / "inner")
    for reference in ("../car.png", str(images / "car.png")):
        found = annotate(inner, {"text": "my puma", "image": reference})[0]
        assert found["image_status"].startswith("unreadable: ") and found["error"] is None


def test_without_a_folder_or_leave_to_fetch_no_image_is_opened(task, images):
    plain = Task(task.model)
    references = [str(images / "car.png"), "http://127.0.0.1:9/a.png", "data:;base64,aaaa"]
    for reference in references:
        found = annotate(plain, {"text": "my puma", "image": reference})[0]
        assert found["image_status"].startswith("unreadable: ")


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({}, "no text in the column 'text'"),
        ({"text": None}, "no text in the column 'text'"),
        ({"text": 3}, "no text in the column 'text'"),
        ({"text": "x" * 61}, "61 characters; --max-length is 60"),
        ({"text": "my puma", "image_features": "a lot"}, "image_features is not an array"),
        ({"text": "my puma", "image_features": [10**400]}, "image_features is not an array"),
        (Row({}, "not a line of JSON: {"), "not a line of JSON: {"),
    ],
)
def test_a_row_that_is_no_post_says_why_and_the_others_are_annotated(task, values, error):
    before, found, after = annotate(task, {"text": "my puma"}, values, {"text": "my puma"})
    assert error in found["error"] and found["entities"] is None
    assert before == after and before["error"] is None


def test_an_empty_text_has_no_entities(task):
    assert annotate(task, {"text": ""})[0]["entities"] == []


def test_a_post_that_makes_a_component_fail_fails_alone(model, tmp_path, images):
    nlp = spacy.load(model)
    nlp.add_pipe("stumbles", first=True)
    nlp.to_disk(tmp_path / "stumbling")
    task = Task(str(tmp_path / "stumbling"), images_root=images)
    rows = [{"text": "my puma", "image": "car.png"}, {"text": "I stumble"}, {"text": "my lynx"}]
    first, second, third = annotate(task, *rows)
    assert second["error"] == "RuntimeError: over a stone"
    assert [first, third] == annotate(Task(model, images_root=images), rows[0], rows[2])


def test_a_component_that_makes_docs_of_its_own_leaves_each_row_its_own_entities(model, tmp_path):
    nlp = spacy.load(model)
    nlp.add_pipe("copies", first=True)
    nlp.to_disk(tmp_path / "copying")
    rows = [{"text": "my puma"}, {}, {"text": "my lynx and puma"}]
    found, plain = (annotate(Task(name), *rows) for name in (str(tmp_path / "copying"), model))
    assert [one["entities"] for one in found] == [one["entities"] for one in plain]
    assert [one["error"] for one in found] == [None, "no text in the column 'text'", None]


def test_columns_may_have_other_names_and_cells_may_hold_lists_as_json(task):
    columns = Columns(text="body", image="photos")
    named = Task(task.model, columns=columns, images_root=task.images_root)
    rows = [
        {"body": "my puma", "photos": '["car.png", "animal.png"]'},
        {"body": "my puma", "photos": ["car.png", None, "animal.png"]},
        {"body": "my puma", "photos": "[not a list].png"},
        {"body": "my puma", "photos": ""},
        {"body": "my puma", "photos": "[" * 101 + "]" * 101},
    ]
    found = [annotation["image_status"] for annotation in annotate(named, *rows)]
    assert found[:4] == ["used", "used", "unreadable: no such file: [not a list].png", "absent"]
    assert found[4].startswith("unreadable: no such file: ") and found[4].endswith("]]]")


@pytest.fixture
def of_objects(tmp_path, small_model):
    """The task of a pipeline that takes objects and no images."""
    objects = {"@architectures": "spacy_mner.ObjectEmbedding.v1", "width": 16}
    embed = {"word": small_model["embed"]["word"], "objects": objects}
    nlp = spacy.blank("en")
    nlp.add_pipe("multimodal_ner", config={"model": {**small_model, "embed": embed}})
    gold = make_doc(nlp, ["my", "puma"], None, ["O", "B-ORG"])
    gold._.image_objects = ["car"]
    nlp.initialize(lambda: examples_of([gold]))
    nlp.to_disk(tmp_path / "model")
    return Task(str(tmp_path / "model"), columns=Columns(image_objects="seen"))


def test_objects_come_as_lists_or_as_json_and_bad_ones_are_masked(of_objects):
    cells = [
        *(["car"], '["car"]', [{"label": "car", "score": None, "box": None}]),
        *(None, "", [], "car", [{"score": 1}], 3, "[car"),
    ]
    annotations = annotate(of_objects, *({"text": "my puma", "seen": cell} for cell in cells))
    assert [annotation["error"] for annotation in annotations] == [None] * len(cells)
    assert [annotation["image_status"].split(": ")[0] for annotation in annotations] == [
        *["used"] * 3,
        *["absent"] * 3,
        *["unreadable"] * 4,
    ]


def test_a_descriptor_of_too_many_regions_is_masked_and_its_post_is_annotated(task):
    row, plain = [0.5] * 1280, {"text": "my puma"}
    cells = [[row] * 1024, [row] * 1025, f"[{','.join([str(row)] * 1025)}]"]
    found = annotate(task, plain, *({**plain, "image_features": cell} for cell in cells))
    reason = "unreadable: image_features has 1,025 regions, limit 1,024"
    assert [one["image_status"] for one in found] == ["absent", "used", reason, reason]
    assert found[2]["entities"] == found[3]["entities"] == found[0]["entities"]
    assert {one["error"] for one in found} == {None}


def test_white_space_alone_is_no_entity(tmp_path):
    nlp = spacy.blank("en")
    blank = {"label": "CAT", "pattern": [{"IS_SPACE": True}]}
    puma = {"label": "CAT", "pattern": "puma"}
    nlp.add_pipe("entity_ruler").add_patterns([blank, puma])
    nlp.to_disk(tmp_path / "ruler")
    found = annotate(Task(str(tmp_path / "ruler")), {"text": "   "}, {"text": "a   puma \n"})
    assert [[entity["text"] for entity in one["entities"]] for one in found] == [[], ["puma"]]


def test_the_vocabulary_does_not_grow_with_the_posts(task):
    annotator = Annotator(task)
    size = len(annotator.nlp.vocab.strings)
    chunk = Chunk(0, [Row({"text": f"never seen {i}x{i}"}) for i in range(300)])
    annotator(chunk, annotator.open(chunk))
    assert len(annotator.nlp.vocab.strings) == size


def test_a_pipeline_of_others_is_used_as_it_is(tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "CAT", "pattern": "puma"}])
    nlp.to_disk(tmp_path / "ruler")
    found = annotate(Task(str(tmp_path / "ruler"), attention=True), {"text": "a puma"})[0]
    assert found["entities"] == [
        {"start": 2, "end": 6, "label": "CAT", "text": "puma", "score": None}
    ]
    assert found["attention"] is None and found["image_status"] is None


def test_what_tokens_see_in_an_image_is_written_region_by_region(cross_modal, tmp_path, images):
    cross_modal.to_disk(tmp_path / "model")
    task = Task(str(tmp_path / "model"), images_root=images, attention=True)
    seen, blind = annotate(task, {"text": "my puma", "image": "car.png"}, {"text": "my puma"})
    for token in seen["attention"]:
        assert token["weights"] is None
        assert len(token["regions"]["image"]) == 49
        assert sum(token["regions"]["image"]) == pytest.approx(1, abs=0.01)
    assert [token["regions"] for token in blind["attention"]] == [{"image": []}] * 2


@pytest.mark.parametrize("value", [["a car", "a road"], 7, {"caption": "a car"}])
def test_text_about_an_image_that_is_no_text_is_an_error_of_its_post(task, value):
    found, other = annotate(task, {"text": "my puma", "image_text": value}, {"text": "my puma"})
    assert found["entities"] is None and other["error"] is None
    assert "image_text is no text" in found["error"] and "line breaks" in found["error"]


def test_no_post_and_no_image_of_a_stranger_ends_the_run(task, monkeypatch):
    def fail(reference):
        raise RuntimeError("the disk is on fire")

    half, whole = annotate(task, {"text": "my \ud83d puma"}, {"text": "my puma"})
    assert "UnicodeEncodeError" in half["error"] and whole["error"] is None
    long = Task(task.model, max_length=1_500_000)
    assert annotate(long, {"text": " " * 1_200_000})[0]["error"] is None
    annotator = Annotator(task)
    monkeypatch.setattr(annotator.images, "source", type("S", (), {"open": fail, "web": None}))
    chunk = Chunk(0, [Row({"text": "my puma", "image": "car.png"})])
    found = annotator(chunk, annotator.open(chunk))[0]
    assert found["image_status"] == "unreadable: RuntimeError: the disk is on fire"


def test_a_post_has_so_many_images_and_no_more(task):
    few, many = annotate(
        task,
        {"text": "my puma", "image": ["car.png"] * 32},
        {"text": "my puma", "image": ["car.png"] * 33},
    )
    assert few["image_status"] == "used"
    assert many["image_status"] == "unreadable: 33 images, limit 32"


def test_an_image_of_many_posts_that_is_fetched_side_by_side_is_used_by_all(task, images):
    content = (images / "car.png").read_bytes()
    annotator = Annotator(Task(task.model, allow_urls=True))
    source = type("S", (), {"open": lambda self, url: BytesImage(content), "web": True})()
    annotator.images.source = source
    rows = [Row({"text": "my puma", "image": f"http://a.b/{i}.png"}) for i in range(100)]
    chunk = Chunk(0, rows)
    found = annotator(chunk, annotator.open(chunk))
    assert {annotation["image_status"] for annotation in found} == {"used"}


def test_what_is_fetched_lies_on_disk_until_its_chunk_is_done(task, images):
    content = (images / "car.png").read_bytes()
    annotator = Annotator(Task(task.model, allow_urls=True))
    source = type("S", (), {"open": lambda self, url: BytesImage(content), "web": True})()
    annotator.images.source = source
    chunk = Chunk(0, [Row({"text": "my puma", "image": "http://a.b/c.png"})])
    opened = annotator.open(chunk)
    [[image]] = opened.images
    assert isinstance(image, FileImage) and image.path.read_bytes() == content
    assert annotator(chunk, opened)[0]["image_status"] == "used"
    assert not image.path.exists()
