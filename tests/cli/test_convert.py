from __future__ import annotations

import json

import pytest
import spacy
from typer.testing import CliRunner

from spacy_mner.cli.app import app

from ..images.samples import SMALLEST

CONLL = "IMGID:1\nDuke\tB-OTHER\n\nIMGID:2\nEagles\tI-ORG\nb\tX\n"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.txt").write_text(CONLL)
    (tmp_path / "x.jsonl").touch()
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.jpg").write_bytes(SMALLEST)

    def convert(*arguments):
        return CliRunner().invoke(app, ["convert", *arguments])

    return convert


def test_a_corpus_is_converted_and_the_summary_printed(run, tmp_path):
    result = run("train.txt", "train.spacy", "--images-root", "images", "--map", "OTHER=MISC")
    assert result.exit_code == 0
    assert (tmp_path / "train.spacy").exists()
    summary = json.loads((tmp_path / "train.spacy.summary.json").read_text())
    assert summary["entities"] == {"MISC": 1, "ORG": 1}
    for words in ("entities MISC", "line 6", "no image for 2 (2): not found in images"):
        assert words in result.stdout


def test_the_summary_counts_posts_by_their_annotated_labels(run, tmp_path):
    run("train.txt", "train.spacy")
    summary = json.loads((tmp_path / "train.spacy.summary.json").read_text())
    assert summary["annotated_labels"] == {"all labels": 2}


def test_orphans_selects_the_convention(run, tmp_path):
    assert run("train.txt", "train.jsonl", "--orphans", "drop").exit_code == 0
    first, second = map(json.loads, (tmp_path / "train.jsonl").read_text().splitlines())
    assert [span["label"] for span in first["spans"]] == ["OTHER"]
    assert second["spans"] == []


def test_the_scheme_of_the_tags_is_printed_and_columns_chosen(run, tmp_path):
    (tmp_path / "x.txt").write_text("1 2020 S-PER B-LOC\n2 rocks O O\n")
    result = run("x.txt", "x.spacy", "--columns", "2,3")
    assert result.exit_code == 0
    assert any(line.split() == ["tag", "scheme", "BIOES"] for line in result.stdout.splitlines())
    summary = json.loads((tmp_path / "x.spacy.summary.json").read_text())
    assert (summary["tag_scheme"], summary["entities"]) == ("BIOES", {"PER": 1})


def test_text_about_the_image_is_read_by_its_label(run, tmp_path):
    (tmp_path / "x.txt").write_text("a\tO\n<EOS>\tX\nb\tX\n")
    assert "--context-label X" in run("x.txt", "x.jsonl").stdout.replace("\n", " ")
    assert run("x.txt", "x.jsonl", "--context-label", "X").exit_code == 0
    assert json.loads((tmp_path / "x.jsonl").read_text())["image_text"] == "b"


def test_matched_and_missing_captions_are_printed(run, tmp_path):
    (tmp_path / "captions.tsv").write_text("1\ta man\n")
    result = run("train.txt", "train.spacy", "--captions", "captions.tsv")
    assert result.exit_code == 0
    rows = {line[:-8].strip(): line.split()[-1] for line in result.stdout.splitlines() if line}
    assert (rows["captions matched"], rows["captions missing"]) == ("1", "1")
    assert "no caption for 2 (2): not found in captions.tsv" in result.stdout
    assert "captions" not in run("train.txt", "train.spacy").stdout


def test_words_are_joined_and_mentions_counted_on_request(run, tmp_path):
    (tmp_path / "x.txt").write_text("hi\tO\n@\tB-PER\nann\tB-PER\n!\tO\n")
    result = run("x.txt", "x.jsonl", "--tokens", "pipeline", "--mentions", "missing")
    assert result.exit_code == 0
    row = next(line for line in result.stdout.splitlines() if line.startswith("mentions"))
    assert row.split() == ["mentions", "as", "missing", "annotation", "2"]
    post = json.loads((tmp_path / "x.jsonl").read_text())
    assert (post["text"], post["spans"]) == ("hi @ann!", [])
    assert post["missing"] == [{"start": 3, "end": 4}, {"start": 4, "end": 7}]
    assert "mentions" not in run("x.txt", "x.jsonl").stdout


