from __future__ import annotations

import spacy
import srsly

from drop_strings import drop_strings


def test_a_published_pipeline_predicts_the_same_without_strings_of_posts(trained, tmp_path):
    trained("a name of the training posts: zyxwvut")
    trained.to_disk(tmp_path / "trained")
    drop_strings(tmp_path / "trained", tmp_path / "published")
    path = "vocab/strings.json"
    assert "zyxwvut" in srsly.read_json(tmp_path / "trained" / path)
    assert "zyxwvut" not in srsly.read_json(tmp_path / "published" / path)
    post = "Obama in Paris"
    published = spacy.load(tmp_path / "published")
    assert not published.config["components"]["multimodal_ner"]["model"]["mixed_precision"]
    assert [(e.text, e.label_) for e in published(post).ents] == [
        (e.text, e.label_) for e in trained(post).ents
    ]
