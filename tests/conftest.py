"""Docs, images and small trained pipelines that tests share."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
import torch
from PIL import Image
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training import Example

import spacy_mner

# Words that name a car (ORG) in one image and an animal (no entity) in another.
ANIMALS_AND_CARS = ["jaguar", "puma", "lynx", "ram", "viper"]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Tests run in parallel processes: more threads than cores slow one another down."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install '.[dev]'"
    )
    with playwright.sync_playwright() as driver:
        installed = next(filter(None, map(shutil.which, BROWSERS)), driver.chromium.executable_path)
        if not Path(installed).exists():
            pytest.skip(f"no browser: install one of {', '.join(BROWSERS)}")
        browser = driver.chromium.launch(executable_path=installed)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return car_and_animal(tmp_path_factory.mktemp("session") / "images")


def car_and_animal(folder: Path) -> Path:
    """A folder with car.png and animal.png, whose features differ under any encoder."""
    folder.mkdir()
    car = np.zeros((48, 64, 3), np.uint8)
    car[:, ::8] = (250, 30, 30)
    animal = np.full((64, 48, 3), (40, 160, 60), np.uint8)
    animal[::16] = (10, 10, 120)
    Image.fromarray(car).save(folder / "car.png")
    Image.fromarray(animal).save(folder / "animal.png")
    return folder


def make_doc(nlp: Language, words: list[str], image: Any = None, tags: Any = None) -> Doc:
    doc = Doc(nlp.vocab, words=words, ents=tags)
    doc._.image = image
    return doc


def gold_docs(nlp: Language) -> list[Doc]:
    """Fifteen annotated docs, ten of them with an image."""
    docs = []
    for word in ANIMALS_AND_CARS:
        docs.append(make_doc(nlp, ["my", word, "!"], "car.png", ["O", "B-ORG", "O"]))
        docs.append(make_doc(nlp, ["my", word, "!"], "animal.png", ["O", "O", "O"]))
        docs.append(make_doc(nlp, ["hi", "Bob", "Dylan", word], None, ["O", "B-PER", "I-PER", "O"]))
    return docs


def examples_of(docs: list[Doc]) -> list[Example]:
    examples = []
    for reference in docs:
        predicted = Doc(reference.vocab, words=[token.text for token in reference])
        spacy_mner.extensions.copy_image(reference, predicted)
        examples.append(Example(predicted, reference))
    return examples


@pytest.fixture(scope="session")
def small_model() -> dict[str, Any]:
    """The `model` block of a tagger that trains in a second or two."""
    return {
        "@architectures": "spacy_mner.MultimodalTagger.v1",
        "embed": {
            "word": {"@architectures": "spacy_mner.WordVectors.v1", "width": 16},
            "char": {
                "@architectures": "spacy_mner.CharBiLSTM.v1",
                "width": 16,
                "character_width": 8,
            },
            "image": {
                "@architectures": "spacy_mner.ImageEmbedding.v1",
                "width": 16,
                "dropout": 0.3,
                "bottleneck": None,
                "encoder": {"@image_encoders": "spacy_mner.EfficientNetLite.v1"},
            },
        },
        "fuse": {
            "@architectures": "spacy_mner.ModalityAttention.v1",
            "bounded": True,
            "combine": "sum",
            "skip_unknown": False,
            "dropout": 0.1,
        },
        "encode": {"@architectures": "spacy_mner.BiLSTM.v1", "hidden_width": 12},
        "decode": {"@architectures": "spacy_mner.CRF.v1"},
    }


# The stages of a small cross-modal network, in place of those of `small_model`.
CROSS_MODAL: dict[str, Any] = {
    "fuse": {
        "@architectures": "spacy_mner.CrossModal.v1",
        "width": 16,
        "heads": 2,
        "feedforward": 32,
    },
    "encode": {"@architectures": "spacy_mner.NoEncoder.v1"},
}


def train(nlp: Language, examples: list[Example], steps: int = 60, seed: int = 0) -> None:
    spacy.util.fix_random_seed(seed)
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.02
    shuffled = list(examples)
    for _ in range(steps):
        random.shuffle(shuffled)
        nlp.update(shuffled, sgd=optimizer)


def accumulated_gradients(nlp: Language, parts: list[list[Example]]) -> dict[Any, np.ndarray]:
    """The component's gradients by parameter, accumulated over batches; the weights stay."""
    gradients = {}

    def record(key: Any, weights: Any, gradient: Any) -> tuple[Any, Any]:
        gradients[key] = gradient.copy()
        gradient.fill(0.0)
        return weights, gradient

    for part in parts:
        nlp.update(part, sgd=False)
    nlp.get_pipe("multimodal_ner").finish_update(record)
    return gradients


def disable_dropout(nlp: Language) -> None:
    for module in nlp.get_pipe("multimodal_ner").model.shims[0].network.modules():
        if hasattr(module, "p"):
            module.p = 0.0


def make_pipeline(model: dict[str, Any], images: Path) -> Language:
    """A pipeline that is not initialized."""
    nlp = spacy.blank("en")
    config = {"model": model, "images_root": str(images), "annotate_attention": True}
    nlp.add_pipe("multimodal_ner", config=config)
    return nlp


@pytest.fixture
def untrained(small_model: dict[str, Any], images: Path) -> Language:
    return make_pipeline(small_model, images)


def trained_model(model: dict[str, Any], images: Path, steps: int) -> tuple[Any, bytes]:
    nlp = make_pipeline(model, images)
    train(nlp, examples_of(gold_docs(nlp)), steps)
    return nlp.config, nlp.to_bytes()


@pytest.fixture(scope="session")
def trained_bytes(small_model: dict[str, Any], images: Path) -> tuple[Any, bytes]:
    return trained_model(small_model, images, steps=60)


@pytest.fixture
def trained(trained_bytes: tuple[Any, bytes]) -> Language:
    """A trained pipeline, fresh for each test."""
    config, data = trained_bytes
    return spacy.util.load_model_from_config(config).from_bytes(data)


@pytest.fixture(scope="session")
def cross_modal_bytes(small_model: dict[str, Any], images: Path) -> tuple[Any, bytes]:
    image = dict(small_model["embed"]["image"])
    image["encoder"] = {**image["encoder"], "regions": "grid"}
    model = {**small_model, "embed": {**small_model["embed"], "image": image}, **CROSS_MODAL}
    return trained_model(model, images, steps=20)


@pytest.fixture
def cross_modal_pipeline(cross_modal_bytes: tuple[Any, bytes]) -> Language:
    """A pipeline trained with `CrossModal.v1` over 7 x 7 image regions, fresh for each test."""
    config, data = cross_modal_bytes
    return spacy.util.load_model_from_config(config).from_bytes(data)


@pytest.fixture
def corpus_path(tmp_path: Path) -> Path:
    """`gold_docs` as a .spacy file."""
    docs = gold_docs(spacy.blank("en"))
    DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "corpus.spacy")
    return tmp_path / "corpus.spacy"
