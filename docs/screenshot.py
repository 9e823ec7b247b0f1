"""Writes docs/screenshot.png, the image of README.md: python docs/screenshot.py

Needs the pretrained pipeline, playwright and Chromium.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import spacy
from PIL import Image
from playwright.sync_api import sync_playwright

import spacy_mner

ROOT = Path(__file__).parents[1]
TEXT = "finally got my jaguar, next stop Madison Square Garden in #NewYork"
IMAGES = ("car_02.jpg", "cat_03.jpg")


def main() -> None:
    nlp = spacy.load("en_mner_social_sm")
    rows = [{"text": TEXT, "image": str(ROOT / "assets" / "images" / name)} for name in IMAGES]
    docs = list(nlp.pipe(spacy_mner.make_docs(nlp, rows)))
    page = str(spacy_mner.render(docs, jupyter=False, nlp=nlp))
    output = ROOT / "docs" / "screenshot.png"
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        path = Path(folder) / "page.html"
        path.write_text(page, encoding="utf-8")
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"))
        view = browser.new_page(viewport={"width": 1000, "height": 400}, color_scheme="light")
        view.goto(path.as_uri())
        view.locator("main").screenshot(path=output)
        browser.close()
    with Image.open(output) as image:
        image.convert("RGB").quantize(128).save(output, optimize=True)


if __name__ == "__main__":
    main()
