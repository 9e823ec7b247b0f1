"""Tables from results made by hand, against figures computed here."""

from __future__ import annotations

import statistics

import pytest

from spacy_mner.errors import CorpusError
from spacy_mner.experiments import ablation, attention, plot, table1, table3
from spacy_mner.experiments.rows import HEADER

from .made import cells_of, make_options, make_runs

# Right entities by post, of two each.
BETTER = {0: [2, 2, 1, 2, 1] * 8, 1: [2, 1, 1, 2, 2] * 8}
WORSE = {0: [1, 0, 1, 0, 1] * 8, 1: [0, 0, 1, 1, 0] * 8}


def f1_of(by_seed):
    return [100 * sum(posts) / (2 * len(posts)) for posts in by_seed.values()]


def shown(values):
    return f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}"


def column(name):
    return HEADER.index(name)


def test_a_row_has_mean_and_deviation_over_the_seeds():
    page = table1.EXPERIMENT.render(table1.EXPERIMENT.summarize(make_runs(wcv_attention=BETTER)))
    row = cells_of(page, "`wcv-attention`: CharBiLSTM, image, modality attention")
    f1 = f1_of(BETTER)
    assert row[column("F1")] == row[column("P")] == row[column("R")] == shown(f1)
    assert row[column("segm. F1")] == "100.0 ± 0.0"
    assert row[column("F1, image off")] == shown([value / 2 for value in f1])
    assert row[column("F1, image shuffled")] == shown([value / 4 for value in f1])
    assert row[column("seeds")] == "2"
    assert row[column("parameters")] == "12,345"
    assert row[column("s/epoch (wall / CPU)")] == "2.5 / 4.5"
    assert (row[-2], row[-1]) == ("52.4", "68.0")


def test_one_seed_has_no_deviation_and_text_no_images():
    page = table1.EXPERIMENT.render(
        table1.EXPERIMENT.summarize(make_runs(wc_lample={0: BETTER[0]}))
    )
    row = cells_of(page, "`wc-lample`: Lample et al. 2016: CharBiLSTM")
    assert row[column("F1")] == "80.0"
    assert row[column("F1, image off")] == row[column("F1, image shuffled")] == "–"


def test_a_table_of_one_seed_says_nothing_of_chance_between_seeds():
    one = {0: BETTER[0]}
    for several, page in (
        (
            False,
            table1.EXPERIMENT.render(
                table1.EXPERIMENT.summarize(make_runs(wc_attention=one, wc_lample=one))
            ),
        ),
        (False, table3.render(table3.summarize(make_runs(wc_attention=one, wc_lample=one)))),
        (
            True,
            table1.EXPERIMENT.render(
                table1.EXPERIMENT.summarize(make_runs(wc_attention=BETTER, wc_lample=one))
            ),
        ),
        (True, table3.render(table3.summarize(make_runs(wc_attention=BETTER, wc_lample=one)))),
    ):
        method = page[-1]
        assert method.startswith("Paired bootstrap over posts")
        assert ("seeds" in method) == several
        assert ("chance of training left out" in method) != several


def test_the_ablation_explains_its_letters_and_compares_each_part_with_the_text():
    runs = make_runs(trf_context=BETTER, trf_text=WORSE, trf_alone=WORSE)
    page = ablation.EXPERIMENT.render(ablation.EXPERIMENT.summarize(runs))
    rows = [line.split(" | ")[0].strip("| ") for line in page if "`: " in line]
    assert rows == ["T", "T + C", "T + C + X"]
    assert any("X: text about the image" in line for line in page)
    gained = f1_of(BETTER)[0] / 2 + f1_of(BETTER)[1] / 2 - statistics.mean(f1_of(WORSE))
    assert cells_of(page, "`trf-context` − `trf-text`")[1] == f"{gained:+.1f}"
    assert cells_of(page, "`trf-text` − `trf-alone`")[1] == "+0.0"


def test_rows_stand_in_the_order_of_the_paper_whatever_came_first():
    runs = make_runs(wcv_attention=BETTER, c=WORSE, wc_lample=WORSE)
    rows = table1.EXPERIMENT.summarize(runs)["rows"]
    assert [row["system"] for row in rows] == ["c", "wc-lample", "wcv-attention"]


