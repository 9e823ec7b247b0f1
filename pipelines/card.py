"""Writes the model card of a pretrained pipeline, README.md, from pipelines/NAME/meta.json.

    python pipelines/card.py NAME training/NAME/published
    python pipelines/card.py NAME pipelines/NAME --wheel pipelines/NAME-0.3.0-py3-none-any.whl

The first card becomes part of the wheel. The second has the size of the wheel in addition.
`pipelines/measure.py` writes meta.json. The text of the card is in card.md.jinja.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import srsly
from jinja2 import Environment, FileSystemLoader, StrictUndefined

FOLDER = Path(__file__).parent
TITLES = {"broad_twitter": "Broad Twitter", "wnut17": "WNUT-17", "tweebank": "Tweebank"}


def percent(share: float | None) -> str:
    """Return a share in percent."""
    return "–" if share is None else f"{100 * share:.1f}"


def precision_and_recall(scores: dict[str, Any]) -> str:
    """Return precision and recall in percent."""
    return f"{percent(scores['p'])}, {percent(scores['r'])}"


def render_card(name: str, meta: dict[str, Any], wheel: Path | None = None) -> str:
    """Return the model card as Markdown.

    wheel: its size is part of the card; None before it is built.
    """
    loader = FileSystemLoader(FOLDER)
    environment = Environment(loader=loader, undefined=StrictUndefined, keep_trailing_newline=True)
    environment.filters |= {"percent": percent, "pr": precision_and_recall}
    return environment.get_template("card.md.jinja").render(
        {**meta, **meta["performance"]["figures"], "name": name},
        titles=TITLES,
        wheel=f"{name}-{meta['version']}-py3-none-any.whl",
        megabytes=wheel and wheel.stat().st_size / 1e6,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="name of the pipeline")
    parser.add_argument("folder", type=Path, help="where README.md is written")
    parser.add_argument("--wheel", type=Path)
    options = parser.parse_args()
    target = options.folder / "README.md"
    try:
        meta = srsly.read_json(FOLDER / options.name / "meta.json")
        target.write_text(render_card(options.name, meta, options.wheel), encoding="utf-8")
    except (OSError, ValueError) as error:
        sys.exit(f"{error}")
    print(f"Wrote {target}")


if __name__ == "__main__":
    main()
