from __future__ import annotations

import numpy as np
import pytest

from spacy_mner.evaluation.significance import micro_f1, paired_bootstrap


def make_counts(right, *, n_posts=200, n_seeds=3, seed=0):
    """Counts of a system that finds a share of two entities per post, and as many wrong ones."""
    random = np.random.default_rng(seed)
    both = random.binomial(2, right, size=(n_seeds, n_posts))
    return np.stack([np.full_like(both, 2), np.full_like(both, 2), both], axis=2)


def slow_bootstrap(first, second, resamples, seed):
    """The same by plain loops, over Python integers."""
    random = np.random.default_rng(seed)
    n_posts = first.shape[1]

    def figure(counts, posts):
        f1 = []
        for s in random.integers(len(counts), size=len(counts)):
            gold, predicted, both = (sum(int(counts[s, i, k]) for i in posts) for k in range(3))
            precision = both / predicted if predicted else 0.0
            recall = both / gold if gold else 0.0
            total = precision + recall
            f1.append(2 * precision * recall / total if total else 0.0)
        return sum(f1) / len(f1)

    differences = []
    for _ in range(resamples):
        posts = random.integers(n_posts, size=n_posts)
        differences.append(figure(first, posts) - figure(second, posts))
    return np.sort(differences)


def test_it_agrees_with_plain_loops():
    random = np.random.default_rng(4)
    gold = random.integers(0, 3, (1, 40)).repeat(2, axis=0)
    first = np.stack([gold, gold + random.integers(0, 2, gold.shape), gold], axis=2)
    second = np.stack([gold, random.integers(0, 3, gold.shape), np.minimum(gold, 1)], axis=2)
    second[..., 1] = np.maximum(second[..., 1], second[..., 2])
    differences = slow_bootstrap(first, second, 4000, seed=1)
    found = paired_bootstrap(first, second, resamples=20_000)
    spread = differences.std()
    assert found.low == pytest.approx(np.quantile(differences, 0.025), abs=0.15 * spread)
    assert found.high == pytest.approx(np.quantile(differences, 0.975), abs=0.15 * spread)
    rarer = min((differences <= 0).mean(), (differences >= 0).mean())
    assert found.p == pytest.approx(2 * rarer, abs=0.02)


def test_f1_is_that_of_precision_and_recall():
    assert micro_f1(np.array([4, 5, 3])) == pytest.approx(2 * 0.6 * 0.75 / (0.6 + 0.75))
    assert micro_f1(np.array([0, 0, 0])) == 0


@pytest.mark.parametrize("n_seeds", [1, 3])
def test_a_system_is_no_better_than_itself(n_seeds):
    counts = make_counts(0.5, n_seeds=n_seeds)
    found = paired_bootstrap(counts, counts, resamples=2000)
    assert found.difference == 0
    assert found.low <= 0 <= found.high
    assert found.p > 0.9


def test_a_clearly_better_system_is_significantly_better():
    found = paired_bootstrap(make_counts(0.8), make_counts(0.5, seed=1), resamples=2000)
    assert found.difference == pytest.approx(0.3, abs=0.05)
    assert 0 < found.low < found.difference < found.high
    assert found.p == pytest.approx(2 / 2002)


def test_p_is_that_of_the_resamples_with_one_more_on_either_side():
    # A single post, and so the same difference in every resample: 10 on one side, 0 on the other.
    better, worse = np.array([[[2, 2, 2]]]), np.array([[[2, 2, 1]]])
    assert paired_bootstrap(better, worse, resamples=10).p == pytest.approx(2 * 1 / (10 + 2))


def test_the_difference_turns_with_the_systems():
    first, second = make_counts(0.6), make_counts(0.55, seed=1, n_seeds=2)
    there, back = paired_bootstrap(first, second), paired_bootstrap(second, first)
    assert there.difference == -back.difference
    assert there.low == pytest.approx(-back.high, abs=0.004)
    assert there.p == pytest.approx(back.p, abs=0.03)


def test_posts_are_drawn_in_pairs():
    # Posts differ a lot, the systems by the same little on each: unpaired, nothing would show.
    gold = np.full((1, 300), 10)
    both = np.random.default_rng(0).integers(0, 10, (1, 300))
    worse = np.stack([gold, gold, both], axis=2)
    better = np.stack([gold, gold, both + 1], axis=2)
    found = paired_bootstrap(better, worse, resamples=2000)
    assert found.low == pytest.approx(0.1) and found.high == pytest.approx(0.1)


def test_seeds_are_drawn_too():
    # One seed of the better system is a failure: three seeds cannot rule out chance.
    better = make_counts(0.6)
    better[0, :, 2] = 0
    found = paired_bootstrap(better, make_counts(0.35, seed=1), resamples=4000)
    assert found.difference > 0
    assert found.low < 0 < found.high
    assert found.p > 0.05


def test_the_same_seed_gives_the_same_answer():
    first, second = make_counts(0.6), make_counts(0.5, seed=1)
    assert paired_bootstrap(first, second) == paired_bootstrap(first, second)
    assert paired_bootstrap(first, second) != paired_bootstrap(first, second, seed=1)


def test_other_posts_cannot_be_compared():
    with pytest.raises(ValueError, match="same posts, got 200 and 199"):
        paired_bootstrap(make_counts(0.5), make_counts(0.5, n_posts=199))
