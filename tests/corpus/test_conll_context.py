from __future__ import annotations

import pytest

from spacy_mner.corpus.conll import parse_conll
from spacy_mner.corpus.posts import ReadContext

from .strategies import NLP, entities_of, tags_of, words_of

CORPUS = (
    "Mira\tB-PER\n<EOS>\tX\na\tX\nman\tX\n<EOS>\tX\nred\tX\n\nhi\tO\n\nyo\tO\n<EOS>\tX\ncat\tX\n"
)


def parse(text, **options):
    context = ReadContext(NLP, **options)
    return list(parse_conll(text.split("\n"), context)), context.problems


@pytest.mark.parametrize("tag", ["X", "B-X", "I-X", "S-X"])
def test_what_follows_the_separator_is_text_about_the_image(tag):
    posts, problems = parse(CORPUS.replace("X", tag), context_label="X")
    assert [(words_of(post), post._.image_text) for post in posts] == [
        (["Mira"], "a man\nred"),
        (["hi"], None),
        (["yo"], "cat"),
    ]
    assert entities_of(posts[0]) == [("Mira", "PER")]
    assert problems == []


def test_the_scheme_is_that_of_the_tokens_of_posts():
    text = "a\tI-PER\nb\tB-PER\n<EOS>\tX\nc\tB-X\n"
    assert tags_of(parse(text, context_label="X")[0][0]) == ["B-PER", "B-PER"]


@pytest.mark.parametrize("tag", ["X", "B-X"])
def test_text_about_the_image_is_reported_once_without_the_option(tag):
    posts, [problem] = parse(CORPUS.replace("X", tag))
    assert words_of(posts[2]) == ["yo", "<EOS>", "cat"]
    assert problem.line == 2 and "--context-label X" in problem.reason


@pytest.mark.parametrize("text", ["a\tO\n<EOS>\tO\nb\tO", "a\tO\n<EOS>\tO\nb\tB-PER\nc\tB-LOC"])
def test_a_separator_among_other_tags_is_a_token(text):
    [post], problems = parse(text)
    assert words_of(post)[:3] == ["a", "<EOS>", "b"]
    assert problems == []


@pytest.mark.parametrize(
    ("text", "label", "reason"),
    [
        (CORPUS, "Y", "no post ends with the label Y"),
        ("IMGID:1\n<EOS>\tX\na\tX\n\nIMGID:2\nb\tO\n", "X", "IMGID:1 has no tokens"),
        ("a\tX\nb\tO\n<EOS>\tX\nc\tX\n", "X", "'a' has the label X before others"),
    ],
)
def test_labels_that_do_not_fit_are_reported(text, label, reason):
    _, problems = parse(text, context_label=label)
    assert reason in problems[0].reason
