from __future__ import annotations

import pytest
import spacy
import torch

from spacy_mner.errors import CorpusError
from spacy_mner.experiments import requirements
from spacy_mner.experiments.data import hash_vectors
from spacy_mner.experiments.requirements import check_encoder, check_gpu, check_text_encoder
from spacy_mner.experiments.systems import system_config


def with_weights(path):
    config = system_config("wcv-attention", "paper")
    image = config["components"]["multimodal_ner"]["model"]["embed"]["image"]
    image["encoder"]["weights"] = str(path)
    return config


def test_an_encoder_that_works_is_none_to_speak_of():
    check_encoder(system_config("wcv-attention"))
    check_encoder(system_config("w"))


def test_an_encoder_without_its_weights_names_the_option(tmp_path):
    missing = with_weights(tmp_path / "no.pth")
    with pytest.raises(CorpusError, match=r"no\.pth \(--encoder-weights FILE names"):
        check_encoder(missing)


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save({"layer.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(CorpusError, match="do not fit googlenet"):
        check_encoder(with_weights(tmp_path / "other.pth"))


def test_weights_that_do_not_come_over_the_net_name_the_option(monkeypatch):
    def fail(*arguments, **given):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fail)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fail)
    with pytest.raises(CorpusError, match=r"no route to host.*--encoder-weights FILE"):
        check_encoder(system_config("wcv-attention", "paper"))


def test_a_text_encoder_that_there_is_not_names_the_option(tmp_path):
    config = system_config("trf-text")
    config["paths"]["encoder"] = str(tmp_path / "nothing")
    with pytest.raises(CorpusError, match=r"nothing.*\(--encoder names another\.\)"):
        check_text_encoder(config)
    check_text_encoder(system_config("w"))


def test_the_cpu_is_always_there_and_a_gpu_must_be(monkeypatch):
    check_gpu(-1)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(CorpusError, match=r"no GPU 1 for --gpu-id: torch sees 1"):
        check_gpu(1)
    monkeypatch.setattr(requirements, "has_cupy_gpu", False)
    with pytest.raises(CorpusError, match="CuPy"):
        check_gpu(0)
    monkeypatch.setattr(requirements, "has_cupy_gpu", True)
    check_gpu(0)


def test_a_folder_without_vectors_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match=r"no word vectors at .*empty"):
        hash_vectors(str(tmp_path / "empty"))
    spacy.blank("en").to_disk(tmp_path / "without")
    with pytest.raises(CorpusError, match=r"no word vectors at .*without: `spacy-mner vectors`"):
        hash_vectors(str(tmp_path / "without"))


def test_vectors_that_do_not_load_are_refused(tmp_path):
    nlp = spacy.blank("en")
    nlp.vocab.set_vector("cat", torch.ones(3).numpy())
    nlp.to_disk(tmp_path / "words")
    assert len(hash_vectors(str(tmp_path / "words"))) == 16
    vectors = tmp_path / "words" / "vocab" / "vectors"
    vectors.write_bytes(vectors.read_bytes()[:-5])
    with pytest.raises(CorpusError, match=r"no word vectors at .*words"):
        hash_vectors(str(tmp_path / "words"))
