"""The gate: what regresses is told and fails, what holds passes, what cannot be compared is refused."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.base.paths import ROOT
from bench.gate.__main__ import BASELINES, default_baseline, exit_code, main
from bench.gate.baseline import Baseline, read_baseline
from bench.gate.comparison import Allowance
from bench.profiles import load_profile
from bench.record import Case, Machine, Memory, Record
from tests.reports.conftest import MACHINE, run_on

MIB = 2**20


def record(batch: int = 8, activations: int = 2 * MIB, method: str = "zo-ga", **changes: object) -> Record:
    """A case that peaks at 48 MiB of parameters and its activations; 64 MiB at the allocator, 512 the process."""
    case = {
        "method": method,
        "model": "resnet18",
        "dataset": "digits",
        "image_size": 32,
        "batch_size": batch,
        "device": "cpu",
        "threads": 2,
        "seed": 0,
    }
    memory = {
        "tensor_peak_bytes": 48 * MIB + activations,
        "tensor_by_category": {"parameters": 48 * MIB, "activations": activations, "gradients": 0},
        "allocator_peak_bytes": 64 * MIB,
        "process_peak_bytes": 512 * MIB,
    }
    return Record(
        kind="step",
        outcome=changes.pop("outcome", "ok"),
        case=Case.model_validate(case | {k: changes.pop(k) for k in list(changes) if k in case}),
        model_bytes=48 * MIB,
        notes=changes.pop("notes", {}),
        memory=Memory.model_validate(memory | changes),
    )


class Gate:
    """The command line over a folder, with what it prints."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys
        self.baseline = folder / "baselines" / "quick.json"

    def measured(self, *records: Record, machine: Machine = MACHINE, **changes: object) -> Path:
        run = run_on(machine, profile="quick").model_copy(update=changes)
        entries = [
            {"fullname": record.case.id, "extra_info": {"record": record.model_dump(mode="json")}} for record in records
        ]
        path = self.folder / "benchmark.json"
        path.write_text(json.dumps({"run": run.model_dump(mode="json"), "benchmarks": entries, "untimed": []}))
        return path

    def __call__(self, *arguments: object) -> tuple[int, list[str]]:
        json_file = self.folder / "benchmark.json"
        code = main([str(json_file), "--baseline", str(self.baseline), *map(str, arguments)])
        said = self.capsys.readouterr()
        return code, (said.out + said.err).splitlines()


@pytest.fixture
def gate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Gate:
    """A gate whose baseline holds two cases."""
    made = Gate(tmp_path, capsys)
    made.measured(record(), record(method="fo-ga"))
    assert made("--update")[0] == 0
    return made


def test_the_same_again_holds(gate: Gate) -> None:
    assert gate() == (0, ["memory of 2 cases: the baseline holds"])


def test_a_regression_names_the_category_and_fails(gate: Gate) -> None:
    gate.measured(record(activations=3 * MIB), record(method="fo-ga"))
    code, said = gate()
    assert code == 1
    assert said == [
        "resnet18 b8 zo-ga: tensor peak 51.00 MiB, baseline 50.00 MiB, +1,048,576 B in activations",
        "memory of 2 cases: 1 regression",
    ]


def test_several_categories_are_named_those_that_grew_most_first(gate: Gate) -> None:
    grown = {"parameters": 48 * MIB - 4, "activations": 2 * MIB + 1, "gradients": 7}
    gate.measured(record(tensor_by_category=grown, tensor_peak_bytes=sum(grown.values())))
    assert "+4 B: +7 in gradients, +1 in activations, -4 in parameters" in gate()[1][0]


@pytest.mark.parametrize(
    ("growth", "tolerance", "code"),
    [
        (1, "0", 1),
        (65536, "64KiB", 0),
        (65537, "64KiB", 1),
        (524288, "1%", 0),  # of 50 MiB
        (524289, "1%", 1),
    ],
)
def test_a_tolerance_is_what_may_be_added(gate: Gate, growth: int, tolerance: str, code: int) -> None:
    gate.measured(record(activations=2 * MIB + growth))
    assert gate("--tolerance", tolerance)[0] == code


def test_an_improvement_is_told_passes_and_update_takes_it_over(gate: Gate) -> None:
    gate.measured(record(activations=MIB), record(method="fo-ga"))
    code, said = gate()
    assert code == 0
    assert "-1,048,576 B in activations" in said[0]
    assert said[1] == "memory of 2 cases: 1 improvement; --update tightens the baseline"
    assert gate("--update")[0] == 0
    assert gate() == (0, ["memory of 2 cases: the baseline holds"])
    gate.measured(record())
    assert gate()[0] == 1


