"""spaCy's own commands, each in a fresh interpreter that has not imported us."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import spacy
from spacy.tokens import DocBin
from spacy.util import load_config

from spacy_mner.corpus.docbin import read_docs

from ..conftest import gold_docs
from ..encoders import write_bert

CONFIGS = Path(__file__).parents[2] / "configs"
CONFIG = CONFIGS / "mner.cfg"
# Few and narrow layers, few steps: these tests are about the commands.
SMALL = [
    "--components.multimodal_ner.model.embed.word.width=16",
    "--components.multimodal_ner.model.embed.char.width=16",
    "--components.multimodal_ner.model.embed.image.width=16",
    "--components.multimodal_ner.model.encode.hidden_width=12",
    "--training.max_epochs=0",
    "--training.max_steps=30",
    "--training.eval_frequency=10",
]
TWO_STEPS = ["--training.max_epochs=0", "--training.max_steps=2", "--training.eval_frequency=2"]
STREAMED = ["--training.max_epochs=-1", *TWO_STEPS[1:]]


def run(*arguments: str | Path, cwd: Path | None = None) -> str:
    result = subprocess.run(
        [sys.executable, "-m", *map(str, arguments)], capture_output=True, text=True, cwd=cwd
    )
    output = result.stdout + result.stderr
    assert result.returncode == 0, output
    return output


def output_of(program: str, cwd: Path | None = None) -> str:
    """What a program prints in a fresh interpreter."""
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, cwd=cwd)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "corpus.spacy"
    # `debug data` calls less than a hundred posts an error.
    docs = gold_docs(spacy.blank("en")) * 8
    DocBin(docs=docs, store_user_data=True).to_disk(path)
    return path


@pytest.fixture(scope="module")
def paths(corpus: Path, images: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return [
        f"--paths.train={corpus}",
        f"--paths.dev={corpus}",
        f"--paths.images_root={images}",
        f"--paths.image_cache={tmp_path_factory.mktemp('cache')}",
    ]


@pytest.fixture(scope="module")
def model(paths: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("training")
    log = run("spacy", "train", CONFIG, "--output", output, *paths, *SMALL)
    assert "Saved pipeline to output directory" in log
    return output / "model-best"


def test_the_component_is_found_without_an_import():
    program = (
        "import spacy; nlp = spacy.blank('en'); nlp.add_pipe('multimodal_ner');"
        "print(nlp.pipe_names)"
    )
    assert output_of(program) == "['multimodal_ner']"


def test_importing_the_package_or_its_encoders_imports_no_heavy_library():
    program = """
