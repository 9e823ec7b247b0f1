from __future__ import annotations

import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import spacy
import srsly
from spacy.attrs import ENT_IOB
from spacy.tokens import Doc, DocBin
from spacy.util import registry

from spacy_mner.corpus.docbin import read_docs, write_docs
from spacy_mner.errors import AlignmentWarning, CorpusError, UsageError
from spacy_mner.evaluation.evaluate import evaluate
from spacy_mner.extensions import IMAGE_DROPOUT
from spacy_mner.models.allowed_tags import tags_allowed_by_gold
from spacy_mner.training.reader import build_multimodal_corpus

NLP = spacy.blank("en")


def make_docs(n):
    docs = []
    for i in range(n):
        doc = Doc(NLP.vocab, words=["@", f"n{i}"], spaces=[False, False], ents=["O", "B-PER"])
        doc._.image = f"{i}.jpg"
        docs.append(doc)
    return docs


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "train.spacy"
    write_docs(make_docs(40), path)
    return path


def reader_of(path, **options):
    return registry.readers.get("spacy_mner.MultimodalCorpus.v1")(path, **options)


def read(path, gold_preproc=True, **options):
    return list(reader_of(path, gold_preproc=gold_preproc, **options)(NLP))


def images(examples):
    return [example.predicted._.image for example in examples]


@pytest.mark.filterwarnings("ignore::spacy_mner.errors.AlignmentWarning")
@pytest.mark.parametrize(
    ("gold_preproc", "tokens"), [(False, ["@n3"]), (True, ["@", "n3"])], ids=["default", "gold"]
)
def test_predicted_has_tokens_of_the_pipeline_unless_gold_preproc(corpus, gold_preproc, tokens):
    example = read(corpus, gold_preproc=gold_preproc)[3]
    assert [token.text for token in example.predicted] == tokens
    assert example.predicted.text == "@n3"
    assert example.predicted._.image == example.reference._.image == "3.jpg"
    assert not example.predicted.has_annotation("ENT_IOB")
    assert [entity.text for entity in example.reference.ents] == ["n3"]


def test_gold_preproc_is_off_by_default(corpus):
    assert not reader_of(corpus).gold_preproc


def test_the_first_complete_pass_warns_of_misaligned_spans(corpus):
    reader = reader_of(corpus)
    next(reader(NLP))
    with pytest.warns(AlignmentWarning, match=r"train\.spacy: 40 of 40 .*'n0' in '@n0'"):
        list(reader(NLP))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(reader(NLP))
        read(corpus, gold_preproc=True)


def test_readers_of_one_path_warn_once(corpus):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(2):
            list(reader_of(corpus)(NLP))
    assert [warning.category for warning in caught] == [AlignmentWarning]


@pytest.mark.filterwarnings("ignore::spacy_mner.errors.AlignmentWarning")
def test_a_misaligned_span_is_missing_annotation_in_training(corpus):
    example = read(corpus, gold_preproc=False)[0]
    assert tags_allowed_by_gold([example], ["PER"]).tolist() == [[True, True, True]]
    example = read(corpus, gold_preproc=True)[0]
    assert tags_allowed_by_gold([example], ["PER"]).tolist() == [
        [True, False, False],
        [False, True, False],
    ]


@pytest.mark.filterwarnings("ignore::spacy_mner.errors.AlignmentWarning")
def test_scores_during_training_equal_those_of_evaluate(corpus):
    nlp = spacy.blank("en")
    scorer = {"@scorers": "spacy_mner.mner_scorer.v1"}
    ruler = nlp.add_pipe("entity_ruler", config={"scorer": scorer})
    ruler.add_patterns([{"label": "PER", "pattern": "@n3"}])
    for tokens in ("pipeline", "gold"):
        examples = reader_of(corpus, gold_preproc=tokens == "gold")(nlp)
        scores = nlp.evaluate(list(examples))
        expected = evaluate(nlp, read_docs(corpus, nlp.vocab), tokens=tokens)
        assert scores["ents_p"] == expected["ents_p"] == 0
        assert scores["ents_per_type"] == expected["ents_per_type"]


