from __future__ import annotations

import gzip
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from spacy_mner.corpus.conll import read_conll
from spacy_mner.corpus.convert import convert
from spacy_mner.corpus.formats import format_of
from spacy_mner.corpus.posts import ReadContext
from spacy_mner.errors import CorpusError, UsageError

from .strategies import NLP, entities_of, id_of

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
    "a post per line with its tags": "Mira sings\ta.jpg\tB-PER O\nin Oslo\tb.jpg\tO B-LOC\n",
    "post per line with its tags": "Mira sings\tB-PER,O\nin Oslo\tO,B-LOC\n",
    "a post per line with": "Mira sings\t['B-PER', 'O']\nin Oslo\t['O', 'B-LOC']\n",
    "a post per line": "Mira sings ||| B-PER O\nin Oslo now ||| O B-LOC O\n",
    "a line of tags each": "Mira sings here\nB-PER O O\nin Oslo\nO B-LOC\nhi all\nO O\n",
    "--labels is for JSON": "Mira 1\nsings 0\n",
    "--context-label": "Mira B-PER\nin O\na X\ncat X\n",
    "nothing where O": "Mira\tB-PER\nsings\t\nin\t\n",
    "commas": "Mira,B-PER\nsings,O\n",
    "annotation in it": "in <LOC>Oslo</LOC> now\nhi <PER>Mira</PER>\n",
    "table without tags": "id\ttext\timage\n1\tmy jaguar\ta.jpg\n2\thi\tb.jpg\n",
    "a table": "1\tmy jaguar\ta.jpg\n2\thi all\tb.jpg\n",
    "headers of posts": "IMGID:1\nmy jaguar\n\nIMGID:2\nhi there\n",
    "one token per line": "Mira\nsings\n\nhi\n",
    "a table without tags": "word\tcount\n",
    "running text": "Mira sings in Oslo.\nThis is all of it.\n",
    "no hyphen": "Mira\tB:PER\nsings\tO\nin\tO\nTolvan\tB:PER\n",
    "'_' where O": "Mira\tB-PER\nsings\t_\nin\t_\n",
    "WebAnno TSV 1 or 2": "#id=1\n#text=Mira\n1-1\tMira\tB-PER\n",
}


ENCODED = "Mira\tB-PER\nsings\tO\n"
BYTES = {
    "UTF-8: iconv -f UTF-16LE ": ENCODED.encode("utf-16"),
    "iconv -f UTF-16LE ": ENCODED.encode("utf-16-le"),
    "iconv -f UTF-16BE ": ENCODED.encode("utf-16-be"),
    "iconv -f UTF-32 ": ENCODED.encode("utf-32"),
    "iconv -f ISO-8859-1 ": "Müller\tB-PER\n".encode("latin-1"),
    "gunzip": gzip.compress(ENCODED.encode()),
    "unzip": b"PK\x03\x04\x14\0",
    "git lfs pull": b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 12\n",
}


@pytest.mark.parametrize("command", BYTES)
def test_other_encodings_and_compressed_files_are_refused_with_a_command(command, tmp_path):
    (tmp_path / "x.conll").write_bytes(BYTES[command])
    with pytest.raises(CorpusError, match=re.escape(command)):
        list(read_conll(tmp_path / "x.conll", ReadContext(NLP)))


def test_a_file_with_the_name_of_a_corpus_can_be_copied_to_conll():
    with pytest.raises(UsageError, match=r"Copy .* to NAME\.conll"):
        format_of(Path("eng.train"))


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
    "en dash": "Mira B–PER\nTolvan I–PER\nsings O\n\nin O\nOslo B–LOC\n",
    "outside": "Mira B-PER\nTolvan I-PER\nsings OUT\nin OUT\n\nOslo B-LOC\n",
    "with parts of speech": "Mira|NNP|B-PER Tolvan|NNP|I-PER sings|VBZ|O\nin|IN|O Oslo|NNP|B-LOC\n",
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
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("header", ["", "IMGID: a/B_1 x-B\n"])
@pytest.mark.parametrize("name", NOTATIONS)
def test_the_command_in_the_message_converts_other_notations(name, header, end, tmp_path):
    path = tmp_path / "x.txt"
    path.write_text(header + NOTATIONS[name], newline=end)
    with pytest.raises(CorpusError) as caught:
        list(read_conll(path, ReadContext(NLP)))
    [command] = re.findall(r"sed -E '.*' FILE", str(caught.value))
    result = subprocess.run(
        command.replace("FILE", str(path)), shell=True, capture_output=True, check=True
    )
    path.write_bytes(result.stdout)
    posts = read_conll(path, ReadContext(NLP))
    posts = list(posts)
    assert [entities_of(post) for post in posts] == [[("Mira Tolvan", "PER")], [("Oslo", "LOC")]]
    assert (id_of(posts[0]) or "") == header.strip().removeprefix("IMGID: ")