import sys, spacy_mner
print(sorted({"PIL", "spacy_mner.pipeline.multimodal_ner"} & set(sys.modules)))
import spacy_mner.images.encoders.efficientnet_lite, spacy_mner.images.encoders.torchvision_encoder
print(sorted({"torchvision", "transformers", "efficientnet_lite_pytorch"} & set(sys.modules)))
"""
    assert output_of(program) == "[]\n[]"


def test_a_trained_pipeline_is_loaded_and_predicts(model: Path, images: Path):
    nlp = spacy.load(model)
    doc = nlp.make_doc("hi Bob Dylan jaguar")
    doc._.image = images / "car.png"
    assert nlp(doc)._.image_status == "used"
    assert set(nlp.get_pipe("multimodal_ner").labels) == {"ORG", "PER"}


@pytest.mark.slow
def test_a_relative_images_root_finds_the_images_in_training_and_evaluation(
    corpus: Path, images: Path, tmp_path: Path
):
    data = [f"--paths.train={corpus}", f"--paths.dev={corpus}", "--paths.images_root=images"]
    (tmp_path / "images").symlink_to(images)
    log = run("spacy", "train", CONFIG, "--output", "out", *data, *SMALL, cwd=tmp_path)
    assert "masked" not in log
    options = ["--images-root", "images", "--output", "scores.json"]
    run("spacy", "mner", "evaluate", "out/model-last", corpus, *options, cwd=tmp_path)
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["image_status"] == {"used": 80, "absent": 40}


@pytest.mark.slow
def test_training_resumes_from_a_sourced_checkpoint(model: Path, paths: list[str], tmp_path: Path):
    config = load_config(CONFIG)
    config["components"]["multimodal_ner"] = {"source": str(model)}
    config.to_disk(tmp_path / "more.cfg")
    kept = [argument for argument in paths if "image_cache" not in argument]
    run("spacy", "train", tmp_path / "more.cfg", "--output", tmp_path / "out", *kept, *TWO_STEPS)
    assert spacy.load(tmp_path / "out" / "model-last").pipe_names == ["multimodal_ner"]


@pytest.mark.slow
def test_init_config_and_fill_config_give_a_trainable_config(
    corpus: Path, images: Path, tmp_path: Path
):
    path, filled = tmp_path / "made.cfg", tmp_path / "filled.cfg"
    run("spacy", "init", "config", path, "--pipeline", "multimodal_ner", "--force")
    run("spacy", "init", "fill-config", path, filled)
    model = load_config(filled)["components"]["multimodal_ner"]["model"]
    assert model == {"@architectures": "spacy_mner.DefaultTagger.v1"}
    data = [f"--paths.train={corpus}", f"--paths.dev={corpus}"]
    log = run("spacy", "train", filled, *data, *TWO_STEPS)
    assert log.count("spacy_mner.MultimodalCorpus.v1") == 1


@pytest.mark.parametrize("name", ["mner.cfg", "mner_trf.cfg", "mner_cross_modal.cfg"])
def test_our_configs_are_what_fill_config_would_make_of_them(name: str, tmp_path: Path):
    run("spacy", "init", "fill-config", CONFIGS / name, tmp_path / "filled.cfg")
    assert dict(load_config(CONFIGS / name)) == dict(load_config(tmp_path / "filled.cfg"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "attribute", "n_regions"),
    [("mner_trf", "modality_attention", ()), ("mner_cross_modal", "image_attention", (49,))],
)
def test_a_transformer_config_trains_on_real_images(
    name: str, attribute: str, n_regions: tuple[int, ...], tmp_path: Path
):
    pytest.importorskip("transformers")
    assets = CONFIGS.parent / "assets"
    lines = (assets / "train.jsonl").read_text(encoding="utf-8").splitlines()[:24]
    (tmp_path / "posts.jsonl").write_text("\n".join(lines), encoding="utf-8")
    posts = tmp_path / "posts.spacy"
    run("spacy", "mner", "convert", tmp_path / "posts.jsonl", posts, "--images-root", assets)
    encoder = write_bert(tmp_path / "bert")
    run(
        *("spacy", "train", CONFIGS / f"{name}.cfg", "--output", tmp_path / "out"),
        *(f"--paths.train={posts}", f"--paths.dev={posts}", f"--paths.images_root={assets}"),
        *(f"--paths.image_cache={tmp_path / 'cache'}", f"--paths.encoder={encoder}"),
        "--components.multimodal_ner.model.embed.text.max_length=64",
        *("--training.max_steps=4", "--training.eval_frequency=2"),
    )
    shutil.rmtree(encoder)
    nlp = spacy.load(tmp_path / "out" / "model-last")
    assert nlp.resume_training().schedules.keys() == {"learn_rate", "encoder_learn_rate"}
    nlp.get_pipe("multimodal_ner").images_root = assets
    doc = next(doc for doc in read_docs(posts, nlp.vocab) if doc._.image)
    weights = nlp(doc)._.get(attribute)["image"]
    assert weights.shape == (len(doc), *n_regions) and weights.min() > 0


@pytest.mark.slow
def test_init_labels_writes_what_initialize_reads(paths: list[str], tmp_path: Path):
    run("spacy", "init", "labels", CONFIG, tmp_path / "labels", *paths)
    label_file = tmp_path / "labels" / "multimodal_ner.json"
    assert label_file.is_file()
    text = CONFIG.read_text().replace(
        "[initialize.tokenizer]",
        "[initialize.components.multimodal_ner.labels]\n"
        f'@readers = "spacy.read_labels.v1"\npath = "{label_file}"\n\n[initialize.tokenizer]',
    )
    (tmp_path / "with_labels.cfg").write_text(text)
    run("spacy", "train", tmp_path / "with_labels.cfg", *paths, *SMALL[:4], *STREAMED)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["config", "data"])
def test_debug_commands_report_no_problems(command: str, paths: list[str]):
    log = run("spacy", "debug", command, CONFIG, *paths)
    assert "✘" not in log


@pytest.mark.slow
def test_debug_model_runs_through(paths: list[str]):
    log = run("spacy", "debug", "model", CONFIG, "multimodal_ner", *paths, *SMALL[:4])
    assert "model looks good" in log


@pytest.mark.slow
def test_a_package_is_installed_and_loaded(model: Path, tmp_path: Path):
    run("spacy", "package", model, tmp_path, "--name", "posts", "--build", "sdist")
    archive = next(tmp_path.rglob("*.tar.gz"))
    pip = ["pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    run(*pip, "--target", tmp_path / "site", archive)
    program = "import en_posts; print(en_posts.load().pipe_names)"
    assert output_of(program, cwd=tmp_path / "site") == "['multimodal_ner']"