def test_relative_image_paths_are_resolved_against_images_root(tmp_path):
    one, several, absolute, content = make_docs(4)
    several._.image = ["a.jpg", "b/c.jpg"]
    absolute._.image = str(tmp_path / "x.jpg")
    content._.image = b"\x89PNG"
    write_docs([one, several, absolute, content], tmp_path / "x.spacy")
    root = tmp_path / "images"
    root.mkdir()
    examples = read(tmp_path / "x.spacy", images_root=root)
    assert images(examples) == [
        str(root / "0.jpg"),
        [str(root / "a.jpg"), str(root / "b/c.jpg")],
        str(tmp_path / "x.jpg"),
        b"\x89PNG",
    ]


def test_all_visible_files_of_a_folder_are_read(tmp_path):
    write_docs(make_docs(2), tmp_path / "in" / "b.spacy")
    write_docs(make_docs(1), tmp_path / "in" / "a" / "c.spacy")
    write_docs(make_docs(1), tmp_path / "in" / ".hidden" / "d.spacy")
    assert len(read(tmp_path / "in")) == 3


def test_image_dropout_is_stored_with_the_post_and_sampled_in_training(corpus):
    """spaCy reads a corpus once: a sample drawn by the reader would be that of every epoch."""
    examples = read(corpus, image_dropout=0.5)
    assert None not in images(examples)
    assert {example.predicted.user_data[IMAGE_DROPOUT] for example in examples} == {0.5}
    assert IMAGE_DROPOUT not in read(corpus)[0].predicted.user_data


def test_an_image_dropout_of_1_removes_the_images_for_evaluation_too(corpus):
    examples = read(corpus, image_dropout=1.0)
    assert set(images(examples)) == {None}
    assert None not in [example.reference._.image for example in examples]


def test_empty_and_long_posts_are_skipped_and_limit_stops_reading(tmp_path):
    long = Doc(NLP.vocab, words=["a"] * 9)
    empty = Doc(NLP.vocab)
    write_docs([long, empty, *make_docs(5)], tmp_path / "x.spacy")
    assert len(read(tmp_path / "x.spacy")) == 6
    assert [len(example) for example in read(tmp_path / "x.spacy", max_length=8)] == [2] * 5
    assert len(read(tmp_path / "x.spacy", limit=3)) == 3


def test_user_data_is_not_shared_between_posts(tmp_path):
    plain, with_id = make_docs(2)
    plain._.image = None
    with_id.user_data["spacy_mner.post_id"] = "猫"
    write_docs([with_id, plain], tmp_path / "x.spacy")
    docs = [example.reference for example in read(tmp_path / "x.spacy")]
    assert [doc.user_data.get("spacy_mner.post_id") for doc in docs] == ["猫", None]


def test_a_corpus_stored_without_user_data_has_no_images(tmp_path):
    DocBin(docs=make_docs(2)).to_disk(tmp_path / "x.spacy")
    assert images(read(tmp_path / "x.spacy")) == [None, None]


def test_tokens_are_kept_if_spaces_are_unknown(tmp_path):
    write_docs([Doc(NLP.vocab, words=["don't", "b"], ents=["O", "O"])], tmp_path / "x.spacy")
    [example] = read(tmp_path / "x.spacy", gold_preproc=False)
    assert example.predicted.has_unknown_spaces and len(example.predicted) == 2
    assert example.predicted.text == example.reference.text


def test_a_path_without_a_corpus_raises_with_the_remedy_before_it_is_read(tmp_path):
    for path in (tmp_path / "gone.spacy", tmp_path):
        with pytest.raises(CorpusError, match=r"spacy-mner convert"):
            build_multimodal_corpus(path)


@pytest.mark.parametrize(("n", "options"), [(0, {}), (3, {}), (3, {"max_length": 1})])
def test_a_corpus_without_an_annotated_post_raises_and_is_named(tmp_path, n, options):
    docs = [Doc(NLP.vocab, words=["a", "b"]) for _ in range(n)]
    write_docs(docs, tmp_path / "x.spacy")
    with pytest.raises(CorpusError, match=r"x\.spacy: none of the \d posts"):
        read(tmp_path / "x.spacy", **options)


