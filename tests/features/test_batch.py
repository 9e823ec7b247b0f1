from __future__ import annotations

import spacy
from hypothesis import given
from hypothesis import strategies as st

from spacy_mner.features.batch import PostBatch, batch_by_padded_size

NLP = spacy.blank("xx")


@given(lengths=st.lists(st.integers(0, 60), max_size=40), budget=st.integers(1, 200))
def test_every_post_is_in_one_group_and_groups_of_several_posts_within_the_budget(lengths, budget):
    groups = batch_by_padded_size(lengths, budget)
    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    for group in groups:
        padded = len(group) * max(lengths[index] for index in group)
        assert padded <= budget or len(group) == 1


@given(texts=st.lists(st.text(alphabet="ab \u200b🎸", max_size=12), min_size=1, max_size=6))
def test_tokens_are_indices_of_the_distinct_texts(texts):
    docs = [NLP.make_doc(text) for text in texts]
    batch = PostBatch.from_docs(docs)
    words = batch.words
    assert len(set(words)) == len(words)
    assert [words[i] for i in batch.token] == [token.text for doc in docs for token in doc]
    assert batch.lengths.tolist() == [len(doc) for doc in docs]