def test_a_run_of_some_cases_says_how_many(gate: Gate) -> None:
    """It may be meant (`-k`), so it is no failure."""
    gate.measured(record(), record(batch=9))
    said = "memory of 2 cases: 1 no baseline; 1 of 2 baseline cases measured"
    assert gate() == (3, ["resnet18 b9 zo-ga: no baseline; add it with --update", said])
    gate.measured(record())
    assert gate() == (0, ["memory of 1 case: the baseline holds; 1 of 2 baseline cases measured"])


def test_a_case_without_a_baseline(gate: Gate) -> None:
    gate.measured(record(), record(batch=9))
    code, said = gate()
    assert (code, said[0]) == (3, "resnet18 b9 zo-ga: no baseline; add it with --update")


@pytest.mark.parametrize("other", [{"image_size": 64}, {"dataset": "cifar10"}])
def test_a_case_of_other_images_has_no_baseline(gate: Gate, other: dict[str, object]) -> None:
    gate.measured(record(**other))
    code, said = gate()
    assert code == 3
    assert said[0] == "resnet18 b8 zo-ga: no baseline (there is one for digits at 32 pixels); add it with --update"


def test_no_baseline_at_all_is_one_line(gate: Gate) -> None:
    gate.baseline.unlink()
    code, said = gate()
    assert code == 3
    assert len(said) == 2
    assert said[0].startswith("no baseline ")
    assert said[0].endswith("quick.json; make it with --update")


@pytest.mark.parametrize("update", [False, True])
def test_a_case_that_ran_out_of_memory_is_a_regression_and_its_forecast_no_figure(gate: Gate, update: bool) -> None:
    """An update cannot mend that: it takes over what was measured, and still fails."""
    gate.measured(record(outcome="out-of-memory", tensor_basis="forecast", activations=MIB), record(method="fo-ga"))
    before = gate.baseline.read_text()
    code, said = gate(*["--update"] * update)
    assert (code, said[0]) == (1, "resnet18 b8 zo-ga: no tensor peak (out-of-memory), baseline 50.00 MiB")
    assert gate.baseline.read_text() == before
    if update:
        assert said[-1].endswith("quick.json now holds 2 cases, 1 of them from this run")


def test_out_of_memory_without_a_baseline_cannot_become_one(gate: Gate) -> None:
    gate.measured(record(batch=9, outcome="out-of-memory", tensor_basis="forecast"))
    said = "resnet18 b9 zo-ga: no baseline, nor a tensor peak to make one of (out-of-memory)"
    assert (gate()[0], gate()[1][0]) == (3, said)
    assert gate("--update")[0] == 3


def test_a_reason_for_a_missing_peak_is_told(gate: Gate) -> None:
    gate.measured(record(process_peak_bytes=None, notes={"memory.process_peak_bytes": "the child failed: Oops"}))
    code, said = gate("--process", "5%", "1MiB")
    assert (code, said[0]) == (1, "resnet18 b8 zo-ga: no process peak (the child failed: Oops), baseline 512.00 MiB")


def test_a_ledger_that_the_baseline_lacks_has_no_baseline(gate: Gate) -> None:
    gate.measured(record(batch=9, process_peak_bytes=None))
    gate("--update")
    gate.measured(record(batch=9))
    code, said = gate("--process", "5%", "1MiB")
    assert (code, said[0]) == (3, "resnet18 b9 zo-ga: no process peak in the baseline; add it with --update")


def test_growth_that_the_record_does_not_explain_names_no_category(gate: Gate) -> None:
    gate.measured(record(activations=3 * MIB, tensor_by_category=None))
    code, said = gate()
    assert (code, said[0].endswith("baseline 50.00 MiB, +1,048,576 B")) == (1, True)


