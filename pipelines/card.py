"""Writes the model card pipelines/NAME/README.md from meta.json and the size of the wheel.

    python pipelines/card.py en_mner_social_sm pipelines/en_mner_social_sm-0.1.0-py3-none-any.whl

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


def render_card(name: str, meta: dict[str, Any], wheel: Path) -> str:
    """Return the model card as Markdown."""
    loader = FileSystemLoader(FOLDER)
    environment = Environment(loader=loader, undefined=StrictUndefined, keep_trailing_newline=True)
    environment.filters |= {"percent": percent, "pr": precision_and_recall}
    return environment.get_template("card.md.jinja").render(
        {**meta, **meta["performance"]["figures"], "name": name},
        titles=TITLES,
        wheel=wheel.name,
        megabytes=wheel.stat().st_size / 1e6,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="name of the pipeline")
    parser.add_argument("wheel", type=Path)
    options = parser.parse_args()
    folder = FOLDER / options.name
    try:
        card = render_card(options.name, srsly.read_json(folder / "meta.json"), options.wheel)
    except (OSError, ValueError) as error:
        sys.exit(f"{error}")
    (folder / "README.md").write_text(card, encoding="utf-8")
    print(f"Wrote {folder / 'README.md'}")


if __name__ == "__main__":
    main()
