"""A memory baseline: what every case of a profile peaked at when somebody last agreed, one case a line."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bench.base.atomic_write import write_text
from bench.record import Case, Machine, Record, Run, first_line

BASELINE_SCHEMA: Literal[1] = 1
Bytes = Annotated[int, Field(ge=0)]
RESTORE = "restore it from version control, or delete it and make it anew with --update"


class BaselineError(ValueError):
    """A baseline that cannot be used; the message is one line and names the way out."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)


class Peaks(_Strict):
    """The peaks of one case in bytes, and what they hold for.

    Attributes:
        machine: key of the machine that they were measured on, which the tensor ledger does not depend on.
    """

    dataset: str
    image_size: int
    threads: int
    machine: str
    tensor_peak_bytes: Bytes | None = None
    tensor_by_category: dict[str, Bytes] = {}
    allocator_peak_bytes: Bytes | None = None
    process_peak_bytes: Bytes | None = None

    @model_validator(mode="after")
    def _adds_up(self) -> "Peaks":
        if sum(self.tensor_by_category.values()) != (self.tensor_peak_bytes or 0):
            raise ValueError("the categories do not add up to tensor_peak_bytes")
        if not self.figures:
            raise ValueError("there is no peak")
        return self

    def is_of(self, case: Case) -> bool:
        """Whether they are of such images as the case's."""
        return (self.dataset, self.image_size) == (case.dataset, case.image_size)

    def completed_by(self, former: "Peaks") -> "Peaks":
        """With the former's figures where these have none, if they were measured under the same conditions."""
        conditions = ("dataset", "image_size", "threads", "machine")
        if any(getattr(self, name) != getattr(former, name) for name in conditions):
            return self
        return self.model_copy(update={name: getattr(former, name) for name in former.figures - self.figures})

    @property
    def figures(self) -> set[str]:
        """The names of the peaks that are there."""
        return {name for name, value in self if name.endswith("_peak_bytes") and value is not None}


class Baseline(_Strict):
    """A baseline: peaks by case id, and by key the machines that they come from."""

    schema_version: Literal[1] = Field(default=BASELINE_SCHEMA, alias="schema")
    machines: dict[str, dict[str, str]] = {}
    cases: dict[str, Peaks] = {}

    @model_validator(mode="after")
    def _knows_its_machines(self) -> "Baseline":
        for name, peaks in self.cases.items():
            if peaks.machine not in self.machines:
                raise ValueError(f"{name} names a machine that is not there: {peaks.machine}")
        return self

    def updated(self, run: Run, records: Sequence[Record]) -> "Baseline":
        """With the peaks that the records measured in the place of former ones; the other cases stay.

        So does a case's former figure of a ledger that was not measured, unless it is another machine's; see `lost`.
        """
        facts = machine_facts(run.machine)
        key = machine_key(facts)
        measured = {record.case.id: _peaks(record, key) for record in records if is_measured(record)}
        for name in self.cases.keys() & measured.keys():
            measured[name] = measured[name].completed_by(self.cases[name])
        cases = dict(sorted((self.cases | measured).items()))
        machines = self.machines | {key: facts}
        used = {peaks.machine for peaks in cases.values()}
        return Baseline(machines={name: machines[name] for name in sorted(used)}, cases=cases)

    def lost(self, updated: "Baseline") -> list[str]:
        """What this baseline has and its update has not, a sentence a figure."""
        return [
            f"{name}: the former {figure.removesuffix('_peak_bytes')} peak is gone: it is another machine's, and this "
            "run has none"
            for name, peaks in self.cases.items()
            for figure in sorted(peaks.figures - updated.cases[name].figures)
        ]

    def text(self) -> str:
        """As JSON, a machine or a case a line."""
        content = self.model_dump(mode="json", exclude_none=True)
        blocks = [
            f'"schema": {self.schema_version}',
            *(f'"{name}": {_lines(content[name])}' for name in ("machines", "cases")),
        ]
        return "{\n" + ",\n".join(blocks) + "\n}\n"


def read_baseline(path: Path) -> Baseline | None:
    """The baseline in a file, None if there is no file.

    Raises:
        BaselineError: the file cannot be read, or is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        _check_schema(content)
        return Baseline.model_validate(content)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BaselineError(f"{path}: {error.strerror}") from None
    except (BaselineError, ValidationError) as error:
        raise BaselineError(f"{path}: {first_line(error)}; {RESTORE}") from None
    except (ValueError, RecursionError) as error:
        raise BaselineError(f"{path}: not JSON ({first_line(error)}); {RESTORE}") from None


def _check_schema(content: object) -> None:
    """Raise BaselineError unless it is the one that this version reads."""
    if not isinstance(content, dict):
        raise BaselineError("it holds no baseline")
    found = content.get("schema")
    if type(found) is not int or found != BASELINE_SCHEMA:
        raise BaselineError(f"schema {found}, but this version reads schema {BASELINE_SCHEMA}")


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Put the baseline into a file, which is never half-written; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, baseline.text())


def machine_facts(machine: Machine) -> dict[str, str]:
    """What the allocator's and the process's peak depend on beside the case: machine, system, Python and torch."""
    names = ("processor", "architecture", "cores", "accelerator", "driver", "system", "libc", "python")
    facts = {name: getattr(machine, name) for name in names}
    facts |= {name: machine.versions.get(name) for name in ("torch", "CUDA", "ROCm")}
    return {name: str(fact) for name, fact in facts.items() if fact is not None}


def machine_key(facts: Mapping[str, str]) -> str:
    """A short name for a machine with these facts."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]


def is_measured(record: Record) -> bool:
    """Whether its tensor ledger was, or on an engine the process's, one of which every entry of a baseline has; a
    forecast is no measurement.
    """
    memory = record.memory
    if record.case.engine != "torch":
        return memory.process_peak_bytes is not None
    return None not in (memory.tensor_peak_bytes, memory.tensor_by_category) and memory.tensor_basis == "measured"


def _peaks(record: Record, machine: str) -> Peaks:
    """The peaks of a record that `is_measured`."""
    case, memory = record.case, record.memory
    return Peaks(
        dataset=case.dataset,
        image_size=case.image_size,
        threads=case.threads,
        machine=machine,
        tensor_peak_bytes=memory.tensor_peak_bytes,
        tensor_by_category=memory.tensor_by_category or {},
        allocator_peak_bytes=memory.allocator_peak_bytes,
        process_peak_bytes=memory.process_peak_bytes,
    )


def _lines(table: dict[str, object]) -> str:
    rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in table.items())
    return "{\n" + rows + "\n}" if rows else "{}"
