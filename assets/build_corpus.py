"""Builds the sample corpus in this folder (see README.md).

    python assets/build_corpus.py images --openclipart-png DIR --openclipart-svg DIR \\
        --gcompris DIR --lomiri DIR --scikit-image DIR --scikit-learn DIR --fonts DIR
    python assets/build_corpus.py posts

Each DIR is an unpacked source package (`dpkg -x`, `unzip`) of a version in images.json; that of
--fonts has the packages of signs.json (`pip install --no-deps --target`). `images` writes images/
and manifest.jsonl, `posts` the three splits. Both are deterministic (images: for one version of
Pillow).
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from corpus_images import build_images
from corpus_posts import build_posts

ASSETS = Path(__file__).parent
SEED = 1
PACKAGES = (
    "openclipart-png", "openclipart-svg", "gcompris", "lomiri", "scikit-image", "scikit-learn",
    "fonts",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the sample corpus.")
    modes = parser.add_subparsers(dest="mode", required=True)
    images = modes.add_parser("images", help="write images/ and manifest.jsonl")
    for package in PACKAGES:
        images.add_argument(f"--{package}", type=Path, required=True, metavar="DIR")
    posts = modes.add_parser("posts", help="write train.jsonl, dev.jsonl and test.jsonl")
    posts.add_argument("--output", type=Path, default=ASSETS, metavar="DIR")
    options = parser.parse_args()
    if options.mode == "images":
        given = vars(options)
        folders = {package: given[package.replace("-", "_")] for package in PACKAGES}
        rows = build_images(ASSETS, folders, SEED)
        print(f"{len(rows)} images:", dict(Counter(row["split"] for row in rows)))
    else:
        for split, n_posts in build_posts(ASSETS, options.output, SEED).items():
            print(f"{split}: {n_posts} posts")


if __name__ == "__main__":
    main()
