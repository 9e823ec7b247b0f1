"""The page as a browser shows it, in the widths of a phone and of a desk."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spacy_mner.visualize.annotated_text import Piece, Reading
from spacy_mner.visualize.explain import Bounds, TokenAttention
from spacy_mner.visualize.explain_page import Names, render
from spacy_mner.visualize.region_attention import Look

from .explained import a_look, a_post, a_thumbnail, an_explanation
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
    """Eight posts of all verdicts; the first two have the same image, the third a long text."""
    thumbnail = a_thumbnail(RED, [("sports car", 0.62), ("convertible", 0.2)])
    posts = [a_post(n, verdict) for n, verdict in enumerate(VERDICTS, start=1)]
    posts[0] = a_post(1, "helped", images=["red"], caption="a red car")
    posts[1] = a_post(2, "hurt", images=["red", "red"], id="long" * 40)
    tokens = ["https://t.co/" + "x" * 60, *(f"token{i}" for i in range(80))]
    heat = TokenAttention(tokens, {"word": [0.4] * 81, "image": [0.6] * 81})
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
    image = tmp_path / f"{width}-{scheme}.png"
    opened.view.screenshot(path=image, full_page=True)
    assert Image.open(image).width == width
    corner = np.asarray(Image.open(image).convert("L"))[0, 0]
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


def test_images_are_shown_wherever_they_are_used(open_page, page, tmp_path):
    opened = open_page(page)
    images = opened.view.get_by_role("img")
    assert [one.get_attribute("aria-label") for one in images.all()] == [
        "Image of post 1: a red car",
        "Image of post 2, perhaps sports car",
        "Image of post 2, perhaps sports car",
    ]
    for i, one in enumerate(images.all()):
        one.screenshot(path=tmp_path / f"{i}.png")
        shown = Image.open(tmp_path / f"{i}.png").convert("RGB")
        red, green, blue = shown.getpixel((shown.width // 2, shown.height // 2))
        assert red > 190 and green < 10 and blue < 10


WIDE, TALL = (40, 100, 3), (100, 40, 3)


def lit(x, y, side=7):
    """All attention in one cell."""
    shares = np.zeros((side, side))
    shares[y, x] = 1
    return shares


@pytest.fixture(scope="module")
def looking_page():
    """A post with a wide image, one with a tall one and one with both; two entities each."""
    images = {"wide": np.full(WIDE, 255, np.uint8), "tall": np.full(TALL, 255, np.uint8)}
    thumbnails = {
        key: a_thumbnail(np.kron(pixels, np.ones((4, 4, 1), np.uint8)))
        for key, pixels in images.items()
    }
    words = " and " + "a long tail of words " * 4
    model = Reading(
        [
            Piece("Bob Dylan", "right", "PER", 0.9, 1),
            Piece(words),
            Piece("Rome", "wrong", "LOC", 0.5, 2),
        ],
        False,
    )
    told = [("row 6, column 3", 1.0), ("x" * 80, 0.0)]
    looks = [
        [[a_look(lit(2, 5), "wide", told=told)], [a_look(lit(6, 0), "wide")]],
        [[a_look(lit(2, 5), "tall")], [a_look(lit(6, 0), "tall")]],
        [[Look("image", told, 1 / 53, both(lit(1, 1, 2) / 2, lit(0, 3) / 2))], []],
    ]
    shown = [["wide"], ["tall"], ["wide", "tall"]]
    posts = [
        a_post(n, "hurt", model=model, images=keys, looks=one)
        for n, (keys, one) in enumerate(zip(shown, looks, strict=True), start=1)
    ]
    return render(an_explanation(posts, thumbnails=thumbnails), Names("m", "d"))


def both(wide, tall):
    return {"wide": wide.tolist(), "tall": tall.tolist()}


def boxes(locator):
    """Left, top, width and height of elements."""
    found = locator.evaluate_all("(all) => all.map((e) => e.getBoundingClientRect())")
    return np.array([[one[side] for side in ("x", "y", "width", "height")] for one in found])


def cells(image, side, *places):
    """Where cells (column, row) of an image must be."""
    x, y, width, height = image
    w, h = width / side, height / side
    return np.array([(x + column * w, y + row * h, w, h) for column, row in places])


def visible_cells(opened, post):
    return opened.view.locator(f"#post-{post} .look .w10").filter(visible=True)


@pytest.mark.parametrize("width", WIDTHS)
def test_tapping_an_entity_shows_its_cells_over_the_image(open_page, looking_page, width):
    opened = open_page(looking_page, width=width, has_touch=True)
    for post in (1, 2):
        bob, rome = opened.view.locator(f"#post-{post} .asks").all()
        [image] = boxes(opened.view.locator(f"#post-{post} .image"))
        assert image[2] / image[3] == pytest.approx({1: 2.5, 2: 0.4}[post], rel=0.02)
        assert visible_cells(opened, post).count() == 0
        for entity, place in [(bob, (2, 5)), (rome, (6, 0))]:
            entity.locator("b").tap()
            found = boxes(visible_cells(opened, post))
            [image] = boxes(opened.view.locator(f"#post-{post} .image"))
            np.testing.assert_allclose(found, cells(image, 7, place), atol=0.6)
            pressed = [one.get_attribute("aria-pressed") for one in (bob, rome)]
            assert pressed == [str(one is entity).lower() for one in (bob, rome)]
        rome.locator("b").tap()
        assert visible_cells(opened, post).count() == 0
    assert opened.view.evaluate(OVERFLOW) == 0
    assert opened.messages == []


@pytest.mark.parametrize("width", WIDTHS)
def test_an_entity_looks_at_all_images_of_its_post(open_page, looking_page, width):
    opened = open_page(looking_page, width=width, has_touch=True)
    opened.view.locator("#post-3 .asks b").tap()
    wide, tall = boxes(opened.view.locator("#post-3 .image"))
    expected = [*cells(wide, 2, (1, 1)), *cells(tall, 7, (0, 3))]
    np.testing.assert_allclose(boxes(visible_cells(opened, 3)), expected, atol=0.6)
    assert opened.view.evaluate(OVERFLOW) == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_cell_an_entity_looks_at_is_brighter_than_the_rest(
    open_page, looking_page, tmp_path, scheme
):
    opened = open_page(looking_page, color_scheme=scheme)
    opened.view.locator("#post-1 .asks b").first.click()
    opened.view.locator("#post-1 .image").screenshot(path=tmp_path / "look.png")
    seen = np.asarray(Image.open(tmp_path / "look.png").convert("RGB"), np.float32)
    height, width = seen.shape[0] / 7, seen.shape[1] / 7
    here, beside = (seen[int(5.5 * height), int(column * width)] for column in (2.5, 4.5))
    # To those who see no color, what remains is how light it is.
    light, dark = (((one / 255) ** 2.2) @ [0.2126, 0.7152, 0.0722] for one in (here, beside))
    assert (light + 0.05) / (dark + 0.05) > 2
    assert here[0] - here[2] > 60 and np.ptp(beside) < 3


def test_a_mouse_need_only_point(open_page, looking_page):
    opened = open_page(looking_page)
    bob, rome = opened.view.locator("#post-1 .asks b").all()
    bob.hover()
    assert visible_cells(opened, 1).count() == 1
    opened.view.mouse.move(0, 0)
    assert visible_cells(opened, 1).count() == 0
    bob.click()
    chosen = boxes(visible_cells(opened, 1))
    rome.hover()
    assert (boxes(visible_cells(opened, 1)) != chosen).any()
    opened.view.mouse.move(0, 0)
    np.testing.assert_array_equal(boxes(visible_cells(opened, 1)), chosen)


def test_entities_are_chosen_from_the_keyboard_too(open_page, looking_page):
    opened = open_page(looking_page)
    for key in ("Enter", " "):
        bob = opened.view.get_by_role("button", name="Bob Dylan").first
        bob.press(key)
        assert visible_cells(opened, 1).count() == 1
        bob.press(key)
        assert visible_cells(opened, 1).count() == 0


def test_where_entities_look_is_read_without_javascript(open_page, looking_page):
    opened = open_page(looking_page, java_script_enabled=False)
    opened.view.locator("#post-1 .asks b").first.click()
    line = opened.view.locator("#look-1-1")
    assert "row 6, column 3:\N{NO-BREAK SPACE}100.0" in line.inner_text()
    assert opened.view.locator(":target").get_attribute("id") == "look-1-1"
    assert not opened.view.get_by_text("choose one above").first.is_visible()


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
