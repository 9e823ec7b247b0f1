from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_mner.corpus.posts import ReadContext, missing_tokens
from spacy_mner.corpus.webanno import is_webanno, parse_webanno
from spacy_mner.errors import CorpusError

from .strategies import NLP, entities_of, words_of

FORMAT = "#FORMAT=WebAnno TSV 3.3\n"
HEADER = FORMAT + "#T_SP=webanno.custom.NamedEntity|identifier|value\n\n\n"


def parse(text, **options):
    context = ReadContext(NLP, **options)
    lines = text.split("\n")
    assert is_webanno(lines)
    return list(parse_webanno(lines, context)), context.problems


def sentence(text, *tokens):
    """Return the lines of a sentence of tokens (number, offsets, text, value of the entity)."""
    rows = ["\t".join([*row[:3], "*" if row[3] != "_" else "_", row[3], ""]) for row in tokens]
    return "\n".join([*(f"#Text={line}" for line in text.split("\n")), *rows, "", ""])


SENTENCES = sentence(
    "Mira Tolvan lives in Oslo.",
    ("1-1", "0-4", "Mira", "PER[1]"),
    ("1-2", "5-11", "Tolvan", "PER[1]"),
    ("1-3", "12-17", "lives", "_"),
    ("1-4", "18-20", "in", "_"),
    ("1-5", "21-25", "Oslo", "LOC"),
    ("1-6", "25-26", ".", "_"),
) + sentence("Zed rocks", ("2-1", "27-30", "Zed", "ORG"), ("2-2", "31-36", "rocks", "_"))


def test_a_sentence_is_a_post_with_its_text_tokens_and_entities():
    posts, problems = parse(HEADER + SENTENCES)
    assert [(post.text, entities_of(post)) for post in posts] == [
        ("Mira Tolvan lives in Oslo.", [("Mira Tolvan", "PER"), ("Oslo", "LOC")]),
        ("Zed rocks", [("Zed", "ORG")]),
    ]
    assert words_of(posts[0]) == ["Mira", "Tolvan", "lives", "in", "Oslo", "."]
    assert problems == []


def test_adjacent_spans_are_told_apart_by_their_numbers():
    rows = [
        ("1-1", "0-1", "a", "PER[1]"),
        ("1-2", "2-3", "b", "PER[1]"),
        ("1-3", "4-5", "c", "PER"),
    ]
    [post], _ = parse(HEADER + sentence("a b c", *rows))
    assert entities_of(post) == [("a b", "PER"), ("c", "PER")]


def test_escapes_lines_and_utf16_offsets_are_read():
    text = "👍🏿 a\\[b\\]\\\\\nin Oslo-Ås"
    rows = [
        ("1-1", "0-4", "👍🏿", "_"),
        ("1-2", "5-10", "a\\[b\\]\\\\", "MY\\_LABEL\\|x[3]"),
        ("1-3", "11-13", "in", "_"),
        ("1-4", "14-21", "Oslo-Ås", "_"),
        ("1-4.1", "14-18", "Oslo", "LOC"),
        ("1-4.2", "19-21", "Ås", "LOC"),
    ]
    [post], problems = parse(HEADER + sentence(text, *rows))
    assert post.text == "👍🏿 a[b]\\\nin Oslo-Ås"
    assert entities_of(post) == [("a[b]\\", "MY_LABEL|x"), ("Oslo", "LOC"), ("Ås", "LOC")]
    assert words_of(post)[-3:] == ["Oslo", "-", "Ås"]
    assert problems == []


def test_parts_of_a_token_behind_others_in_utf16_are_read():
    rows = [("1-1", "0-6", "👍👍Ås", "_"), ("1-1.1", "4-6", "Ås", "LOC")]
    [post], _ = parse(HEADER + sentence("👍👍Ås", *rows))
    assert entities_of(post) == [("Ås", "LOC")]


def test_of_stacked_spans_the_longest_is_kept_and_the_others_reported():
    rows = [("1-1", "0-1", "a", "ORG[1]|LOC[2]"), ("1-2", "2-3", "b", "ORG[1]")]
    [post], [problem] = parse(HEADER + sentence("a b", *rows))
    assert entities_of(post) == [("a b", "ORG")]
    assert "LOC" in problem.reason


def test_a_span_without_a_label_is_missing_annotation():
    rows = [("1-1", "0-1", "a", "*"), ("1-2", "2-3", "b", "PER")]
    [post], [problem] = parse(HEADER + sentence("a b", *rows))
    assert missing_tokens(post) == [0] and entities_of(post) == [("b", "PER")]
    assert "no label" in problem.reason


LAYERS = """#T_SP=de.tud.POS|PosValue
#T_SP=de.tud.Frame|name|ROLE_de.tud.Frame:Arg_de.tud.ArgLink|de.tud.Arg
#T_SP=de.tud.NamedEntity|identifier|value
#T_CH=de.tud.Coref|referenceType|referenceRelation
#T_RL=webanno.custom.Rel|kind|BT_de.tud.NamedEntity

"""
ROW = "1-1\t0-4\tMira\tNNP\tgo\tx\t1-2\thttp://x\tPER\tt[1]\tr\tk\t1-1\t\n"


