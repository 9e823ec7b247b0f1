"""One annotation per row, in order, whatever the row contains."""

from __future__ import annotations

from dataclasses import replace

import pytest
import spacy
from PIL import Image
from spacy.language import Language
from spacy.tokens import Doc, Span

from spacy_mner.annotate.annotator import Annotator
from spacy_mner.annotate.chunks import Chunk, Row
from spacy_mner.annotate.task import Columns, Task
from spacy_mner.evaluation.evaluate import evaluate
from spacy_mner.images.reference import BytesImage, FileImage

from ..conftest import examples_of, make_doc
from .conftest import make_rows


@Language.component("fails_on_some_posts")
def fail_on_some_posts(doc):
    if "fail" in doc.text:
        raise RuntimeError("out of luck")
    return doc


@Language.factory("fails_in_pipe")
class FailsInPipe:
    """A component whose `pipe` has no error handling."""

    def __init__(self, nlp, name): ...

    def __call__(self, doc):
        return fail_on_some_posts(doc)

    def pipe(self, docs, batch_size):
        return map(self, docs)


@Language.component("returns_new_docs", retokenizes=True)
def return_new_doc(doc):
    """A component that returns a new Doc without the user data of the old one."""
    return Doc(doc.vocab, [token.text for token in doc], [bool(t.whitespace_) for t in doc])


@Language.component("splits_and_merges", retokenizes=True)
def split_and_merge(doc):
    """Changes the tokens but not their number."""
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[0:2])
        retokenizer.split(doc[2], [doc[2].text[0], doc[2].text[1:]], [doc[2], doc[2]])
    return doc


@Language.component("relabels_and_links")
def relabel_and_link(doc):
    """Gives the first entity another label, and links the others."""
    first, *others = doc.ents
    relabeled = Span(doc, first.start, first.end, "OTHER")
    linked = [Span(doc, ent.start, ent.end, ent.label, kb_id="Q1", span_id="id1") for ent in others]
    doc.ents = [relabeled, *linked]
    return doc


def annotate(task, *values):
    return annotate_with(Annotator(task), *values)


def annotate_with(annotator, *values):
    chunk = Chunk(0, [value if isinstance(value, Row) else Row(value) for value in values])
    return annotator(chunk, annotator.images.open(chunk))


@pytest.fixture
def task_with(task, tmp_path):
    """The task of the trained pipeline with another component."""

    def build(name, **options):
        nlp = spacy.load(task.model)
        nlp.add_pipe(name, **options)
        nlp.to_disk(tmp_path / name)
        return replace(task, model=str(tmp_path / name))

    return build


def test_annotations_equal_those_of_the_pipeline(task, trained):
    rows = make_rows(12)
    for row, annotation in zip(rows, annotate(task, *rows), strict=True):
        doc = trained.make_doc(row["text"])
        is_outside = row["image"] == "../car.png"
        doc._.image = None if is_outside else row["image"]
        doc = trained(doc)
        assert [(e["start"], e["end"], e["label"], e["text"]) for e in annotation["entities"]] == [
            (e.start_char, e.end_char, e.label_, e.text) for e in doc.ents
        ]
        scores = [entity["score"] for entity in annotation["entities"]]
        assert scores == pytest.approx([e._.score for e in doc.ents], abs=1e-4)
        weights = [token["weights"]["word"] for token in annotation["attention"]]
        assert weights == pytest.approx(list(doc._.modality_attention["word"]), abs=1e-4)
        assert annotation["error"] is None
        assert is_outside or annotation["image_status"] == doc._.image_status


# Later components

POST = {"text": "hi Bob Dylan jaguar"}


@pytest.mark.parametrize("component", ["merge_entities", "splits_and_merges"])
def test_attention_keeps_its_tokens_if_a_later_component_changes_them(task, task_with, component):
    [plain], [changed] = annotate(task, POST), annotate(task_with(component), POST)
    assert any(" " in entity["text"] for entity in plain["entities"])
    assert changed["attention"] == plain["attention"]
    scores = {(one["start"], one["end"], one["label"]): one["score"] for one in plain["entities"]}
    for one in changed["entities"]:
        assert one["score"] == scores.get((one["start"], one["end"], one["label"]))


def test_an_entity_keeps_its_score_if_linked_and_loses_it_if_relabeled(task, task_with):
    text = {"text": "hi Bob Dylan and hi Bob Dylan"}
    [plain], [changed] = annotate(task, text), annotate(task_with("relabels_and_links"), text)
    assert len(plain["entities"]) >= 2
    first, *others = changed["entities"]
    assert first["label"] == "OTHER" and first["score"] is None
    assert others == plain["entities"][1:] and all(entity["score"] for entity in others)


