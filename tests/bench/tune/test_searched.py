"""The points of a search in a run's record, against the file of the search read by other means."""

import json

import pandas as pd
import pytest

from bench.base.paths import PROFILES
from bench.profiles import load_profile
from bench.tune.search import tried_as
from bench.tune.searched import searched

KEYS = ["setting", "method", "lr", "eps", "batch_size", "tail"]


@pytest.mark.parametrize(("name", "source"), [("digits", "digits"), ("quick", "digits"), ("images", "images")])
def test_every_point_is_there_with_its_means(name: str, source: str) -> None:
    """In each setting of the profile, of its arms alone; a run that did not complete counts 0."""
    profile = load_profile(name)
    trials = pd.DataFrame(json.loads((PROFILES / f"{source}.tuning.json").read_text())["trials"])
    (plan,) = profile.unlearning
    settings = {str(case.scenario): case.setting for case in profile.unlearning_cases()}
    assert len(settings) == len(plan.scenarios)
    trials = trials[trials["method"].isin(plan.methods)].assign(setting=trials["scenario"].map(settings))
    assert trials["setting"].notna().all()
    grouped = trials.assign(tow=trials["tow"].fillna(0), done=trials["step"].notna()).groupby(KEYS, dropna=False)
    expected = grouped.agg(
        tow=("tow", "mean"), completed=("done", "sum"), runs=("done", "size"), cost=("sample_forwards", "mean")
    )
    found = pd.DataFrame(point.model_dump() for point in searched(name, profile)).astype({"eps": float})
    found = found.rename(columns={"sample_forwards": "cost"}).set_index(KEYS).sort_index()
    pd.testing.assert_frame_equal(found[expected.columns], expected.sort_index(), check_dtype=False)
    assert len(found) > 20


def test_a_search_says_nothing_of_another_erasure() -> None:
    """Of another network, image size, batch size or scenario, or of arms that the run has not."""
    profile = load_profile("images")
    (plan,) = profile.unlearning
    for change in (
        {"model": "cnn"},
        {"image_size": 32},
        {"batch_sizes": [4096]},
        {"scenarios": ["class:1"]},
        {"methods": ["retrain"]},
    ):
        other = profile.model_copy(update={"unlearning": [plan.model_copy(update=change)]})
        assert searched("images", other) == ()


def test_what_was_tried_for_a_list_is_of_the_list() -> None:
    """A search forgets other requests of as many samples: the points are there, in the setting of the list."""
    listed = tried_as("files:photographs.request.txt")
    assert listed == "random:25"
    assert tried_as("class:3") == "class:3"


def test_without_a_search_there_are_no_points() -> None:
    assert searched("smoke", load_profile("smoke")) == ()
