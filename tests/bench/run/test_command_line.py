"""`pytest bench/` as a person types it: names, bad input, the JSON's place, a kill and a resume."""

import hashlib
import json
import math
import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.arms.arm import Request, Steps
from bench.arms.table import methods, zo_ga
from bench.base.paths import ROOT
from bench.base.progress import Progress
from bench.erasure.erasure import prepare_erasure
from bench.gate.__main__ import main as gate_main
from bench.instruments.energy import EnergyMeter
from bench.instruments.ledgers.process_ledger import RESET
from bench.instruments.ledgers.tensor_ledger import tensor_peak
from bench.instruments.machine import available_devices
from bench.instruments.stand_in import StandIn
from bench.profiles import load_profile
from bench.record import Completion, Erased, Rate, Record, Run
from bench.run.json_option import DEFAULT_JSON
from bench.run.materials import Materials
from bench.workloads.datasets import Source, datasets, digits, library
from bench.workloads.images.samples import RawData
from bench.workloads.models import ImageSpec
from tests.bench.conftest import Here
from tests.bench.run.conftest import TINY, command, records, usage_error


def without_time_and_energy(record: Record) -> dict[str, Any]:
    """All that must be the same in every run: not seconds, joules, and what the operating system saw."""
    left = record.model_dump(exclude={"time", "energy", "notes", "memory"})
    left["memory"] = record.memory.model_dump(exclude={"process_peak_bytes", "process_start_bytes"})
    if left["completion"] is not None:
        left["completion"] = {k: v for k, v in left["completion"].items() if k not in ("seconds", "joules")}
    return left


def test_the_console_says_what_happened(straight: Path) -> None:
    """In the line of every case what its record says, the accuracies once, and in the last line a count by ending."""
    said = (straight.parent / "said.txt").read_text().splitlines()
    found = records(straight)
    for name, record in found.items():
        (line,) = (line for line in said if f"] {name}  " in line)
        assert f"{name}  {record.story}  " in line
    endings = Counter(record.ending for record in found.values())
    assert endings["measured"] == 6
    assert set(endings) <= {"measured", "completed", "completed then diverged"}
    for ending, count in endings.items():
        assert f"{count} {ending}" in said[-1]
    (accuracies,) = (line for line in said if line.startswith("cnn digits b32 class:3, seed 0: the original has "))
    retrained = found["test_unlearning[cnn-digits-b32-class:3-retrain-seed0]"].quality
    assert f"Retrain has {retrained.ra:.1f} % on the retain set, 0.0 % on the forget set" in accuracies


def test_every_case_has_its_record(straight: Path) -> None:
    found = records(straight)
    assert set(found) == {
        *(f"test_step_cost[cnn-b{b}-{m}]" for b in (1, 4) for m in ("forward", "fo-ga", "zo-ga")),
        *(f"test_unlearning[cnn-digits-b32-class:3-{m}-seed0]" for m in ("retrain", "fo-ga", "zo-ga")),
    }
    run = Run.model_validate(json.loads(straight.read_text())["run"])
    assert run.profile == "tiny"
    assert "bench/" in run.command


def test_what_is_measured_is_there_and_what_is_not_has_a_reason(straight: Path) -> None:
    for record in records(straight).values():
        assert record.memory.tensor_peak_bytes is not None
        assert record.memory.tensor_peak_bytes >= record.model_bytes
        assert record.memory.tensor_basis == "measured"
        assert record.memory.allocator_peak_bytes >= record.memory.tensor_peak_bytes
        assert record.memory.allocator_basis == "peak"
        if RESET.exists():
            assert record.memory.process_peak_bytes > record.memory.process_start_bytes > 2**20
        else:
            assert record.notes["memory.process_peak_bytes"]
        assert record.energy is not None
        assert (record.energy.joules_per_step is None) is ("energy" in record.notes)
        for name in ("time", "curve"):
            assert getattr(record, name) is not None or record.kind == "step" or record.notes[name]
        for group in ("quality", "stability"):
            figures = getattr(record, group)
            if record.kind == "unlearning" and figures is None:
                assert record.notes[group]
            for name, value in figures or ():
                assert value is not None or record.notes[f"{group}.{name}"]
    step = records(straight)["test_step_cost[cnn-b4-zo-ga]"]
    assert step.time is not None
    assert step.time.times_two_forwards > 0.8


