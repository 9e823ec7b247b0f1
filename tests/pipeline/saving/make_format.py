"""Writes the fixture of the present format: `python -m tests.pipeline.saving.make_format`.

Run once for a new format, in a temporary clone of the release that writes it; never again: a later
release must load these files as they are.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import spacy
import srsly
from spacy.tokens import Doc

from spacy_mner.pipeline.saving import FORMAT

from ...conftest import car_and_animal, examples_of, gold_docs, train
from ...encoders import write_bert, write_vision
from .pipelines import NAME, set_vectors, table

FORMATS = Path(__file__).parent / "formats"
WIDTH = 16


def block(registered: str, version: int = 1, **arguments: Any) -> dict[str, Any]:
    return {"@architectures": f"spacy_mner.{registered}.v{version}", **arguments}


def image(regions: str, encoder: str = "EfficientNetLite", **settings: Any) -> dict[str, Any]:
    name = f"spacy_mner.{encoder}.v1"
    arguments = {"@image_encoders": name, "regions": regions, **settings}
    return block("ImageEmbedding", width=WIDTH, bottleneck=8, encoder=arguments)


def attention_model() -> dict[str, Any]:
    embed = {
        "word": block("WordVectors", width=WIDTH),
        "char": block("CharBiLSTM", width=WIDTH, character_width=8),
        "cnn": block("CharCNN", width=WIDTH, character_width=8),
        "image": image("global"),
    }
    return block(
        "MultimodalTagger",
        embed=embed,
        fuse=block("ModalityAttention"),
        encode=block("BiLSTM", hidden_width=8),
        decode=block("CRF"),
    )


def vision_model(folder: Path) -> dict[str, Any]:
    """A network that sees the images, with an encoder whose weights the pipeline holds."""
    embed = {
        "word": block("WordVectors", width=WIDTH),
        "image": image("grid", "HuggingFaceVision", name=str(folder)),
    }
    return {**attention_model(), "embed": embed, "saved_precision": "float16"}


def cross_modal_model(encoder: Path) -> dict[str, Any]:
    embed = {
        "text": block("Transformer", name=str(encoder), context=True, max_length=64),
        "augmentation": block("SemanticAugmentation", width=WIDTH, n=2),
        "image": image("grid"),
        "objects": block("ObjectEmbedding", version=2, width=WIDTH),
    }
    return block(
        "MultimodalTagger",
        embed=embed,
        fuse=block("CrossModal", width=WIDTH, heads=2, feedforward=32),
        encode=block("CoupledBiLSTM", hidden_width=8),
        decode=block("CRF", segmentation="bio"),
    )


def posts(nlp: spacy.Language) -> list[Doc]:
    docs = gold_docs(nlp)
    for doc in docs:
        if doc._.image is not None:
            doc._.image_objects = [doc._.image.removesuffix(".png")]
            doc._.image_text = f"a photo of a {doc._.image.removesuffix('.png')}"
    return docs


def answers(nlp: spacy.Language) -> list[Any]:
    docs = [Doc(nlp.vocab, words=[token.text for token in doc]) for doc in posts(nlp)]
    for doc, gold in zip(docs, posts(nlp), strict=True):
        for name in ("image", "image_objects", "image_text"):
            doc._.set(name, gold._.get(name))
    component = nlp.get_pipe(NAME)
    return [
        {
            "entities": [[e.start, e.end, e.label_, round(e._.score, 4)] for e in doc.ents],
            "image_status": doc._.image_status,
        }
        for doc in component.pipe(docs)
    ]


def main() -> None:
    folder = FORMATS / f"format{FORMAT}"
    with tempfile.TemporaryDirectory() as temporary:
        images = car_and_animal(Path(temporary) / "images")
        encoder = write_bert(Path(temporary) / "encoder")
        vision = write_vision(Path(temporary) / "vision", "clip")
        for name, model in {
            "attention": attention_model(),
            "cross_modal": cross_modal_model(encoder),
            "vision": vision_model(vision),
        }.items():
            nlp = spacy.blank("en")
            set_vectors(nlp.vocab, table())
            nlp.add_pipe(NAME, config={"model": model, "images_root": str(images)})
            nlp.initialize(lambda nlp=nlp: examples_of(posts(nlp)))
            train(nlp, examples_of(posts(nlp)), steps=120)
            nlp.get_pipe(NAME).images_root = None
            shutil.rmtree(folder / name, ignore_errors=True)
            (folder / name).mkdir(parents=True)
            nlp.to_disk(folder / name / "model")
            nlp.get_pipe(NAME).images_root = images
            srsly.write_json(folder / name / "answers.json", answers(nlp))


if __name__ == "__main__":
    main()
