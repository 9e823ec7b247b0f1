"""Pipelines whose encoders ONNX Runtime computes."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import spacy
import torch
from spacy.language import Language
from spacy.tokens import Doc
from typer.testing import CliRunner

from spacy_mner.cli.app import app
from spacy_mner.errors import LoadingError, UsageError
from spacy_mner.pipeline.optimize import optimize
from spacy_mner.training.optimizers import AdamW
from spacy_mner.utils import onnx_session

from ..conftest import examples_of, gold_docs, make_doc, make_pipeline
from ..encoders import write_bert, write_roberta
from ..image_models import ColorNames  # noqa: F401  registers its reader

for package in ("transformers", "onnxruntime", "onnx", "onnxscript"):
    pytest.importorskip(package)

NAME = "multimodal_ner"
IMAGE = {
    "@architectures": "spacy_mner.ImageEmbedding.v1",
    "width": 32,
    "encoder": {"@image_encoders": "spacy_mner.EfficientNetLite.v1", "runtime": "torch"},
}


def pipeline(encoder: Path, images: Path) -> Language:
    text = {"@architectures": "spacy_mner.Transformer.v1", "name": str(encoder), "context": True}
    model = {
        "@architectures": "spacy_mner.MultimodalTagger.v1",
        "embed": {"text": text, "image": copy.deepcopy(IMAGE)},
        "fuse": {"@architectures": "spacy_mner.Concatenate.v1", "dropout": 0.1},
        "encode": {"@architectures": "spacy_mner.NoEncoder.v1"},
        "decode": {"@architectures": "spacy_mner.CRF.v1"},
    }
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.add_pipe(NAME, config={"model": model, "images_root": str(images)})
    return nlp


def train(nlp: Language, steps: int = 40) -> Language:
    torch.manual_seed(0)
    examples = examples_of(gold_docs(nlp))
    nlp.initialize(lambda: examples)
    optimizer = AdamW(0.02, encoder_learn_rate=0.005)
    for _ in range(steps):
        nlp.update(examples, sgd=optimizer)
    nlp.get_pipe(NAME).threshold = 0.1
    return nlp


ROBERTA = pytest.param(write_roberta, id="roberta", marks=pytest.mark.slow)


@pytest.fixture(scope="module", params=[pytest.param(write_bert, id="bert"), ROBERTA])
def trained(request, tmp_path_factory: pytest.TempPathFactory, images: Path) -> Language:
    """Its encoder's folder is gone: everything that is needed is in the pipeline."""
    folder = request.param(tmp_path_factory.mktemp("encoder") / "encoder")
    nlp = train(pipeline(folder, images))
    shutil.rmtree(folder)
    return nlp


@pytest.fixture(scope="module")
def exact(trained: Language) -> Language:
    return optimize(trained, "float32")


@pytest.fixture(scope="module")
def quantized(trained: Language) -> Language:
    return optimize(trained)


@pytest.fixture(scope="module")
def image_alone(trained_bytes) -> Language:
    """Its image encoder is all that is optimized."""
    return optimize(loaded(trained_bytes))


def loaded(saved: tuple[Any, bytes]) -> Language:
    config, data = saved
    return spacy.util.load_model_from_config(config).from_bytes(data)


def image_encoder(nlp: Language) -> Any:
    return nlp.get_pipe(NAME).model.attrs["featurizers"].by_name["image"].encoder


def posts(nlp: Language) -> list[Doc]:
    docs = [*gold_docs(nlp), make_doc(nlp, []), make_doc(nlp, ["hi", "\u200b", "Bob"] * 50)]
    for doc in docs:
        doc.ents = []
    docs[0]._.image_text = "a dog"
    return docs


def entities(doc: Doc) -> list[tuple[int, int, str]]:
    return [(entity.start, entity.end, entity.label_) for entity in doc.ents]


def found(nlp: Language, **settings: Any) -> list[list[tuple[int, int, str]]]:
    return [entities(doc) for doc in nlp.pipe(posts(nlp), batch_size=4, **settings)]


def test_float32_predicts_the_same_with_the_same_probabilities(trained, exact):
    assert any(found(trained))
    assert found(exact) == found(trained)
    pairs = zip(trained.pipe(posts(trained)), exact.pipe(posts(exact)), strict=True)
    for expected, doc in pairs:
        scores = [entity._.score for entity in expected.ents]
        assert [entity._.score for entity in doc.ents] == pytest.approx(scores, abs=1e-3)


def test_int8_finds_nearly_the_same(trained, quantized):
    pairs = list(zip(found(quantized), found(trained), strict=True))
    assert sum(one == other for one, other in pairs) >= len(pairs) - 2


def test_int8_finds_the_same_in_any_batch(quantized):
    one_by_one = [entities(doc) for doc in quantized.pipe(posts(quantized), batch_size=1)]
    assert any(one_by_one) and one_by_one == found(quantized)


