"""One run's part of the report, on one device; machines and devices stand side by side and are never pooled."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from bench.record import Run
from reports.claims import Claim, claims
from reports.drawing import Drawing
from reports.figures import ERASURE_FIGURES, STEP_FIGURES, Pair
from reports.load import Results
from reports.origin import hardware
from reports.side_by_side import side_by_side_table
from reports.step_tables import step_table
from reports.summary import Finding, findings
from reports.sustainability import Statement, statement
from reports.table import Table, anchor
from reports.unlearning_tables import quality_table, stability_table, verdict_table


@dataclass(frozen=True)
class Exhibit:
    """A figure and the table that says the same in numbers.

    Attributes:
        name: of the figure's files.
        drawing, table: None where there is nothing to show.
        missing: why there is no figure; empty for a table that has none.
    """

    name: str
    drawing: Drawing | None
    table: Table | None
    missing: str = ""


@dataclass(frozen=True)
class Group:
    """Exhibits on one subject; without any, `missing` says why."""

    title: str
    exhibits: Sequence[Exhibit]
    missing: str

    @property
    def anchor(self) -> str:
        """The title as the end of an address."""
        return anchor(self.title)


@dataclass(frozen=True)
class Section:
    """What the report says of one run on one device.

    Attributes:
        run, device: where its cases come from.
        name: what its files and anchors begin with, "" where it is the only one.
        title: the run in words.
        side_by_side: the two ascents, in numbers.
        evidence: of forgetting, for the statement.
    """

    run: Run
    device: str
    name: str
    title: str
    claims: Sequence[Claim]
    verdicts: Table | None
    findings: Sequence[Finding]
    side_by_side: Table | None
    groups: Sequence[Group]
    statement: Statement | None
    evidence: Table | None


def sections(results: Results) -> Iterator[Section]:
    """One for every run and device, in the order given."""
    parts = list(dict.fromkeys(zip(results.cases["run"].tolist(), results.cases["device"].tolist(), strict=True)))
    for number, device in parts:
        one = _part(results, number, device)
        run = results.runs[number - 1]
        words = f"profile {run.profile} on {hardware(run, device)}, {device}"
        name = "" if len(parts) == 1 else f"{anchor(f'run{number} {device}')}-"
        yield _section(one, run, device, name, f"Run {number}: {words}")


def _section(one: Results, run: Run, device: str, name: str, title: str) -> Section:
    runs = one.of_kind("unlearning")
    found = claims(runs, one.rules)
    steps = [*_exhibits(one, STEP_FIGURES), Exhibit("", None, step_table(one))]
    erasures = [*_exhibits(one, ERASURE_FIGURES), Exhibit("", None, stability_table(one))]
    return Section(
        run,
        device,
        name,
        title,
        found,
        verdict_table(found),
        findings(one),
        side_by_side_table(one),
        (
            _group("Single steps", steps, "This run has no single steps; those of quick and step-cost do."),
            _group("Whole erasures", erasures, "This run has no whole erasures; those of quick and digits do."),
        ),
        statement(one),
        quality_table(one),
    )


def _group(title: str, exhibits: Sequence[Exhibit], missing: str) -> Group:
    something = any(exhibit.drawing or exhibit.table for exhibit in exhibits)
    return Group(title, exhibits if something else (), missing)


def _exhibits(one: Results, pairs: Iterable[Pair]) -> Iterator[Exhibit]:
    for pair in pairs:
        yield Exhibit(pair.name, pair.draw(one), pair.tabulate(one), pair.missing)


def _part(results: Results, number: int, device: str) -> Results:
    def of(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[(frame["run"] == number) & (frame["device"] == device)]

    return replace(results, cases=of(results.cases), curves=of(results.curves))