# Rows that cannot be annotated


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({}, "'text'"),
        ({"text": None}, "'text'"),
        ({"text": 3}, "'text'"),
        ({"text": "x" * 61}, "--max-length is 60"),
        ({"text": "my \ud83d puma"}, "UnicodeEncodeError"),
        ({"text": "my puma", "image_features": "a lot"}, "image_features"),
        ({"text": "my puma", "image_features": [10**400]}, "image_features"),
        ({"text": "my puma", "image_text": ["a car", "a road"]}, "image_text"),
        ({"text": "my puma", "image_text": 7}, "image_text"),
        (Row({}, "not a line of JSON: {"), "not a line of JSON: {"),
    ],
)
def test_an_invalid_row_has_an_error_and_does_not_affect_others(task, values, error):
    before, invalid, after = annotate(task, {"text": "my puma"}, values, {"text": "my puma"})
    assert error in invalid["error"] and invalid["entities"] is None
    assert before == after and before["error"] is None


@pytest.mark.parametrize("component", ["fails_on_some_posts", "fails_in_pipe"])
def test_a_post_that_raises_an_error_in_a_component_does_not_affect_others(
    task, task_with, component
):
    rows = [{"text": "my puma", "image": "car.png"}, {"text": "I fail"}, {"text": "my lynx"}]
    first, second, third = annotate(task_with(component, first=True), *rows)
    assert second["error"] == "RuntimeError: out of luck"
    assert [first, third] == annotate(task, rows[0], rows[2])


def test_rows_keep_their_own_entities_if_a_component_returns_new_docs(task, task_with):
    rows = [{"text": "my puma"}, {}, {"text": "my lynx and puma"}]
    found, plain = (
        annotate(each, *rows) for each in (task_with("returns_new_docs", first=True), task)
    )
    assert [one["entities"] for one in found] == [one["entities"] for one in plain]
    assert [one["error"] is None for one in found] == [True, False, True]


def test_texts_above_the_limit_of_spacy_are_annotated(ruler):
    task = Task(ruler, max_length=1_500_000)
    assert annotate(task, {"text": " " * 1_200_000})[0]["error"] is None


def test_an_empty_text_has_no_entities_and_whitespace_is_not_an_entity(ruler, task):
    rows = [{"text": ""}, {"text": "   "}, {"text": "a   puma \n"}]
    found = [[entity["text"] for entity in one["entities"]] for one in annotate(Task(ruler), *rows)]
    assert found == [[], [], ["puma"]]
    assert annotate(task, rows[0])[0]["entities"] == []


def test_pipelines_without_our_component_are_supported(ruler):
    found = annotate(Task(ruler, attention=True), {"text": "a puma"})[0]
    entity = {"start": 2, "end": 6, "label": "CAT", "text": "puma", "score": None}
    assert found["entities"] == [entity]
    assert found["attention"] is None and found["image_status"] is None


def test_the_vocabulary_does_not_grow(task):
    annotator = Annotator(task)
    size = len(annotator.nlp.vocab.strings)
    annotate_with(annotator, *({"text": f"never seen {i}x{i}"} for i in range(300)))
    assert len(annotator.nlp.vocab.strings) == size


# Images and what replaces them


def test_columns_can_be_renamed_and_text_cells_can_contain_json_lists(task):
    columns = Columns(text="body", image="photos")
    rows = [
        {"body": "my puma", "photos": '["car.png", "animal.png"]'},
        {"body": "my puma", "photos": ["car.png", None, "animal.png"]},
        {"body": "my puma", "photos": "[not a list].png"},
        {"body": "my puma", "photos": ""},
        {"body": "my puma", "photos": "[" * 101 + "]" * 101},
    ]
    found = annotate(replace(task, columns=columns), *rows)
    statuses = [annotation["image_status"] for annotation in found]
    assert statuses[:4] == ["used", "used", "unreadable: no such file: [not a list].png", "absent"]
    assert statuses[4].startswith("unreadable: no such file: ") and statuses[4].endswith("]]]")


@pytest.mark.parametrize(
    ("root", "references"),
    [
        ("inner", ["../car.png", "{images}/car.png"]),
        (None, ["{images}/car.png", "http://127.0.0.1:9/a.png", "data:;base64,aaaa"]),
    ],
)
def test_images_outside_the_root_are_not_opened(task, images, root, references):
    (images / "inner").mkdir(exist_ok=True)
    task = replace(task, images_root=root and images / root)
    rows = [{"text": "my puma", "image": name.format(images=images)} for name in references]
    for found in annotate(task, *rows):
        assert found["image_status"].startswith("unreadable: ") and found["error"] is None


