"""Creates the three splits from names, templates and the manifest.

A text with an ambiguous name occurs once for each reading of the name; only the image differs, so
that wording and casing do not leak the reading.
"""

from __future__ import annotations

import itertools
import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import spacy
from spacy.language import Language

# Shares of the templates, and numbers of posts of each group, by split.
HELD_OUT = {"test": 0.2, "dev": 0.1}
GROUPS = ("one", "two", "entity", "plain", "sign")
POSTS = {
    "train": {"ambiguous": 590, "ordinary": 130, "no_image": 84, "irrelevant": 60},
    "dev": {"ambiguous": 80, "ordinary": 18, "no_image": 12, "irrelevant": 8},
    "test": {"ambiguous": 168, "ordinary": 34, "no_image": 24, "irrelevant": 16},
}
# Shares of texts with two ambiguous names, and of other texts with an entity.
SHARE_TWO = 0.2
SHARE_ENTITY = {"ordinary": 0.5, "no_image": 0.35, "irrelevant": 0.5}
CASINGS = {"lower": 0.87, "title": 0.1, "upper": 0.03}
SHARE_BEFORE, SHARE_AFTER, SHARE_TYPO, SHARE_ELONGATED = 0.25, 0.6, 0.03, 0.06
IRRELEVANT = "texture"
PLACEHOLDER = re.compile(r"\{(\w+)\}")
Post = dict[str, Any]
Template = tuple[str, str]
Fillings = Mapping[str, tuple[str, str]]


class ShuffledItems:
    """Draws in random order, every item once before any is repeated."""

    def __init__(self, items: Sequence[Any], rng: random.Random) -> None:
        self.items, self.rng, self.left = list(items), rng, []

    def draw(self) -> Any:
        if not self.left:
            self.left = self.rng.sample(self.items, len(self.items))
        return self.left.pop()


def build_posts(assets: Path, output: Path, seed: int) -> dict[str, int]:
    """Write train.jsonl, dev.jsonl and test.jsonl; returns the number of posts in each."""
    names = json.loads((assets / "names.json").read_text(encoding="utf8"))
    templates = json.loads((assets / "templates.json").read_text(encoding="utf8"))
    manifest = (assets / "manifest.jsonl").read_text(encoding="utf8").splitlines()
    images = [json.loads(line) for line in manifest]
    parts = split_templates(templates, random.Random(f"{seed} templates"))
    nlp = spacy.blank("en")
    counts = {}
    for split in POSTS:
        own = [row for row in images if row["split"] == split]
        writer = SplitWriter(names, parts[split], own, random.Random(f"{seed} {split}"))
        posts = writer.write(POSTS[split])
        for number, post in enumerate(posts, start=1):
            post["id"] = f"{split}-{number:04}"
            check_boundaries(nlp, post)
        lines = [json.dumps(post, ensure_ascii=False) + "\n" for post in posts]
        (output / f"{split}.jsonl").write_text("".join(lines), encoding="utf8")
        counts[split] = len(posts)
    return counts


def split_templates(
    templates: Mapping[str, Sequence[str]], rng: random.Random
) -> dict[str, dict[str, Any]]:
    """Split the templates of each group and entity type 70/10/20, with their ids.

    Templates whose words remain in the train templates are held out first, so that the test
    measures the use of images rather than of the vocabulary.
    """
    strata: dict[tuple[str, str], list[Template]] = {}
    for group in GROUPS:
        for number, text in enumerate(templates[group], start=1):
            first_slot = PLACEHOLDER.findall(text)[0]
            strata.setdefault((group, first_slot), []).append((f"{group}-{number:03}", text))
    counts = Counter(word for group in GROUPS for text in templates[group] for word in words(text))
    parts: dict[str, dict[str, Any]] = {split: {group: [] for group in GROUPS} for split in POSTS}
    for (group, _), stratum in strata.items():
        left = rng.sample(stratum, len(stratum))
        for split, share in HELD_OUT.items():
            for _ in range(max(1, round(share * len(stratum)))):
                chosen = min(left, key=lambda template: words_lost(template, counts))
                left.remove(chosen)
                counts.subtract(words(chosen[1]))
                parts[split][group].append(chosen)
        parts["train"][group].extend(left)
    for part in parts.values():
        part["before"], part["after"] = templates["before"], templates["after"]
    return parts


def words(text: str) -> set[str]:
    return {word for word in text.split(" ") if not PLACEHOLDER.search(word)}


def words_lost(template: Template, counts: Mapping[str, int]) -> int:
    """Number of words that train would lose with this template."""
    return sum(counts[word] < 2 for word in words(template[1]))


