"""Builds the posts in signs/ whose image bears a text that decides (see README.md).

    python assets/sign_posts.py --fonts DIR

DIR has the font packages of signs.json, as for build_corpus.py. Deterministic for one version of
Pillow.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from corpus_posts import PLACEHOLDER, ShuffledItems
from corpus_signs import LAYOUTS, OTHER_LAYOUTS, draw_sign

ASSETS = Path(__file__).parent
SIGNS = ASSETS / "signs"
SEED = 1
SHARE_WITH_TAIL, SHARE_CAPITALIZED, SHARE_WITH_WORDS, SHARE_AFTER = 0.5, 0.4, 0.5, 0.5
ALL_LAYOUTS = sorted({*OTHER_LAYOUTS, *(layout for some in LAYOUTS.values() for layout in some)})
Post = dict[str, Any]


class PostWriter:
    """Creates the posts of one split."""

    def __init__(self, source: dict[str, Any], split: str, after: Sequence[str]):
        self.rng = rng = random.Random(f"{SEED} {split}")
        self.split, self.after = split, after
        self.names = source["names"][split]
        self.kinds = {
            label: {part: ShuffledItems(texts[split], rng) for part, texts in kind.items()}
            for label, kind in source["kinds"].items()
        }
        self.phrases = ShuffledItems(source["phrases"][split], rng)
        self.others = ShuffledItems(source["others"][split], rng)
        self.files: dict[str, str] = {}

    def posts(self) -> Iterator[Post]:
        """Yield a text for every name, once with each of its signs."""
        labels = ShuffledItems(sorted(self.kinds), self.rng)
        for name in self.names:
            label = labels.draw()
            kind = self.kinds[label]
            has_tail = self.rng.random() < SHARE_WITH_TAIL
            whole = f"{name} {kind['tails'].draw()}" if has_tail else name
            before, after = PLACEHOLDER.split(kind["posts"].draw())[::2]
            if self.rng.random() < SHARE_AFTER:
                after += f" {self.rng.choice(self.after)}"
            signs = [
                (self.cased(kind["signs"].draw(), shown), shown) for shown in {whole: 0, name: 0}
            ]
            signs.append((self.phrases.draw().format(name=whole), ""))
            signs.append((self.other(before.split() + after.split()), ""))
            for sign, entity in signs:
                start = len(before)
                span = {"start": start, "end": start + len(entity), "label": label}
                yield {
                    "text": before + whole + after,
                    "image": self.file_of(sign.replace("|", "\n")),
                    "image_text": sign.replace("|", "\n"),
                    "spans": [span] if entity else [],
                    "meta": {"name": name, "group": "sign"},
                }

    def cased(self, sign: str, name: str) -> str:
        filled = sign.format(NAME=name.upper())
        return filled.title() if self.rng.random() < SHARE_CAPITALIZED else filled

    def other(self, words: Sequence[str]) -> str:
        """Return a sign without the name, in part with words of the post."""
        sign: str = self.others.draw()
        words = [word for word in words if word.isalpha()]
        if len(words) < 2 or self.rng.random() > SHARE_WITH_WORDS:
            return sign
        at = self.rng.randrange(len(words) - 1)
        return f"{' '.join(words[at : at + 2]).upper()}|{sign.partition('|')[0]}"

    def file_of(self, text: str) -> str:
        """Return the file of a sign; equal texts share one."""
        file = f"signs/images/{self.split}_{len(self.files) + 1:03}.jpg"
        return self.files.setdefault(text, file)


def build_posts() -> dict[str, list[Post]]:
    """Return the posts by split."""
    source = json.loads((SIGNS / "source.json").read_text(encoding="utf8"))
    after = json.loads((ASSETS / "templates.json").read_text(encoding="utf8"))["after"]
    splits = {split: PostWriter(source, split, after).posts() for split in source["names"]}
    return {
        split: [{"id": f"sign-{split}-{n:03}", **post} for n, post in enumerate(posts, start=1)]
        for split, posts in splits.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the posts with signs.")
    parser.add_argument("--fonts", type=Path, required=True, metavar="DIR")
    folder = parser.parse_args().fonts
    listing = json.loads((ASSETS / "signs.json").read_text(encoding="utf8"))
    fonts = [folder / font["path"] for font in listing["fonts"]]
    (SIGNS / "images").mkdir(exist_ok=True)
    for split, posts in build_posts().items():
        lines = [json.dumps(post, ensure_ascii=False) + "\n" for post in posts]
        (SIGNS / f"{split}.jsonl").write_text("".join(lines), encoding="utf8")
        texts = {post["image"]: post["image_text"] for post in posts}
        for file, text in texts.items():
            rng = random.Random(f"{SEED} {text}")
            layout, font = rng.choice(ALL_LAYOUTS), rng.choice(fonts)
            image = draw_sign(text.split("\n"), layout, None, font, rng)
            image.save(ASSETS / file, quality=70, optimize=True)
        print(f"{split}: {len(posts)} posts, {len(texts)} images")


if __name__ == "__main__":
    main()
