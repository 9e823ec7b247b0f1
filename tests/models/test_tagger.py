from __future__ import annotations

import pytest
import spacy
import torch
from torch import nn

from spacy_mner.models.tagger import Stage, build_network

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


def test_a_stage_of_another_name_is_refused():
    with pytest.raises(ValueError, match=r"mine\.v1: .*'fusion'.* fuse, encode, decode"):
        Stage("fusion", "mine.v1", nn.Linear)


@pytest.mark.parametrize(
    "lacking", ["embed.a width", "fuse width", "fuse auxiliary_width", "encode width"]
)
def test_an_attribute_that_a_module_of_ones_own_lacks_is_named(lacking):
    def build(place):
        def module(**_):
            built = nn.Identity()
            for name in ("width", "auxiliary_width"):
                if lacking != f"{place} {name}":
                    setattr(built, name, 2)
            return built

        return module

    cfg = {"labels": [], "dims": {"a": {}}}
    place, name = lacking.split()
    with pytest.raises(TypeError, match=f"model.{place} must set {name} .*Identity"):
        build_network(
            cfg,
            embed={"a": build("embed.a")},
            fuse=build("fuse"),
            encode=build("encode"),
            decode=build("decode"),
        )
