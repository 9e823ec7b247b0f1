from __future__ import annotations

import pytest
import spacy
import torch

from ..conftest import CROSS_MODAL, examples_of, gold_docs


@pytest.fixture
def cross_modal(small_model, images):
    """A model whose fuser attends to regions, and posts for it."""
    nlp = spacy.blank("en")
    model = {**small_model, "fuse": CROSS_MODAL["fuse"]}
    config = {"model": model, "images_root": str(images)}
    pipe = nlp.add_pipe("multimodal_ner", config=config)
    examples = examples_of(gold_docs(nlp))
    nlp.initialize(lambda: examples)
    return pipe.model, [example.predicted for example in examples]


def test_attention_to_regions_is_returned_in_prediction_where_it_is_requested(cross_modal):
    model, docs = cross_modal
    plain = model.predict(docs)
    assert plain.region_attention == {}
    model.attrs["annotate_attention"] = True
    annotated = model.predict(docs)
    assert torch.allclose(annotated.potentials.emissions, plain.potentials.emissions, atol=1e-5)
    weights = annotated.region_attention["image"]
    has_image = torch.tensor([doc._.image is not None for doc in docs for _ in doc])
    assert has_image.any() and not has_image.all()
    assert torch.allclose(weights.sum(1), has_image.float(), atol=1e-5)
    n_regions = annotated.regions["image"].sum(1).tolist()
    assert n_regions == [int(doc._.image is not None) for doc in docs]
    output, _ = model(docs, is_train=True)
    assert output.region_attention == {}