class SplitWriter:
    """Creates the posts of one split from its templates and images."""

    def __init__(
        self,
        names: Mapping[str, Any],
        templates: Mapping[str, Any],
        images: Sequence[Mapping[str, Any]],
        rng: random.Random,
    ) -> None:
        self.rng = rng
        self.readings: dict[str, dict[str, str]] = names["ambiguous"]
        self.image_kinds_of: dict[str, list[str]] = names["goes_with"]
        self.words = {
            kind: ShuffledItems(words, rng) for kind, words in names["unambiguous"].items()
        }
        self.words["thing"] = ShuffledItems(names["things"], rng)
        self.templates = templates
        self.one, self.two, self.plain = (
            ShuffledItems(templates[group], rng) for group in ("one", "two", "plain")
        )
        self.entity = ShuffledItems(templates["entity"], rng)
        self.sign = ShuffledItems(templates["sign"], rng)
        self.signs: dict[str, list[Mapping[str, Any]]] = {}
        by_shown: dict[str, list[Mapping[str, Any]]] = {}
        for row in images:
            if "sign" in row:
                self.signs.setdefault(row["sign"]["name"], []).append(row)
            else:
                by_shown.setdefault(row["shows"], []).append(row)
        self.images = {shows: ShuffledItems(rows, rng) for shows, rows in by_shown.items()}
        self.names = ShuffledItems(sorted(self.readings), rng)
        self.pairs = ShuffledItems(sorted(name_pairs(self.readings)), rng)

    def write(self, n_posts: Mapping[str, int]) -> list[Post]:
        posts: list[Post] = []
        while len(posts) < n_posts["ambiguous"]:
            posts.extend(self.ambiguous())
        for group in ("ordinary", "no_image", "irrelevant"):
            posts.extend(self.ordinary(group) for _ in range(n_posts[group]))
        for name, images in self.signs.items():
            posts.extend(self.with_signs(name, images))
        self.rng.shuffle(posts)
        return posts

    def ambiguous(self) -> Iterator[Post]:
        """Create a text once for each reading of its names."""
        if self.rng.random() < SHARE_TWO:
            name, other = self.pairs.draw()
            template, text = self.two.draw()
            shown = [shows for shows in self.readings[name] if shows in self.readings[other]]
            filled = {"name": name, "other": other}
        else:
            name = self.names.draw()
            template, text = self.one.draw()
            shown = list(self.readings[name])
            filled = {"name": name}
        cased = {slot: self.cased(word) for slot, word in filled.items()}
        pieces = self.decorated(text)
        for shows in shown:
            labels = {slot: self.readings[word][shows] for slot, word in filled.items()}
            fillings = {slot: (cased[slot], labels[slot]) for slot in filled}
            image = self.images[shows].draw()
            yield make_post(pieces, fillings, image, template, "ambiguous")

    def with_signs(self, name: str, images: Sequence[Mapping[str, Any]]) -> Iterator[Post]:
        """Create a text once for each reading of a name that is written out in an image."""
        template, text = self.sign.draw()
        cased, pieces = self.cased(name), self.decorated(text)
        for image in images:
            fillings = {"name": (cased, self.readings[name][image["shows"]])}
            yield make_post(pieces, fillings, image, template, "sign")

    def ordinary(self, group: str) -> Post:
        has_entity = self.rng.random() < SHARE_ENTITY[group]
        template, text = (self.entity if has_entity else self.plain).draw()
        fillings = {}
        for slot in PLACEHOLDER.findall(text):
            word = self.words[slot].draw()
            fillings[slot] = (self.cased(word), slot) if has_entity else (word, "O")
        image = self.ordinary_image(group, list(fillings))
        return make_post(self.decorated(text), fillings, image, template, group)

    def ordinary_image(self, group: str, slots: Sequence[str]) -> Mapping[str, Any] | None:
        if group == "no_image":
            return None
        if group == "irrelevant":
            return self.images[IRRELEVANT].draw()
        shown = self.image_kinds_of.get(slots[0], sorted(set(self.images) - {IRRELEVANT}))
        return self.images[self.rng.choice(shown)].draw()

    def cased(self, word: str) -> str:
        casing = self.rng.choices(list(CASINGS), list(CASINGS.values()))[0]
        return {"lower": word, "title": word.title(), "upper": word.upper()}[casing]

    def decorated(self, text: str) -> list[str]:
        """Return the template's words with typos and elongations, and words before and after."""
        pieces = [self.with_typo(word) for word in text.split(" ")]
        if self.rng.random() < SHARE_BEFORE:
            pieces.insert(0, self.rng.choice(self.templates["before"]))
        if self.rng.random() < SHARE_AFTER:
            pieces.append(self.rng.choice(self.templates["after"]))
        return pieces

    def with_typo(self, word: str) -> str:
        if PLACEHOLDER.search(word) or not word.isalpha() or len(word) < 3:
            return word
        if len(word) > 4 and self.rng.random() < SHARE_TYPO:
            at = self.rng.randrange(1, len(word) - 2)
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        if word[-1] in "aeouwys" and self.rng.random() < SHARE_ELONGATED:
            return word + word[-1] * self.rng.randint(1, 3)
        return word


def name_pairs(readings: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    """Pairs of names with different labels under two kinds of image, such as eagles and ravens."""
    for name, other in itertools.permutations(sorted(readings), 2):
        common = readings[name].keys() & readings[other].keys()
        if all(len({readings[word][shows] for shows in common}) > 1 for word in (name, other)):
            yield name, other


def make_post(
    pieces: Sequence[str],
    fillings: Fillings,
    image: Mapping[str, Any] | None,
    template: str,
    group: str,
) -> Post:
    text, spans = fill(" ".join(pieces), fillings)
    meta = {"template": template, "group": group, "kind": None, "shows": None}
    if image is not None:
        meta |= {"kind": image["kind"], "shows": image["shows"]}
    post = {"id": "", "text": text, "image": None if image is None else image["file"]}
    if image is not None and "sign" in image:
        post["image_text"] = image["sign"]["text"]
    return post | {"spans": spans, "meta": meta}


def fill(text: str, fillings: Fillings) -> tuple[str, list[dict[str, Any]]]:
    """Fill in the slots; returns the text and its entity spans."""
    filled, spans = "", []
    for piece in re.split(r"(\{\w+\})", text):
        slot = PLACEHOLDER.fullmatch(piece)
        word, label = fillings[slot.group(1)] if slot else (piece, "O")
        if label != "O":
            spans.append({"start": len(filled), "end": len(filled) + len(word), "label": label})
        filled += word
    return filled, spans


def check_boundaries(nlp: Language, post: Post) -> None:
    doc = nlp.make_doc(post["text"])
    for span in post["spans"]:
        if doc.char_span(span["start"], span["end"]) is None:
            raise ValueError(f"{post['text']!r}: {span} does not align with tokens")
