from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from spacy_mner.visualize.explain import Bounds, Scores, TokenAttention
from spacy_mner.visualize.explain_page import Names, render, visible
from spacy_mner.visualize.region_attention import Look

from .explained import a_look, a_post, a_thumbnail, an_explanation

NAMES = Names("model", "data.spacy")

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
    """A page with a post for each text; the text stands wherever data can stand."""
    pixels = np.full((20, 30, 3), 200, np.uint8)
    explanation = an_explanation(
        [hostile_post(number, text) for number, text in enumerate(texts, start=1)],
        thumbnails={text: a_thumbnail(pixels, [(text, 0.5)]) for text in texts},
        images=dict.fromkeys(texts, 1),
        own_ablation=False,
    )
    everything = " ".join(texts)
    return render(explanation, Names(everything, everything, everything))


def hostile_post(number, text):
    heat = TokenAttention([text, text], {text: [0.5, 0.5], "image": [0.5, 0.5]})
    looks = [[a_look([[0.5, 0.5], [0, 0]], text, text, [(text, 0.5), (text, 0.5)])]]
    told = {"caption": text, "notes": [text], "images": [text], "heat": heat, "id": text}
    told["looks"] = looks
    return a_post(number, "hurt", text=text, label=text, **told)


class Outline(HTMLParser):
    """The tags of a page with the names of their attributes, and what may act."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.acts, self.text = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, *sorted(name for name, _ in attrs)))
        self.acts += [v for n, v in attrs if n.startswith("on") or n in ("href", "src", "action")]

    def handle_data(self, data):
        self.text.append(data)


@pytest.mark.parametrize("text", HOSTILE)
def test_data_never_becomes_markup(text):
    plain, outline = Outline(hostile_page("plain")), Outline(hostile_page(text))
    assert outline.tags == plain.tags
    assert all(target.startswith(("#", "data:image/jpeg;")) for target in outline.acts)


@pytest.mark.parametrize("text", HOSTILE)
def test_data_reads_as_it_was_written(text):
    # Title, model, comparison and data; id, caption, note, tag, modality, two tokens;
    # status; the text three times and its label as often: once in gold, twice in each reading.
    # Where it looks: the entity, the modality, two regions.
    assert "".join(Outline(hostile_page(text)).text).count(text) >= 22


def test_a_page_needs_nothing_from_elsewhere():
    page = hostile_page("plain")
    for address in ("http:", "https:", "url(", "@import", "src="):
        assert address not in re.sub("base64,[A-Za-z0-9+/=]*", "", page)


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
def test_characters_that_would_act_are_spelled_out(text, shown):
    assert visible(text) == shown
    page = hostile_page(text)
    page.encode("utf-8")
    assert text == shown or text not in page
    assert shown in "".join(Outline(page).text)


@pytest.mark.parametrize(("token", "shown"), [("\u200b", "⟨U+200B⟩"), ("\xa0", "⟨U+00A0⟩")])
def test_a_token_with_nothing_to_see_is_spelled_out_over_its_column(token, shown):
    assert f"<bdi>{shown}</bdi>" in hostile_page(token)


def test_each_distinct_image_is_in_the_page_once():
    thumbnail = a_thumbnail(np.full((20, 30, 3), 200, np.uint8))
    posts = [a_post(n, images=["a"]) for n in (1, 2, 3)]
    page = render(an_explanation(posts, thumbnails={"a": thumbnail}), NAMES)
    assert page.count(thumbnail.data_url) == 1
    assert page.count('href="#image-1"') == 3


def test_the_header_names_models_data_posts_and_scores():
    explanation = an_explanation([a_post()], skipped=1234, own_ablation=False, descriptors=1)
    text = "".join(Outline(render(explanation, Names("a-model", "d.spacy", "b-model"))).text)
    for words in ("a-model", "b-model", "d.spacy", "84.7", "44.4", "1,234 without a token"):
        assert words in text
    assert "used 1; 1 as descriptors" in text
    assert "as another model reads it" in text


def test_the_page_says_what_right_means_and_what_the_comparison_is():
    text = "".join(Outline(render(an_explanation([a_post()]), NAMES)).text)
    assert "right when its entities are exactly the annotated ones" in text
    assert "the same model, its images taken away" in text
    assert "read rightly with the image, wrongly without it" in text


def test_a_fuser_that_weighs_nothing_is_told_of():
    page = render(an_explanation([a_post(heat=None)]), NAMES)
    assert "weighs no modality" in page and 'class="heat"' not in page
    assert "weighs no modality" not in render(an_explanation([a_post()]), NAMES)


def a_looking_page(*looks):
    """A page with one post, whose only entity has these looks."""
    thumbnail = a_thumbnail(np.full((20, 30, 3), 200, np.uint8))
    posts = [a_post(heat=None, images=["red"], looks=[list(looks)])]
    return render(an_explanation(posts, thumbnails={"red": thumbnail}), NAMES)


def outlines(page):
    """Of the cells over the image: the outline of each brightness."""
    [overlay] = re.findall('<svg class="look" data-entity="1"(.*?)</svg>', page, re.DOTALL)
    return dict(re.findall('<path class="(.*?)" d="(.*?)"/>', overlay))


def test_the_cells_of_an_image_are_as_bright_as_their_share_of_the_largest():
    page = a_looking_page(a_look([[0.4, 0.2], [0.0, 0.4]]))
    assert outlines(page) == {
        "w10": "M0 0h1v1h-1zM1 1h1v1h-1z",
        "w5": "M1 0h1v1h-1z",
        "most": "M0 0h1v1h-1zM1 1h1v1h-1z",
    }
    assert 'viewBox="0 0 2 2" preserveAspectRatio="none"' in page


def test_an_image_that_gets_no_attention_at_all_has_no_bright_cell():
    assert outlines(a_looking_page(a_look([[0.0, 0.0], [0.0, 0.0]]))) == {}


def test_where_an_entity_looks_stands_there_in_words_too():
    told = [("row 2, column 1", 0.123), ("row 1, column 1", 0.1)]
    objects = Look("objects", [("dog", 0.75), ("ball", 0.25)], 0.5, {})
    page = a_looking_page(a_look([[0.1] * 3] * 3, told=told), objects)
    text = re.sub(r"\s+", " ", "".join(Outline(page).text))
    assert "row 2, column 1: 12.3; row 1, column 1: 10.0 (11.1 each if even)" in text
    assert "objects dog: 75.0; ball: 25.0 (50.0 each if even)" in text
    assert page.count('href="#look-1-1"') == page.count('id="look-1-1"') == 1
    assert "the brightness of a cell" in page and "choose one above" in page
    assert "choose one above" not in a_looking_page(objects)


def test_an_entity_that_looks_nowhere_leads_nowhere():
    for page in (a_looking_page(), render(an_explanation([a_post()]), NAMES)):
        assert "data-entity=" not in page and "the brightness of a cell" not in page


def test_only_a_bounded_fuser_is_said_to_lean():
    bounds = Bounds(3, 0.1554, 0.5761)
    page = render(an_explanation([a_post()], bounds=bounds), NAMES)
    assert "can only lean: of 3 modalities that a post has, each gets from 15.5\nto 57.6" in page
    assert "lean" not in render(an_explanation([a_post()]), NAMES)


def test_posts_on_which_no_image_was_used_are_a_group_of_their_own():
    posts = [a_post(), a_post(2, "unseen"), a_post(3, "unseen")]
    page = render(an_explanation(posts), NAMES)
    assert 'value="unseen"' in page and page.count("</span> no image used</span>") == 2
    assert "used no image (2)" in page and "reads 2 of them rightly.</p>" in page
    compared = render(an_explanation(posts, own_ablation=False), NAMES)
    assert "reads 2 of them rightly, the comparison 0.</p>" in compared
    assert "no image used" not in render(an_explanation([a_post()]), NAMES)


def test_lines_of_a_caption_are_paragraphs_and_empty_ones_are_none():
    page = render(an_explanation([a_post(caption="a cat\n \n\t\na hat\n")]), NAMES)
    assert re.findall('<p class="caption" dir="auto">(.*)</p>', page) == ["a cat", "a hat"]


def test_posts_without_annotation_have_a_filter_only_where_there_are_some():
    assert 'value="unjudged"' not in render(an_explanation([a_post()]), NAMES)
    page = render(an_explanation([a_post(), a_post(2, "unjudged")]), NAMES)
    assert 'value="unjudged"' in page and "not counted as right or wrong" in page


def test_scores_that_do_not_exist_are_a_dash():
    scores = Scores(None, None, None, 0)
    page = render(an_explanation([], model=scores, images={}), NAMES)
    assert "<td>–</td>" in page


def test_a_thousand_posts_take_a_few_megabytes():
    tokens = [f"token{i}" for i in range(25)]
    heat = TokenAttention(tokens, {name: [0.33] * 25 for name in ("word", "char", "image")})
    posts = [a_post(n, heat=heat, text=" ".join(tokens)) for n in range(1, 1001)]
    assert len(render(an_explanation(posts), NAMES)) < 8e6


def test_two_thousand_looks_take_a_few_megabytes():
    shares = np.random.default_rng(0).dirichlet(np.ones(49)).reshape(7, 7)
    told = [(f"row {n}, column {n}", 0.1) for n in range(4)]
    look = a_look(shares, told=told)
    thumbnail = a_thumbnail(np.full((20, 30, 3), 200, np.uint8))
    posts = [a_post(n, heat=None, images=["red"], looks=[[look, look]]) for n in range(1, 1001)]
    assert len(render(an_explanation(posts, thumbnails={"red": thumbnail}), NAMES)) < 6e6