def test_everything_else_stays_as_it_is(trained, exact):
    assert exact.pipe_names == trained.pipe_names
    assert exact.meta["name"] == trained.meta["name"]
    component = exact.get_pipe(NAME)
    assert component.labels == trained.get_pipe(NAME).labels
    assert component.threshold == 0.1
    embed = exact.config["components"][NAME]["model"]["embed"]
    assert embed["text"]["@architectures"] == "spacy_mner.OnnxTransformer.v1"
    assert embed["image"]["encoder"]["runtime"] == "onnx"
    original = trained.config["components"][NAME]["model"]["embed"]
    assert original["text"]["@architectures"] == "spacy_mner.Transformer.v1"


def test_a_saved_pipeline_is_whole(quantized, tmp_path):
    quantized.to_disk(tmp_path / "model")
    assert found(spacy.load(tmp_path / "model")) == found(quantized)
    again = spacy.util.load_model_from_config(quantized.config).from_bytes(quantized.to_bytes())
    assert found(again) == found(quantized)


def test_the_meta_requires_what_running_needs(quantized, image_alone):
    both = [
        f"{name}{bound}" for name, bound in (("onnxruntime", ">=1.22"), ("tokenizers", ">=0.21"))
    ]
    assert quantized.meta["requirements"] == both
    assert image_alone.meta["requirements"] == both[:1]


def test_requirements_that_a_pipeline_has_are_kept(trained_bytes):
    nlp = loaded(trained_bytes)
    nlp.meta["requirements"] = ["spacy-mner>=0.1.0", "onnxruntime==1.22"]
    assert optimize(nlp).meta["requirements"] == nlp.meta["requirements"]


WITHOUT_PACKAGES = """
import sys
import spacy
spacy.blank("en")  # imports the packages with components, spacy-transformers among them
sys.modules.update(dict.fromkeys(["transformers", "onnx", "onnxscript"]))  # import fails
nlp = spacy.load(sys.argv[1])
doc = nlp.make_doc("hi Bob Dylan jaguar")
doc._.image = "car.png"
print([(entity.start, entity.end, entity.label_) for entity in nlp(doc).ents])
"""


def test_running_needs_neither_transformers_nor_onnx(quantized, tmp_path):
    quantized.to_disk(tmp_path / "model")
    command = [sys.executable, "-c", WITHOUT_PACKAGES, str(tmp_path / "model")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    doc = quantized.make_doc("hi Bob Dylan jaguar")
    doc._.image = "car.png"
    assert result.stdout.strip() == str(entities(quantized(doc)))


def test_components_beside_the_tagger_stay_as_they_are(trained_bytes, images, tmp_path):
    nlp = loaded(trained_bytes)
    folder = {"images_root": str(images)}
    reader = {"@image_readers": "tests.ColorNames.v1"}
    nlp.add_pipe("image_text", config={"reader": reader}, first=True).images_root = images
    nlp.add_pipe("image_objects", config={"detector": {"threshold": 0.0}, **folder}, first=True)
    ruler = nlp.add_pipe("entity_ruler", name="off")
    ruler.add_patterns([{"label": "X", "pattern": "hi"}])
    nlp.disable_pipe("off")
    optimize(nlp).to_disk(tmp_path / "model")
    optimized = spacy.load(tmp_path / "model")
    assert optimized.component_names == nlp.component_names
    assert optimized.disabled == nlp.disabled == ["off"]
    assert found(optimized) == found(nlp)
    doc = make_doc(optimized, ["hi"], "car.png")
    assert optimized(doc)._.image_text == "red"
    assert len(doc._.image_objects) > 0
    optimized.enable_pipe("off")
    assert [entity.label_ for entity in optimized(make_doc(optimized, ["hi"])).ents] == ["X"]


def test_a_disabled_tagger_is_optimized(trained_bytes):
    nlp = loaded(trained_bytes)
    nlp.disable_pipe(NAME)
    optimized = optimize(nlp)
    assert optimized.disabled == [NAME]
    optimized.enable_pipe(NAME)
    nlp.enable_pipe(NAME)
    assert image_encoder(optimized).runtime == "onnx"
    assert found(optimized) == found(nlp)


def test_a_pickled_or_copied_network_predicts_the_same(quantized):
    encoder = quantized.get_pipe(NAME).model.shims[0].network.embed["text"].encoder
    inputs = {"input_ids": torch.tensor([[1, 2]]), "attention_mask": torch.ones(1, 2).long()}
    if "bert" in str(quantized.get_pipe(NAME).model.shims[0].cfg["dims"]["text"]["config"]):
        inputs["token_type_ids"] = torch.zeros(1, 2).long()
    inputs = {name: value for name, value in inputs.items() if name in names_of(encoder)}
    expected = encoder.eval()(**inputs).last_hidden_state
    for copied in (pickle.loads(pickle.dumps(encoder)), copy.deepcopy(encoder)):
        assert torch.equal(copied(**inputs).last_hidden_state, expected)
        assert copied._session is not encoder._session


def names_of(encoder: Any) -> set[str]:
    return {one.name for one in encoder._session._sessions.current().get_inputs()}


def test_threads_predict_the_same(quantized):
    expected = found(quantized)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: found(quantized), range(4))) == [expected] * 4


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_predict_the_same(quantized, method, monkeypatch):
    expected = found(quantized)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    before = multiprocessing.get_start_method()
    multiprocessing.set_start_method(method, force=True)
    try:
        assert found(quantized, n_process=2) == expected
    finally:
        multiprocessing.set_start_method(before, force=True)