def test_what_was_to_be_forgotten_can_be_found_again_by_whoever_has_the_data(straight: Path) -> None:
    data = library()("digits", 8)
    threes = [index for index, label in enumerate(data.train.labels.tolist()) if label == 3]
    lines = [f"{data.train.sha256(place)}  train/{place:05d}\n" for place in threes]
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    asked = Erased(samples=146, of=1437, digest=digest, target=10.0)
    for name, record in records(straight).items():
        assert record.erased == (None if "step_cost" in name else asked)
    run = Run.model_validate(json.loads(straight.read_text())["run"])
    assert [f"{one.sha256}  {one.name}\n" for one in run.requests[digest]] == lines


def test_what_an_arm_was_run_with_is_kept(straight: Path) -> None:
    """As the profile has it; the default perturbation where it has none, and none where there is nothing to perturb."""
    found = {record.case.method: record.rate for name, record in records(straight).items() if "unlearning" in name}
    assert found == {"retrain": None, "fo-ga": Rate(lr=1e-2), "zo-ga": Rate(lr=1e-3, eps=1e-3)}
    run = Run.model_validate(json.loads(straight.read_text())["run"])
    assert run.description == "one model, small batches, short runs"


def test_the_search_behind_the_rates_is_charged_to_the_run(tmp_path: Path, here: Here, straight: Path) -> None:
    """Of the profile's own arms, from the file of the profile that it names; a profile without a search has none."""
    profile, target = tmp_path / "tiny.toml", tmp_path / "out.json"
    profile.write_text('tuned_by = "digits"\n' + TINY)
    code, said = here("--profile", profile, "-k", "cnn-b1-forward", "--no-energy", f"--benchmark-json={target}")
    assert code == 0, said
    known = json.loads((ROOT / "profiles" / "digits.tuning.json").read_text())["costs"]
    costs = [(cost["method"], cost["joules"]) for cost in known if cost["method"] in ("fo-ga", "zo-ga")]
    found = Run.model_validate(json.loads(target.read_text())["run"])
    assert [(cost.method, cost.joules) for cost in found.tuning] == costs
    assert len(costs) == 2
    assert Run.model_validate(json.loads(straight.read_text())["run"]).tuning == ()


def test_every_arm_runs_with_its_own_batch_size_and_tail(tmp_path: Path, here: Here) -> None:
    """They are in one setting, and each is charged by what it moves: for the last layer, little more than a forward.

    The borrower has its lender's.
    """
    own = TINY.replace('["retrain", "fo-ga", "zo-ga"]', '["retrain", "fo-ga", "zo-ga", "fo-ga-matched"]')
    own = own.replace("batch_sizes = [32]", 'batch_sizes = "tuned"')
    own = own.replace("{ lr = 1e-2 }", '{ lr = 0.1, batch_size = 8, tail = "layer" }')
    own = own.replace("zo-ga = { lr = 1e-3 }", 'zo-ga = { lr = 1e-3, batch_size = 16, tail = "block" }')
    profile, target = tmp_path / "own.toml", tmp_path / "own.json"
    profile.write_text(own)
    code, said = here("--profile", profile, "-k", "test_unlearning", "--no-energy", f"--benchmark-json={target}")
    assert code == 0, said
    found = {record.case.method: record for record in records(target).values()}
    assert {name: (record.case.batch_size, record.rate and record.rate.tail) for name, record in found.items()} == {
        "retrain": (64, None),
        "fo-ga": (8, "layer"),
        "zo-ga": (16, "block"),
        "fo-ga-matched": (16, "block"),
    }
    assert {record.case.setting for record in found.values()} == {"cnn digits own batch class:3"}
    for name, least, most in (("fo-ga", 1, 1.02), ("zo-ga", 1.4, 1.6), ("fo-ga-matched", 1.9, 2.1)):
        done = found[name].completion
        assert done.reached
        assert least * done.step < done.forward_equivalents < most * done.step + 2
        assert done.sample_forwards == done.forward_equivalents * found[name].case.batch_size
    stand_ins = [StandIn.of(found["fo-ga"].case, ImageSpec(1, 8, 10), None, tail=tail) for tail in ("layer", "all")]
    layer, everything = (tensor_peak(stand_in.prepare).total for stand_in in stand_ins)
    assert found["fo-ga"].memory.tensor_peak_bytes == layer < everything


def test_retrain_is_charged_in_batches_of_the_erasures_size(straight: Path) -> None:
    """Two epochs over what is left of 1,437 digits without class 3, in batches of 64, which are two of 32."""
    record = records(straight)["test_unlearning[cnn-digits-b32-class:3-retrain-seed0]"]
    retained = 1437 - 146
    assert record.completion.step == 2 * math.ceil(retained / 64)
    assert record.completion.forward_equivalents == record.completion.step * 3 * 2
    assert record.completion.sample_forwards == record.completion.step * 3 * 64


