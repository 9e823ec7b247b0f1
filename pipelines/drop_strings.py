"""Copies a trained pipeline without the strings of its training posts, for publication.

    python pipelines/drop_strings.py training/NAME/model-last training/NAME/published

spaCy saves every string that a pipeline has seen: names of users, addresses, phone numbers. The
component needs none of them. A copy computes in float32, so that its predictions are the same on
all machines, even if it was trained in bfloat16.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import spacy

import spacy_mner

PRECISION = "components.multimodal_ner.model.mixed_precision"


def drop_strings(source: Path, target: Path) -> None:
    """Write the pipeline in `source` to `target`, with an empty vocab, in float32."""
    config = {PRECISION: False}
    spacy.load(source, exclude=["vocab"], config=config).to_disk(target)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "source", type=Path, help="folder of a pipeline whose component has all it needs"
    )
    parser.add_argument("target", type=Path)
    options = parser.parse_args()
    try:
        drop_strings(options.source, options.target)
    except (OSError, spacy_mner.MNERError) as error:
        sys.exit(f"{error}")
    print(f"Wrote {options.target}")


if __name__ == "__main__":
    main()
