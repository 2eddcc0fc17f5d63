"""The search for learning rates: the rule against scores by hand, and the whole of it on a profile with comments."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.base.paths import ROOT
from bench.profiles import Tuned, TuningPlan, load_profile
from bench.tune.__main__ import main
from bench.tune.file import tuning_costs
from bench.tune.search import Trial, choose, doubts, grid, scores, tunable

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


def trial(lr: float, tow: float | None, forwards: float = 10, method: str = "fo-ga", eps: float | None = None) -> Trial:
    return Trial(
        plan=0,
        method=method,
        lr=lr,
        eps=eps,
        scenario="class:3",
        batch_size=32,
        seed=7,
        step=None if tow is None else 5,
        tow=tow,
        retain_accuracy=None if tow is None else 90.0,
        forward_equivalents=forwards,
        seconds=1.0,
    )


def test_the_score_is_the_mean_tow_and_an_incomplete_run_counts_nothing() -> None:
    found = scores([trial(0.1, 0.9), trial(0.3, 0.8), trial(0.1, None), trial(0.3, 0.6)])
    assert [(score.lr, score.tow, score.completed, score.runs) for score in found] == [
        (0.1, pytest.approx(0.45), 1, 2),
        (0.3, pytest.approx(0.7), 2, 2),
    ]


def test_of_the_points_within_a_hundredth_of_the_best_the_cheapest_is_chosen() -> None:
    trials = [trial(0.1, 0.889, forwards=1), trial(0.2, 0.9, forwards=30), trial(0.3, 0.891, forwards=20)]
    assert choose(scores(trials)) == {(0, "fo-ga"): Tuned(lr=0.3)}


def test_a_size_of_perturbation_is_chosen_with_the_rate() -> None:
    trials = [
        trial(0.1, 0.5, eps=1e-3),
        trial(0.1, 0.7, eps=1e-2),
        trial(0.2, 0.6, eps=1e-3),
        trial(0.2, 0.1, eps=1e-2),
    ]
    assert choose(scores(trials)) == {(0, "fo-ga"): Tuned(lr=0.1, eps=1e-2)}


def test_an_arm_that_never_completed_has_no_choice() -> None:
    assert choose(scores([trial(0.1, None), trial(0.2, None)])) == {}


def test_an_arm_that_completed_with_no_worth_has_one() -> None:
    assert choose(scores([trial(0.1, 0.0), trial(0.2, None)])) == {(0, "fo-ga"): Tuned(lr=0.1)}


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
    assert doubts(0, "fo-ga", Tuned(lr=lr), found, tuning) == doubted


def test_the_grid_of_eps_has_edges_only_for_arms_that_use_it() -> None:
    tuning = TuningPlan(seeds=[7], learning_rates=[0.1], eps=[1e-3, 1e-2, 1e-1])
    said = ["at the edge of the grid of eps: widen it"]
    assert doubts(0, "zo-ga", Tuned(lr=0.1, eps=1e-1), [], tuning) == said
    assert doubts(0, "zo-ga", Tuned(lr=0.1, eps=1e-2), [], tuning) == []
    assert doubts(0, "fo-ga", Tuned(lr=0.1), [], tuning) == []


def test_every_arm_has_the_same_rates_and_zeroth_order_ones_every_eps_as_well() -> None:
    tuning = TuningPlan(seeds=[7], learning_rates=[0.1, 0.2], eps=[1e-3, 1e-2])
    assert grid("salun", tuning) == [(0.1, None), (0.2, None)]
    assert grid("zo-ga", tuning) == [(lr, eps) for eps in (1e-3, 1e-2) for lr in (0.1, 0.2)]


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
    assert (slow["step"], slow["tow"], slow["forward_equivalents"]) == (None, None, 20 * 3)
    chosen = load_profile(str(profile)).unlearning[0].hyperparameters
    assert chosen["fo-ga"] == Tuned(lr=3e-2)
    assert chosen["finetune"] == Tuned(lr=0.5)
    text = profile.read_text()
    kept = [line for line in PROFILE.splitlines() if line not in text.splitlines()]
    assert kept == []
    assert "fo-ga = { lr = 0.03 }" in text


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
    assert cost.forward_equivalents == sum(t["forward_equivalents"] for t in tried) > 0
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
    assert "[1/1] fo-ga  { lr = 0.03 } (at the edge of the grid: widen it, " in done.stdout
    cost = json.loads(profile.with_suffix(".tuning.json").read_text())["costs"][0]
    assert cost["forward_equivalents"] == 60 + 3 * sum(
        t["step"] for t in json.loads(profile.with_suffix(".tuning.json").read_text())["trials"] if t["step"]
    )
    assert cost["seconds"] > 0