def test_the_layer_of_named_entities_is_found_among_others_which_are_reported():
    [post], [problem] = parse(f"{FORMAT}{LAYERS}#Text=Mira\n{ROW}")
    assert entities_of(post) == [("Mira", "PER")]
    for name in ("POS", "Frame", "Coref", "Rel"):
        assert name in problem.reason


TWO = FORMAT + "#T_SP=a.Person|kind\n#T_SP=a.Place|sort\n\n#Text=x\n1-1\t0-1\tx\tP\tQ\t\n"


def test_the_column_of_labels_can_be_chosen():
    with pytest.raises(CorpusError, match=r"column 4: Person, kind; column 5: Place, sort"):
        parse(TWO)
    assert entities_of(parse(TWO, columns=(3, 5))[0][0]) == [("x", "Q")]


@pytest.mark.parametrize("columns", [(3, 9), (1, 5), (3, 3)])
def test_another_choice_of_columns_raises_with_those_there_are(columns):
    with pytest.raises(CorpusError, match=r"--columns \d,\d does not fit.*column 5: Place, sort"):
        parse(TWO, columns=columns)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (FORMAT + "#T_SP=a.Person|\n\n#Text=x\n1-1\t0-1\tx\t*\t\n", "no feature"),
        (FORMAT + "\n#Text=x\n1-1\t0-1\tx\n", "no layer of spans"),
        (HEADER + "1-1\t0-1\tx\t_\t_\n", "line 5 is a token without"),
        (HEADER + "#Text=x\nhello\n", "line 6 is no token"),
        ("#FORMAT=WebAnno TSV 2\n", "TSV 1 or 2"),
        ("#id=1\n#text=Mira\n1-1\tMira\tB-PER\n", "TSV 1 or 2"),
        (" # webanno.custom.NamedEntity | value\n#id=1\n", "TSV 1 or 2"),
    ],
)
def test_other_files_are_refused(text, reason):
    with pytest.raises(CorpusError, match=reason):
        parse(text)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([("1-1", "0-1", "b", "_")], "does not have the token"),
        ([("1-1", "0-1", "a", "_"), ("1-2", "2-3", "b", "_")], "goes on after .* 1-2 'b'"),
        (
            [("1-1", "0-1", "a", "P[1]"), ("1-2", "2-3", "b", "_"), ("1-3", "4-5", "c", "P[1]")],
            r"\[1\] has tokens that are not adjacent",
        ),
        ([], "no tokens"),
    ],
)
def test_a_damaged_sentence_is_left_out_and_reported(rows, reason):
    posts, [problem] = parse(HEADER + sentence("a b c", *rows))
    assert posts == []
    assert problem.line == 5 and re.search(reason, problem.reason)


def test_a_span_across_the_border_of_sentences_is_reported():
    begin = sentence("St.", ("1-1", "0-3", "St.", "LOC[1]"))
    posts, [problem] = parse(HEADER + begin + sentence("Pauli", ("2-1", "4-9", "Pauli", "LOC[1]")))
    assert [entities_of(post) for post in posts] == [[("St.", "LOC")], [("Pauli", "LOC")]]
    assert problem.line == 8 and "[1]" in problem.reason


def test_a_token_with_too_few_columns_is_reported():
    posts, [problem] = parse(HEADER + "#Text=a\n1-1\t0-1\ta\t_\n")
    assert posts == [] and "no column 5" in problem.reason


words = st.sampled_from(["a", "🎸", "👍🏿", "e\u0301", "[x]", "B_1", "a|b", "\\n", "*", "_", "猫"])
tokens_strategy = st.lists(st.tuples(words, st.booleans()), min_size=1, max_size=8)


def escape(text):
    return re.sub(r"([\\\[\]|_;*])", r"\\\1", text)


def write(number, begin, tokens, spans):
    """Write a sentence that begins at an offset in UTF-16 code units; return it and its end."""
    text = "".join(word + " " * space for word, space in tokens)
    values = ["_"] * len(tokens)
    for i, (start, end, label) in enumerate(spans, start=1):
        values[start:end] = [f"{escape(label)}[{number}{i}]"] * (end - start)
    rows = []
    for i, ((word, space), value) in enumerate(zip(tokens, values, strict=True), start=1):
        end = begin + len(word.encode("utf-16-le")) // 2
        rows.append((f"{number}-{i}", f"{begin}-{end}", escape(word), value))
        begin = end + space
    return text, sentence(escape(text), *rows), begin + 1


@given(st.data(), st.lists(tokens_strategy, min_size=1, max_size=3))
def test_texts_tokens_and_spans_come_back(data, sentences):
    content, begin, expected = HEADER, 0, []
    for number, tokens in enumerate(sentences, start=1):
        edges = sorted(data.draw(st.sets(st.integers(0, len(tokens)), max_size=5)))
        spans = [(*edge, data.draw(st.sampled_from(["PER", "A_B"]))) for edge in pairwise(edges)]
        text, lines, begin = write(number, begin, tokens, spans)
        content += lines
        expected.append((text, [word for word, _ in tokens], spans))
    posts, problems = parse(content)
    assert problems == []
    assert [
        (post.text, words_of(post), [(e.start, e.end, e.label_) for e in post.ents])
        for post in posts
    ] == expected
