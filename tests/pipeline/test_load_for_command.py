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
    with pytest.raises(LoadingError, match="Cannot load the pipeline nowhere: "):
        load_pipeline("nowhere")


def test_a_missing_gpu_raises_a_loading_error(tmp_path):
    spacy.blank("en").to_disk(tmp_path / "model")
    with pytest.raises(LoadingError, match="Cannot load the pipeline"):
        load_pipeline(str(tmp_path / "model"), gpu_id=99)
