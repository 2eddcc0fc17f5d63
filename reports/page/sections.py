"""One run's part of the report, on one device; machines and devices stand side by side and are never pooled."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from bench.record import Run
from reports.data.claims import Claim, claims
from reports.data.load import Results
from reports.figures.labels import drawable
from reports.figures.panels import Drawing
from reports.page.exhibits import ERASURE_FIGURES, STEP_FIGURES, Pair
from reports.page.summary import Finding, findings
from reports.sustainability.statement import Statement, statement
from reports.tables.erasures import quality_table, stability_table, verdict_table
from reports.tables.machine import hardware
from reports.tables.side_by_side import side_by_side_table
from reports.tables.steps import step_table
from reports.tables.table import Table, anchor

MOST_IN_FILES = 24  # models or settings of a figure; beyond that it is no picture any more
MOST_SETTINGS_IN_PAGE = 4  # all arms with five seeds take 0.7 MB each


@dataclass(frozen=True)
class Exhibit:
    """A figure and the table that says the same in numbers.

    Attributes:
        name: of the figure's files.
        drawing, table: None where there is nothing to show.
        whole: the figure as the files have it, of more models or settings than the page.
        missing: why there is no figure; empty for a table that has none.
    """

    name: str
    drawing: Drawing | None
    whole: Drawing | None
    table: Table | None
    missing: str = ""


@dataclass(frozen=True)
class Group:
    """Exhibits on one subject.

    Attributes:
        title: the subject.
        missing: why a run may have none.
        undrawn: what only the tables have; empty where the figures show all.
    """

    title: str
    exhibits: Sequence[Exhibit]
    missing: str
    undrawn: str

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
        quality: at completion, the evidence of forgetting.
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
    quality: Table | None


def sections(results: Results) -> Iterator[Section]:
    """One for every run and device, in the order given."""
    parts = list(dict.fromkeys(zip(results.cases["run"].tolist(), results.cases["device"].tolist(), strict=True)))
    for number, device in parts:
        one = _where(results, lambda frame: (frame["run"] == number) & (frame["device"] == device))  # noqa: B023
        run = results.runs[number - 1]
        words = f"profile {run.profile} on {hardware(run, device)}, {device}"
        name = "" if len(parts) == 1 else f"{anchor(f'run{number} {device}')}-"
        yield _section(one, run, device, name, f"Run {number}: {words}")


def _section(one: Results, run: Run, device: str, name: str, title: str) -> Section:
    runs = one.of_kind("unlearning")
    found = claims(runs, one.rules)
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
            _steps(one),
            _erasures(one),
        ),
        statement(one),
        quality_table(one),
    )


def _steps(one: Results) -> Group:
    return _group(
        one,
        "Single steps",
        of="model",
        most=MOST_IN_FILES,
        names=list(one.of_kind("step")["model"].unique()),
        pairs=STEP_FIGURES,
        last=step_table(one),
        missing="This run has no single steps; those of quick and step-cost do.",
    )


def _erasures(one: Results) -> Group:
    return _group(
        one,
        "Whole erasures",
        of="setting",
        most=MOST_SETTINGS_IN_PAGE,
        names=list(one.of_kind("unlearning")["setting"].unique()),
        pairs=ERASURE_FIGURES,
        last=stability_table(one),
        missing="This run has no whole erasures; those of quick and digits do.",
    )


def _group(
    one: Results,
    title: str,
    *,
    of: str,
    most: int,
    names: Sequence[str],
    pairs: Iterable[Pair],
    last: Table | None,
    missing: str,
) -> Group:
    """Figures of so many models or settings in the page, and of more in the files; tables of all."""
    if not names:
        return Group(title, (), missing, "")
    few, more = (
        drawable(_where(one, lambda frame, count=count: frame[of].isin(names[:count])))  # type: ignore[misc]
        for count in (most, MOST_IN_FILES)
    )
    exhibits = []
    for pair in pairs:
        drawing = pair.draw(few)
        whole = pair.draw(more) if most < min(len(names), MOST_IN_FILES) else drawing
        exhibits.append(Exhibit(pair.name, drawing, whole, pair.tabulate(one), pair.missing))
    shown = "all" if len(names) <= MOST_IN_FILES else f"the first {MOST_IN_FILES}"
    undrawn = (
        f"The figures here are of the first {most} of {len(names)} {of}s; the files beside this page show {shown}, the "
        "tables have all."
    )
    return Group(title, (*exhibits, Exhibit("", None, None, last)), missing, undrawn if len(names) > most else "")


def _where(results: Results, rows: Callable[[pd.DataFrame], pd.Series]) -> Results:
    """The results in these rows of cases and curves."""
    cases, curves = results.cases, results.curves
    return replace(results, cases=cases[rows(cases)], curves=curves[rows(curves)])