@pytest.mark.parametrize("order", [list, reversed])
def test_bulk_limits_apply_even_if_the_image_is_cached(task, tmp_path, order):
    Image.new("L", (6000, 6000)).save(tmp_path / "large.png")
    annotator = Annotator(replace(task, images_root=tmp_path))

    def annotate_large():
        [found] = annotate_with(annotator, {"text": "my puma", "image": "large.png"})
        return found["image_status"].split(":")[0]

    def evaluate_large():
        doc = make_doc(annotator.nlp, ["my", "puma"], str(tmp_path / "large.png"), ["O", "O"])
        return evaluate(annotator.nlp, [doc])["image_status"]

    for step, status in order([(annotate_large, "unreadable"), (evaluate_large, {"used": 1})]):
        assert step() == status


def test_no_error_of_an_image_ends_the_run(task, monkeypatch):
    def fail(reference):
        raise RuntimeError("disk failure")

    annotator = Annotator(task)
    monkeypatch.setattr(annotator.images, "source", type("S", (), {"open": fail, "web": None}))
    [found] = annotate_with(annotator, {"text": "my puma", "image": "car.png"})
    assert found["image_status"] == "unreadable: RuntimeError: disk failure"


def test_the_number_of_images_of_a_post_is_limited(task):
    rows = [{"text": "my puma", "image": ["car.png"] * n} for n in (32, 33)]
    few, many = annotate(task, *rows)
    assert few["image_status"] == "used"
    assert many["image_status"] == "unreadable: too many images: 33, limit 32"


@pytest.fixture
def fetching(task, images):
    """An annotator whose URLs all lead to one image."""
    content = (images / "car.png").read_bytes()
    annotator = Annotator(Task(task.model, allow_urls=True))
    source = type("S", (), {"open": lambda self, url: BytesImage(content), "web": True})()
    annotator.images.source = source
    return annotator


def test_an_image_that_several_threads_fetch_is_used_by_all_posts(fetching):
    rows = [{"text": "my puma", "image": f"http://a.b/{i}.png"} for i in range(100)]
    found = annotate_with(fetching, *rows)
    assert {annotation["image_status"] for annotation in found} == {"used"}


def test_fetched_images_are_kept_on_disk_until_their_chunk_is_annotated(fetching, images):
    chunk = Chunk(0, [Row({"text": "my puma", "image": "http://a.b/c.png"})])
    opened = fetching.images.open(chunk)
    [[image]] = opened.by_row
    assert isinstance(image, FileImage)
    assert image.path.read_bytes() == (images / "car.png").read_bytes()
    assert fetching(chunk, opened)[0]["image_status"] == "used"
    assert not image.path.exists()


def test_objects_are_lists_or_json_and_invalid_ones_are_masked(tmp_path, small_model):
    objects = {"@architectures": "spacy_mner.ObjectEmbedding.v2", "width": 16}
    embed = {"word": small_model["embed"]["word"], "objects": objects}
    nlp = spacy.blank("en")
    nlp.add_pipe("multimodal_ner", config={"model": {**small_model, "embed": embed}})
    gold = make_doc(nlp, ["my", "puma"], None, ["O", "B-ORG"])
    gold._.image_objects = ["car"]
    nlp.initialize(lambda: examples_of([gold]))
    nlp.to_disk(tmp_path / "model")
    cells = {
        "used": [["car"], '["car"]', [{"label": "car", "score": None, "box": None}]],
        "absent": [None, "", []],
        "unreadable": ["car", [{"score": 1}], 3, "[car"],
    }
    task = Task(str(tmp_path / "model"), columns=Columns(image_objects="seen"))
    for status, values in cells.items():
        for found in annotate(task, *({"text": "my puma", "seen": value} for value in values)):
            assert found["error"] is None and found["image_status"].split(":")[0] == status


def test_a_descriptor_with_too_many_regions_is_masked(task):
    row, plain = [0.5] * 1280, {"text": "my puma"}
    cells = [[row] * 1024, [row] * 1025, f"[{','.join([str(row)] * 1025)}]"]
    found = annotate(task, plain, *({**plain, "image_features": cell} for cell in cells))
    reason = "unreadable: too many regions: 1,025, limit 1,024"
    assert [one["image_status"] for one in found] == ["absent", "used", reason, reason]
    assert found[2]["entities"] == found[3]["entities"] == found[0]["entities"]
    assert {one["error"] for one in found} == {None}


def test_attention_over_regions_has_one_weight_per_region(cross_modal_pipeline, tmp_path, images):
    cross_modal_pipeline.to_disk(tmp_path / "model")
    task = Task(str(tmp_path / "model"), images_root=images, attention=True)
    rows = [{"text": "my puma", "image": "car.png"}, {"text": "my puma"}]
    with_image, without_image = annotate(task, *rows)
    for token in with_image["attention"]:
        assert token["weights"] is None
        assert len(token["regions"]["image"]) == 49
        assert sum(token["regions"]["image"]) == pytest.approx(1, abs=0.01)
    assert [token["regions"] for token in without_image["attention"]] == [{"image": []}] * 2
