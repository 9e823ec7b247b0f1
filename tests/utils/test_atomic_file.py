from __future__ import annotations

import pytest

from spacy_mner.errors import UsageError
from spacy_mner.utils.atomic_file import refuse_input_as_output


@pytest.mark.parametrize("link", ["hardlink_to", "symlink_to"])
def test_a_link_to_the_input_is_refused_as_the_output(tmp_path, link):
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("{}")
    refuse_input_as_output(source, target)
    getattr(target, link)(source)
    with pytest.raises(UsageError, match=r"out\.jsonl is the input"):
        refuse_input_as_output(source, target)
