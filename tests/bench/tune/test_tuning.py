"""The search for learning rates: the rule against scores by hand, and the whole of it on a profile with comments."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.arms.table import lend
from bench.base.paths import ROOT
from bench.profiles import Tuned, TuningPlan, load_profile
from bench.record import Case
from bench.run.materials import profile_library
from bench.run.preflight import check_hyperparameters
from bench.tune.__main__ import main
from bench.tune.choice import choose, doubts, scores, standard_failed
from bench.tune.file import read_tuning, tuning_costs
from bench.tune.search import Point, Trial, grid, plans_wanting, too_low, tunable
from tests.bench.conftest import PROFILE as PROFILE_OF_TESTS

PROFILE = """description = "small"  # and this stays
dataset = "digits"
devices = ["cpu"]
threads = 1
country = "FRA"
window_s = 0.1
train_per_class = 40

[tuning]
seeds = [7]
learning_rates = [1e-6, 3e-2]
eps = [1e-3, 1e-2]

[unlearning]
model = "cnn"
image_size = 8
batch_sizes = [32]
scenarios = ["class:3"]
methods = ["retrain", "fo-ga", "zo-ga-clipped", "fo-ga-matched"]
seeds = [0]
horizon = 1.0
max_steps = 20

[unlearning.training]
epochs = 2
batch_size = 64
lr = 0.1

