from __future__ import annotations

import pytest

from spacy_mner.corpus.conll import parse_conll
from spacy_mner.corpus.posts import ReadContext
from spacy_mner.errors import CorpusError

from .strategies import NLP, entities_of, id_of, words_of


def parse(text, **options):
    """Return the ids, words and entities of the posts of a text, and the context."""
    context = ReadContext(NLP, **options)
    posts = list(parse_conll(text.split("\n"), context))
    return [(id_of(post), words_of(post), entities_of(post)) for post in posts], context


MIRA = (["Mira", "Tolvan", "sings"], [("Mira Tolvan", "PER")])

CONLLU = "{0}\t{1}\t{1}\tPROPN\tNNP\t_\t0\troot\t_\t{2}"
KINDS = {
    "CoNLL-2003": """-DOCSTART- -X- -X- O

Mira NNP B-NP B-PER
Tolvan NNP I-NP I-PER
sings VBZ B-VP O
""",
    "CoNLL-2003, first version": """-DOCSTART- -X- O O

Mira NNP I-NP I-PER
Tolvan NNP I-NP I-PER
sings VBZ I-VP O
""",
    "numbered": """1 Mira NNP I-NP I-PER
2 Tolvan NNP I-NP I-PER
3 sings VBZ I-VP O
""",
    "numbered from 0, with names": "idx\ttoken\ttag\n0\tMira\tB-PER\n1\tTolvan\tI-PER\n2\tsings\tO",
    "offsets": "0 4 Mira B-PER\n5 11 Tolvan I-PER\n12 17 sings O",
    "tag first": "B-PER\tMira\nI-PER\tTolvan\nO\tsings\n",
    "empty first column": "\tMira\tB-PER\n\tTolvan\tI-PER\n\tsings\tO\n",
    "Universal NER": """# sent_id = s1
# text = Mira Tolvan sings O
1\tMira\tB-PER\t-\t-
2\tTolvan\tI-PER\t-\t-
3\tsings\tO\t-\t-
""",
    "MultiCoNER": """# id s1 domain=en
Mira _ _ B-PER
Tolvan _ _ I-PER
sings _ _ O
""",
    "GermEval, without nested entities": """#\thttps://example.com [2009-10-17]
1\tMira\tB-PER\tO
2\tTolvan\tI-PER\tO
3\tsings\tO\tO
""",
    "CoNLL-U Plus": """# global.columns = ID FORM UPOS PARSEME:MWE SPACES:NER
# sent_id = s1
1\tMira\tPROPN\tB-VID\tB-PER
2\tTolvan\tPROPN\tO\tI-PER
3\tsings\tVERB\tO\tO
""",
    "CoNLL-U of Stanza": "\n".join(
        [
            "# sent_id = s1",
            CONLLU.format("1-2", "MiraTolvan", "_"),
            CONLLU.format(1, "Mira", "start_char=0|ner=B-PER"),
            CONLLU.format(2, "Tolvan", "ner=E-PER|SpaceAfter=No"),
            CONLLU.format("2.1", "and", "_"),
            CONLLU.format(3, "sings", "ner=O"),
        ]
    ),
    "CoNLL-U of one sentence, with heads": "\n".join(
        CONLLU.format(i, word, f"ner={tag}|start_char={i}").replace("\t0\t", f"\t{min(i, 2) - 1}\t")
        for i, word, tag in [(1, "Mira", "B-PER"), (2, "Tolvan", "I-PER"), (3, "sings", "O")]
    ),
    "comments between tokens": "Mira\tB-PER\n# a remark\nTolvan\tI-PER\n# one more\nsings\tO",
}


@pytest.mark.parametrize("kind", KINDS)
def test_columns_are_found_and_comments_skipped(kind):
    [(id_, *post)], context = parse(KINDS[kind])
    assert tuple(post) == MIRA
    assert context.problems == []
    assert id_ == ("s1" if "s1" in KINDS[kind] else None)


def test_names_of_posts_are_not_words():
    text = "tw1 Mira B-PER\ntw1 sings O\n\ntw2 Oslo B-LOC\ntw2 rocks O\n"
    assert [words for _, words, _ in parse(text)[0]] == [["Mira", "sings"], ["Oslo", "rocks"]]


