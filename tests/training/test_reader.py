from __future__ import annotations

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
from spacy_mner.errors import CorpusError
from spacy_mner.extensions import IMAGE_DROPOUT

NLP = spacy.blank("en")


def make_docs(n):
    docs = []
    for i in range(n):
        doc = Doc(NLP.vocab, words=["don't", f"n{i}"], spaces=[False, False], ents=["O", "B-PER"])
        doc._.image = f"{i}.jpg"
        docs.append(doc)
    return docs


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "train.spacy"
    write_docs(make_docs(40), path)
    return path


def read(path, **options):
    reader = registry.readers.get("spacy_mner.MultimodalCorpus.v1")(path, **options)
    return list(reader(NLP))


def images(examples):
    return [example.predicted._.image for example in examples]


def test_predictions_begin_with_gold_tokens_and_the_image_and_nothing_else(corpus):
    example = read(corpus)[3]
    assert [token.text for token in example.predicted] == ["don't", "n3"]
    assert example.predicted.text == "don'tn3"
    assert example.predicted._.image == example.reference._.image == "3.jpg"
    assert not example.predicted.has_annotation("ENT_IOB")
    assert [entity.text for entity in example.reference.ents] == ["n3"]


def test_a_descriptor_is_on_both_sides(tmp_path):
    [doc] = make_docs(1)
    doc._.image_features = np.ones(3)
    write_docs([doc], tmp_path / "x.spacy")
    [example] = read(tmp_path / "x.spacy")
    assert example.predicted._.image_features.tolist() == [1, 1, 1]


def test_relative_images_are_taken_from_their_folder(tmp_path):
    one, several, absolute, content = make_docs(4)
    several._.image = ["a.jpg", "b/c.jpg"]
    absolute._.image = str(tmp_path / "x.jpg")
    content._.image = b"\x89PNG"
    write_docs([one, several, absolute, content], tmp_path / "x.spacy")
    root = Path("images").absolute()
    examples = read(tmp_path / "x.spacy", images_root=root)
    assert images(examples) == [
        str(root / "0.jpg"),
        [str(root / "a.jpg"), str(root / "b/c.jpg")],
        str(tmp_path / "x.jpg"),
        b"\x89PNG",
    ]


def test_a_folder_is_read_file_by_file(tmp_path):
    write_docs(make_docs(2), tmp_path / "in" / "b.spacy")
    write_docs(make_docs(1), tmp_path / "in" / "a" / "c.spacy")
    write_docs(make_docs(1), tmp_path / "in" / ".hidden" / "d.spacy")
    assert len(read(tmp_path / "in")) == 3


def test_image_dropout_is_left_with_the_post_for_training_to_draw(corpus):
    """spaCy reads a corpus once and shuffles what it read: a draw here would hold for ever."""
    examples = read(corpus, image_dropout=0.5)
    assert None not in images(examples)
    assert {example.predicted.user_data[IMAGE_DROPOUT] for example in examples} == {0.5}
    assert IMAGE_DROPOUT not in read(corpus)[0].predicted.user_data


def test_limit_and_length_leave_posts_out(tmp_path):
    long = Doc(NLP.vocab, words=["a"] * 9)
    empty = Doc(NLP.vocab)
    write_docs([long, empty, *make_docs(5)], tmp_path / "x.spacy")
    assert len(read(tmp_path / "x.spacy")) == 6
    assert [len(example) for example in read(tmp_path / "x.spacy", max_length=8)] == [2] * 5
    assert len(read(tmp_path / "x.spacy", limit=3)) == 3


def test_user_data_of_each_doc_stays_its_own(tmp_path):
    plain, with_list = make_docs(2)
    plain._.image = None
    with_list.user_data["spacy_mner.post_id"] = "猫"
    write_docs([with_list, plain], tmp_path / "x.spacy")
    docs = [example.reference for example in read(tmp_path / "x.spacy")]
    assert [doc.user_data.get("spacy_mner.post_id") for doc in docs] == ["猫", None]