def test_runs_go_past_completion_and_count_its_cost(straight: Path) -> None:
    for method, cost in (("fo-ga", 3), ("zo-ga", 2)):
        record = records(straight)[f"test_unlearning[cnn-digits-b32-class:3-{method}-seed0]"]
        assert record.completion is not None
        assert record.completion.step is not None
        assert record.completion.forward_equivalents == cost * record.completion.step
        assert record.completion.sample_forwards == cost * record.completion.step * 32
        assert record.curve is not None
        at = record.curve.step.index(record.completion.step)
        accuracy = record.curve.forget_accuracy
        assert accuracy[at] <= 10 < min(accuracy[:at])
        assert record.curve.step[-1] == 2 * record.completion.step or record.outcome == "diverged"
        assert record.quality is not None
        assert record.quality.ua == pytest.approx(100 - accuracy[at])
        assert [probe.shots for probe in record.quality.depth] == [5, 20, 100]
        assert record.curve.distance[0] == 0 < record.curve.distance[at]
        assert record.stability is not None
        assert 0 < record.stability.collapse <= 1  # the horizon
        assert record.stability.collapsed or record.stability.collapse == 1


def test_the_timed_erasure_repeats_the_run_that_was_followed(tmp_path: Path) -> None:
    """To the bit: the steps to T* alone end at the parameters, and so the evaluation, that the followed run had."""
    profile = load_profile("smoke")
    case = next(case for case in profile.unlearning_cases() if case.method == "zo-ga")
    progress = Progress(total=1)
    erasure = prepare_erasure(case, Materials(profile, library(), tmp_path, progress))
    progress.close()
    followed = erasure.follow(erasure.fresh_model(), lambda batches: batches, horizon=1.0)
    trajectory = followed.trajectory
    assert trajectory.completed
    assert followed.forwards == 2 * trajectory.steps[-1]
    model = erasure.fresh_model()
    for _ in range(2):
        erasure.reset(model)
        taken = erasure.erase(model, trajectory.completed)
        assert taken.forwards() == 2 * trajectory.completed  # two forwards a step
        assert erasure.evaluate(model) == trajectory.at_completion()


def test_retrain_is_its_own_reference(straight: Path) -> None:
    record = records(straight)["test_unlearning[cnn-digits-b32-class:3-retrain-seed0]"]
    assert record.quality is not None
    assert (record.quality.tow, record.quality.ua) == (1, 100)  # it has never seen the class


