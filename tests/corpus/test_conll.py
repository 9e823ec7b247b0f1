from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_mner.corpus.conll import parse_conll, read_lines
from spacy_mner.corpus.image_names import AllImagesOf
from spacy_mner.corpus.posts import ReadContext, missing_tokens
from spacy_mner.errors import CorpusError

from .strategies import NLP, entities_of, id_of, tags_of, words_of

# All characters that an undamaged line can contain.
characters = st.characters(exclude_characters="\n\0", exclude_categories=("Cs",))


def parse(text, *, orphans="open", rename=None, **options):
    """Return the posts and problems of a file with this text."""
    context = ReadContext(NLP, rename or {}, orphans, **options)
    return list(parse_conll(text.split("\n"), context)), context.problems


def parse_bytes(content, tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_bytes(content)
    return parse("\n".join(read_lines(path)))


def test_a_block_is_parsed_to_id_tokens_and_entities():
    [post], problems = parse("IMGID:17_06_4705\nRT\tO\nDuke\tB-PER\nDumont\tI-PER\n\n")
    assert id_of(post) == post._.image == "17_06_4705"
    assert words_of(post) == ["RT", "Duke", "Dumont"]
    assert entities_of(post) == [("Duke Dumont", "PER")]
    assert problems == []


@pytest.mark.parametrize(
    "content",
    [
        b"IMGID:1\r\na\tO\r\nb\tB-PER\r\n\r\n",
        b"\xef\xbb\xbfIMGID:1\na\tO\nb\tB-PER\n\n",
        b"IMGID:1\na\tO\nb\tB-PER",
        b"IMGID:1\na O\nb B-PER\n",
        b"IMGID:1\na\tDT\tO\nb\tNN\tB-PER\n",
        b"IMGID:1\na DT O\nb NN B-PER\n",
        b"IMGID:1\na\tO\t\nb\tB-PER \n",
        b"IMGID: 1\n\na\tO\nb\tB-PER\n\n\n\n",
        b"IMGID:1\na\tO\nb\tB-PER\n\t\n",
        b" IMGID:1\n a\tO\n b\tB-PER\n",
        b"imgid:1\na\tO\nb\tB-PER\n",
        b"IMGID:1\tO\na\tO\nb\tB-PER\n",
        b"#IMGID: 1\na\tO\nb\tB-PER\n",
        b"-DOCSTART-\tO\n\nIMGID:1\na\tO\nb\tB-PER\n",
        b"IMGID:1\n# text = a O\na\tO\nb\tB-PER\n",
        b"word tag\n\nIMGID:1\na O\nb B-PER\n",
        b"\xef\xbb\xbf\xef\xbb\xbfIMGID:1\n\xef\xbb\xbfa\tO\nb\tB-PER\n\xef\xbb\xbf\n",
    ],
    ids=[
        "CRLF",
        "byte order mark",
        "no final newline",
        "space instead of tab",
        "three columns",
        "three columns with spaces",
        "stray white space at the end",
        "stray empty lines",
        "white space on the empty line",
        "white space before lines",
        "lower case",
        "a header with a tag",
        "a header as a comment",
        "separator of documents",
        "comment",
        "names of columns",
        "byte order marks of joined files",
    ],
)
def test_variants_of_the_format_are_parsed_alike(content, tmp_path):
    [post], problems = parse_bytes(content, tmp_path)
    assert (id_of(post), words_of(post), tags_of(post)) == ("1", ["a", "b"], ["O", "B-PER"])
    assert problems == []


def test_a_byte_order_mark_before_a_header_is_ignored(tmp_path):
    content = "IMGID:1\na\tO\n\n\ufeffIMGID:2\nb\tO\n".encode()
    posts, problems = parse_bytes(content, tmp_path)
    assert [id_of(post) for post in posts] == ["1", "2"]
    assert problems == []


@pytest.mark.parametrize(
    "invisible", ["\xa0", "\ufe0f", "\u200b", "\u200d", "\xad", "\x92", "\ufffd"]
)
@pytest.mark.parametrize("separator", ["\t", " "])
def test_invisible_tokens_are_kept(invisible, separator, tmp_path):
    content = f"IMGID:1\na{separator}O\n{invisible}{separator}O\nb{separator}B-PER\n".encode()
    [post], problems = parse_bytes(content, tmp_path)
    assert words_of(post) == ["a", invisible, "b"]
    assert problems == []


@pytest.mark.parametrize("end", ["\x85", "\u2028", "\x0b", "\x0c", "\x1c", "\r"])
def test_only_line_feeds_separate_lines(end, tmp_path):
    [post], _ = parse_bytes(f"IMGID:1\na{end}b\tO\n".encode(), tmp_path)
    assert words_of(post) == [f"a{end}b"]


def test_a_weibo_post_refers_to_all_images_with_its_id():
    [post], problems = parse("WID:LmQ1sizor\n龙\tB-LOC\n岩\tI-LOC\n#\tO\n")
    assert isinstance(post._.image, AllImagesOf)
    assert (id_of(post), post._.image) == ("LmQ1sizor", "LmQ1sizor")
    assert (words_of(post), tags_of(post)) == (["龙", "岩", "#"], ["B-LOC", "I-LOC", "O"])
    assert problems == []


@pytest.mark.parametrize(
    "names", ["1.jpg,2.png", "1.jpg; 2.png ;", "1.jpg 2.png", "1.jpg, 2.png", "1.jpg\t2.png"]
)
def test_a_header_with_several_names_has_several_images(names):
    [post], problems = parse(f"IMGID:{names}\na\tO")
    assert post._.image == ["1.jpg", "2.png"]
    assert id_of(post) == names
    assert problems == []


@pytest.mark.parametrize("name", ["my photo", "my photo.jpg", "1.jpg,", ",", "猫 の 写真"])
def test_a_header_with_one_name_has_one_image(name):
    [post], _ = parse(f"IMGID:{name}\na\tO")
    assert post._.image == name


def test_problems_are_reported_for_headers_of_both_kinds():
    posts, problems = parse("IMGID:1\nWID:\na\tO\nWID:2\n")
    assert [(id_of(post), words_of(post)) for post in posts] == [(None, ["a"])]
    assert [problem.reason for problem in problems] == [
        "IMGID:1 has no tokens; left out",
        "WID: without an id; no image",
        "WID:2 has no tokens; left out",
    ]


def test_plain_conll_has_posts_without_images_and_no_problems():
    posts, problems = parse("a\tO\n\nb\tB-PER\n\nc\tO")
    assert [(id_of(post), post._.image, words_of(post)) for post in posts] == [
        (None, None, [word]) for word in "abc"
    ]
    assert problems == []


def test_tokens_before_the_first_header_are_a_post_without_image():
    posts, problems = parse("a\tO\n\nIMGID:1\nb\tO")
    assert [(id_of(post), post._.image) for post in posts] == [(None, None), ("1", "1")]
    assert problems == []


@pytest.mark.parametrize(
    ("text", "posts", "line", "reason"),
    [
        ("IMGID:1\na\tO\n\nb\tO\n", [("1", ["a"], []), (None, ["b"], [])], 4, "IMGID"),
        ("IMGID:1\n\nIMGID:2\na\tO", [("2", ["a"], [])], 1, "IMGID:1 has no tokens"),
        ("IMGID:1\na\tO\nhelloO", [("1", ["a", "helloO"], [1])], 3, "helloO"),
        ("a\tO\nDuke\tX-PER", [(None, ["a", "Duke"], [1])], 2, "X-PER"),
        ("a\tO\n#\tX", [(None, ["a", "#"], [1])], 2, "'X'"),
        ("a\tO\nb\tO\n#tag", [(None, ["a", "b", "#tag"], [2])], 3, "no label"),
        ("a O\nb O\nNew York B-LOC", [(None, ["a", "b", "New"], [2])], 3, "York"),
        ("a\tO\nb\tO\nc\tB-PER\td\tO", [(None, ["a", "b", "c"], [2])], 3, "'B-PER d O'"),
        ("a O\nb O\nc B-PER d B-PER", [(None, ["a", "b", "c"], [2])], 3, "'B-PER d B-PER'"),
        ("a\tO\nb\tO\nc\tB-PER\tx", [(None, ["a", "b", "c"], [2])], 3, "'B-PER x'"),
        ("a O y\nb O y\nc O", [(None, ["a", "b", "c"], [2])], 3, "no label"),
        ("a\tO\nc\tB-PER|B-ORG", [(None, ["a", "c"], [1])], 2, "'B-PER|B-ORG' is no tag"),
        ("a\tO\nb\0\tO", [(None, ["a", "b\0"], [])], 2, "NUL"),
        ("IMGID:1\na\tO\n\tB-PER", [("1", ["a"], [])], 3, "no token"),
    ],
    ids=[
        "no header",
        "no tokens",
        "no label",
        "no tag",
        "no tag of #",
        "no label of #tag",
        "a column more",
        "two lines joined by a tab",
        "two lines joined by a space",
        "a column behind the tag",
        "a column less",
        "two tags",
        "a NUL character",
        "no token",
    ],
)
def test_problems_are_reported_with_their_line(text, posts, line, reason):
    parsed, [problem] = parse(text)
    assert [(post._.image, words_of(post), missing_tokens(post)) for post in parsed] == posts
    assert not any(post.ents for post in parsed)
    assert problem.line == line and reason in problem.reason


def test_a_label_with_white_space_is_kept_and_reported_once():
    [post], [problem] = parse("a\tO\nb\tB-New Person\nc\tI-New Person")
    assert entities_of(post) == [("b c", "New Person")]
    assert problem.line == 2 and "white space" in problem.reason


def test_labels_are_renamed_before_orphans_are_repaired():
    text = "IMGID:1\nVoice\tB-OTHER\nFestival\tI-MISC"
    assert tags_of(parse(text, rename={"OTHER": "MISC"})[0][0]) == ["B-MISC", "I-MISC"]
    assert tags_of(parse(text)[0][0]) == ["B-OTHER", "B-MISC"]


def test_another_encoding_raises_with_the_line(tmp_path):
    with pytest.raises(CorpusError, match=r"line 2 .*UTF-8"):
        parse_bytes("IMGID:1\ncafé\tO".encode("latin-1"), tmp_path)


cells = st.sampled_from(
    ["a", "#", "IMGID:1", "1", "O", "B-PER", "S-LOC", "X", "<EOS>", "", "\ufeff"]
)
odd_lines = st.builds(
    lambda separator, parts: separator.join(parts),
    st.sampled_from(["\t", " "]),
    st.lists(cells | st.text(characters, max_size=5), max_size=4),
)


@given(st.lists(odd_lines, max_size=12))
def test_every_line_is_parsed_or_reported_or_the_file_refused(lines):
    try:
        posts, problems = parse("\n".join(lines))
    except CorpusError:
        return
    reported = {problem.line for problem in problems}
    words = {word for post in posts for word in words_of(post)}
    ids = {id_of(post) or "" for post in posts}
    for number, line in enumerate(lines, start=1):
        text = line.strip("\ufeff \t#")
        if number in reported or not text or line.lstrip(" \ufeff").startswith(("#", "-DOCSTART-")):
            continue
        if text.upper().startswith(("IMGID:", "WID:")):
            assert any(id_ in line for id_ in ids)
        else:
            assert words & {
                word.strip(" ") or word for word in [*line.split("\t"), *line.split(" ")]
            }


tokens = st.text(characters, min_size=1).filter(
    lambda word: (
        word.strip(" \t") == word
        and "\t" not in word
        and "ID:" not in word.upper()
        and not word.startswith(("-DOCSTART-", "\ufeff"))
        and word.count("\r") < 9
    )
)
tags = st.sampled_from(["O", "B-PER", "B-LOC"])
posts_strategy = st.lists(
    st.tuples(st.from_regex(r"\A[\w.]+\Z"), st.lists(st.tuples(tokens, tags), min_size=1)),
    max_size=4,
)


@given(posts_strategy)
def test_valid_files_are_parsed_completely(expected):
    # A file of numbers alone may be one of numbered tokens without words, a first line of names
    # is not a post.
    expected = [("0", [("one", "B-PER"), ("two", "O")]), *expected]
    blocks = [
        f"IMGID:{name}\n" + "".join(f"{word}\t{tag}\n" for word, tag in lines)
        for name, lines in expected
    ]
    posts, problems = parse("\n".join(blocks))
    assert problems == []
    assert [(id_of(post), words_of(post)) for post in posts] == [
        (name, [word for word, _ in lines]) for name, lines in expected
    ]
    assert [[entity.label_ for entity in post.ents] for post in posts] == [
        [tag[2:] for _, tag in lines if tag != "O"] for _, lines in expected
    ]
