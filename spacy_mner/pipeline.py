"""Loading a pipeline for a command."""

from __future__ import annotations

from spacy.language import Language

from .corpus.errors import CorpusError


def load_pipeline(model: str, gpu_id: int = -1) -> Language:
    """Load a pipeline onto a GPU, or onto the CPU (-1).

    Raises CorpusError in place of the several errors spaCy has for a pipeline that does not load.
    """
    import spacy
    from spacy.cli._util import setup_gpu

    try:
        setup_gpu(gpu_id, silent=True)
        return spacy.load(model)
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise CorpusError(f"Cannot load the pipeline {model}: {error}") from error