def test_training_is_refused(quantized):
    check_training_is_refused(quantized)


def test_training_is_refused_where_the_image_encoder_alone_is_optimized(image_alone):
    check_training_is_refused(image_alone)


def check_training_is_refused(nlp):
    examples = examples_of(gold_docs(nlp))
    before = found(nlp)
    component = nlp.get_pipe(NAME)
    for train_it in (
        lambda: nlp.update(examples, sgd=AdamW()),
        lambda: nlp.initialize(lambda: examples),
        lambda: component.initialize(lambda: examples, labels=component.label_data),
    ):
        with pytest.raises(UsageError, match="then optimize again"):
            train_it()
    assert found(nlp) == before


def test_the_config_of_an_optimized_pipeline_does_not_train_from_scratch(quantized):
    config = quantized.config
    nlp = spacy.util.load_model_from_config(config)
    with pytest.raises(UsageError, match="then optimize again"):
        nlp.initialize(lambda: examples_of(gold_docs(nlp)))


def test_a_config_from_scratch_with_the_runtime_onnx_names_the_runtime(small_model, images):
    model = copy.deepcopy(small_model)
    model["embed"]["image"]["encoder"]["runtime"] = "onnx"
    nlp = make_pipeline(model, images)
    with pytest.raises(UsageError, match='Set runtime = "auto"'):
        nlp.initialize(lambda: examples_of(gold_docs(nlp)))


def test_an_image_encoder_alone_is_optimized(trained_bytes, image_alone):
    assert found(image_alone) == found(loaded(trained_bytes))
    assert image_encoder(image_alone).runtime == "onnx"
    with pytest.raises(UsageError, match="nothing to optimize"):
        optimize(image_alone)


def test_an_image_encoder_with_saved_weights_is_converted(images, tmp_path):
    image = {**IMAGE, "encoder": {"@image_encoders": "spacy_mner.Torchvision.v1"}}
    image["encoder"].update(model="squeezenet1_1", regions="grid")
    model = {
        "@architectures": "spacy_mner.MultimodalTagger.v1",
        "embed": {"char": {"@architectures": "spacy_mner.CharCNN.v1", "width": 32}, "image": image},
        "fuse": {"@architectures": "spacy_mner.Concatenate.v1", "dropout": 0.1},
        "encode": {"@architectures": "spacy_mner.NoEncoder.v1"},
        "decode": {"@architectures": "spacy_mner.CRF.v1"},
    }
    nlp = spacy.blank("en")
    nlp.add_pipe(NAME, config={"model": model, "images_root": str(images)})
    optimized = optimize(train(nlp))
    optimized.to_disk(tmp_path / "model")
    again = spacy.load(tmp_path / "model")
    block = again.config["components"][NAME]["model"]["embed"]["image"]["encoder"]
    assert block == {"@image_encoders": "spacy_mner.OnnxEncoder.v1", "regions": "grid"}
    assert any(found(nlp))
    assert found(again) == found(optimized) == found(nlp)
    examples = examples_of(gold_docs(optimized))
    with pytest.raises(UsageError, match="then optimize again"):
        optimized.update(examples, sgd=AdamW())
    with pytest.raises(UsageError, match="then optimize again"):
        optimized.initialize(lambda: examples)
    with pytest.raises(UsageError, match="nothing to optimize"):
        optimize(optimized)


def test_a_pipeline_without_an_encoder_is_refused():
    with pytest.raises(UsageError, match="nothing to optimize"):
        optimize(spacy.blank("en"))


def test_the_command_writes_a_pipeline(trained, tmp_path):
    trained.to_disk(tmp_path / "model")
    arguments = ["optimize", str(tmp_path / "model"), str(tmp_path / "fast")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert found(spacy.load(tmp_path / "fast"))
    assert CliRunner().invoke(app, arguments).exit_code == 1  # the folder exists
    exact = [*arguments, "--force", "--text-encoder", "float32"]
    assert CliRunner().invoke(app, exact).exit_code == 0
    assert found(spacy.load(tmp_path / "fast")) == found(trained)


def test_a_pipeline_is_not_replaced_by_its_optimized_form(trained, tmp_path):
    trained.to_disk(tmp_path / "model")
    (tmp_path / "link").symlink_to(tmp_path / "model")
    arguments = ["optimize", str(tmp_path / "model"), str(tmp_path / "link"), "--force"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1 and "is the input" in " ".join(result.output.split())


def test_a_missing_onnx_runtime_is_reported_with_the_extra(quantized, tmp_path, monkeypatch):
    quantized.to_disk(tmp_path / "model")
    monkeypatch.setattr(onnx_session, "find_spec", lambda name: None)
    with pytest.raises((UsageError, LoadingError), match=r"spacy-mner\[onnx\]"):
        spacy.load(tmp_path / "model")
