from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from spacy_mner.visualize.annotated_post import ModalityWeights
from spacy_mner.visualize.explain import Scores
from spacy_mner.visualize.explain_page import Names, escape_controls, render_explanation
from spacy_mner.visualize.region_attention import RegionAttention

from .explained import make_attention, make_explanation, make_post, thumbnail_of

NAMES = Names("model", "data.spacy")
PIXELS = np.full((20, 30, 3), 200, np.uint8)

HOSTILE = [
    "<script>window.hacked = 1</script>",
    "</script><script>window.hacked = 1</script>",
    '"><img src=x onerror="window.hacked = 1">',
    "' onmouseover='window.hacked = 1",
    "</style><style>body { display: none }",
    "javascript:window.hacked=1",
    "<!-- ]]> <![CDATA[",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt;&#60;",
    "</title></td></table></article></main></svg>",
    "👩‍👩‍👧‍👦 ❤️ 🇩🇪",
    "שלום עליכם",
    "x" * 500,
]


def hostile_page(*texts):
    """A page with a post for each text, which is in every field that comes from data."""
    explanation = make_explanation(
        [hostile_post(number, text) for number, text in enumerate(texts, start=1)],
        thumbnails={text: thumbnail_of(PIXELS, [(text, 0.5)]) for text in texts},
        images=dict.fromkeys(texts, 1),
        image_ablation=False,
    )
    everything = " ".join(texts)
    return render_explanation(explanation, Names(everything, everything, everything))


def hostile_post(number, text):
    weights = ModalityWeights([text, text], {text: [0.5, 0.5], "image": [0.5, 0.5]})
    top_regions = [(text, 0.5), (text, 0.5)]
    return make_post(
        number,
        "hurt",
        text=text,
        label=text,
        id=text,
        caption=text,
        notes=[text],
        images=[text],
        modality_weights=weights,
        region_attention=[[make_attention([[0.5, 0.5], [0, 0]], text, text, top_regions)]],
    )