def test_only_the_first_problems_are_printed(run, tmp_path):
    (tmp_path / "bad.txt").write_text("IMGID:1\n" + "a\tB-PER\nb\tO\na\tX\n" * 9)
    output = run("bad.txt", "bad.spacy").stdout
    assert "line 16" in output and "line 19" not in output
    assert "and 4 more: bad.spacy.summary.json lists all" in output
    assert len(json.loads((tmp_path / "bad.spacy.summary.json").read_text())["problems"]) == 9


def test_a_corpus_without_images_is_reported(run, tmp_path):
    (tmp_path / "no_ids.txt").write_text("Duke\tB-OTHER\n")
    assert "No post has an image" in run("no_ids.txt", "x.spacy").stdout
    output = run("train.txt", "train.spacy").stdout
    assert "2 posts with the id of an image: --images-root" in output
    assert "No post has an image" not in output


def test_images_of_which_none_is_found_are_one_line_with_the_folder_that_has_them(run, tmp_path):
    (tmp_path / "images").rename(tmp_path / "photos")
    (tmp_path / "sub").mkdir()
    (tmp_path / "photos").rename(tmp_path / "sub" / "photos")
    output = " ".join(run("train.txt", "train.spacy", "--images-root", "sub").stdout.split())
    assert "None of the 2 images was found, e.g. 1: not found in sub" in output
    assert "no image for" not in output
    assert "sub/1 does not exist, sub/photos/1.jpg does: --images-root sub/photos" in output


def test_an_annotated_label_without_spans_is_reported(run):
    output = run("train.txt", "train.spacy", "--annotates", "ORG,OTHER,XYZ").stdout
    assert "no span has the label XYZ" in output and "label ORG" not in output


def test_a_renamed_label_that_does_not_occur_is_reported(run):
    assert "no label GEO" in run("train.txt", "train.spacy", "--map", "GEO=LOC").stdout


def test_a_label_is_dropped_and_counted(run, tmp_path):
    output = run("train.txt", "train.jsonl", "--map", "OTHER=", "--map", "GEO=").stdout
    assert "dropped OTHER" in output and "no label GEO" in output
    assert '"spans": []' in (tmp_path / "train.jsonl").read_text().splitlines()[0]


def test_integer_tags_are_named(run, tmp_path):
    (tmp_path / "hf.jsonl").write_text('{"tokens": ["Oslo", "rocks"], "ner_tags": [1, 0]}')
    result = run("hf.jsonl", "x.spacy")
    assert result.exit_code == 1 and "--labels" in result.stderr
    assert "entities LOC" in run("hf.jsonl", "x.spacy", "--labels", "O, B-LOC,I-LOC").stdout


def test_spans_inside_words_are_printed_with_what_is_wrong(run, tmp_path):
    post = {"text": "Greetings out of Norvia", "spans": [{"start": 17, "end": 22, "label": "LOC"}]}
    (tmp_path / "posts.jsonl").write_text(json.dumps(post))
    output = " ".join(run("posts.jsonl", "x.spacy").stdout.split())
    assert "1 begin or end inside a word ('Norvi' in 'Norvia')" in output
    assert "add 1 to end" in output and output.count("Norvi'") == 1
    summary = json.loads((tmp_path / "x.spacy.summary.json").read_text())
    assert summary["alignment"]["inside_words"] == 1 and "add 1 to end" in summary["offset_hint"]


def test_posts_without_annotation_are_printed_with_their_keys(run, tmp_path):
    (tmp_path / "posts.jsonl").write_text('{"text": "a", "label": ["positive"]}\n' * 9)
    output = " ".join(run("posts.jsonl", "x.spacy").stdout.split())
    assert output.count("label") == 1
    assert "9 of 9 posts have no annotation; their keys that are not read: 'label'" in output


def test_a_key_that_looks_like_an_image_is_printed_with_the_key_that_is_read(run, tmp_path):
    (tmp_path / "posts.jsonl").write_text('{"text": "a", "spans": [], "img": "1.jpg"}\n' * 9)
    output = " ".join(run("posts.jsonl", "x.spacy", "--images-root", "images").stdout.split())
    assert "9 posts without an image: 'img' looks like one" in output
    assert "rename it 'image'" in output
    summary = json.loads((tmp_path / "x.spacy.summary.json").read_text())
    assert summary["unread_images"] == {"img": 9}


def test_empty_images_are_counted(run, tmp_path):
    (tmp_path / "posts.jsonl").write_text('{"text": "a", "image": ""}\n' * 2 + '{"text": "b"}\n')
    output = " ".join(run("posts.jsonl", "x.spacy").stdout.split())
    assert "2 posts with an empty image" in output
    assert "empty" not in run("train.txt", "y.spacy").stdout


