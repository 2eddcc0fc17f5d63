"""Profiles: what ships validates, what a user gets wrong is told in one line with the way out."""

from pathlib import Path

import pytest

from bench.arms.table import lend
from bench.profiles import Profile, ProfileError, available_profiles, load_profile
from bench.run.preflight import check_country, check_hyperparameters, check_names

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
batch_sizes = [8]
scenarios = ["class:3", "random:0.1"]
methods = ["retrain", "fo-ga"]
seeds = [0, 1]
horizon = 1.0
max_steps = 10

[unlearning.training]
epochs = 1
batch_size = 64
lr = 0.1

[unlearning.hyperparameters]
fo-ga = { lr = 1e-3 }
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
def test_every_profile_that_ships_is_valid(
    name: str, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own-model").symlink_to(own)  # what the profile of that name is about
    monkeypatch.chdir(tmp_path)
    profile = load_profile(name)
    check_names(profile)
    check_hyperparameters(profile)
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
        "cnn-digits-b8-class:3-retrain-seed0",
        "cnn-digits-b8-class:3-retrain-seed1",
        "cnn-digits-b8-class:3-fo-ga-seed0",
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
        (
            "batch_sizes",
            "batchsizes",
            r"unknown key 'step.0.batchsizes'; choose from: batch_sizes, dtype, engine, image_size",
        ),
        (
            "epochs = 1",
            "epochs = 1\nepoch = 2",
            r"unknown key 'unlearning.0.training.epoch'; choose from: batch_size, channels_last, crop, decay, dtype, e",
        ),
        ("seeds = [0, 1]", "seeds = [18446744073709551616]", "unlearning.0.seeds.0"),
        ("seeds = [0, 1]", "seeds = [1, 1]", "1 stands there more than once"),
        ("horizon = 1.0", "horizon = inf", "unlearning.0.horizon"),
        ("threads = 1", "threads = 1000000", "threads"),
        ('devices = ["cpu"]', 'devices = ["tpu"]', "'cpu', 'cuda', 'mps' or 'xpu'"),
        ("seeds = [0, 1]", "seeds = []", "unlearning.0.seeds"),
        ("threads = 1", "threads = 0", "threads"),
        ("description", "= =", "not TOML"),
        (
            "{ lr = 1e-3 }",
            "{ lr = 1e-3, epsilon = 1 }",
            "'unlearning.0.hyperparameters.fo-ga.epsilon'; choose from: batch_size, eps, lr, tail",
        ),
        ("{ lr = 1e-3 }", "1e-3", "unlearning.0.hyperparameters.fo-ga: "),
        ("{ lr = 1e-3 }", "{ lr = 1e-3, eps = 0 }", "unlearning.0.hyperparameters.fo-ga.eps: .* greater than 0"),
        ("batch_sizes = [8]", "batch_size = 8", "'unlearning.0.batch_size'; choose from: batch_sizes, dataset"),
        (
            "window_s = 1.0",
            "window_s = 1.0\ntrain_per_class = 0",
            r"train_per_class: give a number of samples, or \[FROM, TO\]",
        ),
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
        ('"random:0.1"', '"random:1.5"', "unknown scenario 'random:1.5'; write class:K"),
        ('"random:0.1"', '"klass:3"', "unknown scenario 'klass:3'; write class:K"),
        ('country = "FRA"', 'country = "fra"', "no electricity data for country 'fra'; choose"),
        ('country = "FRA"', 'country = "XXX"', "no electricity data for country 'XXX'; choose"),
        ("fo-ga = { lr", "fo-gaa = { lr", "unknown method 'fo-gaa' for unlearning cases; choose from: retrain"),
        ("max_steps = 10", 'max_steps = 10\ndataset = "mnits"', "unknown dataset 'mnits'; choose from: digits"),
    ],
)
def test_an_unknown_name_is_told_with_the_choices(write, old: str, new: str, words: str) -> None:
    profile = load_profile(write(old, new))
    check = check_names if "country" not in old else lambda profile: check_country(profile.country)
    with pytest.raises(ValueError, match=words) as error:
        check(profile)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "fo-ga = { lr",
            "zo-ga = { lr",
            r"mine: add fo-ga = { lr = ... } to \[unlearning.hyperparameters\] for 'fo-ga'",
        ),
        ('"fo-ga"]\nseeds', '"fo-ga-matched"]\nseeds', r"mine: add zo-ga = { lr = ... } to .* for 'fo-ga-matched'"),
    ],
)
def test_an_arm_without_a_learning_rate_is_told(write, old: str, new: str, words: str) -> None:
    """Also where it would borrow another's."""
    profile = load_profile(write(old, new))
    check_names(profile)
    with pytest.raises(ValueError, match=words) as error:
        check_hyperparameters(profile)
    assert "\n" not in str(error.value)


