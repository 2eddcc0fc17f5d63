"""A memory baseline: what every case of a profile peaked at when somebody last agreed, one case a line."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bench.atomic import write_text
from bench.record import Case, Machine, Record, Run, first_line

BASELINE_SCHEMA: Literal[1] = 1
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
    tensor_peak_bytes: int
    tensor_by_category: dict[str, int]
    allocator_peak_bytes: int | None = None
    process_peak_bytes: int | None = None

    @model_validator(mode="after")
    def _adds_up(self) -> "Peaks":
        if sum(self.tensor_by_category.values()) != self.tensor_peak_bytes:
            raise ValueError("the categories do not add up to tensor_peak_bytes")
        return self

    def is_of(self, case: Case) -> bool:
        """Whether they are of such images as the case's."""
        return (self.dataset, self.image_size) == (case.dataset, case.image_size)


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

    def updated(self, run: Run, records: list[Record]) -> "Baseline":
        """With the peaks that the records measured in the place of former ones; the other cases stay."""
        facts = machine_facts(run.machine)
        key = machine_key(facts)
        measured = {record.case.id: peaks for record in records if (peaks := _peaks(record, key)) is not None}
        cases = dict(sorted((self.cases | measured).items()))
        machines = self.machines | {key: facts}
        used = {peaks.machine for peaks in cases.values()}
        return Baseline(machines={name: machines[name] for name in sorted(used)}, cases=cases)

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
        return Baseline.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BaselineError(f"{path}: {error.strerror}") from None
    except ValidationError as error:
        raise BaselineError(f"{path}: {first_line(error)}; {RESTORE}") from None
    except (ValueError, RecursionError) as error:
        raise BaselineError(f"{path}: not JSON ({first_line(error)}); {RESTORE}") from None


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Put the baseline into a file, which is never half-written; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, baseline.text())


def machine_facts(machine: Machine) -> dict[str, str]:
    """What the allocator's and the process's peak depend on beside the case: machine, system, torch."""
    names = ("processor", "architecture", "cores", "accelerator", "driver", "system", "libc")
    facts = machine.model_dump(include=set(names)) | {"torch": machine.versions.get("torch", "unknown")}
    return {name: str(facts[name]) for name in (*names, "torch") if facts[name] is not None}


def machine_key(facts: Mapping[str, str]) -> str:
    """A short name for a machine with these facts."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]


def _peaks(record: Record, machine: str) -> Peaks | None:
    """The record's peaks, None if its tensor ledger was not measured."""
    case, memory = record.case, record.memory
    if memory.tensor_peak_bytes is None or memory.tensor_by_category is None or memory.tensor_basis != "measured":
        return None
    return Peaks(
        dataset=case.dataset,
        image_size=case.image_size,
        threads=case.threads,
        machine=machine,
        tensor_peak_bytes=memory.tensor_peak_bytes,
        tensor_by_category=memory.tensor_by_category,
        allocator_peak_bytes=memory.allocator_peak_bytes,
        process_peak_bytes=memory.process_peak_bytes,
    )


def _lines(table: dict[str, object]) -> str:
    rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in table.items())
    return "{\n" + rows + "\n}" if rows else "{}"
