from __future__ import annotations

from collections import Counter

import pytest
import spacy
from spacy.tokens import Doc
from spacy.util import registry
from thinc.api import Config

from spacy_mner.corpus.docbin import write_docs
from spacy_mner.errors import UsageError

NLP = spacy.blank("xx")
CONFIG = """
[corpora]
[corpora.train]
@readers = "spacy_mner.SeveralCorpora.v1"
weights = {weights}
[corpora.train.corpora]
[corpora.train.corpora.a]
@readers = "spacy_mner.MultimodalCorpus.v1"
path = "{folder}/a.spacy"
[corpora.train.corpora.b]
@readers = "spacy_mner.MultimodalCorpus.v1"
path = "{folder}/b.spacy"
"""


@pytest.fixture
def counts(tmp_path):
    """Read two corpora, and count the posts of each."""
    for name, n in (("a", 100), ("b", 50)):
        docs = [Doc(NLP.vocab, words=[name, str(i)], ents=["B-PER", "O"]) for i in range(n)]
        for doc in docs:
            doc._.annotated_labels = ["PER"] if name == "a" else None
        write_docs(docs, tmp_path / f"{name}.spacy")

    def read(weights):
        config = Config().from_str(CONFIG.format(weights=weights, folder=tmp_path))
        reader = registry.resolve(config)["corpora"]["train"]
        references = [example.reference for example in reader(NLP)]
        assert references == [] or [d.text for d in references] == [
            example.reference.text for example in reader(NLP)
        ]
        assert all((doc._.annotated_labels is None) == (doc[0].text == "b") for doc in references)
        return Counter(doc[0].text for doc in references)

    return read


@pytest.mark.parametrize(
    "weights, expected",
    [
        ("null", {"a": 100, "b": 50}),
        ('{"a": 0, "b": 3}', {"b": 150}),
        ('{"a": 2.0}', {"a": 200, "b": 50}),
    ],
)
def test_an_epoch_contains_each_corpus_by_its_weight(counts, weights, expected):
    assert counts(weights) == expected


def test_a_fraction_of_a_weight_is_a_sample_of_the_posts(counts):
    n = counts('{"a": 1.5}')
    assert n["b"] == 50
    assert 130 <= n["a"] <= 170


@pytest.mark.parametrize("weights", ['{"c": 1.0}', '{"a": -1.0}'])
def test_a_weight_of_no_corpus_or_below_0_is_refused(counts, weights):
    with pytest.raises(UsageError, match="weights"):
        counts(weights)
