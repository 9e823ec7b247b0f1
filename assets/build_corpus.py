"""Builds the sample corpus beside this file; README.md says what it is.

    python assets/build_corpus.py pictures --openclipart-png DIR --openclipart-svg DIR \\
        --scikit-image DIR --scikit-learn DIR
    python assets/build_corpus.py posts

Each DIR is a source package, unpacked (`dpkg -x`, `unzip`); pictures.json names the versions.
`pictures` writes pictures/ and manifest.jsonl, `posts` the three splits. Both are seeded: the
same input gives the same bytes (pictures: with the same Pillow).
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from corpus_pictures import build_pictures
from corpus_posts import build_posts

ASSETS = Path(__file__).parent
SEED = 1


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the sample corpus.")
    modes = parser.add_subparsers(dest="mode", required=True)
    pictures = modes.add_parser("pictures", help="write pictures/ and manifest.jsonl")
    for package in ("openclipart-png", "openclipart-svg", "scikit-image", "scikit-learn"):
        pictures.add_argument(f"--{package}", type=Path, required=True, metavar="DIR")
    posts = modes.add_parser("posts", help="write train.jsonl, dev.jsonl and test.jsonl")
    posts.add_argument("--output", type=Path, default=ASSETS, metavar="DIR")
    options = parser.parse_args()
    if options.mode == "pictures":
        folders = {
            "openclipart": options.openclipart_png,
            "openclipart-svg": options.openclipart_svg,
            "scikit-image": options.scikit_image,
            "scikit-learn": options.scikit_learn,
        }
        rows = build_pictures(ASSETS, folders, SEED)
        print(f"{len(rows)} pictures:", dict(Counter(row["split"] for row in rows)))
    else:
        for split, n_posts in build_posts(ASSETS, options.output, SEED).items():
            print(f"{split}: {n_posts} posts")


if __name__ == "__main__":
    main()