@pytest.mark.parametrize(
    ("growth", "arguments", "code"),
    [
        (4 * MIB, (), 0),  # off unless asked for
        (4 * MIB, ("--process", "0%", "0"), 1),
        (4 * MIB, ("--process", "1%", "1MiB"), 0),  # beyond the floor, within the percentage
        (4 * MIB, ("--process", "0.5%", "8MiB"), 0),  # beyond the percentage, within the floor
        (4 * MIB, ("--process", "0.5%", "1MiB"), 1),
    ],
)
def test_a_process_peak_must_exceed_percent_and_floor(gate: Gate, growth: int, arguments: tuple, code: int) -> None:
    gate.measured(record(process_peak_bytes=512 * MIB + growth))
    found, said = gate(*arguments)
    assert found == code
    if code:
        assert said[0] == "resnet18 b8 zo-ga: process peak 516.00 MiB, baseline 512.00 MiB, +4,194,304 B"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"processor": "Another CPU"}, "processor Another CPU here, A CPU in the baseline"),
        ({"versions": {"torch": "2.12.0"}}, "torch 2.12.0 here, 2.11.0 in the baseline"),
        ({"versions": {"torch": "2.11.0", "CUDA": "12.8"}}, "CUDA 12.8 here, None in the baseline"),
        ({"driver": "550"}, "driver 550 here, None in the baseline"),
        ({"system": "Linux 7"}, f"system Linux 7 here, {MACHINE.system} in the baseline"),
        ({"libc": "musl"}, f"libc musl here, {MACHINE.libc} in the baseline"),
        ({"python": "3.99"}, f"python 3.99 here, {MACHINE.python} in the baseline"),
    ],
)
def test_what_other_machines_measured_is_refused(gate: Gate, change: dict[str, object], words: str) -> None:
    gate.measured(record(), machine=MACHINE.model_copy(update=change))
    assert gate()[0] == 0  # the tensor ledger does not depend on it
    code, said = gate("--allocator", "5%", "1MiB")
    assert (code, said[0]) == (4, f"resnet18 b8 zo-ga: allocator peak not comparable: {words}")


def test_another_thread_count_is_another_machine(gate: Gate) -> None:
    gate.measured(record(threads=1))
    assert gate()[0] == 0
    code, said = gate("--process", "5%", "1MiB")
    assert (code, said[0].endswith("threads 1 here, 2 in the baseline")) == (4, True)


def test_the_gravest_finding_decides(gate: Gate) -> None:
    elsewhere = MACHINE.model_copy(update={"processor": "Another CPU"})
    gate.measured(record(activations=3 * MIB), record(batch=9), machine=elsewhere)
    assert gate("--process", "5%", "1MiB")[0] == 1
    gate.measured(record(), record(batch=9), machine=elsewhere)
    assert gate("--process", "5%", "1MiB")[0] == 4
    assert exit_code([]) == 0


def test_the_baseline_reads_well_in_a_diff(gate: Gate) -> None:
    """Sorted, one case a line: a change of one case is a change of one line."""
    before = gate.baseline.read_text().splitlines()
    gate.measured(record(activations=MIB), record(batch=4))
    gate("--update")
    after = gate.baseline.read_text().splitlines()
    cases = [line.split('"')[1] for line in after if "tensor_peak_bytes" in line]
    assert cases == ["resnet18-b4-zo-ga", "resnet18-b8-fo-ga", "resnet18-b8-zo-ga"]
    assert len(set(after) - set(before)) == 2
    assert json.loads(gate.baseline.read_text())["schema"] == 1


def test_update_keeps_what_was_not_measured_and_each_cases_machine(gate: Gate) -> None:
    gate.measured(record(batch=9), machine=MACHINE.model_copy(update={"processor": "Another CPU"}))
    gate("--update")
    found = read_baseline(gate.baseline)
    assert found is not None
    assert set(found.cases) == {"resnet18-b8-fo-ga", "resnet18-b8-zo-ga", "resnet18-b9-zo-ga"}
    processors = {name: found.machines[peaks.machine]["processor"] for name, peaks in found.cases.items()}
    assert (processors["resnet18-b8-zo-ga"], processors["resnet18-b9-zo-ga"]) == ("A CPU", "Another CPU")


def test_update_forgets_machines_that_no_case_is_of(gate: Gate) -> None:
    gate.measured(record(), record(method="fo-ga"), machine=MACHINE.model_copy(update={"processor": "Another CPU"}))
    gate("--update")
    found = read_baseline(gate.baseline)
    assert found is not None
    assert [facts["processor"] for facts in found.machines.values()] == ["Another CPU"]


def test_update_keeps_a_figure_that_was_not_measured_on_the_same_machine(gate: Gate) -> None:
    gate.measured(record(activations=MIB, process_peak_bytes=None))
    assert "gone" not in "".join(gate("--update")[1])
    found = read_baseline(gate.baseline)
    assert found is not None
    peaks = found.cases["resnet18-b8-zo-ga"]
    assert (peaks.tensor_peak_bytes, peaks.process_peak_bytes) == (49 * MIB, 512 * MIB)