def test_a_borrowed_learning_rate_will_do(write) -> None:
    profile = load_profile(write("fo-ga = { lr = 1e-3 }", "zo-ga = { lr = 1e-3 }"))
    plan = profile.unlearning[0].model_copy(update={"methods": ["retrain", "fo-ga-matched"]})
    check_hyperparameters(profile.model_copy(update={"unlearning": [plan]}))


def test_several_step_tables_add_up(write) -> None:
    more = '[[step]]\nmodels = ["cnn"]\nimage_size = 8\nbatch_sizes = [4]\nmethods = ["zo-ga"]\n'
    profile = load_profile(write("[step]", f"{more}\n[[step]]"))
    assert [case.id for case in profile.step_cases()][:2] == ["cnn-b4-zo-ga", "cnn-b1-forward"]
    assert len(profile.step_cases()) == 1 + 4


def test_a_case_in_two_step_tables_is_told(write) -> None:
    more = '[[step]]\nmodels = ["cnn"]\nimage_size = 16\nbatch_sizes = [2, 4]\nmethods = ["zo-ga"]\n'
    with pytest.raises(ProfileError, match="'cnn-b2-zo-ga' stands there more than once"):
        load_profile(write("[step]", f"{more}\n[[step]]"))


OTHER = """
[[unlearning]]
model = "resnet20"
dataset = "fake:3x16x16"
image_size = 16
batch_sizes = [4, 8]
scenarios = ["class:3"]
methods = ["zo-ga"]
seeds = [5]
horizon = 2.0
max_steps = 20

[unlearning.training]
epochs = 7
batch_size = 32
lr = 0.2

[unlearning.hyperparameters]
zo-ga = { lr = 1e-4, eps = 1e-2 }

[[unlearning]]"""


def test_several_unlearning_tables_add_up_and_each_case_knows_its_own(write) -> None:
    text = Path(write("[unlearning]", OTHER)).read_text()
    assert text.count("[[unlearning]]") == 2
    profile = load_profile(write("[unlearning]", OTHER))
    cases = profile.unlearning_cases()
    assert [case.id for case in cases[:2]] == [f"resnet20-fake-b{size}-class:3-zo-ga-seed5" for size in (4, 8)]
    assert [(case.dataset, case.image_size) for case in cases[1:3]] == [("fake:3x16x16", 16), ("digits", 8)]
    assert len(cases) == 2 + 8
    other, first = profile.unlearning
    assert [profile.plan_of(case) is other for case in cases] == [True] * 2 + [False] * 8
    assert all(profile.plan_of(case) is first for case in cases[2:])
    assert other.hyperparameters["zo-ga"].eps == 1e-2
    assert (profile.plan_of(cases[0]).training.epochs, profile.plan_of(cases[2]).training.epochs) == (7, 1)


