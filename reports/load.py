"""Benchmark JSON files as tidy pandas frames: one row a case, and one row an evaluation of a run."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pandas as pd
from pydantic import BaseModel, ValidationError

from bench.record import SCHEMA, Case, Curve, Kind, Record, Run

MIB = 2**20


class UnreadableJsonError(ValueError):
    """A file that no report can be made from; the message is one line and says why and what to do."""


@dataclass(frozen=True)
class Results:
    """Everything that a report is drawn from.

    Attributes:
        runs: where the records come from, one a file, in the order given.
        cases: one row a case. Columns are the record's fields, joined by dots ("memory.tensor_peak_bytes"), and
            `run`, counted from 1 in `runs`. Missing figures are NaN; `notes` says why, in one string.
        curves: one row an evaluation: `run`, the case, and the record's curve columns; `relative_step` is
            step / T*, NaN in a run that did not complete.
    """

    runs: tuple[Run, ...]
    cases: pd.DataFrame
    curves: pd.DataFrame

    def of_kind(self, kind: Kind) -> pd.DataFrame:
        """The rows of `cases` that are of one kind."""
        return self.cases[self.cases["kind"] == kind]


def load(paths: Sequence[Path]) -> Results:
    """Read benchmark JSON files of the suite.

    Raises:
        UnreadableJsonError: a file is missing, truncated, from another tool or of another schema, or holds no case.
    """
    files = [_read(path) for path in paths]
    cases, curves = [], []
    for number, (_, records) in enumerate(files, start=1):
        for record in records:
            cases.append({"run": number, **_flat(record)})
            curves.append(_curve(number, record))
    evaluations = [frame for frame in curves if frame is not None]
    return Results(
        tuple(run for run, _ in files),
        pd.DataFrame(cases),
        pd.concat(evaluations, ignore_index=True) if evaluations else pd.DataFrame(columns=NO_CURVES),
    )


def _read(path: Path) -> tuple[Run, list[Record]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UnreadableJsonError(
            f"{path}: {error.strerror}; make one with: pytest bench/ --benchmark-json={path}"
        ) from None
    except (ValueError, RecursionError):
        raise UnreadableJsonError(
            f"{path}: truncated, or not JSON; run pytest bench/ --resume to complete it"
        ) from None
    if not isinstance(content, dict) or "run" not in content or not isinstance(content.get("benchmarks"), list):
        raise UnreadableJsonError(f"{path}: not from this suite; make one with: pytest bench/ --benchmark-json")
    found = content["run"].get("schema") if isinstance(content["run"], dict) else None
    if found is True or found != SCHEMA:
        raise UnreadableJsonError(
            f"{path}: schema {found}, but this version reads schema {SCHEMA}; run the suite again"
        )
    try:
        run = Run.model_validate(content["run"])
        records = [Record.model_validate(entry["extra_info"]["record"]) for entry in content["benchmarks"]]
    except (ValidationError, KeyError, TypeError) as error:
        raise UnreadableJsonError(f"{path}: damaged: {_first_line(error)}; run the suite again") from None
    if not records:
        raise UnreadableJsonError(f"{path}: it holds no finished case; run pytest bench/ --resume to go on")
    return run, records


def _flat(record: Record) -> dict[str, Any]:
    """The record without its curve as one level of columns, the same for every record but for memory categories."""
    values = _joined("", record.model_dump(exclude={"curve", "notes", "schema_version"}))
    reasons = "; ".join(f"{name}: {reason}" for name, reason in record.notes.items())
    row = dict.fromkeys(COLUMNS) | {name: value for name, value in values.items() if name not in _TABLES}
    return {name.removeprefix("case."): value for name, value in row.items()} | {"notes": reasons}


def _joined(prefix: str, values: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _joined(f"{prefix}{name}.", value) if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def _nested(annotation: Any) -> type[BaseModel] | None:
    """The model that a field holds, optional or not."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _field_names(model: type[BaseModel], prefix: str = "") -> list[str]:
    names: list[str] = []
    for name, field in model.model_fields.items():
        inner = _nested(field.annotation)
        names += [f"{prefix}{name}"] if inner is None else _field_names(inner, f"{prefix}{name}.")
    return names


_TABLES = {"time", "energy", "quality", "completion", "memory.tensor_by_category"}
_ELSEWHERE = {"schema_version", "notes", "memory.tensor_by_category"}
COLUMNS = [name for name in _field_names(Record) if name not in _ELSEWHERE and not name.startswith("curve.")]
NO_CURVES = ["run", *Case.model_fields, *Curve.model_fields, "relative_step"]


def _curve(number: int, record: Record) -> pd.DataFrame | None:
    if record.curve is None:
        return None
    frame = pd.DataFrame(record.curve.model_dump()).astype(float)
    completed = record.completion.step if record.completion is not None else None
    frame["relative_step"] = frame["step"] / completed if completed else float("nan")
    return frame.assign(run=number, **record.case.model_dump())


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        finding = error.errors()[0]
        return f"{'.'.join(str(part) for part in finding['loc'])}: {finding['msg']}"
    return f"no {error}" if isinstance(error, KeyError) else str(error).split("\n")[0]