@pytest.mark.parametrize("elsewhere", [{"processor": "Another CPU"}, {}])
def test_update_tells_of_a_figure_that_another_machines_takes_the_place_of(
    gate: Gate, elsewhere: dict[str, object]
) -> None:
    threads = 2 if elsewhere else 1
    run = record(process_peak_bytes=None, threads=threads)
    gate.measured(run, machine=MACHINE.model_copy(update=elsewhere))
    said = gate("--update")[1]
    assert said[-2].startswith("resnet18-b8-zo-ga: the former process peak is gone: ")
    found = read_baseline(gate.baseline)
    assert found is not None
    assert found.cases["resnet18-b8-zo-ga"].process_peak_bytes is None


def test_each_profile_has_its_baseline_and_a_users_own_has_none(gate: Gate) -> None:
    """A file of one's own may be called quick, too; what it measures is not the committed quick's."""
    run = run_on(MACHINE, profile="digits")
    assert default_baseline(run) == BASELINES / "digits.json"
    command = {"profile": "quick", "command": "pytest bench/ --profile profiles/quick.toml -c my.toml"}
    assert default_baseline(run.model_copy(update=command)) == BASELINES / "quick.json"
    gate.measured(record(), command="pytest bench/ '--profile=my own/quick.toml' --memory-only")
    committed = (BASELINES / "quick.json").read_bytes()
    assert main([str(gate.folder / "benchmark.json"), "--update"]) == 2
    said = "gate: my own/quick.toml is a profile of your own: name its baseline with --baseline FILE\n"
    assert gate.capsys.readouterr().err == said
    assert (BASELINES / "quick.json").read_bytes() == committed
    assert gate()[0] == 0


def test_a_summary_for_a_pull_request(gate: Gate, tmp_path: Path) -> None:
    gate.measured(record(activations=3 * MIB, model="my|net"), record(method="fo-ga", activations=3 * MIB))
    assert gate("--markdown", tmp_path / "summary.md")[0] == 1
    text = (tmp_path / "summary.md").read_text()
    assert "memory of 2 cases: 1 regression, 1 no baseline" in text
    assert (
        "| resnet18 b8 fo-ga | regression | tensor peak 51.00 MiB, baseline 50.00 MiB, +1,048,576 B in activations |"
        in text
    )
    assert "| my\\|net b8 zo-ga | no baseline |" in text


def test_json_that_benchmark_actions_read(gate: Gate, tmp_path: Path) -> None:
    gate.measured(record(), record(batch=9, tensor_basis="forecast", allocator_peak_bytes=None))
    gate("--json", tmp_path / "peaks.json")
    assert json.loads((tmp_path / "peaks.json").read_text()) == [
        {"name": "resnet18 b8 zo-ga: tensor peak", "unit": "bytes", "value": 50 * MIB},
        {"name": "resnet18 b8 zo-ga: allocator peak", "unit": "bytes", "value": 64 * MIB},
        {"name": "resnet18 b8 zo-ga: process peak", "unit": "bytes", "value": 512 * MIB},
        {"name": "resnet18 b9 zo-ga: process peak", "unit": "bytes", "value": 512 * MIB},
    ]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda text: text[: len(text) // 2], "not JSON"),
        (lambda _: "", "not JSON"),
        (lambda text: text.replace('"schema": 1', '"schema": 9'), "schema 9, but this version reads schema 1"),
        (lambda text: text.replace('"schema": 1', '"schema": true'), "schema True, but"),
        (lambda text: text.replace('"schema": 1,', ""), "schema None, but"),
        (lambda _: "{}", "schema None, but"),
        (lambda text: text.replace('"image_size": 32', '"image_size": "big"', 1), "cases.resnet18-b8-fo-ga.image_size"),
        (lambda text: text.replace(str(50 * MIB), str(49 * MIB), 1), "do not add up to tensor_peak_bytes"),
        (lambda text: text.replace('"threads"', '"treads"', 1), "threads: Field required"),
        (lambda text: text.replace('"machine": "', '"machine": "x', 1), "json: resnet18-b8-fo-ga names a machine that"),
        (lambda text: text.replace(str(512 * MIB), str(-MIB), 1), "process_peak_bytes: Input should be greater"),
        (lambda _: "[1]", "json: it holds no baseline"),
        (lambda _: '{"schema": 1, "cases": {"a": null}}', "json: cases.a: Input should be a valid dictionary;"),
        (lambda _: "\xff", "not JSON"),
    ],
)
@pytest.mark.parametrize("update", [False, True])
def test_a_damaged_baseline_is_told_in_one_line_and_left_alone(
    gate: Gate, damage: Callable[[str], str], words: str, update: bool
) -> None:
    gate.baseline.write_text(damage(gate.baseline.read_text()), encoding="latin-1")
    before = gate.baseline.read_bytes()
    code, said = gate(*["--update"] * update)
    assert code == 2
    assert len(said) == 1
    assert words in said[0]
    assert "restore it from version control, or delete it" in said[0]
    assert gate.baseline.read_bytes() == before