@pytest.mark.parametrize(
    ("options", "name"), [({"path": None}, "--paths.train"), ({"image_dropout": 1.5}, "dropout")]
)
def test_invalid_settings_raise_usage_error(corpus, options, name):
    with pytest.raises(UsageError, match=name):
        reader_of(**{"path": corpus, **options})


def test_the_reader_is_created_from_a_config(corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    config = spacy.util.load_config_from_str(
        f'[train]\n@readers = "spacy_mner.MultimodalCorpus.v1"\npath = "{corpus}"\n'
        'images_root = "images"\ngold_preproc = true\n'
    )
    reader = registry.resolve(config)["train"]
    assert images(reader(NLP))[0] == str(Path("images").absolute() / "0.jpg")


def test_a_relative_images_root_becomes_absolute(corpus, tmp_path, monkeypatch):
    """Otherwise the component would prepend its own images_root to the path."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    example = read(corpus, images_root="photos")[0]
    assert example.predicted._.image == str(tmp_path / "photos" / "0.jpg")


def modify_docbin(path, change):
    message = srsly.msgpack_loads(zlib.decompress(path.read_bytes()))
    change(message)
    path.write_bytes(zlib.compress(srsly.msgpack_dumps(message)))


def begin_inside(message):
    """Replace the tags by I without B."""
    tokens = np.frombuffer(message["tokens"], np.uint64).reshape(80, -1).copy()
    tokens[0, message["attrs"].index(ENT_IOB)] = 2
    tokens[1, message["attrs"].index(ENT_IOB)] = 1
    message["tokens"] = tokens.tobytes()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda message: message.update(strings=[]), "strings of its tokens are missing"),
        (lambda message: message["strings"].remove("a norm of its own"), "strings of its tokens"),
        (lambda message: message.update(user_data=[b"\xc1"] * 40), ""),
        (lambda message: message.update(lengths=message["lengths"][:-1]), ""),
        (lambda message: message.update(attrs=[*message["attrs"][1:], 99_999]), ""),
        (lambda message: message.update(spaces=message["spaces"][:-2]), ""),
        (begin_inside, "I without B"),
    ],
    ids=["strings", "one string", "user data", "lengths", "attributes", "spaces", "entities"],
)
def test_a_damaged_corpus_raises_with_its_name(tmp_path, change, reason):
    docs = make_docs(40)
    docs[0][0].norm_ = "a norm of its own"
    write_docs(docs, tmp_path / "train.spacy")
    modify_docbin(tmp_path / "train.spacy", change)
    with pytest.raises(CorpusError, match=rf"train\.spacy .*{reason}"):
        list(read_docs(tmp_path / "train.spacy", spacy.blank("en").vocab))


CHARACTERS = Doc(NLP.vocab, words=[*"老王在北京"], ents=["B-PER", "I-PER", "O", "B-LOC", "I-LOC"])


@pytest.mark.parametrize(("lang", "n_warnings"), [("en", 1), ("zh", 0)])
def test_tokens_that_the_tokenizer_does_not_make_are_warned_of(lang, n_warnings, tmp_path):
    write_docs([CHARACTERS] * 3, tmp_path / "x.spacy")
    nlp, reader = spacy.blank(lang), reader_of(tmp_path / "x.spacy")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            assert [len(example.predicted) for example in reader(nlp)] == [5] * 3
        list(reader_of(tmp_path / "x.spacy", gold_preproc=True)(nlp))
    assert [warning.category for warning in caught] == [AlignmentWarning] * n_warnings


def test_an_images_root_that_does_not_exist_is_an_error_before_training(corpus, tmp_path):
    with pytest.raises(UsageError, match=r"nofolder.*--paths\.images_root"):
        reader_of(corpus, images_root=tmp_path / "nofolder")