def test_a_case_in_two_unlearning_tables_is_told(write) -> None:
    """Also where the tables differ in what the name does not say."""
    again = VALID[VALID.index("[unlearning]") :].replace("[unlearning]", "[[unlearning]]").replace("= 10", "= 20")
    path = Path(write("[unlearning]", "[[unlearning]]"))
    path.write_text(path.read_text() + again.replace('"random:0.1"', '"random:0.2"'))
    with pytest.raises(ProfileError, match="'cnn-digits-b8-class:3-retrain-seed0' stands there more than once"):
        load_profile(str(path))


TUNING = "[tuning]\nseeds = [100, 1]\nlearning_rates = [1e-3, 1e-2]\n\n[unlearning]"


def test_a_seed_for_tuning_and_for_results_is_told(write) -> None:
    with pytest.raises(
        ProfileError, match=r"seed 1 is for tuning and for results; take another for \[tuning\]"
    ) as error:
        load_profile(write("[unlearning]", TUNING))
    assert "\n" not in str(error.value)


def test_seeds_for_tuning_alone_are_taken(write) -> None:
    tuning = load_profile(write("[unlearning]", TUNING.replace("[100, 1]", "[100, 101]"))).tuning
    assert tuning is not None
    assert (tuning.seeds, tuning.learning_rates) == ([100, 101], [1e-3, 1e-2])


def tuned(write, hyperparameters: str, tuning: str = "") -> Profile:
    """The profile with batch sizes of the arms' own."""
    path = Path(write("batch_sizes = [8]", 'batch_sizes = "tuned"'))
    path.write_text(path.read_text().replace("fo-ga = { lr = 1e-3 }", hyperparameters) + tuning)
    return load_profile(str(path))


def test_every_arm_may_have_a_batch_size_of_its_own(write) -> None:
    """Retrain has that of its training; the arm that borrows a rate borrows batch size and tail, too."""
    zo = 'zo-ga = { lr = 1e-4, eps = 1e-2, batch_size = 2, tail = "stage" }'
    profile = tuned(write, f"fo-ga = {{ lr = 1e-3, batch_size = 4 }}\n{zo}")
    plan = profile.unlearning[0].model_copy(update={"methods": ["retrain", "fo-ga", "fo-ga-matched"]})
    profile = profile.model_copy(update={"unlearning": [plan]})
    check_names(profile)
    check_hyperparameters(profile)
    profile = lend(profile)
    cases = profile.unlearning_cases()
    assert {case.method: case.batch_size for case in cases} == {"retrain": 64, "fo-ga": 4, "fo-ga-matched": 2}
    assert all(case.batch_tuned for case in cases)
    assert {case.setting for case in cases} == {"cnn digits own batch class:3", "cnn digits own batch random:0.1"}
    assert all(profile.plan_of(case) is profile.unlearning[0] for case in cases)
    assert profile.unlearning[0].hyperparameters["fo-ga-matched"].tail == "stage"


def test_a_batch_size_that_is_yet_to_be_found_is_told(write) -> None:
    profile = tuned(write, "fo-ga = { lr = 1e-3 }")
    assert {case.method for case in profile.unlearning_cases()} == {"retrain"}
    words = (
        r'mine: batch_sizes = "tuned": add batch_size = ... to fo-ga in \[unlearning.hyperparameters\], or let .*tune'
    )
    with pytest.raises(ValueError, match=words) as error:
        check_hyperparameters(profile)
    assert "\n" not in str(error.value)


def test_batch_sizes_are_tried_where_they_are_tuned_and_nowhere_else(write) -> None:
    seeds, sizes = "\n[tuning]\nseeds = [100]\nlearning_rates = [1e-3]\n", "batch_sizes = [1, 4]\n"
    found = tuned(write, "", seeds + sizes)
    assert found.tuning is not None
    assert {case.batch_size for case in found.pilot_cases(found.unlearning[0], found.tuning)} == {1}
    with pytest.raises(
        ProfileError, match=r'batch_sizes = "tuned" needs the batch_sizes to try: add them to \[tuning\]'
    ):
        tuned(write, "", seeds)
    with pytest.raises(ProfileError, match=r'say batch_sizes = "tuned" in \[unlearning\], or leave them out'):
        load_profile(write("[unlearning]", f"{seeds}{sizes}\n[unlearning]"))


