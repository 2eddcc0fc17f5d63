"""Profiles: what ships validates, what a user gets wrong is told in one line with the way out."""

from pathlib import Path

import pytest

from bench.preflight import check_names
from bench.profile import Profile, ProfileError, available_profiles, load_profile

VALID = """
description = "test"
dataset = "digits"
devices = ["cpu"]
threads = 1
country = "FRA"
window_s = 1.0

[step]
models = ["cnn"]
image_size = 8
batch_sizes = [1, 2]
methods = ["forward", "zo-ga"]

[unlearning]
model = "cnn"
image_size = 8
batch_size = 8
scenarios = ["class:3", "random:0.1"]
methods = ["retrain", "fo-ga"]
seeds = [0, 1]
horizon = 1.0
max_steps = 10

[unlearning.training]
epochs = 1
batch_size = 64
lr = 0.1

[unlearning.learning_rates]
fo-ga = 1e-3
"""


@pytest.fixture
def write(tmp_path: Path):
    def write_profile(old: str = "", new: str = "") -> str:
        assert old in VALID
        path = tmp_path / "mine.toml"
        path.write_text(VALID.replace(old, new) if old else VALID)
        return str(path)

    return write_profile


@pytest.mark.parametrize("name", available_profiles())
def test_every_profile_that_ships_is_valid(name: str) -> None:
    profile = load_profile(name)
    check_names(profile)
    ids = [case.id for case in [*profile.step_cases(), *profile.unlearning_cases()]]
    assert ids
    assert len(set(ids)) == len(ids)


def test_cases_are_the_product_of_the_lists(write) -> None:
    profile = load_profile(write())
    assert [case.id for case in profile.step_cases()] == [
        "cnn-b1-forward",
        "cnn-b1-zo-ga",
        "cnn-b2-forward",
        "cnn-b2-zo-ga",
    ]
    assert [case.id for case in profile.unlearning_cases()][:3] == [
        "cnn-class:3-retrain-seed0",
        "cnn-class:3-retrain-seed1",
        "cnn-class:3-fo-ga-seed0",
    ]
    assert len(profile.unlearning_cases()) == 2 * 2 * 2


def test_the_quick_profile_is_what_the_issue_promises() -> None:
    profile = load_profile("quick")
    assert {(c.model, c.batch_size, c.method) for c in profile.step_cases()} == {
        (model, batch, method)
        for model in ("cnn", "mobilenet_v3_small", "resnet18")
        for batch in (1, 8, 32)
        for method in ("forward", "fo-ga", "zo-ga")
    }
    assert {c.scenario for c in profile.unlearning_cases()} == {"class:3", "random:0.1"}
    assert {c.seed for c in profile.unlearning_cases()} == {0, 1, 2}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("batch_sizes", "batchsizes", r"unknown key 'step.0.batchsizes'; choose from: batch_sizes, image_size"),
        ("epochs = 1", "epochs = 1\nepoch = 2", r"unknown key 'unlearning.training.epoch'; choose from: batch_size, e"),
        ("seeds = [0, 1]", "seeds = [18446744073709551616]", "unlearning.seeds.0"),
        ("seeds = [0, 1]", "seeds = [1, 1]", "1 stands there more than once"),
        ("horizon = 1.0", "horizon = inf", "unlearning.horizon"),
        ("threads = 1", "threads = 1000000", "threads"),
        ('devices = ["cpu"]', 'devices = ["tpu"]', "'cpu', 'cuda', 'mps' or 'xpu'"),
        ("seeds = [0, 1]", "seeds = []", "unlearning.seeds"),
        ("threads = 1", "threads = 0", "threads"),
        ("description", "= =", "not TOML"),
    ],
)
def test_a_bad_profile_is_told_in_one_line(write, old: str, new: str, words: str) -> None:
    with pytest.raises(ProfileError, match=words) as error:
        load_profile(write(old, new))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('dataset = "digits"', 'dataset = "digitz"', "unknown dataset 'digitz'; choose from: digits"),
        ('models = ["cnn"]', 'models = ["cmm"]', "unknown model 'cmm'; choose from: cnn"),
        ('model = "cnn"', 'model = "cmm"', "unknown model 'cmm'; choose from: cnn"),
        ('"zo-ga"]', '"zo"]', "unknown method 'zo' for step cases; choose from: forward, fo-ga, fo-ga-checkpoint"),
        ('"forward", ', '"retrain", ', "unknown method 'retrain' for step cases"),
        ('"retrain", "fo-ga"', '"forward"', "unknown method 'forward' for unlearning cases; choose from: retrain"),
        ('"random:0.1"', '"random:2"', "unknown scenario 'random:2'; write class:K"),
        ('"random:0.1"', '"klass:3"', "unknown scenario 'klass:3'; write class:K"),
        ('country = "FRA"', 'country = "fra"', "no electricity data for country 'fra'; choose"),
        ('country = "FRA"', 'country = "XXX"', "no electricity data for country 'XXX'; choose"),
        ("fo-ga = 1e-3", "zo-ga = 1e-3", "add a learning rate for 'fo-ga'"),
    ],
)
def test_an_unknown_name_is_told_with_the_choices(write, old: str, new: str, words: str) -> None:
    profile = load_profile(write(old, new))
    with pytest.raises(ValueError, match=words) as error:
        check_names(profile)
    assert "\n" not in str(error.value)


def test_several_step_tables_add_up(write) -> None:
    more = '[[step]]\nmodels = ["cnn"]\nimage_size = 8\nbatch_sizes = [4]\nmethods = ["zo-ga"]\n'
    profile = load_profile(write("[step]", f"{more}\n[[step]]"))
    assert [case.id for case in profile.step_cases()][:2] == ["cnn-b4-zo-ga", "cnn-b1-forward"]
    assert len(profile.step_cases()) == 1 + 4


def test_a_case_in_two_step_tables_is_told(write) -> None:
    more = '[[step]]\nmodels = ["cnn"]\nimage_size = 16\nbatch_sizes = [2, 4]\nmethods = ["zo-ga"]\n'
    with pytest.raises(ProfileError, match="'cnn-b2-zo-ga' stands there more than once"):
        load_profile(write("[step]", f"{more}\n[[step]]"))


def test_no_such_profile() -> None:
    with pytest.raises(ProfileError, match=r"no profile 'nope'; choose from: .*quick.*, or give a FILE.toml"):
        load_profile("nope")


def test_a_profile_must_run_something() -> None:
    with pytest.raises(ValueError, match="runs nothing"):
        Profile(name="x", description="", dataset="digits", devices=["cpu"], threads=1, country="FRA", window_s=1)
