"""Benchmark JSON files as tidy pandas frames: one row a case, and one row an evaluation of a run."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from pydantic import BaseModel

from bench.record import SHOTS, Case, Curve, Probe, Record, Relearned, Run, UnreadableJsonError, read_benchmark_json

MIB = 2**20
CATEGORY = "memory.tensor_by_category."
DEPTH, RELEARNED = "quality.depth.", "quality.relearned."
PROBED, PROBE_OF_RETRAIN = f"{DEPTH}{SHOTS}.model", f"{DEPTH}{SHOTS}.retrained"
BACK = f"{RELEARNED}{SHOTS}.model"
ENDS = ("model", "original", "retrained")  # what was unlearned, and what it lies between
CAPS = "caps."
WHOSE = ("run", "setting", "device", "method", "seed")
BARS = ("step_time", "erasure_cost", "process_peak")  # rules that are no single bound


@dataclass(frozen=True)
class Results:
    """Everything that a report is drawn from.

    Attributes:
        runs: where the records come from, one a file, in the order given.
        cases: one row a case. Columns are the record's fields, joined by dots ("memory.tensor_peak_bytes"), `run`,
            counted from 1 in `runs`, and its rules, and `setting`, what an unlearning case has in common with those it
            is compared with: model, data, batch size and scenario. `model` is `Case.network`. A probe's figures are in
            "quality.depth.20.model" for 20 shots, what fine-tuning brings back in the end likewise in
            "quality.relearned.20.model", whether a limit of 64 MiB sufficed in "caps.64". Missing figures are NaN;
            `notes` says why, in one string.
        curves: one row an evaluation: `run`, the case, and the record's curve columns; `relative_step` is
            step / T*, NaN in a run that did not complete.
        relearning: one row a step of fine-tuning that was looked after: `run`, `setting`, `device`, `method`, `seed`,
            `shots`, `step`, and the accuracies of `ENDS`, in percent.
        margins: one row a forgotten sample: the same but for `shots` and `step`, `digest` of the request, `sample`, its
            place in the request, and the margins of `ENDS`, in nats.
    """

    runs: tuple[Run, ...]
    cases: pd.DataFrame
    curves: pd.DataFrame
    relearning: pd.DataFrame
    margins: pd.DataFrame


def load(paths: Sequence[Path]) -> Results:
    """Read benchmark JSON files of the suite.

    Raises:
        UnreadableJsonError: a file is missing, truncated, from another tool or of another schema, holds no case, or
            two are of one run.
    """
    files = [read(path) for path in paths]
    _no_run_twice(paths, [run for run, _ in files])
    cases, curves = [], []
    relearning, margins = list[dict[str, Any]](), list[dict[str, Any]]()
    for number, (run, records) in enumerate(files, start=1):
        rules = {f"rules.{name}": bound for name, bound in run.rules if name not in BARS}
        for record in records:
            case = {"setting": record.case.setting, **_flat(record), "model": record.case.network}
            cases.append({"run": number, **case, **rules})
            if record.curve is not None:
                curves.append((number, record, record.curve))
            relearning += _relearning(number, record)
            margins += _margins(number, record)
    return Results(
        tuple(run for run, _ in files),
        pd.DataFrame(cases),
        _evaluations(curves),
        pd.DataFrame(relearning, columns=[*WHOSE, "shots", "step", *ENDS]),
        pd.DataFrame(margins, columns=[*WHOSE, "digest", "sample", *ENDS]),
    )


def read(path: Path) -> tuple[Run, list[Record]]:
    """A file's run and records, in printable characters: a name may hold a line feed.

    Raises:
        UnreadableJsonError: it cannot be used.
    """
    run, records = read_benchmark_json(path)
    shown: Run = _printable(run)
    return shown.model_copy(update={"profile_text": run.profile_text}), list(map(_printable, records))


def printable_lines(text: str) -> str:
    """A text of several lines with every character that has no look of its own as its code."""
    return "\n".join(map(_printable, text.expandtabs().split("\n")))


def categories(cases: pd.DataFrame) -> list[str]:
    """What the tensor ledger's peaks are divided into, in the ledger's order."""
    return [name.removeprefix(CATEGORY) for name in cases.columns if name.startswith(CATEGORY)]


def caps_of(cases: pd.DataFrame) -> list[int]:
    """The memory limits in MiB that steps were tried under, ascending; empty where none was."""
    return sorted(int(name.removeprefix(CAPS)) for name in cases.columns if name.startswith(CAPS))


def shots_of(cases: pd.DataFrame) -> list[int]:
    """How many samples of each class the probes were fitted to, ascending; empty where nothing was probed."""
    return sorted({int(name.split(".")[2]) for name in cases.columns if name.startswith(DEPTH)})


def value_of(row: pd.Series, column: str) -> float:
    """A figure of a case; NaN where there is none, or no case of the run has it."""
    value = row.get(column)
    return math.nan if value is None else float(value)


def ratio(value: float, whole: float) -> float:
    """One figure over another; NaN where that is nothing or not known."""
    return value / whole if whole > 0 else math.nan


def _printable(value: Any) -> Any:
    """The value with every character that has no look of its own as its code, however deep it stands."""
    if isinstance(value, str):
        return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in value)
    if isinstance(value, Curve):
        return value  # numbers alone, and many
    if isinstance(value, BaseModel):
        return value.model_copy(update={name: _printable(inner) for name, inner in value})
    if isinstance(value, dict):
        return {_printable(key): _printable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_printable, value))
    return value


def _no_run_twice(paths: Sequence[Path], runs: Sequence[Run]) -> None:
    seen: dict[tuple[str, str], Path] = {}
    for path, run in zip(paths, runs, strict=True):
        key = (run.fingerprint, run.started)
        if key in seen:
            raise UnreadableJsonError(f"{path}: the same run as {seen[key]}; give it once")
        seen[key] = path


def _flat(record: Record) -> dict[str, Any]:
    """The record without its curve as one level of columns, the same for every record but for memory categories,
    probes and memory limits.
    """
    values = _joined("", record.model_dump(exclude={"curve", "notes", "schema_version"}))
    reasons = "; ".join(f"{name}: {reason}" for name, reason in record.notes.items())
    row: dict[str, Any] = dict.fromkeys(FIELDS)
    row |= {name: value for name, value in values.items() if name in row or name.startswith(CATEGORY)}
    if record.quality is not None:
        row |= _at_the_end(DEPTH, record.quality.depth or ())
        row |= _at_the_end(RELEARNED, record.quality.relearned or ())
    row |= {f"{CAPS}{cap.limit_bytes // MIB}": cap.completed for cap in record.caps}
    return {name.removeprefix("case."): value for name, value in row.items()} | {"notes": reasons}


def _at_the_end(name: str, found: Iterable[Probe | Relearned]) -> dict[str, float | None]:
    """By shots and whose they are; of a curve its last point."""
    return {
        f"{name}{one.shots}.{end}": figure[-1] if isinstance(figure, tuple) else figure
        for one in found
        for end, figure in one.model_dump(include=set(ENDS)).items()
    }


def _relearning(number: int, record: Record) -> Iterator[dict[str, Any]]:
    for one in (record.quality.relearned or ()) if record.quality else ():
        nothing = [None for _ in one.step]
        for step, *figures in zip(one.step, one.model, one.original, one.retrained or nothing, strict=True):
            yield _whose(number, record) | {"shots": one.shots, "step": step} | dict(zip(ENDS, figures, strict=True))


def _margins(number: int, record: Record) -> Iterator[dict[str, Any]]:
    found = record.quality.margins if record.quality else None
    if found is not None and record.erased is not None:
        nothing = [None for _ in found.model]
        for sample, figures in enumerate(zip(found.model, found.original, found.retrained or nothing, strict=True)):
            of_request = {"digest": record.erased.digest, "sample": sample}
            yield _whose(number, record) | of_request | dict(zip(ENDS, figures, strict=True))


def _whose(number: int, record: Record) -> dict[str, Any]:
    case = record.case
    return dict(zip(WHOSE, (number, case.setting, case.device, case.method, case.seed), strict=True))


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


_ELSEWHERE = {"schema_version", "notes", "memory.tensor_by_category", "quality.depth", "quality.relearned"}
_LONG = ("curve.", "quality.margins.", CAPS)
FIELDS = [name for name in _field_names(Record) if name not in _ELSEWHERE and not name.startswith(_LONG)]


def _evaluations(curves: Sequence[tuple[int, Record, Curve]]) -> pd.DataFrame:
    """One row an evaluation; built column by column, since a frame for every run would take minutes for thousands."""
    lengths = [len(curve.step) for *_, curve in curves]

    def repeated(values: Iterable[Any]) -> np.ndarray:
        return np.repeat(np.array(list(values), dtype=object), lengths)

    frame = pd.DataFrame(
        {
            "run": repeated(number for number, *_ in curves),
            "setting": repeated(record.case.setting for _, record, _ in curves),
            **{name: repeated(getattr(record.case, name) for _, record, _ in curves) for name in Case.model_fields},
            "model": repeated(record.case.network for _, record, _ in curves),
        }
    ).infer_objects()
    for name in Curve.model_fields:
        frame[name] = np.array([value for *_, curve in curves for value in getattr(curve, name)], dtype=float)
    completed = [record.completion.step if record.completion is not None else None for _, record, _ in curves]
    frame["relative_step"] = frame["step"] / repeated(step or math.nan for step in completed).astype(float)
    return frame
