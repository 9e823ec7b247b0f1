"""The page in a real browser, at the widths of a phone and of a desktop."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import spacy
from PIL import Image

from ..browser import OVERFLOW, WIDTHS, Opened
from . import standin_image_reader
from .conftest import MAX_IMAGE, serving
from .standin_image_reader import MARKUP

# The processes of the server import it.
CODE = Path(standin_image_reader.__file__)
POST = "hi Bob Dylan lynx"
HOSTILE = f"{MARKUP} \u202eevil\u202c \x07 jaguar \N{HEBREW LETTER SHIN}\n"


@pytest.fixture(scope="module")
def ruler_url(tmp_path_factory):
    """A server of a pipeline without a network, which takes long posts."""
    folder = tmp_path_factory.mktemp("ruler")
    nlp = spacy.blank("en")
    patterns = [{"label": "ORG", "pattern": "jaguar"}, {"label": "PER", "pattern": "Bob Dylan"}]
    nlp.add_pipe("entity_ruler").add_patterns(patterns)
    nlp.add_pipe("standin_image_reader")
    nlp.to_disk(folder)
    with serving(folder, code=CODE, max_length=100_000) as address:
        yield address


@pytest.fixture(scope="module")
def grid_url(grid_model):
    with serving(grid_model) as address:
        yield address


@pytest.fixture(scope="module")
def car(images):
    return {
        "name": "car.png",
        "mimeType": "image/png",
        "buffer": (images / "car.png").read_bytes(),
    }


class Visit(Opened):
    """The page of a server."""

    def __init__(self, browser, url, width, **options):
        viewport = {"width": width, "height": 800}
        super().__init__(browser, url, viewport=viewport, has_touch=width < 500, **options)
        self.url = url

    def annotate(self, post=POST, image=None):
        self.view.locator("#text").fill(post)
        if image:
            self.view.locator("#file").set_input_files(image)
        self.view.locator("#submit").click()
        return self.result()

    def result(self):
        """Wait for the result, and return its text."""
        self.view.locator("#result").wait_for(state="visible", timeout=60_000)
        return self.view.locator("#result").inner_text()

    def marks(self):
        """The entities of each row: text and label."""
        rows = self.view.locator(".annotated dd").all()
        texts = [row.locator("mark").all_inner_texts() for row in rows]
        return [
            [one.removeprefix("only here:\n").split("\xa0")[:2] for one in row] for row in texts
        ]

    def check(self):
        """Nothing in the console, no request to another host, and no horizontal scrolling."""
        assert self.messages == []
        assert all(one.startswith((self.url, f"blob:{self.url}")) for one in self.requests)
        assert self.view.evaluate(OVERFLOW) == 0


@pytest.fixture
def visit(browser):
    visits = []

    def open_page(url, width=1280, **options):
        visits.append(Visit(browser, url, width, **options))
        return visits[-1]

    yield open_page
    for one in visits:
        one.check()
        one.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_post_is_shown_with_and_without_its_image(visit, ruler_url, car, width, scheme, tmp_path):
    page = visit(ruler_url, width, color_scheme=scheme)
    assert "The image changes the entities" in page.annotate("Bob Dylan in a jaguar", car)
    assert page.marks() == [[["Bob Dylan", "PER"]], [["Bob Dylan", "PER"], ["jaguar", "ORG"]]]
    assert page.view.locator("mark.only").count() == 1
    page.view.screenshot(path=tmp_path / "page.png", full_page=True)
    corner = np.asarray(Image.open(tmp_path / "page.png").convert("L"))[0, 0]
    assert corner > 200 if scheme == "light" else corner < 60


@pytest.mark.parametrize("width", WIDTHS)
def test_objects_and_text_of_the_image_are_shown(visit, ruler_url, car, width):
    page = visit(ruler_url, width)
    page.annotate("a jaguar", car)
    rows = page.view.locator(".tags tr").all_inner_texts()
    assert [row.split() for row in rows] == [["<b>car", "91"], ["street⟨U+202E⟩"]]
    assert page.view.locator(".image-text").inner_text() == f"JAGUAR {MARKUP}"
    [image] = boxes(page.view.locator(".stage img"))
    [box] = boxes(page.view.locator(".stage .box"))
    expected = [image[0] + image[2] / 4, image[1] + image[3] / 2, image[2] / 2, image[3] / 2]
    np.testing.assert_allclose(box, expected, atol=1)


def boxes(locator):
    """The left, top, width and height of elements."""
    found = locator.evaluate_all("(all) => all.map((e) => e.getBoundingClientRect())")
    return np.array([[one[side] for side in ("x", "y", "width", "height")] for one in found])


@pytest.mark.parametrize("width", WIDTHS)
def test_the_attention_to_modalities_is_a_table(visit, url, car, width):
    page = visit(url, width)
    assert "What each token attends to" in page.annotate("my jaguar !", car)
    header, *rows = page.view.locator(".attention tr").all()
    assert header.locator("th").all_inner_texts() == ["my", "jaguar", "!"]
    weights = [[int(cell) for cell in row.locator("td").all_inner_texts()] for row in rows]
    assert page.view.locator(".attention tbody th").all_inner_texts() == ["word", "char", "image"]
    np.testing.assert_allclose(np.sum(weights, axis=0), 100, atol=2)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_attention_of_a_token_to_regions_is_shown_on_the_image(visit, grid_url, car, width):
    page = visit(grid_url, width)
    page.annotate("my jaguar !", car)
    tokens = page.view.locator(".tokens label")
    assert tokens.all_inner_texts() == ["none", "my", "jaguar", "!"]
    overlay = page.view.locator(".stage .overlay")
    assert overlay.count() == 0
    tokens.nth(2).click()
    np.testing.assert_allclose(boxes(overlay), boxes(page.view.locator(".stage img")), atol=1)
    assert "row " in page.view.locator(".regions").inner_text()
    # Also from the keyboard.
    page.view.keyboard.press("ArrowLeft")
    assert overlay.count() == 1
    page.view.keyboard.press("ArrowLeft")
    assert overlay.count() == 0


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_works_with_the_keyboard_alone(visit, ruler_url, car, width):
    page = visit(ruler_url, width)
    # With a listener, the browser intercepts file choosers from here on, and not from the moment
    # on that one is expected, which may be after the key.
    page.view.on("filechooser", lambda _: None)
    keyboard = page.view.keyboard
    order = []
    for _ in range(12):
        keyboard.press("Tab")
        order.append(page.view.evaluate("document.activeElement.id"))
        if order[-1] == "submit":
            break
    camera = ["camera"] if width < 500 else []
    assert [one for one in order if one] == ["example", "text", "file", *camera, "submit"]
    page.view.locator("#text").focus()
    keyboard.type("Bob Dylan")
    keyboard.press("Control+Enter")
    assert "1 entity" in page.result()
    assert page.view.evaluate("document.activeElement.id") == "result"
    page.view.wait_for_load_state("networkidle")
    page.view.locator("#file").focus()
    with page.view.expect_file_chooser() as chooser:
        keyboard.press(" ")
    chooser.value.set_files(car)
    page.view.locator("#preview").wait_for()
    assert page.view.evaluate("document.activeElement.id") == "remove"
    keyboard.press("Enter")
    assert page.view.evaluate("document.activeElement.id") == "file"
    assert not page.view.locator("#preview").is_visible()


TRANSFER = """(bytes) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(bytes)], "car.png", { type: "image/png" }));
    return transfer;
}"""


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_an_image_can_be_dropped_and_pasted(visit, ruler_url, car, event):
    page = visit(ruler_url)
    transfer = page.view.evaluate_handle(TRANSFER, list(car["buffer"]))
    name = "dataTransfer" if event == "drop" else "clipboardData"
    page.view.evaluate(
        """([event, name, transfer]) => document.getElementById("text").dispatchEvent(
            new (event === "drop" ? DragEvent : ClipboardEvent)(
                event, { bubbles: true, cancelable: true, [name]: transfer }))""",
        [event, name, transfer],
    )
    page.view.locator("#preview").wait_for()
    assert "Image used" in page.annotate("a jaguar")


def test_text_with_an_image_of_it_is_pasted_as_text(visit, ruler_url, car):
    page = visit(ruler_url)
    transfer = page.view.evaluate_handle(TRANSFER, list(car["buffer"]))
    is_left_to_the_browser = page.view.evaluate(
        """(transfer) => {
            transfer.setData("text/plain", "a jaguar");
            return document.getElementById("text").dispatchEvent(new ClipboardEvent(
                "paste", { bubbles: true, cancelable: true, clipboardData: transfer }));
        }""",
        transfer,
    )
    assert is_left_to_the_browser
    assert not page.view.locator("#preview").is_visible()


def test_a_phone_offers_its_camera(visit, ruler_url, car):
    page = visit(ruler_url, WIDTHS[0])
    assert page.view.locator("#camera").get_attribute("capture") == "environment"
    page.view.locator("#camera").set_input_files(car)
    assert "Image used" in page.annotate("a jaguar")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("content", [b"broken", b"\xff\xd8\xff\xe0 broken"])
def test_a_broken_image_is_named_and_the_post_annotated(visit, url, width, content):
    page = visit(url, width)
    image = {"name": "broken.jpg", "mimeType": "image/jpeg", "buffer": content}
    text = page.annotate(POST, image)
    assert "the image was not used" in text and "Image unreadable" in text
    assert page.marks() == [[["Bob Dylan", "PER"]]] * 2
    assert page.view.locator("#no-thumbnail").is_visible()
    assert not page.view.locator("#thumbnail").is_visible()


@pytest.mark.parametrize("width", WIDTHS)
def test_an_image_may_be_as_large_as_the_limit_and_no_larger(visit, url, width, car):
    page = visit(url, width)
    at_limit = car["buffer"] + b"\0" * (MAX_IMAGE - len(car["buffer"]))
    page.view.locator("#file").set_input_files({**car, "buffer": at_limit + b"\0"})
    assert f"{MAX_IMAGE + 1:,} bytes" in page.view.locator("#problem").inner_text()
    assert not page.view.locator("#preview").is_visible()
    assert "Image used" in page.annotate(POST, {**car, "buffer": at_limit})
    assert page.view.locator("#problem").inner_text() == ""


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("repeats", [1, 100_000 // len(HOSTILE)])
def test_hostile_text_is_shown_and_executes_nothing(visit, ruler_url, width, repeats, car):
    page = visit(ruler_url, width)
    post = (HOSTILE * repeats).rstrip("\n")
    page.annotate(post, {**car, "name": f"{MARKUP}\u202e.png"})
    shown = page.view.locator(".annotated dd").first.text_content()
    escaped = [("\u202e", "⟨U+202E⟩"), ("\u202c", "⟨U+202C⟩"), ("\x07", "⟨U+0007⟩")]
    expected = post
    for character, code in escaped:
        expected = expected.replace(character, code)
    assert shown == expected
    assert [len(row) for row in page.marks()] == [0, repeats]
    assert page.view.evaluate("window.hacked") is None


@pytest.mark.parametrize("width", WIDTHS)
def test_a_post_over_the_limit_is_not_sent(visit, url, width):
    page = visit(url, width)
    page.view.locator("#text").fill("a" * 100_000)
    page.view.locator("#submit").click()
    assert "over 100 characters" in page.view.locator("#problem").inner_text()
    assert "100,000 of 100" in page.view.locator("#count").inner_text()
    assert not any("annotate" in one for one in page.requests)


def test_characters_beyond_the_basic_plane_count_as_one(visit, ruler_url):
    page = visit(ruler_url)
    page.annotate("🎸🎸 Bob Dylan \ud83c")
    assert page.marks() == [[["Bob Dylan", "PER"]]]


def test_an_image_is_upright_and_its_regions_too(visit, grid_url):
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (60, 20), "red").save(buffer, "JPEG", exif=exif)
    image = {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": buffer.getvalue()}
    page = visit(grid_url)
    page.annotate("my jaguar !", image)
    [(_, _, width, height)] = boxes(page.view.locator(".stage img"))
    assert (width, height) == pytest.approx((20, 60), abs=1)


def test_the_documentation_of_the_api_loads_nothing_from_elsewhere(visit, url):
    page = visit(f"{url}docs")
    page.view.get_by_text("Annotate one post or several").wait_for()
    page.url = url


@pytest.mark.parametrize(
    ("status", "body", "shown"),
    [
        (413, '{"detail": "The body is over the limit."}', "The body is over the limit."),
        (503, '{"detail": "The server is busy."}', "The server is busy."),
        (502, "<html>Bad Gateway</html>", "The server answered 502."),
        (200, '{"posts": [{"error": "ValueError"}]}', "ValueError"),
    ],
)
def test_an_error_of_the_server_or_of_its_proxy_is_shown(browser, ruler_url, status, body, shown):
    visit = Visit(browser, ruler_url, WIDTHS[0])
    visit.view.route("**/v1/annotate", lambda route: route.fulfill(status=status, body=body))
    visit.view.locator("#text").fill(POST)
    visit.view.locator("#submit").click()
    visit.view.get_by_text(shown).wait_for(state="visible", timeout=60_000)


def test_a_server_that_cannot_be_reached_is_shown(browser, ruler_url):
    visit = Visit(browser, ruler_url, WIDTHS[0])
    visit.view.route("**/v1/annotate", lambda route: route.abort())
    visit.view.locator("#text").fill(POST)
    visit.view.locator("#submit").click()
    visit.view.get_by_text("The server cannot be reached.").wait_for(timeout=60_000)