TAGGED = [("Mira", "NNP", "B-PER"), ("sings", "VBZ", "O"), ("in", "IN", "O"), ("Oslo", "NNP", "O")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "\n\n".join(f"NNP Mira{i} B-PER\nVBZ sings O\nNNP Oslo{i} O" for i in range(9)),
            [[f"Mira{i}", "sings", f"Oslo{i}"] for i in range(9)],
        ),
        ("\n".join(f"en\t{word}\t{tag}" for word, _, tag in TAGGED), [[one[0] for one in TAGGED]]),
        ("\n".join(map(" ".join, TAGGED)), [[one[0] for one in TAGGED]]),
        ("O\tO\nB-LOC\tCanada\nO\tB-PER\n", [["O", "Canada", "B-PER"]]),
        ("O O\nCanada B-LOC\nB-PER O\n", [["O", "Canada", "B-PER"]]),
        ("B-MISC B-52\nO is\nO B-52\n", [["B-52", "is", "B-52"]]),
        ("ha X O\nha Y O\nho X B-PER\nhe Y O", [["ha", "ha", "ho", "he"]]),
    ],
    ids=[
        "parts of speech first",
        "language first",
        "parts of speech second",
        "words like tags, tags first",
        "words like tags",
        "one word like a tag",
        "repeated words",
    ],
)
def test_the_column_of_words_has_more_values_than_those_of_their_kinds(text, words):
    assert [found for _, found, _ in parse(text)[0]] == words


def test_a_column_without_entities_beside_chunks_is_that_of_entities():
    posts, _ = parse("a DT B-NP O\ncat NN I-NP O\n")
    assert posts == [(None, ["a", "cat"], [])]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a\tO\n#\tO\n#tag\tO\n", ["a", "#", "#tag"]),
        ("#\tO\n#\tB-PER\n", ["#", "#"]),
        ("# O\nb O\n", ["#", "b"]),
        ("# _ _ O\nb _ _ O\n", ["#", "b"]),
        ("# id 7 domain=en\n# _ _ O\nb _ _ O\n", ["#", "b"]),
        ("# text = O\nb _ _ O\n", ["b"]),
        ("# text = b O\nb\tO\n", ["b"]),
        ("#tag # O\nb O\nc O", ["#tag", "b", "c"]),
    ],
)
def test_a_hash_is_a_token_where_a_tag_follows(text, words):
    posts, _ = parse(text)
    assert [found for _, found, _ in posts] == [words]


NESTED = "1\tdie\tO\tO\n2\tUni\tB-ORG\tO\n3\tOslo\tI-ORG\tB-LOC\n"


def test_columns_of_nested_entities_are_chosen():
    with pytest.raises(CorpusError, match=r"column 3 \(ORG\); column 4 \(LOC\).*--columns"):
        parse(NESTED)
    assert parse(NESTED, columns=(2, 3))[0][0][2] == [("Uni Oslo", "ORG")]
    assert parse(NESTED, columns=(2, 4))[0][0][2] == [("Oslo", "LOC")]
    assert parse("1 O\n2 B-PER\n", columns=(1, 2))[0][0][1] == ["1", "2"]


@pytest.mark.parametrize("columns", [(2, 9), (9, 3), (3, 2), (3, 3)])
def test_chosen_columns_without_tags_raise(columns):
    with pytest.raises(CorpusError, match="--columns"):
        parse(NESTED, columns=columns)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1 O\n2 O\n3 B-PER\n", "No column has words"),
        ("a DT B-NP\ncat NN I-NP\n", "chunks, such as NP.*--columns WORD,3"),
        (
            "s1\tMira\tB-PER\n\tis\tO\n\tin\tO\ns2\tOslo\tB-LOC\n\tis\tO\n",
            "'s1', 's2'.*empty lines",
        ),
        ("1\tMira\tB-PER\n1\tis\tO\n2\tOslo\tB-LOC\n", "Column 1 .*'1', '2'.*empty lines"),
        ("doc0\tMira\tB-PER\ndoc0\tis\tO\ndoc1\tOslo\tO\n", "'doc0', 'doc1'.*\\$1 != last"),
        ("Mira B-PER 1\nis O 1\nOslo O 2\n", r"Column 3 .*'1', '2'.*awk '\$3"),
        ("1\tMira\tO\n2\tis\tO\n1\tOslo\tB-LOC\n2\tis\tO\n", r"several posts.*\$1 == 1 "),
        ("DT the O\nNN a O\nNN Mira B-PER\n", "Column 1 or 2 .*--columns WORD,TAG"),
        ("IMGID:1\na O\nb B-PERIMGID:2\nc O\n", "line 3 has IMGID: behind a tag"),
        ("en:Mira\tB-PER\nen:in\tO\n", "s/\\^en:"),
        ("科0\tB-PER.NOM\n技1\tI-PER.NOM\n", "end with a digit.*sed"),
        ("a O\n" * 1_001, "one post"),
        ("ImageID=1\na\tO\nb\tO\n\nImageID=2\na\tO\nb\tO\n", "2 of 2 posts begin with"),
        ("a\tO\n" * 3 + "c\n" * 2 + "d e f\n" * 2, "4 of 7 lines have no tag"),
        ("a\tO\r" * 20, "carriage returns"),
        ("a\tB-PER\nb\tL-PER\n\nc\tB-PER\nd\tE-PER\n", "E-PER and L-PER"),
    ],
)
def test_ambiguous_files_are_refused(text, reason):
    with pytest.raises(CorpusError, match=reason):
        parse(text)