class Outline(HTMLParser):
    """The tags of a page with their attribute names, the targets that it can load, and its text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.targets, self.data = [], [], []
        self.feed(page)
        self.text = "".join(self.data)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, *sorted(name for name, _ in attrs)))
        active = ("href", "src", "action")
        self.targets += [value for name, value in attrs if name.startswith("on") or name in active]

    def handle_data(self, data):
        self.data.append(data)


def rendered(*posts, names=NAMES, **changes):
    """A page as HTML, and its text with single spaces."""
    page = render_explanation(make_explanation(list(posts), **changes), names)
    return page, " ".join(Outline(page).text.split())


@pytest.mark.parametrize("text", HOSTILE)
def test_data_is_escaped(text):
    plain, outline = Outline(hostile_page("plain")), Outline(hostile_page(text))
    assert outline.tags == plain.tags
    assert all(target.startswith(("#", "data:image/jpeg;")) for target in outline.targets)
    # In the title and header: model, comparison, data. In the post: id, caption, note, tag,
    # modality, two tokens, status, three times the text and its label in each of three
    # annotated texts (once in gold), and the entity, modality and two regions of the attention.
    assert outline.text.count(text) >= 22


def test_a_page_loads_nothing():
    page = re.sub("base64,[A-Za-z0-9+/=]*", "", hostile_page("plain"))
    for address in ("http:", "https:", "url(", "@import", "src="):
        assert address not in page


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x00b\x1b[31m", "a⟨U+0000⟩b⟨U+001B⟩[31m"),
        ("a\u202eb\u2066", "a⟨U+202E⟩b⟨U+2066⟩"),
        ("a\nb\tc", "a↵b⇥c"),
        ("\ud83c", "⟨U+D83C⟩"),
        ("\x85\u2028", "⟨U+0085⟩⟨U+2028⟩"),
        ("👩‍👧 ❤️ café שלום", "👩‍👧 ❤️ café שלום"),
    ],
)
def test_control_characters_are_shown_by_their_code(text, shown):
    assert escape_controls(text) == shown
    page = hostile_page(text)
    page.encode("utf-8")
    assert text == shown or text not in page
    assert shown in Outline(page).text


@pytest.mark.parametrize(("token", "shown"), [("\u200b", "⟨U+200B⟩"), ("\xa0", "⟨U+00A0⟩")])
def test_a_token_without_a_glyph_is_shown_by_its_code(token, shown):
    assert f"<bdi>{shown}</bdi>" in hostile_page(token)


def test_each_distinct_image_is_embedded_once():
    thumbnail = thumbnail_of(PIXELS)
    posts = [make_post(n, images=["a"]) for n in (1, 2, 3)]
    page, _ = rendered(*posts, thumbnails={"a": thumbnail})
    assert page.count(thumbnail.data_url) == 1
    assert page.count('href="#image-1"') == 3


COMPARISON = {"names": Names("a-model", "d.spacy", "b-model"), "image_ablation": False}
# The facts of a page with one post without changes.
FACTS = ("84.7", "44.4", "correct when its entities are exactly the gold entities")
FACTS += ("the same model without images", "correct with the image, wrong without it")


@pytest.mark.parametrize(
    ("post", "changes", "facts"),
    [
        ({}, COMPARISON, ["a-model", "b-model", "d.spacy", "correct by the model, wrong by the"]),
        ({}, {"skipped": 1234, "descriptors": 1}, ["1,234 without tokens", "; 1 as descriptors"]),
        ({}, {"model": Scores(None, None, None, 0)}, ["<td>–</td>"]),
        ({}, {"attention_bounds": (0.1554, 0.5761)}, ["each weight is between 15.5 and 57.6"]),
        ({"modality_weights": None}, {}, ["no attention over modalities"]),
        ({"verdict": "no-image"}, {}, ['value="no-image"', "used no image (1)", "on 1 of them."]),
        ({"verdict": "no-image"}, COMPARISON, ["correct on 1 of them, the comparison on 0."]),
        (
            {"verdict": "unannotated"},
            {},
            ['value="unannotated"', "not counted as correct or wrong"],
        ),
    ],
)
def test_the_header_has_the_facts_of_the_explanation_alone(post, changes, facts):
    plain, found = "".join(rendered(make_post())), "".join(rendered(make_post(**post), **changes))
    assert all(fact in plain for fact in FACTS)
    assert not any(fact in plain for fact in facts) and all(fact in found for fact in facts)
    assert ('class="attention"' in found) == ("modality_weights" not in post)


def test_lines_of_a_caption_are_paragraphs():
    page, _ = rendered(make_post(caption="a cat\n \n\t\na hat\n"))
    assert re.findall('<p class="caption" dir="auto">(.*)</p>', page) == ["a cat", "a hat"]


def attention_page(*attention):
    """A page with one post, whose only entity has this attention over regions."""
    post = make_post(modality_weights=None, images=["red"], region_attention=[list(attention)])
    return rendered(post, thumbnails={"red": thumbnail_of(PIXELS)})


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        (
            [[0.4, 0.2], [0.0, 0.4]],
            {
                "w10": "M0 0h1v1h-1zM1 1h1v1h-1z",
                "w5": "M1 0h1v1h-1z",
                "largest": "M0 0h1v1h-1zM1 1h1v1h-1z",
            },
        ),
        ([[0.0, 0.0], [0.0, 0.0]], {}),
    ],
)
def test_the_brightness_of_a_cell_is_its_share_of_the_largest(shares, expected):
    page, _ = attention_page(make_attention(shares))
    [overlay] = re.findall('<svg class="overlay" data-entity="1"(.*?)</svg>', page, re.DOTALL)
    assert dict(re.findall('<path class="(.*?)" d="(.*?)"/>', overlay)) == expected
    assert 'viewBox="0 0 2 2" preserveAspectRatio="none"' in overlay


def test_region_attention_is_also_given_as_text():
    top_regions = [("row 2, column 1", 0.123), ("row 1, column 1", 0.1)]
    objects = RegionAttention("objects", [("dog", 0.75), ("ball", 0.25)], 0.5, {})
    page, text = attention_page(make_attention([[0.1] * 3] * 3, top_regions=top_regions), objects)
    assert "row 2, column 1: 12.3; row 1, column 1: 10.0 (uniform: 11.1)" in text
    assert "objects dog: 75.0; ball: 25.0 (uniform: 50.0)" in text
    assert page.count('href="#regions-1-1"') == page.count('id="regions-1-1"') == 1
    assert "the brightness of a cell" in text and "select an entity above" in text
    assert "select an entity above" not in attention_page(objects)[1]


def test_an_entity_without_region_attention_is_no_link():
    for page, text in (attention_page(), rendered(make_post())):
        assert "data-entity=" not in page and "the brightness of a cell" not in text


def test_a_post_takes_at_most_8_kilobytes_of_the_page():
    tokens = [f"token{i}" for i in range(25)]
    weights = ModalityWeights(tokens, {name: [0.33] * 25 for name in ("word", "char", "image")})
    shares = np.random.default_rng(0).dirichlet(np.ones(49)).reshape(7, 7)
    top_regions = [(f"row {n}, column {n}", 0.1) for n in range(4)]
    regions = [[make_attention(shares, top_regions=top_regions)] * 2]
    for fields in (
        {"modality_weights": weights, "text": " ".join(tokens)},
        {"modality_weights": None, "images": ["red"], "region_attention": regions},
    ):
        posts = [make_post(n, **fields) for n in range(1, 101)]
        explanation = make_explanation(posts, thumbnails={"red": thumbnail_of(PIXELS)})
        assert len(render_explanation(explanation, NAMES)) < 8_000 * len(posts)