# found by tuning
[unlearning.hyperparameters]
finetune = { lr = 0.5 }  # and this, too
"""


def trial(lr: float, tow: float | None, forwards: float = 10, method: str = "fo-ga", **more: Any) -> Trial:
    """A pilot run; not complete where its ToW is None."""
    common = {"plan": 0, "eps": None, "scenario": "class:3", "batch_size": 32, "seed": 7, "seconds": 1.0}
    return Trial(
        method=method,
        lr=lr,
        step=None if tow is None else 5,
        tow=tow,
        retain_accuracy=None if tow is None else 90.0,
        sample_forwards=forwards,
        **common | more,
    )


def chosen(trials: list[Trial]) -> dict[tuple[int, str], Tuned]:
    """What the rule chooses, as the profile has it."""
    return {which: choice.score.tuned for which, choice in choose(scores(trials)).items()}


def test_the_score_is_the_mean_tow_and_an_incomplete_run_counts_nothing() -> None:
    found = scores([trial(0.1, 0.9), trial(0.3, 0.8), trial(0.1, None), trial(0.3, 0.6)])
    assert [(score.lr, score.tow, score.completed, score.runs) for score in found] == [
        (0.1, pytest.approx(0.45), 1, 2),
        (0.3, pytest.approx(0.7), 2, 2),
    ]


def test_of_the_points_within_two_hundredths_of_the_best_the_cheapest_is_chosen() -> None:
    trials = [trial(0.1, 0.879, forwards=1), trial(0.2, 0.9, forwards=30), trial(0.3, 0.881, forwards=20)]
    assert chosen(trials) == {(0, "fo-ga"): Tuned(lr=0.3)}


def test_a_size_of_perturbation_is_chosen_with_the_rate() -> None:
    trials = [
        trial(0.1, 0.5, eps=1e-3),
        trial(0.1, 0.7, eps=1e-2),
        trial(0.2, 0.6, eps=1e-3),
        trial(0.2, 0.1, eps=1e-2),
    ]
    assert chosen(trials) == {(0, "fo-ga"): Tuned(lr=0.1, eps=1e-2)}


def test_an_arm_that_never_completed_has_no_choice() -> None:
    assert chosen([trial(0.1, None), trial(0.2, None)]) == {}


def test_an_arm_that_completed_with_no_worth_has_one() -> None:
    assert chosen([trial(0.1, 0.0), trial(0.2, None)]) == {(0, "fo-ga"): Tuned(lr=0.1)}


C, D, S = {"tow": 0.5}, {"tow": None, "diverged": True}, {"tow": None}  # complete, diverged, or used up its steps


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ([(C, C)], False),
        ([(C, C), (S, S)], False),
        ([(S, S), (S, S), (S, S)], False),
        ([(C, C), (C, S), (S, S)], True),
        ([(C, C), (C, S), (C, C)], False),
        ([(C, C), (C, D), (D, D)], False),
        ([(C, C), (D, D), (S, S), (S, S)], True),
        ([(S, D), (S, S), (S, S)], False),
        ([(D, D), (S, C), (C, C), (C, C)], False),
        ([(D, D), (C, C), (S, S), (S, S)], True),
        ([(C, S), (C, S), (C, S)], False),
    ],
)
def test_rates_are_too_low_where_more_runs_use_up_their_steps_at_two_in_a_row_and_not_where_they_diverge(
    rates: list[tuple[dict[str, Any], dict[str, Any]]], expected: bool
) -> None:
    tried = [[trial(0.1 / (place + 1), **run) for run in runs] for place, runs in enumerate(rates)]
    assert too_low(tried) is expected


@pytest.mark.parametrize(
    ("lr", "doubted"),
    [
        (0.1, ["at the edge of the grid: widen it"]),
        (0.2, ["the next lower rate did not complete: raise max_steps"]),
        (0.3, []),
        (0.4, ["at the edge of the grid: widen it"]),
    ],
)
def test_what_may_have_hidden_a_better_point_is_told(lr: float, doubted: list[str]) -> None:
    """At 0.1 one of two runs did not complete."""
    tuning = TuningPlan(seeds=[7], learning_rates=[0.4, 0.1, 0.2, 0.3])
    found = scores([trial(0.1, 0.9), trial(0.1, None), *(trial(lr, 0.9) for lr in (0.2, 0.3, 0.4))])
    (best,) = (score for score in found if score.lr == lr)
    assert doubts(best, found, tuning) == doubted


def test_the_grid_of_eps_has_edges_only_for_arms_that_use_it() -> None:
    tuning = TuningPlan(seeds=[7], learning_rates=[0.1], eps=[1e-3, 1e-2, 1e-1])
    said = ["at the edge of the grid of eps: widen it"]
    for eps, doubted in ((1e-1, said), (1e-2, []), (None, [])):
        (only,) = scores([trial(0.1, 0.9, eps=eps)])
        assert doubts(only, [], tuning) == doubted


def test_every_arm_has_the_same_rates_and_zeroth_order_ones_every_eps_as_well() -> None:
    tuning = TuningPlan(seeds=[7], learning_rates=[0.1, 0.2], eps=[1e-3, 1e-2])
    assert grid("salun", tuning) == [[Point(0.1, None, None, "all"), Point(0.2, None, None, "all")]]
    assert grid("zo-ga", tuning) == [[Point(lr, eps, None, "all") for lr in (0.1, 0.2)] for eps in (1e-3, 1e-2)]


def test_every_arm_has_the_same_batch_sizes_and_the_same_tails_as_far_as_it_can_move_them() -> None:
    tuning = TuningPlan(seeds=[7], learning_rates=[0.1], eps=[1e-2], batch_sizes=[1, 4], tails=["all", "block"])
    both = [(size, tail) for tail in ("all", "block") for size in (1, 4)]
    assert grid("finetune", tuning, batches_tuned=True) == [[Point(0.1, None, *one)] for one in both]
    assert grid("zo-ga", tuning, batches_tuned=True) == [[Point(0.1, 1e-2, *one)] for one in both]
    assert grid("fo-ga-head", tuning, batches_tuned=True) == [[Point(0.1, None, size, "layer")] for size in (1, 4)]
    assert grid("fo-ga-tail", tuning) == [[Point(0.1, None, None, "block")]]
    assert grid("fo-ga-tail", TuningPlan(seeds=[7], learning_rates=[0.1])) == [[Point(0.1, None, None, "stage")]]
    assert grid("finetune", tuning) == [[Point(0.1, None, None, tail)] for tail in ("all", "block")]  # the profile's


def test_an_arm_may_have_tails_of_its_own_to_be_tried_on() -> None:
    tails = {"zo-ga": ["block", "all"], "fo-ga-tail": ["layer"]}
    given = {"seeds": [7], "learning_rates": [0.1], "tails": ["all", "stage"], "arm_tails": tails}
    tuning = TuningPlan.model_validate(given)
    tried = {arm: [point.tail for (point,) in grid(arm, tuning)] for arm in ("zo-ga", "fo-ga-tail", "salun")}
    assert tried == {**tails, "salun": ["all", "stage"]}


def test_batch_sizes_are_compared_by_the_samples_that_they_cost() -> None:
    """Both reach the best ToW; at batch 1 in more steps of fewer samples."""
    trials = [
        trial(0.1, 0.9, forwards=3 * 10 * 32, batch_tuned=True),
        trial(0.1, 0.9, forwards=3 * 40 * 1, batch_tuned=True, batch_size=1),
        trial(0.2, 0.7, forwards=1, batch_tuned=True, batch_size=1),
    ]
    assert chosen(trials) == {(0, "fo-ga"): Tuned(lr=0.1, batch_size=1)}
    fixed = [trial(0.1, tow, batch_size=size) for tow, size in ((0.9, 1), (0.5, 32))]
    assert [(score.batch_size, score.tow, score.runs) for score in scores(fixed)] == [(None, pytest.approx(0.7), 2)]


def test_a_point_counts_only_if_it_goes_as_deep_as_ascent_on_the_whole_network() -> None:
    """fo-ga there recovers 40 %, so that 43 % is deep enough; the mean over the runs counts."""
    standard = [trial(0.1, 0.7, depth=38.0), trial(0.1, 0.7, depth=42.0), trial(0.2, 0.6, depth=10.0)]
    trials = [
        *standard,
        trial(0.1, 0.95, tail="layer", depth=80.0),
        trial(0.1, 0.8, tail="block", depth=43.0),
        trial(0.1, 0.99, method="zo-ga", tail="layer", depth=79.0),
        trial(0.1, 0.85, method="zo-ga", tail="stage", depth=44.0),
        trial(0.1, 0.85, method="zo-ga", tail="stage", depth=41.0),
        trial(0.1, 0.80, method="zo-ga", depth=30.0),
    ]
    assert chosen(trials) == {(0, "fo-ga"): Tuned(lr=0.1, tail="block"), (0, "zo-ga"): Tuned(lr=0.1, tail="stage")}
    found = choose(scores(trials))
    assert not any(choice.shallow for choice in found.values())
    aside = {arm: choice.set_aside.tuned for (_, arm), choice in found.items() if choice.set_aside is not None}
    assert aside == {"fo-ga": Tuned(lr=0.1, tail="layer"), "zo-ga": Tuned(lr=0.1, tail="layer")}


def test_where_the_standard_left_no_model_that_is_known() -> None:
    """Not where it was tried on a tail alone, where no class is forgotten, or where it left one."""
    failed = [trial(0.1, 0.06, depth=10.0)]
    others = ([trial(0.1, 0.06, tail="block", depth=10.0)], [trial(0.1, 0.06)], [trial(0.1, 0.6, depth=10.0)], [])
    assert standard_failed(scores(failed), 0)
    assert not any(standard_failed(scores(one), 0) for one in others)
    assert not standard_failed(scores(failed), 1)


def test_an_arm_that_never_goes_so_deep_keeps_the_best_of_its_longest_tail_and_that_is_known() -> None:
    trials = [
        trial(0.1, 0.7, depth=40.0),
        trial(0.1, 0.99, method="zo-ga", tail="layer", depth=80.0),
        trial(0.1, 0.6, method="zo-ga", depth=50.0),
        trial(0.2, 0.8, method="zo-ga", depth=60.0),
        trial(0.1, 0.9, method="fo-ga-head", tail="layer", depth=80.0),
    ]
    found = choose(scores(trials))
    assert {arm: choice.score.tuned for (_, arm), choice in found.items() if choice.shallow} == {
        "zo-ga": Tuned(lr=0.2),
        "fo-ga-head": Tuned(lr=0.1, tail="layer"),
    }


@pytest.mark.parametrize(
    "standard",
    [
        [],
        [trial(0.1, None)],
        [trial(0.1, 0.7)],
        [trial(0.1, 0.7, plan=1, depth=10.0)],
        [trial(0.1, 0.7, tail="block", depth=10.0)],
        [trial(0.1, 0.06, depth=10.0), trial(0.2, 0.49, depth=10.0)],
        [trial(0.1, 0.9, depth=10.0), trial(0.1, None)],
    ],
)
def test_without_a_standard_of_depth_there_is_no_bar(standard: list[Trial]) -> None:
    """Not tried, never complete, no class that is forgotten, tried in another plan, or not on the whole network; or it
    left no model at any rate, or one in half of its runs.
    """
    trials = [*standard, trial(0.1, 0.9, method="zo-ga", tail="layer", depth=80.0)]
    assert chosen(trials)[0, "zo-ga"] == Tuned(lr=0.1, tail="layer")


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(PROFILE)
    return path


def tune(profile: Path, *more: str) -> int:
    return main(["--profile", str(profile), "--checkpoints", str(profile.parent / "cache"), "--no-energy", *more])


def test_an_arm_that_borrows_is_not_tuned_but_its_lender_is(profile: Path) -> None:
    assert tunable(load_profile(str(profile))) == ["fo-ga", "zo-ga-clipped", "zo-ga"]


def test_the_choice_goes_into_the_profile_and_the_grid_beside_it(profile: Path) -> None:
    assert tune(profile) == 0
    found = json.loads(profile.with_suffix(".tuning.json").read_text())
    tried = [(t["method"], t["lr"], t["eps"]) for t in found["trials"]]
    zeroth = [("zo-ga-clipped", 1e-6, e) for e in (1e-3, 1e-2)] + [("zo-ga-clipped", 3e-2, e) for e in (1e-3, 1e-2)]
    assert sorted(t for t in tried if t[0] != "zo-ga") == [
        ("fo-ga", 1e-6, None),
        ("fo-ga", 3e-2, None),
        *sorted(zeroth),
    ]
    assert {t["seed"] for t in found["trials"]} == {7}
    slow = next(t for t in found["trials"] if t["method"] == "fo-ga" and t["lr"] == 1e-6)
    assert (slow["step"], slow["tow"], slow["sample_forwards"]) == (None, None, 20 * 3 * 32)
    chosen = load_profile(str(profile)).unlearning[0].hyperparameters
    assert chosen["fo-ga"] == Tuned(lr=3e-2)
    assert chosen["finetune"] == Tuned(lr=0.5)
    text = profile.read_text()
    kept = [line for line in PROFILE.splitlines() if line not in text.splitlines()]
    assert kept == []
    assert "fo-ga = { lr = 0.03 }" in text


def test_an_arm_is_tried_for_the_plans_that_have_it() -> None:
    """Or one that borrows from it; an arm that no plan has is tried for all of them; on an engine, what runs there."""
    first, second, third = (
        PROFILE_OF_TESTS.unlearning[0].model_copy(update={"scenarios": [scenario], "methods": methods})
        for scenario, methods in (
            ("class:3", ["fo-ga", "fo-ga-matched"]),
            ("random:0.1", ["retrain", "salun"]),
            ("random:20", ["zo-ga-fast"]),
        )
    )
    third = third.model_copy(update={"engine": "onnxruntime"})
    profile = PROFILE_OF_TESTS.model_copy(update={"unlearning": [first, second, third]})
    wanted = {arm: plans_wanting(arm, profile) for arm in ("zo-ga", "salun", "zo-sign", "zo-ga-fast", "fo-ga-head")}
    assert wanted == {"zo-ga": {0}, "salun": {1}, "zo-sign": {0, 1}, "zo-ga-fast": {2}, "fo-ga-head": {0, 1, 2}}


def test_an_arm_that_another_plan_comes_to_want_is_searched_for_that_alone(profile: Path) -> None:
    """What was tried before stays, and what both searches took is added up."""
    start, rest = profile.read_text().split("[unlearning]", 1)
    table, rates = rest.split("[unlearning.hyperparameters]", 1)
    other = table.replace('"class:3"', '"class:4"').replace('"fo-ga", ', "").replace(', "fo-ga-matched"', "")
    profile.write_text(f"{start}[[unlearning]]{table}[unlearning.hyperparameters]{rates}\n[[unlearning]]{other}")

    def search() -> tuple[list[dict[str, Any]], dict[str, Any]]:
        assert tune(profile, "--method", "fo-ga") == 0
        found = json.loads(profile.with_suffix(".tuning.json").read_text())
        (cost,) = found["costs"]
        return found["trials"], cost

    before, taken = search()
    assert {trial["plan"] for trial in before} == {0}
    profile.write_text(
        profile.read_text().replace('["retrain", "zo-ga-clipped"]', '["retrain", "zo-ga-clipped", "fo-ga"]')
    )
    after, both = search()
    assert [trial for trial in after if trial["plan"] == 0] == before
    assert {trial["plan"] for trial in after} == {0, 1}
    assert both["seconds"] == pytest.approx(sum(trial["seconds"] for trial in after))
    assert both["sample_forwards"] == sum(trial["sample_forwards"] for trial in after) > taken["sample_forwards"]


def test_two_searches_at_once_keep_what_each_found(profile: Path) -> None:
    """Both begin from nothing, for different arms, and write in turn; another kind of search is not mixed in."""
    assert tune(profile, "--method", "fo-ga") == 0
    first = read_tuning(str(profile))
    assert first is not None
    profile.with_suffix(".tuning.json").unlink()
    assert tune(profile, "--method", "zo-ga") == 0
    first.write(str(profile))
    both = read_tuning(str(profile))
    assert both is not None
    assert {cost.method for cost in both.costs} == {"fo-ga", "zo-ga"}
    assert {trial.method for trial in both.trials} == {score.method for score in both.scores} == {"fo-ga", "zo-ga"}
    first.write(str(profile))
    assert read_tuning(str(profile)) == both
    alone = first.model_copy(update={"identity": "another"})
    alone.costs, alone.scores, alone.trials = [], [], []
    alone.write(str(profile))
    assert read_tuning(str(profile)) == alone


def test_arms_that_are_to_be_tried_on_other_tails_are_tried_anew_and_once(profile: Path) -> None:
    """Both of them: what was found for the second does not come back while the first is searched for."""
    assert tune(profile, "--method", "fo-ga", "zo-ga") == 0
    tails = '[tuning.arm_tails]\nfo-ga = ["layer"]\nzo-ga = ["layer"]\n\n[unlearning]\n'
    profile.write_text(profile.read_text().replace("[unlearning]\n", tails, 1))
    assert tune(profile, "--method", "fo-ga", "zo-ga") == 0
    trials = json.loads(profile.with_suffix(".tuning.json").read_text())["trials"]
    assert {trial["tail"] for trial in trials} == {"layer"}
    points = [(trial["method"], trial["lr"], trial["eps"]) for trial in trials]
    assert len(set(points)) == len(points) == 2 + 4


def test_a_search_may_be_kept_to_a_part_of_the_data(profile: Path) -> None:
    """Runs on all of them otherwise: the second half of each class is for results."""
    text = profile.read_text().replace("[tuning]\n", "[tuning]\ntrain_per_class = 20\ntest_per_class = 10\n")
    profile.write_text(text)
    loaded, scratch = load_profile(str(profile)), profile.parent
    searched, run = (
        profile_library(loaded, None, False, scratch, print, tuning)("digits", 8) for tuning in (True, False)
    )
    assert (len(searched.train), len(searched.test)) == (200, 100)
    assert (len(run.train), len(run.test)) == (400, 360)


@pytest.fixture
def with_batches(profile: Path) -> Path:
    """The profile with batch sizes and tails to be tuned, and more rates; the lowest completes nothing."""
    text = PROFILE.replace("batch_sizes = [32]", 'batch_sizes = "tuned"').replace(
        "[1e-6, 3e-2]", "[1e-8, 1e-7, 1e-6, 3e-2]"
    )
    profile.write_text(text.replace("eps = [1e-3, 1e-2]", 'batch_sizes = [8, 32]\ntails = ["all", "layer"]'))
    return profile


def test_batch_sizes_and_tails_are_searched_from_the_highest_rate_down(with_batches: Path) -> None:
    """Two rates that are too low are the last ones; every run says how deep it went, if it was complete."""
    assert tune(with_batches, "--method", "fo-ga") == 0
    trials = json.loads(with_batches.with_suffix(".tuning.json").read_text())["trials"]
    assert [(t["batch_size"], t["tail"], t["lr"]) for t in trials] == [
        (size, tail, lr) for tail in ("all", "layer") for size in (8, 32) for lr in (3e-2, 1e-6, 1e-7)
    ]
    assert all((t["step"] is None) == (t["lr"] < 1e-3) == (t["depth"] is None) for t in trials)
    whole, layer = ([t["depth"] for t in trials if t["tail"] == tail and t["depth"]] for tail in ("all", "layer"))
    assert min(layer) > 90  # a last layer hides the class from nobody who fits another
    assert max(whole) < min(layer)


def test_what_a_search_spends_is_counted_in_samples_and_by_what_moves(with_batches: Path) -> None:
    assert tune(with_batches, "--method", "fo-ga") == 0
    for t in json.loads(with_batches.with_suffix(".tuning.json").read_text())["trials"]:
        steps = (t["step"] or 20) * t["batch_size"]
        assert t["sample_forwards"] == 3 * steps if t["tail"] == "all" else steps < t["sample_forwards"] < 1.1 * steps


def test_the_choice_of_a_batch_size_and_a_tail_goes_into_the_profile(with_batches: Path) -> None:
    """The arm that borrows has its lender's batch size; Retrain has that of its training."""
    assert load_profile(str(with_batches)).unlearning_cases() == [
        Case(
            method="retrain",
            model="cnn",
            dataset="digits",
            image_size=8,
            batch_size=64,
            batch_tuned=True,
            device="cpu",
            threads=1,
            seed=0,
            scenario="class:3",
        )
    ]
    assert tune(with_batches) == 0
    loaded = load_profile(str(with_batches))
    check_hyperparameters(loaded)
    tuned = loaded.unlearning[0].hyperparameters
    trials = json.loads(with_batches.with_suffix(".tuning.json").read_text())["trials"]
    complete = [(t["lr"], t["batch_size"], t["tail"]) for t in trials if t["method"] == "fo-ga" and t["step"]]
    assert (tuned["fo-ga"].lr, tuned["fo-ga"].batch_size, tuned["fo-ga"].tail) in complete
    sizes = {case.method: case.batch_size for case in lend(loaded).unlearning_cases()}
    assert sizes.keys() == {"retrain", "fo-ga", "zo-ga-clipped", "fo-ga-matched"}
    assert sizes["fo-ga-matched"] == tuned["zo-ga"].batch_size
    assert sizes["fo-ga"] == tuned["fo-ga"].batch_size
    assert {case.setting for case in lend(loaded).unlearning_cases()} == {"cnn digits own batch class:3"}