def test_a_foreign_or_missing_measurement_is_told(gate: Gate) -> None:
    path = gate.folder / "benchmark.json"
    path.write_text('{"benchmarks": []}')
    code, said = gate()
    assert (code, len(said)) == (2, 1)
    assert "not from this suite" in said[0]
    gate.measured(record())
    path.write_text(json.dumps(json.loads(path.read_text()) | {"benchmarks": [None]}))
    assert gate() == (2, [f"gate: {path}: damaged: an entry is no object; run the suite again"])
    path.unlink()
    code, said = gate()
    assert (code, len(said)) == (2, 1)
    assert said[0].endswith(f"No such file or directory; make one with: pytest bench/ --benchmark-json={path}")
    path.mkdir()
    assert gate() == (2, [f"gate: {path}: a folder; give the JSON in it"])


def test_a_name_that_is_no_text_is_told(gate: Gate) -> None:
    path = gate.measured(record(model="lone\ud800"))
    assert gate() == (2, [f"gate: {path}: damaged: '\\ud800' is no text; run the suite again"])


def test_a_baseline_that_cannot_be_read_or_written_is_told(gate: Gate, tmp_path: Path) -> None:
    gate.baseline = tmp_path
    code, said = gate()
    assert (code, said) == (2, [f"gate: {tmp_path}: Is a directory"])
    gate.baseline = Path("/proc/nope/x.json")
    code, said = gate("--update")
    assert code == 2
    assert said[-1].startswith("gate: cannot write: No such file or directory")


def test_a_summary_that_cannot_be_written_is_told_by_its_name(gate: Gate, tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "summary.md"
    code, said = gate("--markdown", path)
    assert (code, said[-1]) == (2, f"gate: cannot write: No such file or directory: {path}")
    code, said = gate("--json", tmp_path)
    assert (code, said[-1]) == (2, f"gate: cannot write: Is a directory: {tmp_path}")


def test_a_summary_can_go_where_no_file_is(gate: Gate, tmp_path: Path) -> None:
    """Into a pipe, as /dev/stdout is one in CI: written to, not replaced."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert gate("--markdown", pipe)[0] == 0
    assert os.read(reader, 1000) == b"### Memory\n\nmemory of 2 cases: the baseline holds\n\n"
    os.close(reader)
    assert pipe.is_fifo()


def test_a_link_to_a_baseline_stays_one(gate: Gate, tmp_path: Path) -> None:
    target = gate.baseline.rename(tmp_path / "elsewhere.json")
    gate.baseline.symlink_to(target)
    gate.measured(record(activations=MIB))
    assert gate("--update")[0] == 0
    assert gate.baseline.is_symlink()
    assert str(49 * MIB) in target.read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--tolerance", "much"),
        ("--tolerance", "-1%"),
        ("--tolerance", "1,024MiB"),
        ("--process", "5%", "1%"),
        ("--process", "5", "1MiB"),
        ("--process", "nan%", "1MiB"),
        ("--allocator", "5%", "some"),
        ("--allocator", "5%"),
        ("--nope",),
    ],
)
def test_wrong_usage(gate: Gate, arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit, match="2"):
        gate(*arguments)


def test_a_full_disk_leaves_the_former_baseline_whole(gate: Gate) -> None:
    """The disk is full after 100 bytes, by a limit on the size of files."""
    gate.measured(record(activations=MIB))
    before = gate.baseline.read_bytes()
    done = subprocess.run(
        [sys.executable, "-m", "bench.gate", gate.folder / "benchmark.json", "--baseline", gate.baseline, "--update"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},  # it would be cut short, too
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
    )
    assert done.returncode == 2
    assert done.stderr.splitlines() == [f"gate: cannot write: File too large: {gate.baseline}"]
    assert gate.baseline.read_bytes() == before
    assert [path.name for path in gate.baseline.parent.iterdir()] == ["quick.json"]


def test_allowances_are_the_larger_of_share_and_floor() -> None:
    assert Allowance(0.01, 10).bytes_over(500) == 10
    assert Allowance(0.01, 10).bytes_over(5000) == 50


def test_the_committed_baseline_is_sound() -> None:
    found = read_baseline(BASELINES / "quick.json")
    assert found is not None
    quick = load_profile("quick")
    assert set(found.cases) == {case.id for case in (*quick.step_cases(), *quick.unlearning_cases())}
    assert found.text() == (BASELINES / "quick.json").read_text()
    assert isinstance(found, Baseline)
