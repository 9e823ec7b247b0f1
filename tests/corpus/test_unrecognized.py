from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from spacy_mner.corpus.conll import read_conll
from spacy_mner.corpus.convert import convert
from spacy_mner.corpus.posts import ReadContext
from spacy_mner.errors import CorpusError

from .strategies import NLP, entities_of

CONLL_2012 = "bc/x 0 {} {} NN (NP* - - - Ann {} -\n"
FILES = {
    "BRAT": "T1\tPER 0 4\tMira\nT2\tLOC 8 12\tOslo\nR1\tIn Arg1:T1 Arg2:T2\n",
    "XML": "<post>\n<ner>Mira</ner>\n</post>\n",
    "JSON": '{"text": "Mira"}\n{"text": "Oslo"}\n',
    "CoNLL-2012": "#begin document x\n"
    + CONLL_2012.format(0, "Mira", "(PER*")
    + CONLL_2012.format(1, "Tolvan", "*)")
    + CONLL_2012.format(2, "sings", "*"),
    "CoNLL-U without": "1\tMira\tmira\tPROPN\tNNP\t_\t0\troot\t_\t_\n",
    "commas": "Mira,B-PER\nsings,O\n",
    "annotation in it": "in <LOC>Oslo</LOC> now\nhi <PER>Mira</PER>\n",
    "table of posts with names": "id\ttext\timage\n1\tmy jaguar\ta.jpg\n2\thi\tb.jpg\n",
    "table without": "1\tmy jaguar\ta.jpg\n2\thi all\tb.jpg\n",
    "headers of posts": "IMGID:1\nmy jaguar\n\nIMGID:2\nhi there\n",
    "one token per line": "Mira\nsings\n\nhi\n",
    "table without tags": "word\tcount\n",
    "running text": "Mira sings in Oslo.\nThis is all of it.\n",
    "no hyphen": "Mira\tB:PER\nsings\tO\nin\tO\nTolvan\tB:PER\n",
    "'_' where O": "Mira\tB-PER\nsings\t_\nin\t_\n",
    "WebAnno TSV 1 or 2": "#id=1\n#text=Mira\n1-1\tMira\tB-PER\n",
}


@pytest.mark.parametrize("name", FILES)
def test_other_files_are_refused_by_name_and_nothing_is_written(name, tmp_path):
    (tmp_path / "x.txt").write_text(FILES[name])
    with pytest.raises(CorpusError, match=re.escape(name)) as caught:
        convert(tmp_path / "x.txt", tmp_path / "x.spacy")
    assert "x.txt" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]


def test_a_text_beside_its_brat_annotation_is_refused_by_name(tmp_path):
    (tmp_path / "x.txt").write_text("Mira sings in Oslo.\n")
    (tmp_path / "x.ann").write_text(FILES["BRAT"])
    with pytest.raises(CorpusError, match=r"x\.ann beside it is BRAT"):
        convert(tmp_path / "x.txt", tmp_path / "x.spacy")


NOTATIONS = {
    "label first": "Mira\tPER-B\nTolvan\tPER-I\nsings\tO\n\nin\tO\nOslo\tLOC-B\n",
    "underscore": "Mira B_PER\nTolvan I_PER\nsings O\n\nin O\nOslo B_LOC\n",
    "lower case": "Mira\tb-PER\nTolvan\ti-PER\nsings\to\n\nin\to\nOslo\tb-LOC\n",
    "no prefix": "Mira\tPER\nTolvan\tPER\nsings\tO\n\nin\tO\nOslo\tLOC\n",
    "other letter for O": "Mira\tB-PER\nTolvan\tI-PER\nsings\t_\n\nin\t_\nhi\t_\nOslo\tB-LOC\n",
    "on one line": "Mira/B-PER Tolvan/I-PER sings/O \nin/O Oslo/B-LOC\n",
}


@pytest.mark.skipif(
    shutil.which("sed") is None
    or b"GNU" not in subprocess.run(["sed", "--version"], capture_output=True).stdout,
    reason="needs GNU sed",
)
@pytest.mark.parametrize("name", NOTATIONS)
def test_the_command_in_the_message_converts_other_notations(name, tmp_path):
    path = tmp_path / "x.txt"
    path.write_text(NOTATIONS[name])
    with pytest.raises(CorpusError) as caught:
        list(read_conll(path, ReadContext(NLP)))
    [command] = re.findall(r"sed -E '.*' FILE", str(caught.value))
    result = subprocess.run(
        command.replace("FILE", str(path)), shell=True, capture_output=True, check=True
    )
    path.write_bytes(result.stdout)
    posts = read_conll(path, ReadContext(NLP))
    assert [entities_of(post) for post in posts] == [[("Mira Tolvan", "PER")], [("Oslo", "LOC")]]
