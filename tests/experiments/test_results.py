from __future__ import annotations

import json

import pytest

from results import main


def write_scores(folder, name, f1):
    scores = {"data": "test.spacy", "posts": 3, "tokens": 9, "posts_with_image": 2}
    scores |= dict.fromkeys(("ents_p", "ents_r", "ents_f", "segmentation_f"), f1)
    (folder / f"{name}.json").write_text(
        json.dumps({**scores, "ents_per_type": {"PER": {"p": f1, "r": f1, "f": f1}}})
    )


def test_the_page_has_mean_and_deviation_over_the_seeds(tmp_path):
    for seed, f1 in enumerate((0.8, 0.9, 0.7)):
        write_scores(tmp_path, f"mner-on-{seed}", f1)
        write_scores(tmp_path, f"text-on-{seed}", f1 - 0.3)
    write_scores(tmp_path, "mner-off-0", 0.5)
    page = tmp_path / "results" / "README.md"
    main(str(tmp_path), str(page))
    text = page.read_text()
    assert "| word + char + image | as they are | 3 | 80.0 ± 10.0 |" in text
    assert "| word + char + image | removed | 1 | 50.0 | 50.0 | 50.0 | 50.0 |" in text
    assert "| word + char | 50.0 ± 10.0 |" in text
    assert "test.spacy" in text and "seeds: 0, 1, 2" in text


def test_a_folder_without_scores_ends_the_command(tmp_path):
    with pytest.raises(SystemExit, match="run the project"):
        main(str(tmp_path), str(tmp_path / "page.md"))
