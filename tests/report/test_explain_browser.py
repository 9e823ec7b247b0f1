"""The page as a browser shows it, in the widths of a phone and of a desk."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spacy_mner.report.explain import Bounds, Heat
from spacy_mner.report.explain_page import Names, render
from spacy_mner.report.readings import Piece, Reading

from .explained import a_post, a_thumbnail, an_explanation
from .test_explain_page import HOSTILE, hostile_page

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install '.[dev]'"
)

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTHS = (360, 1280)
VERDICTS = [
    "helped",
    "hurt",
    "both-wrong",
    "helped",
    "both-right",
    "unjudged",
    "both-right",
    "unseen",
]
RED = np.full((40, 60, 3), (200, 0, 0), np.uint8)
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
SHOWN = (
    "[...document.querySelectorAll('.post')].filter((e) => e.checkVisibility()).map((e) => e.id)"
)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        installed = next(filter(None, map(shutil.which, BROWSERS)), driver.chromium.executable_path)
        if not Path(installed).exists():
            pytest.skip(f"no browser: install one of {', '.join(BROWSERS)}")
        browser = driver.chromium.launch(executable_path=installed)
        yield browser
        browser.close()


def eventually(condition):
    """Wait for what the browser does in its own time; its own way to wait is against the policy."""
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


class Opened:
    """A page in the browser, and what it did: messages, errors, requests."""

    def __init__(self, browser, path, **options):
        self.context = browser.new_context(**options)
        self.view = self.context.new_page()
        self.messages, self.requests = [], []
        self.view.on("console", lambda message: self.messages.append(message.text))
        self.view.on("pageerror", lambda error: self.messages.append(str(error)))
        self.view.on("request", lambda request: self.requests.append(request.url))
        self.view.goto(path)

    def shown(self):
        return [int(name.removeprefix("post-")) for name in self.view.evaluate(SHOWN)]

    def choose(self, verdict):
        self.view.locator(f"input[value={verdict}]").check(force=True)


@pytest.fixture
def open_page(browser, tmp_path):
    """Open a page: its text, an address within it, and options of the browser."""
    opened = []

    def open_it(page, address="", width=1280, **options):
        (tmp_path / "page.html").write_text(page, encoding="utf-8")
        options["viewport"] = {"width": width, "height": 800}
        url = (tmp_path / "page.html").as_uri()
        opened.append(Opened(browser, f"{url}{address}", **options))
        return opened[-1]

    yield open_it
    for one in opened:
        one.context.close()


@pytest.fixture(scope="module")
def page():
    """Eight posts of all verdicts; the first two have the same picture, the third a long text."""
    thumbnail = a_thumbnail(RED, [("sports car", 0.62), ("convertible", 0.2)])
    posts = [a_post(n, verdict) for n, verdict in enumerate(VERDICTS, start=1)]
    posts[0] = a_post(1, "helped", pictures=["red"], caption="a red car")
    posts[1] = a_post(2, "hurt", pictures=["red", "red"], id="long" * 40)
    tokens = ["https://t.co/" + "x" * 60, *(f"token{i}" for i in range(80))]
    heat = Heat(tokens, {"word": [0.4] * 81, "image": [0.6] * 81})
    posts[2] = a_post(3, "both-wrong", text=" ".join(tokens), label="LABEL" * 30, heat=heat)
    bounds = Bounds(2, 0.2689, 0.7311)
    explanation = an_explanation(posts, thumbnails={"red": thumbnail}, bounds=bounds)
    return render(explanation, Names("models/" + "deep/" * 40, "data.spacy"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_page(open_page, page, tmp_path, width, scheme):
    opened = open_page(page, width=width, color_scheme=scheme)
    assert opened.view.evaluate(OVERFLOW) == 0
    opened.view.locator("summary").click()
    assert opened.view.evaluate(OVERFLOW) == 0
    picture = tmp_path / f"{width}-{scheme}.png"
    opened.view.screenshot(path=picture, full_page=True)
    assert Image.open(picture).width == width
    corner = np.asarray(Image.open(picture).convert("L"))[0, 0]
    assert corner > 200 if scheme == "light" else corner < 60


@pytest.mark.parametrize("width", WIDTHS)
def test_a_long_heat_map_scrolls_in_its_own_box(open_page, page, width):
    heat = open_page(page, width=width).view.locator("#post-3 .heat")
    assert heat.evaluate("(e) => e.scrollWidth > e.clientWidth")
    heat.focus()
    heat.press("ArrowRight")
    assert eventually(lambda: heat.evaluate("(e) => e.scrollLeft") > 0)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_filter_shows_the_posts_of_its_kind_and_their_number(open_page, page, width):
    opened = open_page(page, width=width)
    assert opened.shown() == list(range(1, 9))
    for verdict in dict.fromkeys(VERDICTS):
        opened.choose(verdict)
        expected = [n for n, one in enumerate(VERDICTS, start=1) if one == verdict]
        assert opened.shown() == expected
        label = opened.view.locator(f"label:has(input[value={verdict}])")
        assert label.inner_text().split()[-1] == str(len(expected))
        assert opened.view.get_by_role("status").inner_text() == f"{len(expected)} of 8 posts shown"
    opened.choose("all")
    assert len(opened.shown()) == 8
    assert opened.messages == []
    assert len(opened.requests) == 1


def test_a_kind_without_posts_says_so(open_page):
    opened = open_page(render(an_explanation([a_post()]), Names("m", "d")))
    assert not opened.view.locator("#none").is_visible()
    opened.choose("hurt")
    assert opened.shown() == [] and opened.view.locator("#none").is_visible()


def test_the_address_keeps_the_choice(open_page, page):
    opened = open_page(page)
    opened.choose("hurt")
    assert opened.view.url.endswith("#hurt")
    opened.view.reload()
    assert opened.shown() == [2]
    opened.view.evaluate("location.hash = '#both-right'")
    assert eventually(lambda: opened.shown() == [5, 7])


def test_the_filters_work_from_the_keyboard(open_page, page):
    opened = open_page(page)
    for _ in range(10):
        opened.view.keyboard.press("Tab")
        if opened.view.evaluate("document.activeElement.name") == "show":
            break
    opened.view.keyboard.press("ArrowRight")
    assert opened.shown() == [1, 4]


@pytest.mark.parametrize("width", WIDTHS)
def test_everything_is_there_without_javascript(open_page, page, width):
    opened = open_page(page, address="#hurt", width=width, java_script_enabled=False)
    assert all(opened.view.locator(f"#post-{n}").is_visible() for n in range(1, 9))
    assert "image helped 2" in opened.view.locator("#filters").inner_text()


def test_pictures_are_shown_wherever_they_are_used(open_page, page, tmp_path):
    opened = open_page(page)
    pictures = opened.view.get_by_role("img")
    assert [one.get_attribute("aria-label") for one in pictures.all()] == [
        "Picture of post 1: a red car",
        "Picture of post 2, perhaps sports car",
        "Picture of post 2, perhaps sports car",
    ]
    for i, one in enumerate(pictures.all()):
        one.screenshot(path=tmp_path / f"{i}.png")
        shown = Image.open(tmp_path / f"{i}.png").convert("RGB")
        red, green, blue = shown.getpixel((shown.width // 2, shown.height // 2))
        assert red > 190 and green < 10 and blue < 10


def test_it_prints_every_post_of_the_kind_that_is_chosen(open_page, page, tmp_path):
    opened = open_page(page, address="#both-right")
    opened.view.emulate_media(media="print")
    assert opened.shown() == [5, 7]
    assert opened.view.evaluate("getComputedStyle(document.querySelector('.bar')).position") == (
        "static"
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_hostile_data_is_shown_and_does_nothing(open_page, width):
    opened = open_page(hostile_page(*HOSTILE), width=width)
    assert opened.view.evaluate("window.hacked") is None
    assert opened.view.evaluate(OVERFLOW) == 0
    assert opened.view.locator("h2 > bdi").all_text_contents() == HOSTILE
    links = opened.view.evaluate("[...document.links].map((link) => link.getAttribute('href'))")
    assert all(link.startswith("#") for link in links)
    assert opened.messages == []
    assert len(opened.requests) == 1


def test_the_policy_stops_what_is_not_of_the_page(open_page, page):
    # Were the escaping ever to fail, this is what stands behind it.
    foreign = (
        "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
        "<style>.post { display: none }</style><link rel=stylesheet href='http://localhost:9/x'>"
    )
    opened = open_page(page.replace("<main", f"{foreign}<main"))
    assert opened.view.evaluate("window.hacked") is None
    opened.choose("hurt")
    assert opened.shown() == [2]
    assert len(opened.messages) >= 4 and all("Content Security" in m for m in opened.messages)


def test_a_text_from_right_to_left_reads_so_although_its_marks_do_not(open_page):
    reading = Reading([Piece("שלום", "wrong", "ORG", 0.5), Piece(" עליכם")], False)
    opened = open_page(render(an_explanation([a_post(model=reading)]), Names("m", "d")))
    directions = opened.view.locator(".readings dd").evaluate_all(
        "(all) => all.map((one) => getComputedStyle(one).direction)"
    )
    assert directions == ["ltr", "rtl", "ltr"]
