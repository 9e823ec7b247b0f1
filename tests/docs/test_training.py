"""The blocks of docs/training.md are those of a config that spaCy can build."""

from __future__ import annotations

import io
import re
from configparser import ConfigParser
from importlib.resources import files
from pathlib import Path

import pytest
from spacy.util import load_model_from_config
from thinc.api import Config

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
# The heading above a block → the template that it changes.
TEMPLATES = {
    "Another image encoder": "base",
    "The text in the image": "base",
    "The objects in the image": "cross-modal",
    "A shared transformer": "trf",
}


def blocks() -> list[tuple[str, str, list[str]]]:
    """Each heading that has blocks, its template, and its blocks, of which later ones are added."""
    sections = re.split(r"^#+ (.+)\n", PAGE, flags=re.MULTILINE)[1:]
    found = []
    for heading, text in zip(sections[::2], sections[1::2], strict=True):
        if given := re.findall(r"^```ini\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            found += [(heading, TEMPLATES[heading], given[: n + 1]) for n in range(len(given))]
    return found


def edited(text: str, given: list[str]) -> str:
    """A config with blocks, as a reader of the page edits it.

    A block with a registered name replaces the one of the same section.
    """
    config = ConfigParser(interpolation=None)
    config.optionxform = str
    config.read_string(text)
    for block in given:
        added = ConfigParser(interpolation=None)
        added.optionxform = str
        added.read_string(block)
        for name, values in added.items():
            if config.has_section(name) and any(key.startswith("@") for key in values):
                config[name].clear()
            for key in values:  # `text = null` in place of a block
                config.remove_section(f"{name}.{key}")
            parent, _, key = name.rpartition(".")
            if config.has_section(parent):  # a block in place of `match = null`
                config.remove_option(parent, key)
        config.read_string(block)
    buffer = io.StringIO()
    config.write(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(("heading", "template", "given"), blocks())
def test_a_pipeline_is_built_from_the_template_with_the_blocks(heading, template, given):
    for package in ("transformers", "rapidocr_onnxruntime"):
        pytest.importorskip(package)
    if heading == "A shared transformer":
        pytest.importorskip("spacy_transformers")
    path = files("spacy_mner") / "templates" / f"{template}.cfg"
    config = Config().from_str(edited(path.read_text(encoding="utf-8"), given))
    nlp = load_model_from_config(config, auto_fill=True, validate=True)
    assert nlp.pipe_names == config["nlp"]["pipeline"]
    for name in config["training"]["annotating_components"]:
        assert nlp.config["initialize"]["components"][name]["image_cache"]
