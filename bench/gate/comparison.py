"""Holding measured peaks against a baseline: pure functions from records to findings, which print nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from bench.base.sizes import mib
from bench.gate.baseline import Baseline, Peaks, machine_facts, machine_key
from bench.record import Machine, Record

Ledger = Literal["tensor", "allocator", "process"]
ADD = "; add it with --update"
Kind = Literal["regression", "not comparable", "no baseline", "improvement"]


@dataclass(frozen=True)
class Allowance:
    """By how much a peak may exceed its baseline: a share of it or so many bytes, whichever is more."""

    share: float = 0.0
    floor: int = 0

    def bytes_over(self, baseline: int) -> float:
        """The bytes allowed on top of `baseline`."""
        return max(self.share * baseline, self.floor)


ON_ENGINE = Allowance(0.05, 2 * 2**20)  # of a process that an engine's case runs in, where none is given


@dataclass(frozen=True)
class Finding:
    """One thing to be told about one case.

    Attributes:
        case: its label; `sentence` follows it.
        ledger: the one it is about; None if it is about all.
    """

    kind: Kind
    case: str
    ledger: Ledger | None
    sentence: str

    def __str__(self) -> str:
        return f"{self.case}: {self.sentence}"


def compare(
    records: list[Record], machine: Machine, baseline: Baseline, allowances: Mapping[Ledger, Allowance]
) -> list[Finding]:
    """Everything worth telling, in the order of the records.

    Args:
        machine: where the records were measured.
        allowances: the ledgers to be compared, and how much growth each may have. An engine's case has the process
            ledger alone, which is compared in any case.
    """
    return [
        finding
        for record in sorted(records, key=lambda record: record.case.id)
        for finding in _of_case(record, machine, baseline, allowances)
    ]


def _of_case(
    record: Record, machine: Machine, baseline: Baseline, allowances: Mapping[Ledger, Allowance]
) -> Iterator[Finding]:
    label, before = record.case.label, baseline.cases.get(record.case.id)
    on_engine: Mapping[Ledger, Allowance] = {"process": allowances.get("process", ON_ENGINE)}
    held = allowances if record.case.engine == "torch" else on_engine
    if before is None or not before.is_of(record.case):
        of_others = f" (there is one for {before.dataset} at {before.image_size} pixels)" if before else ""
        first: Ledger = next(iter(held))
        no_peak = _peak(record, first) is None
        way_out = f", nor a {first} peak to make one of ({_reason(record, first)})" if no_peak else ADD
        yield Finding("no baseline", label, None, f"no baseline{of_others}{way_out}")
        return
    differing = _differences(record, machine, before, baseline)
    for ledger, allowance in held.items():
        now, then = _peak(record, ledger), getattr(before, f"{ledger}_peak_bytes")
        if then is None:
            yield Finding("no baseline", label, ledger, f"no {ledger} peak in the baseline{ADD}")
        elif ledger != "tensor" and differing:
            yield Finding("not comparable", label, ledger, f"{ledger} peak not comparable: {differing}")
        elif now is None:
            sentence = f"no {ledger} peak ({_reason(record, ledger)}), baseline {mib(then)}"
            yield Finding("regression", label, ledger, sentence)
        elif abs(now - then) > allowance.bytes_over(then):
            kind: Kind = "regression" if now > then else "improvement"
            where = _where(record, before) if ledger == "tensor" else ""
            sentence = f"{ledger} peak {mib(now)}, baseline {mib(then)}, {now - then:+,} B{where}"
            yield Finding(kind, label, ledger, sentence)


def _peak(record: Record, ledger: Ledger) -> int | None:
    """The measured peak; a forecast is none."""
    if ledger == "tensor" and record.memory.tensor_basis != "measured":
        return None
    peak: int | None = getattr(record.memory, f"{ledger}_peak_bytes")
    return peak


def _reason(record: Record, ledger: Ledger) -> str:
    """Why there is no peak."""
    return record.notes.get(f"memory.{ledger}_peak_bytes", record.outcome)


def _differences(record: Record, machine: Machine, before: Peaks, baseline: Baseline) -> str:
    """What keeps ledgers that depend on the machine from being compared; empty if nothing does."""
    here, there = machine_facts(machine), baseline.machines[before.machine]
    if machine_key(here) == machine_key(there) and record.case.threads == before.threads:
        return ""
    here, there = here | {"threads": f"{record.case.threads}"}, there | {"threads": f"{before.threads}"}
    names = [name for name in dict.fromkeys((*here, *there)) if here.get(name) != there.get(name)]
    return "; ".join(f"{name} {here.get(name)} here, {there.get(name)} in the baseline" for name in names)


def _where(record: Record, before: Peaks) -> str:
    """The categories that changed, those that grew most first; empty if the record does not tell."""
    then = before.tensor_by_category
    now = record.memory.tensor_by_category or then
    changes = {name: now.get(name, 0) - then.get(name, 0) for name in dict.fromkeys((*now, *then))}
    changes = {name: change for name, change in changes.items() if change}
    if len(changes) == 1:
        return f" in {next(iter(changes))}"
    ordered = sorted(changes.items(), key=lambda item: -item[1])
    told = ", ".join(f"{change:+,} in {name}" for name, change in ordered)
    return told and f": {told}"