def test_a_batch_size_that_would_not_be_used_is_told(write) -> None:
    with pytest.raises(ProfileError, match=r"fo-ga has a batch_size of its own, which takes batch_sizes = .tuned."):
        load_profile(write("{ lr = 1e-3 }", "{ lr = 1e-3, batch_size = 4 }"))


def test_a_tail_that_an_arm_does_not_move_is_told(write) -> None:
    head = '"fo-ga-head"]\nseeds'
    for tail in ("all", "layer"):
        path = Path(write('"fo-ga"]\nseeds', head))
        path.write_text(
            path.read_text().replace("fo-ga = { lr = 1e-3 }", f'fo-ga-head = {{ lr = 1, tail = "{tail}" }}')
        )
        check_names(load_profile(str(path)))
    path.write_text(path.read_text().replace('"layer"', '"stage"'))
    with pytest.raises(ValueError, match="fo-ga-head moves the layer and nothing else: leave its tail = 'stage' out"):
        check_names(load_profile(str(path)))


def test_a_tail_that_an_arm_cannot_be_tried_on_is_told(write) -> None:
    grid = "[tuning]\nseeds = [9]\nlearning_rates = [0.1]\narm_tails = { %s }\n[unlearning]"
    check_names(load_profile(write("[unlearning]", grid % 'fo-ga-head = ["layer"], fo-ga = ["all", "block"]')))
    with pytest.raises(ValueError, match="fo-ga-head moves the layer and nothing else: leave its tail = 'block' out"):
        check_names(load_profile(write("[unlearning]", grid % 'fo-ga-head = ["block"]')))
    with pytest.raises(ValueError, match=r"unknown method 'fo-gaa' for unlearning cases; choose from: .*fo-ga-tail"):
        check_names(load_profile(write("[unlearning]", grid % 'fo-gaa = ["block"]')))
    with pytest.raises(ProfileError, match=r"tuning\.arm_tails\.fo-ga\.0: Input should be 'all', 'stage',"):
        load_profile(write("[unlearning]", grid % 'fo-ga = ["head"]'))


def test_no_such_profile() -> None:
    with pytest.raises(ProfileError, match=r"no profile 'nope'; choose from: .*quick.*, or give a FILE.toml"):
        load_profile("nope")


def test_a_profile_must_run_something() -> None:
    with pytest.raises(ValueError, match="runs nothing"):
        Profile(name="x", description="", dataset="digits", devices=["cpu"], threads=1, country="FRA", window_s=1)


def test_two_tables_of_one_setting_keep_their_methods_apart(write) -> None:
    """The second one's cases are its own, though all but the method is alike."""
    first, head, rest = write_parts(Path(write()).read_text())
    second = rest.replace('methods = ["retrain", "fo-ga"]', 'methods = ["zo-ga"]').replace(
        "max_steps = 10", "max_steps = 99"
    )
    path = Path(write())
    path.write_text(first + head.replace("[unlearning]", "[[unlearning]]") + rest + "\n[[unlearning]]\n" + second)
    profile = load_profile(str(path))
    found = {case.method: profile.plan_of(case).max_steps for case in profile.unlearning_cases()}
    assert found == {"retrain": 10, "fo-ga": 10, "zo-ga": 99}


def write_parts(text: str) -> tuple[str, str, str]:
    """What stands before the [unlearning] table, its head, and the rest of it."""
    before, head, rest = text.partition("[unlearning]\n")
    return before, head, rest


BARS = """
[[rules.step_time]]
model = "cnn"
method = "zo-ga"
over = "forward"
batch_sizes = [{batch}]
at_most = [1.0]
"""