def test_labels_of_the_sentiment_task_are_reported(run, tmp_path):
    (tmp_path / "sentiment.txt").write_text("IMGID:1\na\tB-NEG\n")
    assert "sentiment" in run("sentiment.txt", "x.spacy").stdout


def test_label_studio_files_are_written_and_read_with_problems_by_task(run, tmp_path):
    assert run("train.txt", "tasks.json", "--images-root", "images").exit_code == 0
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    assert tasks[0]["data"]["image"] == "/data/local-files/?d=images/1.jpg"
    tasks.append({"id": 5})
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    result = run("tasks.json", "back.spacy", "--images-root", "images")
    assert result.exit_code == 0
    assert 'task 3: no "text"' in result.stdout


POST = {"text": "thanks @Nike", "spans": [{"start": 8, "end": 12, "label": "ORG"}]}


def test_spans_that_do_not_align_with_the_tokenizer_are_printed(run, tmp_path):
    (tmp_path / "posts.jsonl").write_text(json.dumps(POST))
    output = run("posts.jsonl", "x.spacy").stdout.replace("\n", " ")
    assert "1 of 1 gold spans do not align" in output and "'Nike' in '@Nike'" in output
    nlp = spacy.blank("en")
    nlp.tokenizer.prefix_search = spacy.util.compile_prefix_regex(["@"]).search
    nlp.to_disk(tmp_path / "model")
    assert "gold spans" not in run("posts.jsonl", "x.spacy", "--model", "model").stdout
    # The Chinese tokenizer splits at every character.
    assert "gold spans" not in run("posts.jsonl", "x.spacy", "--lang", "zh").stdout


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["gone.txt", "x.spacy"], "no file"),
        (["train.txt", "x.csv"], "output must end in"),
        (["train.txt", "x.spacy", "--map", "OTHER"], "OLD=NEW"),
        (["train.txt", "x.spacy", "--images-root", "gone"], "no folder gone"),
        (["train.txt", "x.spacy", "--features", "train.txt"], "npz"),
        (["train.txt", "x.spacy", "--captions", "gone.tsv"], "no file gone.tsv"),
        (["train.txt", "train.txt/x.spacy"], "train.txt"),
        (["train.txt", "x.spacy", "--lang", "xyz"], "--lang xyz"),
        (["train.txt", "x.spacy", "--model", "gone"], "gone"),
        (["train.txt", "x.spacy", "--columns", "2"], "two numbers"),
        (["train.txt", "x.spacy", "--columns", "0,2"], "from 1"),
        (["train.txt", "x.spacy", "--context-label", "O"], "other than O"),
        (["x.jsonl", "x.spacy", "--columns", "1,2"], "files of tokens with tags"),
        (["train.txt", "x.spacy", "--labels", "O,B-PER"], ".json and .jsonl files"),
        (["x.jsonl", "x.spacy", "--labels", "O,B-PER,B-PER"], "a name twice"),
        (["x.ann", "x.spacy"], "BRAT"),
        (["train.txt", "x.spacy", "--columns", "2,3"], "no tags such as O and B-PER"),
        (["train.txt", "x.spacy", "--model", "gone", "--lang", "en"], "exclude each other"),
    ],
)
def test_an_error_exits_with_code_1_and_no_traceback(run, arguments, reason):
    result = run(*arguments)
    assert result.exit_code == 1
    assert reason in result.stderr.replace("\n", " ")
    assert "Traceback" not in result.output


def test_it_says_when_images_are_not_looked_up(run, tmp_path):
    (tmp_path / "x.jsonl").write_text('{"text": "hi", "image": "gone.jpg", "spans": []}\n')
    assert "not looked up" in run("x.jsonl", "x.spacy").stdout
    assert "not looked up" not in run("x.jsonl", "x.spacy", "--images-root", "images").stdout


def test_the_name_of_a_missing_image_cannot_control_the_terminal(run, tmp_path):
    post = {"text": "a", "image": "\x1b[2Jgone.jpg", "spans": []}
    (tmp_path / "x.jsonl").write_text(json.dumps(post))
    output = run("x.jsonl", "x.spacy", "--images-root", "images").output
    assert "\\x1b[2Jgone.jpg" in output and "\x1b[2J" not in output
