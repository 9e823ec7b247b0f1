from __future__ import annotations

import warnings

import pytest

from spacy_mner.errors import ShortTrainingWarning
from spacy_mner.pipeline.short_training import warn_of_short_training


def training(**changes):
    settings = {"max_epochs": 30, "max_steps": 0, "eval_frequency": 100, "batcher": {"size": 32}}
    return {**settings, **changes}


@pytest.mark.parametrize(
    ("settings", "n_posts", "steps"),
    [
        ({}, 7, 30),
        ({}, 96, 90),
        ({"eval_frequency": 30}, 7, 30),
        ({"max_epochs": 0, "max_steps": 40}, 5_000, 40),
        ({"max_epochs": 0, "max_steps": 99}, 7, 99),
        ({"max_epochs": 30, "max_steps": 1_000}, 7, 30),
        ({"max_epochs": 400, "eval_frequency": 2_000}, 80, 1_200),
    ],
)
def test_a_training_that_scores_dev_before_the_first_step_alone_warns(settings, n_posts, steps):
    with pytest.warns(ShortTrainingWarning, match=f"ends after {steps:,} steps"):
        warn_of_short_training(training(**settings), lambda: range(n_posts))


@pytest.mark.parametrize(
    ("settings", "n_posts"),
    [
        ({}, 97),
        ({"eval_frequency": 29}, 7),
        ({"max_epochs": 0, "max_steps": 100}, 7),
        ({"max_epochs": 0}, 7),
        # The number of steps is unknown.
        ({"batcher": {"size": {"@schedules": "compounding.v1"}}}, 7),
        ({"batcher": {}}, 7),
    ],
)
def test_other_trainings_do_not_warn(settings, n_posts):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_short_training(training(**settings), lambda: range(n_posts))


@pytest.mark.parametrize("missing", ["max_steps", "max_epochs", "batcher", "eval_frequency"])
def test_a_config_without_values_for_training_does_not_warn(missing):
    settings = training()
    del settings[missing]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_short_training(settings, lambda: range(7))


def test_no_more_posts_are_read_than_necessary():
    posts = iter(range(10_000))
    warn_of_short_training(training(), lambda: posts)
    assert next(posts) < 200
