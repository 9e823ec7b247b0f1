from __future__ import annotations

import httpx
import pytest

from spacy_mner.annotate.task import Task
from spacy_mner.errors import LoadingError, UsageError
from spacy_mner.serve.worker_pool import WorkerPool

from .conftest import pipeline_that, serving


def annotate(url, text):
    return httpx.post(f"{url}v1/annotate", json={"posts": [{"text": text}]}, timeout=60)


@pytest.mark.slow
def test_a_process_that_dies_costs_its_batch_and_is_replaced(tmp_path, caplog):
    with serving(**pipeline_that("os._exit(1)", on="lethal", folder=tmp_path)) as url:
        for _ in range(2):
            assert annotate(url, "harmless").status_code == 200
            refused = annotate(url, "lethal")
            assert refused.status_code == 503 and "Retry-After" in refused.headers
        assert annotate(url, "harmless").status_code == 200
    assert "died" in caplog.text and "lethal" not in caplog.text


def test_a_pipeline_that_cannot_be_loaded_is_an_error_of_its_own_type(tmp_path):
    with pytest.raises(LoadingError, match="gone"):
        WorkerPool(Task(model=str(tmp_path / "gone")), 2)


def test_a_process_that_dies_while_it_loads_is_an_error_too(tmp_path):
    code = tmp_path / "code.py"
    code.write_text("import os\nos._exit(1)\n")
    with pytest.raises(UsageError, match="--n-process"):
        WorkerPool(Task(model="model", code=code), 1)