def test_a_killed_run_is_resumed_and_ends_as_a_straight_one(folder: Path, straight: Path, here: Here) -> None:
    """SIGKILL after three cases; the resumed run keeps them to the letter, and everything equals the straight run."""
    target, journal = folder / "killed" / "x.json", folder / "killed" / "journal.jsonl"
    arguments = [f"--benchmark-json={target}", f"--checkpoints={folder / 'killed-cache'}"]
    process = subprocess.Popen(command(folder, *arguments), cwd=ROOT, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not journal.exists() or len(journal.read_text().splitlines()) < 3:
        assert time.monotonic() < deadline, "no case ended in two minutes"
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = [json.loads(line)["benchmark"] for line in journal.read_text().splitlines() if line.endswith("}")]
    assert 3 <= len(kept) < 9
    assert not target.exists()
    code, said = here("--profile", folder / "tiny.toml", *arguments, "--resume")
    assert code == 0, said
    assert f"resume: {len(kept)} finished, {9 - len(kept)} to do, 0 of another run" in said
    entries = {entry["name"]: entry for entry in json.loads(target.read_text())["benchmarks"]}
    assert all(entries[entry["name"]] == entry for entry in kept)
    resumed, whole = records(target), records(straight)
    assert set(resumed) == set(whole)
    for name, record in resumed.items():
        assert without_time_and_energy(record) == without_time_and_energy(whole[name]), name


def test_resuming_a_finished_run_runs_nothing_and_writes_all(folder: Path, straight: Path, here: Here) -> None:
    before = records(straight)
    straight.unlink()
    arguments = (f"--benchmark-json={straight}", f"--checkpoints={folder / 'straight'}", "--resume")
    code, said = here("--profile", folder / "tiny.toml", *arguments)
    assert code == 0, said
    assert "resume: 9 finished, 0 to do" in said
    assert records(straight) == before


def test_another_profile_does_not_resume(tmp_path: Path, folder: Path, straight: Path, here: Here) -> None:
    shutil.copytree(straight.parent, tmp_path / "copy")
    profile = ("--profile", folder / "tiny.toml", "--country=USA", "-k", "b1-forward")
    code, said = here(*profile, f"--benchmark-json={tmp_path / 'copy' / 'y.json'}", "--resume")
    assert code == 0, said
    assert "resume: 0 finished, 1 to do, 9 of another run" in said
    (aside,) = (tmp_path / "copy").glob("journal.previous-*.jsonl")
    assert aside.read_text() == straight.with_name("journal.jsonl").read_text()


def test_selecting_by_name_runs_only_that(folder: Path, here: Here) -> None:
    target = folder / "selected" / "x.json"
    code, said = here("--profile", folder / "tiny.toml", f"--benchmark-json={target}", "-k", "zo-ga and b1")
    assert code == 0, said
    assert set(records(target)) == {"test_step_cost[cnn-b1-zo-ga]"}


def test_a_name_that_selects_nothing_leaves_the_former_result(folder: Path, straight: Path, here: Here) -> None:
    before, journal = straight.read_bytes(), straight.with_name("journal.jsonl").read_bytes()
    code, _ = here("--profile", folder / "tiny.toml", f"--benchmark-json={straight}", "-k", "zo_ga")
    assert code == pytest.ExitCode.NO_TESTS_COLLECTED
    assert (straight.read_bytes(), straight.with_name("journal.jsonl").read_bytes()) == (before, journal)


def test_what_goes_wrong_in_a_case_is_a_result(tmp_path: Path, here: Here) -> None:
    """A damaged checkpoint is told; learning rates that wreck the model are on record, without quality."""
    profile = TINY.replace("{ lr = 1e-2 }", "{ lr = 1e10 }").replace("{ lr = 1e-3 }", "{ lr = 1e38 }")
    (tmp_path / "wild.toml").write_text(profile.replace("horizon = 1.0", "horizon = 0.0"))
    cache = tmp_path / "cache"
    arguments = ["--profile", tmp_path / "wild.toml", f"--benchmark-json={tmp_path / 'x.json'}"]
    arguments += [f"--checkpoints={cache}", "-k", "class and not retrain"]
    code, said = here(*arguments)
    assert code == 0, said
    assert "damaged" not in said
    for path in cache.rglob("model.pt"):
        path.write_bytes(b"junk")
    code, said = here(*arguments)
    assert code == 0, said
    assert said.count("training it again") == 2
    for record in records(tmp_path / "x.json").values():
        assert (record.outcome, record.quality) == ("diverged", None)
        assert record.completion is not None
        assert not record.completion.reached
        assert "not finite" in record.notes["outcome"]
        assert record.notes["quality"] == "the run did not complete"
        assert (record.stability, record.notes["stability"]) == (None, "there is no time after completion")


def test_a_run_that_never_completes_is_no_number_and_says_so(tmp_path: Path, here: Here) -> None:
    profile = TINY.replace("{ lr = 1e-2 }", "{ lr = 1e-9 }").replace("max_steps = 600", "max_steps = 3")
    (tmp_path / "slow.toml").write_text(profile)
    target = tmp_path / "x.json"
    arguments = ("--profile", tmp_path / "slow.toml", f"--benchmark-json={target}", f"--checkpoints={tmp_path}")
    code, said = here(*arguments, "--no-energy", "-k", "class and fo-ga")
    assert code == 0, said
    (record,) = records(target).values()
    assert "fo-ga-seed0]  not completed in 3 steps  " in said
    assert ", 1 not completed in " in said
    assert (record.outcome, record.quality, record.stability) == ("ok", None, None)
    assert record.completion == Completion(reached=False)
    assert record.notes["completion"] == "forget accuracy was never at or below 10.00 % in 3 steps"
    assert record.notes["quality"] == "the run did not complete"
    assert record.notes["stability"] == "there is no time after completion"
    assert record.curve is not None
    assert record.curve.step == [0, 1, 2, 3]
    assert record.curve.forget_accuracy[-1] > 10


def test_a_class_without_test_data_lacks_two_figures_and_says_so(
    tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The digits, but no 3 among the test images."""

    def without_threes(source: Source) -> RawData:
        data = digits(source)
        kept = data.test_labels != 3
        return replace(data, test_images=data.test_images[kept], test_labels=data.test_labels[kept])

    monkeypatch.setitem(datasets._entries, "no-threes", without_threes)
    (tmp_path / "some.toml").write_text(TINY.replace('"digits"', '"no-threes"'))
    target = tmp_path / "x.json"
    arguments = ("--profile", tmp_path / "some.toml", f"--benchmark-json={target}", f"--checkpoints={tmp_path}")
    code, said = here(*arguments, "--no-energy", "-k", "class and not zo")
    assert code == 0, said
    assert len(records(target)) == 2
    for record in records(target).values():
        assert record.quality is not None
        assert (record.quality.ta_forgotten, record.quality.mia_auc) == (None, None)
        assert record.notes["quality.ta_forgotten"] == "there are no test data of the class"
        assert record.notes["quality.mia_auc"].startswith("there are no unseen samples of the forget set's kind")
        assert record.quality.mia is not None
        assert record.quality.ta > 50


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        ("class:everything", "class:everything leaves 40 training samples to forget, 0 to keep and 8 test samples;"),
        ("random:0.99", "random:0.99 leaves 40 training samples to forget, 0 to keep and 20 test samples;"),
        ("class:nothing", "class:nothing leaves 0 training samples to forget, 40 to keep and 20 test samples;"),
    ],
)
def test_nothing_to_forget_or_to_keep_is_told_before_anything_runs(
    tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch, scenario: str, words: str
) -> None:
    def lopsided(source: Source) -> RawData:
        """Forty samples of one class, none of another, which has no test data either."""
        labels = torch.tensor([0] * 12 + [1] * 8)
        names = ("everything", "others", "nothing")
        return RawData(torch.randn(40, 1, 8, 8), torch.zeros(40).long(), torch.randn(20, 1, 8, 8), labels, names)

    monkeypatch.setitem(datasets._entries, "lopsided", lopsided)
    (tmp_path / "odd.toml").write_text(TINY.replace('"digits"', '"lopsided"').replace("class:3", scenario))
    checkpoints = tmp_path / "checkpoints"
    arguments = (f"--benchmark-json={tmp_path / 'x.json'}", f"--checkpoints={checkpoints}")
    told = usage_error(here, "--profile", tmp_path / "odd.toml", *arguments)
    assert f"{words} none of them may be empty" in told
    assert not list(checkpoints.rglob("*.pt"))
    assert not (tmp_path / "x.json").exists()


def test_a_model_that_has_not_learned_gives_no_figures(tmp_path: Path, here: Here) -> None:
    profile = TINY.replace("batch_size = 64\nlr = 0.1", "batch_size = 64\nlr = 1e4")
    assert profile != TINY
    (tmp_path / "dull.toml").write_text(profile)
    arguments = ["--profile", tmp_path / "dull.toml", f"--benchmark-json={tmp_path / 'x.json'}"]
    code, said = here(*arguments, f"--checkpoints={tmp_path}", "-k", "class")
    assert code == 0, said
    found = records(tmp_path / "x.json").values()
    for record in found:
        assert (record.outcome, record.quality, record.completion) == ("untrained", None, None)
        assert record.notes["outcome"].startswith(("the original has not learned: retain accuracy ", "Retrain has not"))
        assert record.notes["outcome"] in said
    assert f", {len(found)} not learned in " in said


SPY = """
import inspect, json
import torch
from dataclasses import replace
from pathlib import Path
from torch.utils._python_dispatch import _get_current_dispatch_mode
from bench.instruments.energy import EnergyMeter
from bench.arms.arm import STEP, arm
from bench.arms.table import fo_ga
from zo_core import cross_entropy

PASSES = {"tensor_peak", "allocator_peak", "time_paired", "_task"}
inside = []
task = EnergyMeter._task

def metered(self, work):
    inside.append("energy")
    try:
        return task(self, work)
    finally:
        inside.pop()

EnergyMeter._task = metered

def spying(model, inputs, targets):
    active = [
        *["a dispatch mode"] * (_get_current_dispatch_mode() is not None),
        *["the profiler"] * torch.autograd._profiler_enabled(),
        *inside,
    ]
    passes = PASSES & {frame.function for frame in inspect.stack()}
    with Path(__file__).with_name("calls.jsonl").open("a") as file:
        file.write(json.dumps([sorted(passes), active]) + chr(10))
    return cross_entropy(model, inputs, targets)

@arm("spy", "fo-ga that looks around", 3, STEP)
def spy(request):
    return replace(fo_ga(request), objective=spying)
"""


def test_ledgers_clock_and_energy_are_passes_of_their_own(
    tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An arm that looks around in every call: what measures one thing runs while nothing else is measured."""
    monkeypatch.setattr(EnergyMeter, "_task", EnergyMeter._task)  # put back in the end
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "spy.py").write_text(SPY)
    profile = TINY.replace('["forward", "fo-ga", "zo-ga"]', '["spy"]').replace("[1, 4]", "[1]")
    (tmp_path / "spied.toml").write_text(profile)
    target = tmp_path / "x.json"
    code, said = here("-p", "spy", "--profile", tmp_path / "spied.toml", f"--benchmark-json={target}", "-k", "spy")
    assert code == 0, said
    calls = [json.loads(line) for line in (tmp_path / "calls.jsonl").read_text().splitlines()]
    found = {tuple(passes): set(map(tuple, (a for p, a in calls if p == passes))) for passes, _ in calls}
    assert found.pop(()) == {()}  # in the process ledger's child
    assert found == {
        ("tensor_peak",): {("a dispatch mode",)},
        ("allocator_peak",): {("the profiler",)},
        ("time_paired",): {()},
        ("_task",): {("energy",)},
    }
    assert records(target)["test_step_cost[cnn-b1-spy]"].memory.process_peak_bytes


def test_memory_only_runs_the_ledgers_and_nothing_else(folder: Path, straight: Path, here: Here) -> None:
    """The figures are those of the whole run, to the byte; no model is trained for them."""
    target = folder / "memory" / "x.json"
    cache = folder / "untouched"
    code, said = here(
        "--profile", folder / "tiny.toml", f"--benchmark-json={target}", "--memory-only", f"--checkpoints={cache}"
    )
    assert code == 0, said
    assert not list(cache.rglob("model.pt"))
    whole, memory = records(straight), records(target)
    assert set(memory) == set(whole)
    for name, record in memory.items():
        assert (record.time, record.energy, record.quality, record.completion) == (None, None, None, None)
        assert record.notes["time"] == record.notes["energy"] == "only the memory was measured (--memory-only)"
        assert record.memory.tensor_by_category == whole[name].memory.tensor_by_category
        assert record.memory.allocator_peak_bytes == whole[name].memory.allocator_peak_bytes


def test_no_energy_leaves_time_and_memory(folder: Path, here: Here) -> None:
    target = folder / "no-energy" / "x.json"
    arguments = ("--profile", folder / "tiny.toml", f"--benchmark-json={target}", "-k", "b1-zo-ga", "--no-energy")
    code, said = here(*arguments)
    assert code == 0, said
    (record,) = records(target).values()
    assert record.energy is None
    assert record.notes["energy"] == "energy was turned off (--no-energy)"
    assert record.time is not None
    assert record.memory.tensor_peak_bytes is not None
    code, said = here(*[word for word in arguments if word != "--no-energy"], "--resume")
    assert "resume: 0 finished, 1 to do, 1 of another run" in said


def test_threads_from_the_command_line(folder: Path, here: Here) -> None:
    target = folder / "threads" / "x.json"
    code, said = here(
        "--profile",
        folder / "tiny.toml",
        f"--benchmark-json={target}",
        "-k",
        "b1-zo-ga",
        "--memory-only",
        "--threads=2",
    )
    assert code == 0, said
    assert [record.case.threads for record in records(target).values()] == [2]


def holds_in_a_state(optimizer: Any, extra: torch.Tensor) -> None:
    optimizer.state["extra"] = extra


def holds_in_its_noise(optimizer: Any, extra: torch.Tensor) -> None:
    tensors = optimizer.noise.tensors
    optimizer.noise.tensors = lambda: [*tensors(), extra]


def holds_somewhere(optimizer: Any, extra: torch.Tensor) -> None:
    optimizer.extra = extra


@pytest.mark.parametrize(
    ("hold", "category"),
    [(holds_in_a_state, "optimizer"), (holds_in_its_noise, "noise"), (holds_somewhere, "activations")],
)
def test_a_planted_mebibyte_turns_the_gate_red(
    tmp_path: Path,
    folder: Path,
    here: Here,
    monkeypatch: pytest.MonkeyPatch,
    hold: Callable[[Any, torch.Tensor], None],
    category: str,
) -> None:
    """The real path, from measuring to the gate's exit code: an optimizer that keeps 1 MiB from step to step."""
    target, baseline = tmp_path / "x.json", tmp_path / "baseline.json"
    measure = ("--profile", folder / "tiny.toml", f"--benchmark-json={target}", "--memory-only", "-k", "b4-zo-ga")

    def gate(*arguments: str) -> tuple[int, str]:
        code = gate_main([str(target), "--baseline", str(baseline), *arguments])
        return code, here.capfd.readouterr().out

    assert here(*measure)[0] == 0
    assert gate("--update")[0] == 0
    assert here(*measure)[0] == 0
    assert gate() == (0, "memory of 1 case: the baseline holds\n")

    def greedy(request: Request) -> Steps:
        steps = zo_ga(request)
        hold(steps.optimizer, torch.ones(2**18))
        return steps

    monkeypatch.setitem(methods._entries, "zo-ga", replace(methods.get("zo-ga"), start=greedy))
    assert here(*measure)[0] == 0
    code, said = gate()
    assert code == 1
    assert "cnn b4 zo-ga: tensor peak " in said
    assert f", +1,048,576 B in {category}\n" in said


def test_a_case_without_the_memory_for_it_is_a_result_with_a_forecast(
    tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that asks for 128 TiB in its forward pass."""
    (tmp_path / "hungry.py").write_text(
        "import torch\n"
        "from bench.workloads.models import models\n"
        "class Hungry(torch.nn.Linear):\n"
        "    def forward(self, x):\n"
        "        return super().forward(x.flatten(1)) + x.new_empty(2**45)[:10]\n"
        "models.register('hungry')(lambda spec: Hungry(64, 10))\n"
    )
    (tmp_path / "hungry.toml").write_text(TINY.replace('["cnn"]', '["hungry"]'))
    target = tmp_path / "x.json"
    monkeypatch.syspath_prepend(tmp_path)
    code, said = here(
        "-p", "hungry", "--profile", tmp_path / "hungry.toml", f"--benchmark-json={target}", "-k", "b4-forward"
    )
    assert code == 0, said
    (record,) = records(target).values()
    assert record.outcome == "out-of-memory"
    assert "allocate" in record.notes["outcome"]
    assert record.memory.tensor_basis == "forecast"
    inputs, logits = 4 * (64 * 4 + 8), 4 * 10 * 4
    assert record.memory.tensor_peak_bytes == record.model_bytes + inputs + 2**47 + 2 * logits


def test_wide_spreads_are_told_at_the_end(folder: Path, straight: Path, here: Here) -> None:
    """As many as the records' own quartiles say."""
    times = [record.time for record in records(straight).values() if record.time is not None]
    wide = sum(time.spread > 0.1 for time in times)
    code, said = here(
        "--profile", folder / "tiny.toml", f"--benchmark-json={straight}", "--resume",
        f"--checkpoints={folder / 'straight'}",
    )  # fmt: skip
    assert code in (0, 5), said
    assert (f"{wide} of {len(times)} step times have quartiles more than 10%" in said) is (wide > 0)


def test_names_are_readable(here: Here) -> None:
    code, said = here("--collect-only", "-q")
    assert code == 0
    assert "bench/test_step_cost.py::test_step_cost[resnet18-b8-zo-ga]" in said.splitlines()
    assert "bench/test_unlearning.py::test_unlearning[cnn-digits-b32-class:3-zo-ga-seed0]" in said.splitlines()
    profile = load_profile("quick")
    assert f"{len(profile.step_cases()) + len(profile.unlearning_cases())} tests collected" in said


def test_the_literal_option_has_a_default(pytester: pytest.Pytester) -> None:
    start = ("-c", ROOT / "pyproject.toml", "--rootdir", ROOT)
    config = pytester.parseconfig(*start, ROOT / "tests", "--benchmark-json")
    assert config.option.benchmark_json == DEFAULT_JSON == ROOT / "reports" / "latest" / "benchmark.json"
    config = pytester.parseconfig(*start, ROOT / "tests", "--benchmark-json=some/x.json")
    assert config.option.benchmark_json == Path("some/x.json")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--profile", "nope"], "no profile 'nope'; choose from:"),
        (["--device", "tpu"], "device 'tpu' is not available here; choose from: cpu"),
        (["--country", "Narnia"], "no electricity data for country 'Narnia'; choose"),
        (["--benchmark-json", "/proc/nope/x.json"], "cannot write into the folder /proc/nope"),
        (["--benchmark-json", "/proc/x.json"], "cannot write into the folder /proc"),
        (["--checkpoints", "/proc/nope"], "cannot write into the folder /proc/nope"),
        (["--benchmark-json", "."], "is a folder; give the name of a file"),
        (["--threads", "0"], "--threads must be from 1 to 1024, not 0"),
    ],
)
def test_bad_options_are_told_in_one_line(here: Here, arguments: list[str], words: str) -> None:
    assert words in usage_error(here, *arguments)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("threads", "treads", "unknown key 'treads'; choose from:"),
        ('"cnn"]', '"cmm"]', "unknown model 'cmm'; choose from:"),
        ('["forward", "fo-ga", "zo-ga"]', '["forward", "zo"]', "unknown method 'zo' for step cases; choose from:"),
        ('"digits"', '"digitz"', "unknown dataset 'digitz'; choose from:"),
        ('"class:3"', '"klass:3"', "unknown scenario 'klass:3'; write class:K"),
        ('"class:3"', '"class:12"', "class:12: no such class in the data; choose from: 0, 1,"),
        ('"digits"', '"imagefolder:nowhere"', "imagefolder:nowhere: there is no such folder"),
        ('"digits"', '"cifar10"', "needs --data-root DIR"),
        ("description", 'tuned_by = "nobody"\ndescription', "tuned_by = 'nobody', but there is no "),
        ('"cnn"]\nimage_size = 8', '"alexnet"]\nimage_size = 8', "'alexnet' does not take 8x8 images"),
    ],
)
def test_bad_profiles_are_told_in_one_line(here: Here, tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in TINY
    (tmp_path / "bad.toml").write_text(TINY.replace(old, new, 1))
    target = tmp_path / "out" / "x.json"
    assert words in usage_error(here, "--profile", tmp_path / "bad.toml", f"--benchmark-json={target}")
    assert not target.exists()


@pytest.mark.skipif("cuda" in available_devices(), reason="there is a CUDA device here")
def test_a_missing_accelerator_is_an_error_by_name_and_a_skip_by_profile(tmp_path: Path, here: Here) -> None:
    assert "device 'cuda' is not available here; choose from: cpu" in usage_error(here, "--device", "cuda")
    (tmp_path / "both.toml").write_text(TINY.replace('["cpu"]', '["cuda"]'))
    _, said = here("--profile", tmp_path / "both.toml", f"--benchmark-json={tmp_path / 'x.json'}", "-rs")
    assert "9 skipped" in said
    assert "no cuda device here, and profile 'both' merely allows it" in said


def test_a_users_own_arm_takes_part_in_unlearning(tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """One decorated function: ascent with momentum, whose buffers are the optimizer's in the ledger."""
    (tmp_path / "own_arm.py").write_text(
        "from torch.optim import SGD\n"
        "from bench.arms.arm import Steps, arm\n"
        "@arm('my-arm', 'ascent with momentum', 3)\n"
        "def my_arm(request):\n"
        "    lr = request.hyperparameters.lr\n"
        "    return Steps(SGD(request.model.parameters(), lr=lr, momentum=0.9, maximize=True), request.forget)\n"
    )
    profile = TINY.replace('["retrain", "fo-ga", "zo-ga"]', '["my-arm"]').replace("fo-ga = {", "my-arm = {")
    (tmp_path / "own.toml").write_text(profile)
    target = tmp_path / "x.json"
    monkeypatch.syspath_prepend(tmp_path)
    arguments = ("-p", "own_arm", "--profile", tmp_path / "own.toml", f"--benchmark-json={target}", "-k", "class")
    code, said = here(*arguments, f"--checkpoints={tmp_path}", "--no-energy")
    assert code == 0, said
    assert "  my-arm: ascent with momentum" in said.splitlines()
    (record,) = records(target).values()
    assert record.case.id == "cnn-digits-b32-class:3-my-arm-seed0"
    assert record.completion is not None
    assert record.completion.reached
    assert record.completion.forward_equivalents == 3 * record.completion.step
    assert record.quality is not None
    assert record.quality.ua >= 90
    assert record.memory.tensor_by_category["optimizer"] == record.model_bytes
    assert record.memory.process_peak_bytes or not RESET.exists()


def test_a_user_extends_both_registries_in_a_line(tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "from bench.workloads.datasets import RawData, datasets\n"
        "from bench.workloads.models import models\n"
        "@models.register('my-net')\n"
        "def my_net(spec):\n"
        "    n = spec.channels * spec.size**2\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(n, spec.classes))\n"
        "@datasets.register('my-data')\n"
        "def my_data(source):\n"
        "    images, labels = torch.randn(40, 2, 8, 8), torch.arange(40) % 4\n"
        "    return RawData(images, labels, images, labels, ('a', 'b', 'c', 'd'))\n"
    )
    profile = TINY.replace('["cnn"]', '["my-net"]').replace('"digits"', '"my-data"')
    (tmp_path / "mine.toml").write_text(profile)
    target = tmp_path / "x.json"
    monkeypatch.syspath_prepend(tmp_path)
    code, said = here("-p", "mine", "--profile", tmp_path / "mine.toml", f"--benchmark-json={target}", "-k", "b4")
    assert code == 0, said
    assert records(target)["test_step_cost[my-net-b4-zo-ga]"].model_bytes == 4 * (2 * 64 + 1) * 4
