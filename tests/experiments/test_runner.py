"""Which runs are done, and which are not."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from types import SimpleNamespace

import pytest
import spacy

from spacy_mner.errors import CorpusError
from spacy_mner.experiments import plan, runner
from spacy_mner.experiments.catalog import EXPERIMENTS
from spacy_mner.experiments.experiment import variant_of
from spacy_mner.experiments.plan import prepare
from spacy_mner.experiments.result import fingerprint, write_result
from spacy_mner.experiments.run import Job
from spacy_mner.experiments.runner import Listener, run_experiment

from ..conftest import gold_docs, make_doc
from .made import make_options, make_result, read_json, write_posts

SMALL = replace(EXPERIMENTS["table1"], variants=(variant_of("c"), variant_of("w")))


@pytest.fixture
def options(tmp_path):
    (tmp_path / "corpus").mkdir()
    write_posts(tmp_path / "corpus", gold_docs(spacy.blank("en")))
    return make_options(tmp_path, seeds=(0, 1))


@pytest.fixture
def codes():
    """Variant → exit code of its runs, where it is not 0."""
    return {}


@pytest.fixture
def started(monkeypatch, codes):
    """Runs that were started, as variant/seed. No process is: a run is done in no time."""
    names = []

    def start(run, inherited):
        prepare(run)
        job, code = run.job, codes.get(run.job.variant, 0)
        names.append(f"{job.variant}/{job.seed}")
        if code:
            (run.folder / "train.log").write_text("Traceback\nValueError: no luck\n")
        else:
            made = make_result(job.variant, job.seed, [1, 2, 0])
            asked = {"asked": job.asked, "fingerprint": fingerprint(job.asked)}
            write_result(run.folder, {**made, **asked})
        return SimpleNamespace(returncode=code, poll=lambda: code)

    monkeypatch.setattr(runner, "_start", start)
    monkeypatch.setattr(runner, "LOOK", 0.0)
    return names


def test_every_system_has_a_figure_after_the_first_seed(options, started):
    assert run_experiment(SMALL, options) == []
    assert started == ["c/0", "w/0", "c/1", "w/1"]
    assert (options.output / "w" / "1" / "result.json").is_file()


def test_a_finished_run_is_never_repeated(options, started):
    run_experiment(SMALL, options)
    result = options.output / "c" / "0" / "result.json"
    before = result.stat().st_mtime_ns
    started.clear()
    run_experiment(SMALL, replace(options, seeds=(0, 1, 2)))
    assert started == ["c/2", "w/2"]
    assert result.stat().st_mtime_ns == before


def test_experiments_share_the_runs_of_one_folder(options, started):
    run_experiment(SMALL, options)
    started.clear()
    other = replace(SMALL, name="other", variants=(variant_of("w"), variant_of("w", 0.5)))
    run_experiment(other, options)
    assert started == ["w-keep50/0", "w-keep50/1"]


def test_what_is_told_of_are_the_runs_that_are_asked_for(options, started):
    told = []
    run_experiment(SMALL, replace(options, systems=("w",)), Listener(planned=told.extend))
    assert [run.name for run in told] == ["w seed 0", "w seed 1"]
    assert started == ["w/0", "w/1"]


def test_an_interrupted_run_starts_over(options, started):
    run_experiment(SMALL, options)
    folder = options.output / "w" / "0"
    (folder / "result.json").unlink()
    (folder / "log.jsonl").write_text("half a line")
    started.clear()
    run_experiment(SMALL, options)
    assert started == ["w/0"]
    assert not (folder / "log.jsonl").exists()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"epochs": 9}, "training.max_epochs was 1 and is now 9"),
        ({"setting": "paper"}, "and [0-9]+ more"),
        ({"split": "test"}, 'split was "dev" and is now "test"'),
    ],
)
def test_a_finished_run_that_was_asked_something_else_is_refused(options, started, changed, reason):
    write_posts(options.corpus, gold_docs(spacy.blank("en")), dev="test.spacy")
    run_experiment(SMALL, options)
    started.clear()
    with pytest.raises(CorpusError, match=reason) as error:
        run_experiment(SMALL, replace(options, **changed))
    assert "another OUT, or delete" in str(error.value) and "c/0" in str(error.value)
    assert started == []


def test_a_run_on_other_posts_is_refused(options, started):
    run_experiment(SMALL, options)
    write_posts(options.corpus, gold_docs(spacy.blank("en"))[:-1])
    with pytest.raises(CorpusError, match="the content of train is not the same"):
        run_experiment(SMALL, options)


def test_where_the_corpus_lies_does_not_matter(options, started, tmp_path):
    run_experiment(SMALL, options)
    started.clear()
    options.corpus.rename(tmp_path / "moved")
    run_experiment(SMALL, replace(options, corpus=tmp_path / "moved"))
    assert started == []


def test_a_failing_run_is_reported_and_the_others_go_on(options, started, codes):
    codes["c"] = 1
    told = []
    failed = run_experiment(SMALL, options, Listener(ended=told.append))
    assert started == ["c/0", "w/0", "c/1", "w/1"]
    assert [outcome.run.name for outcome in failed] == ["c seed 0", "c seed 1"]
    assert "no luck" in failed[0].reason and "train.log" in failed[0].reason
    assert len(told) == 4
    page = (options.output / "table1.md").read_text()
    assert "2 of 4 runs finished" in page
    assert [row["system"] for row in read_json(options.output / "table1.json")["rows"]] == ["w"]


def test_systems_that_are_not_asked_for_stay_in_the_table(options, started):
    run_experiment(SMALL, replace(options, systems=("w",)))
    assert started == ["w/0", "w/1"]
    run_experiment(SMALL, replace(options, systems=("c",), seeds=(0,)))
    assert started[2:] == ["c/0"]
    rows = read_json(options.output / "table1.json")["rows"]
    assert [(row["system"], row["seeds"]) for row in rows] == [("c", [0]), ("w", [0, 1])]


def test_the_signal_that_ended_a_run_is_named(options, started, codes):
    codes["c"] = -9
    failed = run_experiment(SMALL, options)
    assert failed[0].reason.startswith("ended by SIGKILL (see ")


def test_each_run_that_starts_is_told_with_its_number(options, started):
    told = []
    run_experiment(SMALL, replace(options, seeds=(0,)))
    listener = Listener(started=lambda run, number, of: told.append((run.name, number, of)))
    run_experiment(SMALL, options, listener)
    assert told == [("c seed 1", 1, 2), ("w seed 1", 2, 2)]


def test_a_run_is_told_its_threads_its_parent_and_not_to_hold_its_words_back(options, monkeypatch):
    calls = []

    def start(command, **given):
        calls.append((command, given))
        return SimpleNamespace(returncode=1, poll=lambda: 1)

    monkeypatch.setattr(runner.subprocess, "Popen", start)
    run_experiment(SMALL, replace(options, seeds=(0,)))
    command, given = calls[0]
    folder = str(options.output / "c" / "0")
    assert command[1:] == ["-m", "spacy_mner.experiments.run", folder, str(os.getpid())]
    assert given["env"]["PYTHONUNBUFFERED"] == "1"
    assert given["env"]["OMP_NUM_THREADS"] == str(Job.read(options.output / "c" / "0").threads)


def test_a_run_that_failed_is_tried_again(options, started, codes):
    codes["c"] = 1
    run_experiment(SMALL, options)
    started.clear()
    codes.clear()
    assert run_experiment(SMALL, options) == []
    assert started == ["c/0", "c/1"]


def test_a_file_in_place_of_the_folder_of_runs_is_refused(options):
    options.output.write_text("mine")
    with pytest.raises(CorpusError, match="out is no folder, which runs need: name another OUT"):
        run_experiment(SMALL, options)


def test_runs_side_by_side_share_the_cores(options, started, monkeypatch):
    monkeypatch.setattr(plan, "cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    run_experiment(SMALL, replace(options, workers=3))
    assert {Job.read(path.parent).threads for path in options.output.rglob("job.json")} == {2}
    assert started == ["c/0", "w/0", "c/1", "w/1"]


def test_a_second_experiment_keeps_out_of_a_folder(options, started):
    pytest.importorskip("fcntl")
    told = []

    def intrude(outcome):
        with pytest.raises(CorpusError, match="Another experiment is at work"):
            run_experiment(SMALL, options)
        told.append(outcome)

    run_experiment(SMALL, options, Listener(ended=intrude))
    assert len(told) == 4


def test_posts_with_descriptors_need_no_encoder(options, started):
    nlp = spacy.blank("en")
    docs = [make_doc(nlp, ["my", "lynx"], None, ["O", "B-ORG"]) for _ in range(3)]
    docs[1]._.image_features = [1.0, 2.0]
    write_posts(options.corpus, docs)
    experiment = replace(SMALL, variants=(variant_of("wcv-attention"), variant_of("w")))
    run_experiment(experiment, options)
    path = options.output / "wcv-attention" / "0" / "config.cfg"
    config = spacy.util.load_config(path)
    image = config["components"]["multimodal_ner"]["model"]["embed"]["image"]
    assert image["encoder"] is None
    assert "descriptors that the posts bring" in (options.output / "table1.md").read_text()


def test_the_config_of_a_run_is_what_spacy_train_takes(options, started):
    run_experiment(SMALL, options)
    config = spacy.util.load_config(options.output / "c" / "1" / "config.cfg", interpolate=True)
    assert config["corpora"]["train"]["path"] == str(options.corpus / "train.spacy")
    assert (config["training"]["seed"], config["training"]["max_epochs"]) == (1, 1)


@pytest.mark.parametrize("damaged", ['{"variant":', "{}", "[]", "\x00"])
def test_a_damaged_result_is_named(options, started, damaged):
    run_experiment(SMALL, options)
    (options.output / "c" / "0" / "result.json").write_text(damaged)
    with pytest.raises(CorpusError, match=r"c/0/result.json is damaged"):
        run_experiment(SMALL, options)


def test_the_table_is_made_of_all_seeds_that_were_asked_the_same(options, started):
    run_experiment(SMALL, replace(options, epochs=2, seeds=(7,)))
    run_experiment(SMALL, replace(options, seeds=(0, 1, 2)))
    run_experiment(SMALL, replace(options, seeds=(3,)))
    table = read_json(options.output / "table1.json")
    assert [row["seeds"] for row in table["rows"]] == [[0, 1, 2, 3]] * 2
    page = (options.output / "table1.md").read_text()
    assert "seeds 0, 1, 2, 3" in page and "--seeds 0,1,2,3" in page
    assert "Not complete" not in page


def test_a_seed_that_some_variants_lack_makes_a_table_incomplete(options, started):
    run_experiment(replace(SMALL, variants=SMALL.variants[:1]), replace(options, seeds=(0, 1)))
    run_experiment(SMALL, replace(options, seeds=(0,)))
    assert "3 of 4 runs finished" in (options.output / "table1.md").read_text()


@pytest.mark.parametrize("name", ["train.spacy", "dev.spacy or valid.spacy"])
def test_a_corpus_without_a_split_is_refused(options, name):
    (options.corpus / name.split()[0]).unlink()
    with pytest.raises(CorpusError, match=name):
        run_experiment(SMALL, options)


def test_table3_needs_word_vectors(options):
    with pytest.raises(CorpusError, match="--vectors"):
        run_experiment(EXPERIMENTS["table3"], options)


def test_vectors_that_are_not_there_are_refused(options):
    with pytest.raises(CorpusError, match="no word vectors at nowhere"):
        run_experiment(SMALL, replace(options, vectors="nowhere"))


def test_the_page_names_no_folder_of_this_machine(options, started):
    run_experiment(SMALL, replace(options, note="lenient; toy posts"))
    page = (options.output / "table1.md").read_text()
    text = page + json.dumps(read_json(options.output / "table1.json"))
    assert str(options.corpus.parent) not in text
    for fact in ("lenient; toy posts", "split dev", "15 posts", "seeds 0, 1", "corpus out"):
        assert fact in page
