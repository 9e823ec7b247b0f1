"""The page in a real browser, at the widths of a phone and of a desktop."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from spacy_mner.visualize.annotated_post import ModalityWeights
from spacy_mner.visualize.annotated_text import AnnotatedText, Segment
from spacy_mner.visualize.explain_page import Names, render_explanation
from spacy_mner.visualize.region_attention import RegionAttention

from ..browser import OVERFLOW, WIDTHS, Opened, eventually
from .explained import make_explanation, make_post, thumbnail_of
from .test_explain_page import HOSTILE, hostile_page

VERDICTS = ["helped", "hurt", "both-wrong", "helped", "both-right", "unannotated"]
VERDICTS += ["both-right", "no-image"]
RED = np.full((40, 60, 3), (200, 0, 0), np.uint8)
SHOWN = (
    "[...document.querySelectorAll('.post')].filter((e) => e.checkVisibility()).map((e) => e.id)"
)


class OpenedPosts(Opened):
    """The page of `explain`."""

    def shown(self):
        return [int(name.removeprefix("post-")) for name in self.view.evaluate(SHOWN)]

    def filter(self, verdict):
        self.view.locator(f"input[value={verdict}]").check(force=True)


@pytest.fixture
def open_page(browser, tmp_path):
    """Open HTML at a URL fragment, with options of the browser context."""
    opened = []

    def open_html(html, fragment="", width=1280, **options):
        (tmp_path / "page.html").write_text(html, encoding="utf-8")
        options["viewport"] = {"width": width, "height": 800}
        url = (tmp_path / "page.html").as_uri()
        opened.append(OpenedPosts(browser, f"{url}{fragment}", **options))
        return opened[-1]

    yield open_html
    for one in opened:
        one.context.close()


@pytest.fixture(scope="module")
def page():
    """Posts with all verdicts; the first two have the same image, the third a long text."""
    thumbnail = thumbnail_of(RED, [("sports car", 0.62), ("convertible", 0.2)])
    posts = [make_post(n, verdict) for n, verdict in enumerate(VERDICTS, start=1)]
    posts[0] = make_post(1, "helped", images=["red"], caption="a red car")
    posts[1] = make_post(2, "hurt", images=["red", "red"], id="long" * 40)
    tokens = ["https://t.co/" + "x" * 60, *(f"token{i}" for i in range(80))]
    weights = ModalityWeights(tokens, {"word": [0.4] * 81, "image": [0.6] * 81})
    posts[2] = make_post(
        3, "both-wrong", text=" ".join(tokens), label="LABEL" * 30, modality_weights=weights
    )
    bounds = (0.2689, 0.7311)
    explanation = make_explanation(posts, thumbnails={"red": thumbnail}, attention_bounds=bounds)
    return render_explanation(explanation, Names("models/" + "deep/" * 40, "data.spacy"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_does_not_scroll_horizontally(open_page, page, tmp_path, width, scheme):
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
def test_a_long_attention_table_scrolls_within_its_box(open_page, page, width):
    table = open_page(page, width=width).view.locator("#post-3 .attention")
    assert table.evaluate("(e) => e.scrollWidth > e.clientWidth")
    table.focus()
    table.press("ArrowRight")
    assert eventually(lambda: table.evaluate("(e) => e.scrollLeft") > 0)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_filter_shows_the_posts_of_its_verdict_and_their_number(open_page, page, width):
    opened = open_page(page, width=width)
    assert opened.shown() == list(range(1, 9))
    for verdict in dict.fromkeys(VERDICTS):
        opened.filter(verdict)
        expected = [n for n, one in enumerate(VERDICTS, start=1) if one == verdict]
        assert opened.shown() == expected
        label = opened.view.locator(f"label:has(input[value={verdict}])")
        assert label.inner_text().split()[-1] == str(len(expected))
        assert opened.view.get_by_role("status").inner_text() == f"{len(expected)} of 8 posts shown"
    opened.filter("all")
    assert len(opened.shown()) == 8
    assert opened.messages == []
    assert len(opened.requests) == 1


def test_a_filter_without_posts_shows_a_message(open_page):
    opened = open_page(render_explanation(make_explanation([make_post()]), Names("m", "d")))
    assert not opened.view.locator("#none").is_visible()
    opened.filter("hurt")
    assert opened.shown() == [] and opened.view.locator("#none").is_visible()


def test_the_url_fragment_keeps_the_filter(open_page, page):
    opened = open_page(page)
    opened.filter("hurt")
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
def test_all_posts_are_visible_without_javascript(open_page, page, width):
    opened = open_page(page, fragment="#hurt", width=width, java_script_enabled=False)
    assert all(opened.view.locator(f"#post-{n}").is_visible() for n in range(1, 9))
    assert "image helped 2" in opened.view.locator("#filters").inner_text()


def test_an_image_is_shown_in_every_post_that_has_it(open_page, page, tmp_path):
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


def one_cell(x, y, side=7):
    """A grid with all attention in one cell."""
    return [[float((column, row) == (x, y)) for column in range(side)] for row in range(side)]


@pytest.fixture(scope="module")
def attention_page():
    """A post with a wide image, one with a tall one and one with both; two entities each."""
    shapes = {"wide": (160, 400, 3), "tall": (400, 160, 3)}
    thumbnails = {key: thumbnail_of(np.full(one, 255, np.uint8)) for key, one in shapes.items()}
    bob, rome = (
        Segment("Bob Dylan", "correct", "PER", 0.9, 1),
        Segment("Rome", "wrong", "LOC", 0.5, 2),
    )
    model = AnnotatedText([bob, Segment(" and " + "a long tail of words " * 4), rome], False)
    top_regions = [("row 6, column 3", 1.0), ("x" * 80, 0.0)]

    def post(number, *cells):
        """cells: of each entity, by the key of the image."""
        attention = [
            [RegionAttention("image", top_regions, 1 / 49, one)] * bool(one) for one in cells
        ]
        images = list(cells[0])
        return make_post(number, "hurt", model=model, images=images, region_attention=attention)

    posts = [
        post(1, {"wide": one_cell(2, 5)}, {"wide": one_cell(6, 0)}),
        post(2, {"tall": one_cell(2, 5)}, {"tall": one_cell(6, 0)}),
        post(3, {"wide": one_cell(1, 1, side=2), "tall": one_cell(0, 3)}, {}),
    ]
    return render_explanation(make_explanation(posts, thumbnails=thumbnails), Names("m", "d"))


def boxes(locator):
    """The left, top, width and height of elements."""
    found = locator.evaluate_all("(all) => all.map((e) => e.getBoundingClientRect())")
    return np.array([[one[side] for side in ("x", "y", "width", "height")] for one in found])


def cells(image, side, *places):
    """The expected boxes of cells (column, row) of an image."""
    x, y, width, height = image
    w, h = width / side, height / side
    return np.array([(x + column * w, y + row * h, w, h) for column, row in places])


def visible_cells(opened, post):
    return opened.view.locator(f"#post-{post} .overlay .w10").filter(visible=True)


@pytest.mark.parametrize("width", WIDTHS)
def test_tapping_an_entity_toggles_its_cells_on_the_image(open_page, attention_page, width):
    opened = open_page(attention_page, width=width, has_touch=True)
    for post in (1, 2):
        bob, rome = opened.view.locator(f"#post-{post} .entity").all()
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
def test_an_entity_shows_its_cells_on_all_images_of_its_post(open_page, attention_page, width):
    opened = open_page(attention_page, width=width, has_touch=True)
    opened.view.locator("#post-3 .entity b").tap()
    wide, tall = boxes(opened.view.locator("#post-3 .image"))
    expected = [*cells(wide, 2, (1, 1)), *cells(tall, 7, (0, 3))]
    np.testing.assert_allclose(boxes(visible_cells(opened, 3)), expected, atol=0.6)
    assert opened.view.evaluate(OVERFLOW) == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_cell_with_the_attention_is_brighter_than_the_rest(
    open_page, attention_page, tmp_path, scheme
):
    opened = open_page(attention_page, color_scheme=scheme)
    opened.view.locator("#post-1 .entity b").first.click()
    opened.view.locator("#post-1 .image").screenshot(path=tmp_path / "image.png")
    seen = np.asarray(Image.open(tmp_path / "image.png").convert("RGB"), np.float32)
    height, width = seen.shape[0] / 7, seen.shape[1] / 7
    here, beside = (seen[int(5.5 * height), int(column * width)] for column in (2.5, 4.5))
    # Contrast by relative luminance, which is all that remains without color vision.
    light, dark = (((one / 255) ** 2.2) @ [0.2126, 0.7152, 0.0722] for one in (here, beside))
    assert (light + 0.05) / (dark + 0.05) > 2
    assert here[0] - here[2] > 60 and np.ptp(beside) < 3


def test_hovering_with_a_mouse_previews_an_entity(open_page, attention_page):
    opened = open_page(attention_page)
    bob, rome = opened.view.locator("#post-1 .entity b").all()
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


def test_entities_are_selected_from_the_keyboard(open_page, attention_page):
    opened = open_page(attention_page)
    bob = opened.view.get_by_role("button", name="Bob Dylan").first
    for key, n_cells in (("Enter", 1), ("Enter", 0), (" ", 1), (" ", 0)):
        bob.press(key)
        assert visible_cells(opened, 1).count() == n_cells


def test_region_attention_is_readable_without_javascript(open_page, attention_page):
    opened = open_page(attention_page, java_script_enabled=False)
    opened.view.locator("#post-1 .entity b").first.click()
    line = opened.view.locator("#regions-1-1")
    assert "row 6, column 3:\N{NO-BREAK SPACE}100.0" in line.inner_text()
    assert opened.view.locator(":target").get_attribute("id") == "regions-1-1"
    assert not opened.view.get_by_text("select an entity above").first.is_visible()


def test_printing_keeps_the_filter(open_page, page, tmp_path):
    opened = open_page(page, fragment="#both-right")
    opened.view.emulate_media(media="print")
    assert opened.shown() == [5, 7]
    bar = opened.view.locator(".bar")
    assert bar.evaluate("(e) => getComputedStyle(e).position") == "static"


@pytest.mark.parametrize("width", WIDTHS)
def test_hostile_data_is_shown_and_executes_nothing(open_page, width):
    opened = open_page(hostile_page(*HOSTILE), width=width)
    assert opened.view.evaluate("window.hacked") is None
    assert opened.view.evaluate(OVERFLOW) == 0
    assert opened.view.locator("h2 > bdi").all_text_contents() == HOSTILE
    links = opened.view.evaluate("[...document.links].map((link) => link.getAttribute('href'))")
    assert all(link.startswith("#") for link in links)
    assert opened.messages == []
    assert len(opened.requests) == 1


def test_the_content_security_policy_blocks_injected_markup(open_page, page):
    # The second line of defense behind escaping.
    injected = (
        "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
        "<style>.post { display: none }</style><link rel=stylesheet href='http://localhost:9/x'>"
    )
    opened = open_page(page.replace("<main", f"{injected}<main"))
    assert opened.view.evaluate("window.hacked") is None
    opened.filter("hurt")
    assert opened.shown() == [2]
    assert len(opened.messages) >= 4 and all("Content Security" in m for m in opened.messages)


def test_right_to_left_text_has_its_own_direction(open_page):
    text = AnnotatedText([Segment("שלום", "wrong", "ORG", 0.5), Segment(" עליכם")], False)
    opened = open_page(
        render_explanation(make_explanation([make_post(model=text)]), Names("m", "d"))
    )
    directions = opened.view.locator(".annotations dd").evaluate_all(
        "(all) => all.map((one) => getComputedStyle(one).direction)"
    )
    assert directions == ["ltr", "rtl", "ltr"]
