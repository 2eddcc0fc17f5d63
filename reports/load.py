"""Benchmark JSON files as tidy pandas frames: one row a case, and one row an evaluation of a run."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from bench.record import SCHEMA, Record, Run

CASE = ["method", "model", "dataset", "image_size", "batch_size", "device", "dtype", "threads", "seed", "scenario"]


class UnreadableJson(ValueError):
    """A file that no report can be made from; the message is one line and says why and what to do."""


@dataclass(frozen=True)
class Results:
    """Everything that a report is drawn from.

    Attributes:
        runs: where the records come from, one a file, in the order given.
        cases: one row a case. Columns are the record's fields, joined by dots ("memory.tensor_peak_bytes"), and
            `run`, an index into `runs`. Missing figures are NaN; `notes` says why, in one string.
        curves: one row an evaluation: `run`, the case, and the record's curve columns; `relative_step` is
            step / T*, NaN in a run that did not complete.
    """

    runs: tuple[Run, ...]
    cases: pd.DataFrame
    curves: pd.DataFrame


def load(paths: Sequence[Path]) -> Results:
    """Read benchmark JSON files of the suite.

    Raises:
        UnreadableJson: a file is missing, truncated, from another tool or of another schema, or holds no case.
    """
    files = [_read(path) for path in paths]
    cases, curves = [], []
    for index, (_, records) in enumerate(files):
        for record in records:
            cases.append({"run": index, **_flat(record)})
            curves.append(_curve(index, record))
    evaluations = [frame for frame in curves if frame is not None]
    return Results(
        tuple(run for run, _ in files),
        pd.DataFrame(cases),
        pd.concat(evaluations, ignore_index=True) if evaluations else pd.DataFrame(columns=["run", *CASE]),
    )


def _read(path: Path) -> tuple[Run, list[Record]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UnreadableJson(f"{path}: {error.strerror}; make one with: pytest bench/ --benchmark-json={path}") from None
    except ValueError:
        raise UnreadableJson(f"{path}: truncated, or not JSON; run pytest bench/ --resume to complete it") from None
    if not isinstance(content, dict) or "run" not in content or "benchmarks" not in content:
        raise UnreadableJson(f"{path}: not from this suite; make one with: pytest bench/ --benchmark-json")
    found = content["run"].get("schema") if isinstance(content["run"], dict) else None
    if found != SCHEMA:
        raise UnreadableJson(f"{path}: schema {found}, but this version reads schema {SCHEMA}; run the suite again")
    try:
        run = Run.model_validate(content["run"])
        records = [Record.model_validate(entry["extra_info"]["record"]) for entry in content["benchmarks"]]
    except (ValidationError, KeyError, TypeError) as error:
        raise UnreadableJson(f"{path}: damaged: {_first_line(error)}; run the suite again") from None
    if not records:
        raise UnreadableJson(f"{path}: it holds no finished case; run pytest bench/ --resume to go on")
    return run, records


def _flat(record: Record) -> dict[str, Any]:
    """The record without its curve as one level of columns."""
    row = record.model_dump(exclude={"curve", "notes"})
    flat = dict(row.pop("case"))
    for name, value in row.items():
        if name == "schema":
            continue
        flat |= _joined(name, value)
    return flat | {"notes": "; ".join(f"{name}: {reason}" for name, reason in record.notes.items())}


def _joined(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {name: value}
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= _joined(f"{name}.{key}", inner)
    return flat


def _curve(index: int, record: Record) -> pd.DataFrame | None:
    if record.curve is None:
        return None
    frame = pd.DataFrame(record.curve.model_dump()).astype(float)
    completed = record.completion.step if record.completion is not None else None
    frame["relative_step"] = frame["step"] / completed if completed else float("nan")
    return frame.assign(run=index, **record.case.model_dump())


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        finding = error.errors()[0]
        return f"{'.'.join(str(part) for part in finding['loc'])}: {finding['msg']}"
    return f"no {error}" if isinstance(error, KeyError) else str(error).split("\n")[0]