def test_differences_are_those_of_the_means_in_points():
    runs = make_runs(wc_attention=BETTER, wc_lample=WORSE, wcv_attention=WORSE)
    summary = table1.EXPERIMENT.summarize(runs)
    pairs = [(one["first"], one["second"]) for one in summary["comparisons"]]
    assert pairs == [("wcv-attention", "wc-lample"), ("wc-attention", "wc-lample")]
    row = cells_of(table1.EXPERIMENT.render(summary), "`wc-attention` − `wc-lample`")
    difference = statistics.mean(f1_of(BETTER)) - statistics.mean(f1_of(WORSE))
    assert row[1] == f"{difference:+.1f}"
    assert row[3] == "< 0.001"
    assert row[4:7] == ["+0.0", "+0.0 … +0.0", "1.000"]
    assert row[7] == "+1.7"
    assert (
        cells_of(table1.EXPERIMENT.render(summary), "`wcv-attention` − `wc-lample`")[3] == "1.000"
    )


def test_neighbors_and_what_is_of_interest_are_compared_once():
    everything = make_runs(**{key.replace("-", "_"): {0: [1, 2]} for key in table1.PAPER})
    comparisons = table1.EXPERIMENT.summarize(everything)["comparisons"]
    pairs = [(one["first"], one["second"]) for one in comparisons]
    assert len(pairs) == len(set(pairs)) == 8
    assert pairs[0] == ("wcv-attention", "wc-lample")
    assert ("wcv-attention", "wcv-concatenation") in pairs and ("w", "c") in pairs


def test_forms_of_attention_are_compared_with_concatenation_and_without_images():
    runs = make_runs(wcv_printed=WORSE, wcv_concatenation=BETTER, wc_printed=WORSE)
    page = attention.EXPERIMENT.render(attention.EXPERIMENT.summarize(runs))
    difference = statistics.mean(f1_of(WORSE)) - statistics.mean(f1_of(BETTER))
    assert cells_of(page, "`wcv-printed` − `wcv-concatenation`")[1] == f"{difference:+.1f}"
    assert cells_of(page, "`wcv-printed` − `wc-printed`")[1] == "+0.0"
    assert "paper" not in page


@pytest.fixture
def levels():
    runs = make_runs(wc_lample=WORSE, wc_attention=BETTER)
    runs |= make_runs(wc_lample_keep25=WORSE)
    return table3.summarize(runs)


def test_table3_has_a_row_for_each_share_of_the_words(levels):
    page = table3.render(levels)
    row = cells_of(page, "100 %")
    difference = statistics.mean(f1_of(BETTER)) - statistics.mean(f1_of(WORSE))
    assert row[1:5] == ["2", shown(f1_of(WORSE)), shown(f1_of(BETTER)), f"{difference:+.1f}"]
    assert row[-2:] == ["48.8", "50.5"]
    assert cells_of(page, "25 %")[1:] == [
        *("2 / 0", shown(f1_of(WORSE)), "–", "–", "–", "–", "46.4", "48.7")
    ]


def test_table3_shares_its_first_runs_with_table1():
    names = [variant.key for variant in table3.EXPERIMENT.variants]
    assert names[:4] == ["wc-lample", "wc-attention", "wc-lample-keep75", "wc-attention-keep75"]
    assert len(names) == 8
    by_key = {variant.key: variant for variant in table1.EXPERIMENT.variants}
    assert table3.EXPERIMENT.variants[0] == by_key["wc-lample"]


def test_the_plot_names_its_lines_and_is_the_same_each_time(levels, tmp_path):
    assert table3.draw(levels, tmp_path) == ["table3.svg"]
    first = (tmp_path / "table3.svg").read_text()
    assert ">with attention<" in first and ">without attention<" in first
    assert first.lstrip().startswith("<?xml") and "</svg>" in first
    table3.draw(levels, tmp_path)
    assert (tmp_path / "table3.svg").read_text() == first


def test_a_plot_without_matplotlib_names_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr(plot, "find_spec", lambda name: None)
    with pytest.raises(CorpusError, match=r"pip install 'spacy-mner\[plot\]'"):
        table3.check(make_options(tmp_path, vectors="vectors"))


@pytest.mark.parametrize(
    ("heights", "moved"),
    [([0, 50], [0, 50]), ([10, 10], [3, 17]), ([12, 8], [17, 3]), ([], []), ([5], [5])],
)
def test_names_in_a_plot_keep_a_line_of_text_apart(heights, moved):
    assert plot.spread_apart(heights, gap=14) == pytest.approx(moved)
