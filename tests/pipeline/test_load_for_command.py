from __future__ import annotations

import pytest
import spacy

from spacy_mner.errors import LoadingError
from spacy_mner.pipeline.load_for_command import FILES, load_pipeline


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_of_spacy_is_named(name, tmp_path):
    spacy.blank("en").to_disk(tmp_path / "model")
    path = tmp_path / "model" / name
    content = path.read_bytes()
    # Half a config may be one, except where it ends within a line.
    path.write_bytes(content[: content.rindex(b"=") if name == "config.cfg" else len(content) // 2])
    with pytest.raises(LoadingError, match=f"{name} is damaged"):
        load_pipeline(str(tmp_path / "model"))


def test_a_missing_pipeline_is_named():
    with pytest.raises(LoadingError, match="There is no pipeline nowhere: name an installed"):
        load_pipeline("nowhere")


def test_a_missing_gpu_raises_a_loading_error(tmp_path):
    spacy.blank("en").to_disk(tmp_path / "model")
    with pytest.raises(LoadingError, match="Cannot load the pipeline"):
        load_pipeline(str(tmp_path / "model"), gpu_id=99)


@pytest.mark.parametrize("name", ["model-best", "model-last"])
def test_the_pipeline_in_the_output_folder_of_a_training_is_suggested(tmp_path, name):
    spacy.blank("en").to_disk(tmp_path / name)
    with pytest.raises(LoadingError) as caught:
        load_pipeline(str(tmp_path))
    assert str(caught.value).endswith(str(tmp_path / name))


def test_a_folder_without_a_pipeline_is_not_one_of_a_training(tmp_path):
    (tmp_path / "model-best").mkdir()
    with pytest.raises(LoadingError, match="not read meta"):
        load_pipeline(str(tmp_path))


@pytest.mark.parametrize(
    ("written", "replaced"),
    [("spacy.Tokenizer.v1", "my_tokenizer.v1"), ('factory = "sentencizer"', 'factory = "mine"')],
    ids=["function", "factory"],
)
def test_a_name_that_code_registers_is_reported_without_all_that_are(tmp_path, written, replaced):
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.to_disk(tmp_path)
    config = (tmp_path / "config.cfg").read_text()
    assert written in config
    (tmp_path / "config.cfg").write_text(config.replace(written, replaced))
    with pytest.raises(
        LoadingError, match="pass the file that registers it: --code FILE"
    ) as caught:
        load_pipeline(str(tmp_path))
    assert "my_tokenizer.v1" in str(caught.value) or "mine" in str(caught.value)
    assert len(str(caught.value)) < 1000 and "Available" not in str(caught.value)