def test_an_arm_that_never_goes_deep_enough_says_so(
    with_batches: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held to a depth that nothing reaches."""
    monkeypatch.setattr("bench.tune.choice.DEPTH_MARGIN", -100.0)
    assert tune(with_batches, "--method", "fo-ga") == 0
    said = capfd.readouterr().out
    assert "(no point goes as deep as fo-ga on the whole network: the best of its longest tail" in said
    trials = json.loads(with_batches.with_suffix(".tuning.json").read_text())["trials"]
    layers = {t["batch_size"]: t["tow"] for t in trials if t["tail"] == "layer" and t["lr"] == 3e-2}
    aside = [f"{{ lr = 0.03, batch_size = {size}, tail = 'layer' }}, ToW {tow:.2f}" for size, tow in layers.items()]
    assert any(f"set aside, as not so deep: {one}" in said for one in aside)
    assert load_profile(str(with_batches)).unlearning[0].hyperparameters["fo-ga"].tail == "all"


def test_a_standard_that_left_no_model_is_told(
    with_batches: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held to a ToW that nothing reaches."""
    monkeypatch.setattr("bench.tune.choice.WORTH", 1.1)
    assert tune(with_batches, "--method", "fo-ga") == 0
    assert "on the whole network: no other arm is held to its depth" in capfd.readouterr().out
    assert load_profile(str(with_batches)).unlearning[0].hyperparameters["fo-ga"].tail == "layer"


def test_where_nothing_is_left_to_search_that_is_told_and_where_it_stands(
    profile: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert tune(profile, "--method", "fo-ga") == 0
    written = profile.read_text()
    capfd.readouterr()
    assert tune(profile, "--method", "fo-ga") == 0
    tried = profile.with_suffix(".tuning.json")
    assert capfd.readouterr().out == (
        f"nothing was left to search for fo-ga: {tried} has what was tried, {profile} what was chosen\n"
    )
    assert profile.read_text() == written


@pytest.mark.parametrize("before", [True, False])
def test_a_table_of_rates_is_apart_from_what_stands_around_it(profile: Path, before: bool) -> None:
    """One that is not there yet, before [tuning] or at the end of the file."""
    text = PROFILE.partition("\n# found by tuning")[0]
    head, _, rest = text.partition("[tuning]\n")
    tuning, _, plan = rest.partition("\n[unlearning]\n")
    profile.write_text(f"{head}[unlearning]\n{plan}\n[tuning]\n{tuning}" if before else text)
    assert tune(profile, "--method", "fo-ga") == 0
    lines = profile.read_text().split("\n")
    heads = [place for place, line in enumerate(lines) if line.startswith("[")]
    assert len(heads) == 4
    assert all(lines[place - 1] == "" for place in heads)
    assert lines[-1] == ""
    assert lines[-2] != ""


def test_what_was_tried_is_not_tried_again_and_another_grid_is(profile: Path) -> None:
    tuning = profile.with_suffix(".tuning.json")
    assert tune(profile, "--method", "fo-ga") == 0
    first = json.loads(tuning.read_text())
    profile.write_text(profile.read_text().replace("fo-ga = { lr = 0.03 }", "fo-ga = { lr = 7.0 }"))
    assert tune(profile, "--method", "fo-ga", "fo-ga-head") == 0
    assert load_profile(str(profile)).unlearning[0].hyperparameters["fo-ga"] == Tuned(lr=3e-2)  # chosen again
    second = json.loads(tuning.read_text())
    assert second["trials"][: len(first["trials"])] == first["trials"]
    assert [cost["method"] for cost in second["costs"]] == ["fo-ga", "fo-ga-head"]
    profile.write_text(profile.read_text().replace("[1e-6, 3e-2]", "[1e-2]"))
    assert tune(profile, "--method", "fo-ga") == 0
    assert {t["lr"] for t in json.loads(tuning.read_text())["trials"]} == {1e-2}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "[tuning]\nseeds = [7]\nlearning_rates = [1e-6, 3e-2]\neps = [1e-3, 1e-2]\n",
            "",
            "small: add a [tuning] table",
        ),
        ("seeds = [7]", "seeds = [0]", "seed 0 is for tuning and for results; take another for [tuning]"),
        ('["cpu"]', '["xpu"]', "device 'xpu' is not available here; choose from: cpu"),
        ('"class:3"', '"class:31"', "no such class in the data"),
        ("learning_rates = [1e-6, 3e-2]", "learning_rates = []", "tuning.learning_rates"),
    ],
)
def test_a_profile_that_cannot_be_tuned_is_told(
    profile: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, words: str
) -> None:
    assert old in PROFILE
    profile.write_text(PROFILE.replace(old, new))
    assert tune(profile) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not profile.with_suffix(".tuning.json").exists()


