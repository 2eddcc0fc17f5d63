"""Records with figures that are easy to recompute: memory 1 MiB times batch, time 1 ms times batch, and so on."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bench.record import (
    Case,
    Completion,
    Curve,
    EnergyShare,
    Machine,
    Memory,
    Quality,
    Record,
    Run,
    Searched,
    Stability,
    StepEnergy,
    StepTime,
    TuningCost,
)
from reports.data.load import load
from reports.data.part import Part, parts
from reports.page.sections import Exhibit
from reports.page.write import write_report
from reports.tables.table import Table

GALLERY = Path(__file__).parent.parent.parent / "reports" / "gallery"
MIB = 2**20
Write = Callable[..., Path]
PartOf = Callable[..., Part]


def shown(value: float, form: str) -> str:
    """ ".2g" is two significant digits, zeros included, without an exponent."""
    if not form.endswith("g"):
        return format(value, form)
    digits = Decimal(format(value, f".{int(form[1:-1]) - 1}e")) if value else Decimal(0)
    return f"{digits:,f}"


def case(**changes: object) -> Case:
    start: dict[str, object] = {
        "method": "zo-ga",
        "model": "cnn",
        "dataset": "digits",
        "image_size": 8,
        "batch_size": 4,
        "device": "cpu",
        "threads": 1,
        "seed": 0,
    }
    return Case.model_validate(start | changes)


def step_record(method: str, batch: int, model: str = "cnn") -> Record:
    factor = {"forward": 1, "zo-ga": 2, "fo-ga": 3}.get(method, 4)
    return Record(
        kind="step",
        outcome="ok",
        case=case(method=method, batch_size=batch, model=model),
        model_bytes=MIB,
        time=StepTime(
            step_s=factor * batch / 1000,
            forward_s=batch / 1000,
            times_two_forwards=factor / 2,
            times_two_forwards_q1=factor / 2.1,
            times_two_forwards_q3=factor / 1.9,
            rounds=5,
        ),
        memory=Memory(tensor_peak_bytes=factor * batch * MIB, tensor_by_category={"parameters": MIB}),
        energy=StepEnergy(
            joules_per_step=factor * batch / 10,
            co2e_g_per_step=factor * batch / 1e4,
            window_s=2.0,
            steps=10,
            basis="estimated",
            backend="test",
            country="FRA",
        ),
        notes={"memory.process_peak_bytes": "not measured"},
    )


def unlearning_record(method: str, seed: int, completed: int | None = 10, outcome: str = "ok") -> Record:
    """Forget loss 0.01 * 2^step, retain loss a tenth of it, every step up to 20, T* at `completed`."""
    steps = list(range(21))
    losses = [0.01 * 2**step for step in steps]
    flat = [100.0] * len(steps)
    curve = Curve(
        step=steps,
        forget_loss=losses,
        retain_loss=[loss / 10 for loss in losses],
        test_loss=losses,
        forget_accuracy=flat,
        retain_accuracy=flat,
        test_accuracy=flat,
        distance=[float(step) for step in steps],
    )
    return Record.model_validate(
        {
            "kind": "unlearning",
            "outcome": outcome,
            "case": case(method=method, seed=seed, scenario="class:3"),
            "model_bytes": MIB,
            "erased": {"samples": 30, "of": 300, "digest": f"{seed:064x}"},
            "rate": None if method == "retrain" else {"lr": 0.01, "eps": 1e-3 if method.startswith("zo") else None},
            "memory": Memory(tensor_peak_bytes=2 * MIB),
            "energy": energy(steps=completed, joules=20.0) if completed else None,
            "quality": Quality(ua=90 + seed, ra=80 + seed, ta=70 + seed, tow=0.9) if completed else None,
            "completion": Completion(
                reached=completed is not None,
                step=completed,
                seconds=1.5 if completed else None,
                joules=20.0 if completed else None,
                forward_equivalents=20.0 if completed else None,
                sample_forwards=80.0 if completed else None,
            ),
            "original": {"forget": 100.0, "retain": 100.0, "test": 100.0},
            "curve": None if method == "retrain" else curve,
        }
    )


def energy(steps: int, joules: float) -> StepEnergy:
    """So many joules in so many steps, on a grid of 360 g a kWh: a tenth of a milligram a joule."""
    return StepEnergy(
        joules_per_step=joules / steps,
        co2e_g_per_step=joules / steps / 1e4,
        window_s=2.0,
        steps=steps,
        basis="estimated",
        cpu=EnergyShare(joules_per_step=0.75 * joules / steps, basis="estimated", boundary="process"),
        ram=EnergyShare(joules_per_step=0.25 * joules / steps, basis="estimated", boundary="machine"),
        backend="test",
        country="FRA",
    )


def searched(**changes: object) -> Searched:
    """A point of zo-ga's search in the setting of `unlearning_record`, completed by both of its pilot runs."""
    start = {
        "setting": "cnn digits b4 class:3",
        "method": "zo-ga",
        "lr": 0.01,
        "eps": 1e-3,
        "batch_size": 4,
        "tow": 0.7,
        "completed": 2,
        "runs": 2,
        "sample_forwards": 100.0,
    }
    return Searched.model_validate(start | changes)


