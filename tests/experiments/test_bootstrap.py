from __future__ import annotations

import numpy as np
import pytest

from bootstrap import micro_f1, paired_bootstrap


def make_counts(share, *, n_posts=200, n_seeds=3, seed=0):
    """Counts of a system that finds a share of two entities per post, and as many wrong ones."""
    correct = np.random.default_rng(seed).binomial(2, share, size=(n_seeds, n_posts))
    return np.stack([np.full_like(correct, 2), np.full_like(correct, 2), correct], axis=2)


def loop_bootstrap(first, second, resamples, seed):
    """The same with plain loops over Python integers."""
    random = np.random.default_rng(seed)
    n_posts = first.shape[1]

    def score(counts, posts):
        f1 = []
        for s in random.integers(len(counts), size=len(counts)):
            gold, predicted, correct = (sum(int(counts[s, i, k]) for i in posts) for k in range(3))
            f1.append(2 * correct / (gold + predicted) if gold + predicted else 0.0)
        return sum(f1) / len(f1)

    draws = (random.integers(n_posts, size=n_posts) for _ in range(resamples))
    return np.array([score(first, posts) - score(second, posts) for posts in draws])


def test_it_agrees_with_plain_loops():
    random = np.random.default_rng(4)
    gold = random.integers(0, 3, (1, 40)).repeat(2, axis=0)
    first = np.stack([gold, gold + random.integers(0, 2, gold.shape), gold], axis=2)
    second = np.stack([gold, random.integers(0, 3, gold.shape), np.minimum(gold, 1)], axis=2)
    second[..., 1] = np.maximum(second[..., 1], second[..., 2])
    differences = loop_bootstrap(first, second, 4000, seed=1)
    found = paired_bootstrap(first, second, resamples=20_000)
    tolerance = 0.15 * differences.std()
    assert found.low == pytest.approx(np.quantile(differences, 0.025), abs=tolerance)
    assert found.high == pytest.approx(np.quantile(differences, 0.975), abs=tolerance)
    rarer = min((differences <= 0).mean(), (differences >= 0).mean())
    assert found.p == pytest.approx(2 * rarer, abs=0.02)


def test_f1_is_that_of_precision_and_recall():
    assert micro_f1(np.array([4, 5, 3])) == pytest.approx(2 * 0.6 * 0.75 / (0.6 + 0.75))
    assert micro_f1(np.array([0, 0, 0])) == 0


@pytest.mark.parametrize("n_seeds", [1, 3])
def test_a_system_does_not_differ_from_itself(n_seeds):
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


def test_posts_are_paired():
    # Scores vary a lot between posts, but the difference of the systems is the same on each.
    gold = np.full((1, 300), 10)
    correct = np.random.default_rng(0).integers(0, 10, (1, 300))
    worse = np.stack([gold, gold, correct], axis=2)
    better = np.stack([gold, gold, correct + 1], axis=2)
    found = paired_bootstrap(better, worse, resamples=2000)
    assert found.low == pytest.approx(0.1) and found.high == pytest.approx(0.1)


def test_seeds_are_resampled():
    # One of three seeds of the better system failed: chance cannot be ruled out.
    better = make_counts(0.6)
    better[0, :, 2] = 0
    found = paired_bootstrap(better, make_counts(0.35, seed=1), resamples=4000)
    assert found.difference > 0 and found.low < 0 < found.high and found.p > 0.05


def test_the_result_depends_on_the_seed_alone():
    first, second = make_counts(0.6), make_counts(0.5, seed=1, n_seeds=2)
    found = paired_bootstrap(first, second)
    assert found == paired_bootstrap(first, second)
    assert found != paired_bootstrap(first, second, seed=1)


def test_different_posts_cannot_be_compared():
    with pytest.raises(ValueError):
        paired_bootstrap(make_counts(0.5), make_counts(0.5, n_posts=199))