def test_a_damaged_search_and_an_unknown_arm_are_told(profile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tune(profile, "--method", "fo-gaa") == 2
    assert "unknown method 'fo-gaa' for unlearning cases; choose from: retrain, fo-ga" in capsys.readouterr().err
    assert tune(profile, "--method", "fo-ga-matched") == 2
    assert "fo-ga-matched has no learning rate of its own; tune zo-ga" in capsys.readouterr().err
    profile.with_suffix(".tuning.json").write_text("{")
    assert tune(profile) == 2
    assert "restore it, or delete it to search anew" in capsys.readouterr().err


def test_the_cost_of_the_search_is_known_to_whoever_uses_its_rates(profile: Path) -> None:
    """Of the arms that are asked for; a profile that nobody has searched for has none, unless it says otherwise."""
    loaded = load_profile(str(profile))
    borrowing = loaded.model_copy(update={"tuned_by": str(profile)})
    assert tuning_costs(str(profile), loaded) == ()
    with pytest.raises(ValueError, match=r"tuned_by = .*small.toml', but there is no .*small.tuning.json; name the "):
        tuning_costs("quick", borrowing)
    assert tune(profile, "--method", "fo-ga", "zo-ga") == 0
    plan = loaded.unlearning[0].model_copy(update={"methods": ["zo-ga", "salun"]})
    (cost,) = tuning_costs("quick", borrowing.model_copy(update={"unlearning": [plan]}))
    tried = [t for t in json.loads(profile.with_suffix(".tuning.json").read_text())["trials"] if t["method"] == "zo-ga"]
    assert cost.sample_forwards == sum(t["sample_forwards"] for t in tried) > 0
    assert (cost.method, cost.joules, cost.basis) == ("zo-ga", None, None)


def test_it_is_a_command(profile: Path) -> None:
    command = [sys.executable, "-m", "bench.tune", "--profile", str(profile), "--method", "fo-ga"]
    done = subprocess.run(
        [*command, "--checkpoints", str(profile.parent / "cache")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "[1/1] fo-ga  { lr = 0.03 }, ToW 0." in done.stdout
    assert " (at the edge of the grid: widen it, " in done.stdout
    cost = json.loads(profile.with_suffix(".tuning.json").read_text())["costs"][0]
    assert cost["sample_forwards"] == 32 * 3 * sum(
        t["step"] or 20 for t in json.loads(profile.with_suffix(".tuning.json").read_text())["trials"]
    )
    assert cost["seconds"] > 0