def test_a_bar_of_cost_is_of_two_arms_that_are_compared(write) -> None:
    path = Path(write("", ""))
    text = path.read_text()
    bar = '[[rules.erasure_cost]]\nmethod = "{}"\nover = "retrain"\nsample_forwards = 2.0\n'
    path.write_text(text + bar.format("fo-ga"))
    assert load_profile(str(path)).rules.erasure_cost[0].tow_margin == 0.02
    path.write_text(text + bar.format("salun"))
    with pytest.raises(ProfileError, match=r"rules\.erasure_cost: no unlearning table has both salun and retrain"):
        load_profile(str(path))
    path.write_text(text + bar.format("fo-ga") + "watts = 3\n")
    with pytest.raises(
        ProfileError, match=r"unknown key .*watts.*; choose from: joules, method, over, sample_forwards"
    ):
        load_profile(str(path))


def test_a_bar_is_of_a_step_that_is_timed(write) -> None:
    path = Path(write("", ""))
    text = path.read_text()
    size = load_profile(str(path)).step[0].batch_sizes[0]
    path.write_text(text + BARS.format(batch=size))
    assert load_profile(str(path)).rules.step_time[0].batch_sizes == (size,)
    path.write_text(text + BARS.format(batch=999))
    with pytest.raises(ProfileError, match="a step that the profile does not time: cnn, zo-ga, batch 999"):
        load_profile(str(path))


def test_a_byte_order_mark_is_no_part_of_a_profile(write) -> None:
    path = Path(write("", ""))
    plain = load_profile(str(path))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_profile(str(path)) == plain


def test_a_profile_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ProfileError, match="no profile"):
        load_profile(str(tmp_path / "file" / "mine.toml"))


ENGINE_TABLE = (
    '[[step]]\nengine = "onnxruntime"\nmodels = ["cnn"]\nimage_size = 8\nbatch_sizes = [1]\nmethods = ["zo-ga"]\n'
)


@pytest.mark.parametrize(
    ("table", "changes", "words"),
    [
        ('dtype = "bfloat16"\n', {}, "onnxruntime has weights and passes in float32: leave dtype out of its table"),
        ("memory_caps = [128, 64]\n", {}, "step.0.memory_caps: they must ascend"),
        ("", {'devices = ["cpu"]': 'devices = ["cuda"]'}, r"onnxruntime runs on the CPU here: write devices = \["),
        (
            '[[rules.process_peak]]\nmodel = "cnn"\nmethod = "zo-ga"\nbatch_sizes = [8]\nat_most = [66]\n',
            {},
            "rules.process_peak names a step that the profile does not run: cnn, zo-ga on onnxruntime, batch 8",
        ),
        (
            '[[rules.process_peak]]\nmodel = "cnn"\nmethod = "zo-ga"\nbatch_sizes = [1]\nat_most = [66, 70]\n',
            {},
            "give at_most with a number for each of batch_sizes",
        ),
        ('engines = ["torch"]\n', {}, "unknown key 'step.0.engines'; choose from: .*engine.*memory_caps.*whole_life"),
    ],
)
def test_what_cannot_be_on_an_engine_is_told(table: str, changes: dict[str, str], words: str, tmp_path: Path) -> None:
    head = 'description = ""\ndataset = "digits"\ndevices = ["cpu"]\nthreads = 1\ncountry = "FRA"\nwindow_s = 1.0\n'
    for old, new in changes.items():
        head = head.replace(old, new)
    path = tmp_path / "engine.toml"
    path.write_text(head + ENGINE_TABLE)
    if not changes:
        assert [case.id for case in load_profile(str(path)).step_cases()] == ["cnn-b1-zo-ga-onnxruntime"]
    path.write_text(head + ENGINE_TABLE + table)
    with pytest.raises(ProfileError, match=words):
        load_profile(str(path))