def test_a_corpus_stored_without_user_data_is_one_without_images(tmp_path):
    DocBin(docs=make_docs(2)).to_disk(tmp_path / "x.spacy")
    assert images(read(tmp_path / "x.spacy")) == [None, None]


def test_unknown_spaces_stay_unknown(tmp_path):
    write_docs([Doc(NLP.vocab, words=["a", "b"])], tmp_path / "x.spacy")
    [example] = read(tmp_path / "x.spacy")
    assert example.predicted.has_unknown_spaces
    assert example.predicted.text == example.reference.text


def test_a_path_without_corpus_is_refused_with_the_remedy(tmp_path):
    for path in (tmp_path / "gone.spacy", tmp_path):
        with pytest.raises(CorpusError, match=r"spacy-mner convert"):
            read(path)
    with pytest.raises(CorpusError, match=r"--paths\.train"):
        read(None)


def test_a_share_beyond_the_scale_is_refused(corpus):
    with pytest.raises(CorpusError, match="image_dropout"):
        read(corpus, image_dropout=1.5)


def test_the_reader_works_from_a_config(corpus):
    config = spacy.util.load_config_from_str(
        f'[train]\n@readers = "spacy_mner.MultimodalCorpus.v1"\npath = "{corpus}"\n'
        'images_root = "images"\n'
    )
    reader = registry.resolve(config)["train"]
    assert images(reader(NLP))[0] == str(Path("images").absolute() / "0.jpg")


def test_a_relative_root_becomes_absolute_so_that_the_components_does_not_come_before_it(
    corpus, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    example = read(corpus, images_root="photos")[0]
    assert example.predicted._.image == str(tmp_path / "photos" / "0.jpg")


def repacked(path, change):
    message = srsly.msgpack_loads(zlib.decompress(path.read_bytes()))
    change(message)
    path.write_bytes(zlib.compress(srsly.msgpack_dumps(message)))


@pytest.mark.parametrize(
    "change",
    [
        lambda message: message.update(strings=[]),
        lambda message: message.update(user_data=[b"\xc1"] * 40),
        lambda message: message.update(lengths=message["lengths"][:-1]),
        lambda message: message.update(attrs=[*message["attrs"][1:], 99_999]),
        lambda message: message.update(spaces=message["spaces"][:-2]),
    ],
    ids=["strings", "user data", "lengths", "attributes", "spaces"],
)
def test_a_corpus_that_is_damaged_inside_is_named(corpus, change):
    repacked(corpus, change)
    with pytest.raises(CorpusError, match=r"train\.spacy is not a \.spacy file, or a damaged one"):
        list(read_docs(corpus, spacy.blank("en").vocab))


def test_a_corpus_that_lacks_the_string_of_one_attribute_is_named(tmp_path):
    [doc] = make_docs(1)
    doc[0].norm_ = "a norm of its own"
    write_docs([doc], tmp_path / "x.spacy")
    repacked(tmp_path / "x.spacy", lambda message: message["strings"].remove("a norm of its own"))
    with pytest.raises(CorpusError, match="strings of its tokens are missing"):
        list(read_docs(tmp_path / "x.spacy", spacy.blank("en").vocab))


def test_a_corpus_whose_tags_are_those_of_no_entities_is_named(tmp_path):
    write_docs(make_docs(1), tmp_path / "x.spacy")

    def begin_inside(message):
        tokens = np.frombuffer(message["tokens"], np.uint64).reshape(2, -1).copy()
        tokens[0, message["attrs"].index(ENT_IOB)] = 2
        tokens[1, message["attrs"].index(ENT_IOB)] = 1
        message["tokens"] = tokens.tobytes()

    repacked(tmp_path / "x.spacy", begin_inside)
    with pytest.raises(CorpusError, match=r"x\.spacy .*I without B"):
        read(tmp_path / "x.spacy")