def stable(record: Record, **figures: object) -> Record:
    """The record with such figures of stability."""
    return record.model_copy(update={"stability": Stability.model_validate(figures)})


def changed(record: Record, path: str, value: Any) -> Record:
    """With another figure: "completion.joules"."""
    data = record.model_dump()
    *way, last = path.split(".")
    inner = data
    for name in way:
        inner = inner[name]
    inner[last] = value
    return Record.model_validate(data)


def weighing(record: Record, peak: int, **categories: int) -> Record:
    """The record with such a peak of live tensors in bytes, made of these."""
    memory = record.memory.model_copy(update={"tensor_peak_bytes": peak, "tensor_by_category": categories})
    return record.model_copy(update={"memory": memory})


def first_row(table: Table | None) -> dict[str, str]:
    """The first row, by column."""
    assert table is not None
    return dict(zip(table.columns, table.rows[0], strict=True))


def full_set() -> list[Record]:
    steps = [step_record(m, b, n) for n in ("cnn", "net") for b in (1, 8) for m in ("forward", "fo-ga", "zo-ga")]
    return steps + [unlearning_record(m, s) for m in ("retrain", "fo-ga", "zo-ga") for s in range(3)]


PROFILE_TEXT = """# in memory of <nothing>
dataset = "digits"

[unlearning]
model = "cnn"

[unlearning.training]
epochs = 15
batch_size = 64
lr = 0.1
"""
MACHINE = Machine(
    processor="A CPU",
    architecture="x86_64",
    cores=2,
    memory_bytes=2**34,
    accelerator=None,
    system="Linux 6",
    rapl="absent",
    python="3.11.7",
    versions={"torch": "2.11.0"},
)


def run_on(machine: Machine, profile: str = "test") -> Run:
    return Run(
        profile=profile,
        profile_text=PROFILE_TEXT,
        command="pytest bench/ --benchmark-json",
        started="2026-01-01T00:00:00+00:00",
        commit="0123456789abcdef",
        dirty=False,
        machine=machine,
        fingerprint="f",
        tuning=(TuningCost(method="zo-ga", seconds=60, sample_forwards=8000, joules=300, basis="estimated"),),
    )


@pytest.fixture(scope="session")
def quick_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report, drawn from the gallery's quick run."""
    folder = tmp_path_factory.mktemp("quick")
    write_report(load([GALLERY / "quick" / "benchmark.json"]), folder)
    return folder


@pytest.fixture(scope="session")
def full_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report of `full_set`, drawn once for all who only read it."""
    folder = tmp_path_factory.mktemp("full")
    written = json_of(full_set(), folder / "benchmark.json")
    write_report(load([written]), folder / "out")
    return folder / "out"


def json_of(records: Iterable[Record], path: Path, processor: str = "A CPU") -> Path:
    """Write the records as a benchmark JSON, whose run is called as the file is."""
    run = run_on(MACHINE.model_copy(update={"processor": processor})).model_copy(update={"fingerprint": path.name})
    entries = [
        {"fullname": f"{number:05}", "extra_info": {"record": record.model_dump(mode="json")}}
        for number, record in enumerate(records)
    ]
    path.write_text(json.dumps({"run": run.model_dump(mode="json"), "benchmarks": entries, "untimed": []}))
    return path


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are laid out and drawn, but written in no format: half the time, for who reads the words."""

    def draw(exhibit: Exhibit, *_: object) -> str:
        assert exhibit.whole is not None
        exhibit.whole.figure.draw_without_rendering()
        return ""

    monkeypatch.setattr("reports.page.write._save", draw)


@pytest.fixture
def write_json(tmp_path: Path) -> Write:
    def write(records: Iterable[Record] | None = None, name: str = "benchmark.json", processor: str = "A CPU") -> Path:
        return json_of(full_set() if records is None else records, tmp_path / name, processor)

    return write


@pytest.fixture
def part_of(write_json: Write) -> PartOf:
    """What records of one run on one device say, and points of its search."""

    def of(records: Iterable[Record] | None = None, *found: Searched) -> Part:
        (part,) = parts(load([write_json(records)]))
        return replace(part, run=part.run.model_copy(update={"searched": found}))

    return of
