"""`python -m reports history *.json`: what each case took over commits, regressions marked.

Memory of live tensors is held to the byte. A step's time is its ratio to the two forward passes timed beside it, and is
worse where it is longer by more than a tenth and by more than the quartiles' spread; energy where it is more by more
than a tenth. Time and energy are held against the run before it on the same hardware only.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.record import Machine, Record, Run, UnreadableJsonError
from reports.compare import HARDWARE
from reports.data.load import MIB, read
from reports.figures.style import INK, PALETTE, QUIET, use
from reports.page.write import NotWrittenError
from reports.tables.machine import commit_text
from reports.tables.table import MISSING, Table, number

MOST_CASES = 24  # that are drawn
SHORT = 7  # of a commit
MOST_TICKS = 4
TOLERANCE = 0.1  # of time and energy, which vary with the hour


class Point(NamedTuple):
    """What a case took in a run: mean over its seeds, with the quartiles where they are known.

    Attributes:
        place: of the run in time, from 0.
        machine: whatever the run's hardware is.
    """

    place: int
    value: float
    low: float
    high: float
    machine: tuple[object, ...]


@dataclass(frozen=True)
class Measure:
    """One of the three figures.

    Attributes:
        title: with its unit.
        of: value, low and high of a record; None where it has none.
        worse: whether the second of two points is a regression.
        anywhere: whether it is the same on every machine.
    """

    title: str
    of: Callable[[Record], tuple[float, float, float] | None]
    worse: Callable[[Point, Point], bool]
    anywhere: bool = False

    def regressions(self, points: Sequence[Point]) -> list[Point]:
        """The points that are worse than the one before them that they can be held against."""
        machines = [points] if self.anywhere else _by_machine(points)
        return [after for own in machines for before, after in pairwise(own) if self.worse(before, after)]


@dataclass(frozen=True)
class Line:
    """A case over the runs: its points by measure, and those of them that are regressions."""

    case: str
    points: dict[str, list[Point]]
    regressions: dict[str, list[Point]]

    def latest(self, place: int) -> list[str]:
        """The measures that are worse in that run than in the one before."""
        return [title for title, found in self.regressions.items() if any(point.place == place for point in found)]


@dataclass(frozen=True)
class History:
    """Runs and cases.

    Attributes:
        runs: in the order of time.
        lines: of the cases, those that are worse in the last run first.
        left_out: why files could not be used, a line each.
    """

    runs: tuple[Run, ...]
    lines: tuple[Line, ...]
    left_out: tuple[str, ...]

    @property
    def commits(self) -> list[str]:
        """Of each run, short."""
        return [commit_text(run).partition(" ")[0][:SHORT] + "+" * bool(run.dirty) for run in self.runs]

    @property
    def table(self) -> Table:
        """A row a case and measure: the first run's, the one's before the last and the last one's figure."""
        rows = tuple(
            (line.case, title, *_ends(points), str(len(line.regressions[title])) if line.regressions[title] else "")
            for line in self.lines
            for title, points in line.points.items()
            if points
        )
        return Table("History", "", ("case", "measure", "first", "before", "last", "change", "regressions"), rows)

    @property
    def summary(self) -> str:
        """How many cases are worse in the last run."""
        worse = [line.case for line in self.lines if line.latest(len(self.runs) - 1)]
        named = f" ({', '.join(worse)})" if worse else ""
        return f"Runs: {len(self.runs)}; cases: {len(self.lines)}; worse in the last run: {len(worse)}{named}."


def _memory(record: Record) -> tuple[float, float, float] | None:
    peak = record.memory.tensor_peak_bytes
    return None if peak is None else (peak / MIB,) * 3


def _time(record: Record) -> tuple[float, float, float] | None:
    if record.time is None:
        return None
    return (record.time.times_two_forwards, record.time.times_two_forwards_q1, record.time.times_two_forwards_q3)


def _energy(record: Record) -> tuple[float, float, float] | None:
    """Of a step; of an erasure, to completion."""
    joules = record.completion.joules if record.completion else record.energy.joules_per_step if record.energy else None
    return None if joules is None else (joules, joules, joules)


def _longer(before: Point, after: Point) -> bool:
    return _more(before, after) and after.low > before.high


def _more(before: Point, after: Point) -> bool:
    return after.value > (1 + TOLERANCE) * before.value


MEASURES = (
    Measure("live tensors, MiB", _memory, lambda before, after: after.value > before.value, anywhere=True),
    Measure("step over two forwards", _time, _longer),
    Measure("energy, J", _energy, _more),
)


def history(paths: Sequence[Path]) -> History:
    """Read the runs of these files.

    Raises:
        UnreadableJsonError: none of the files can be used.
    """
    files, left_out = _readable(paths)
    cases: dict[str, dict[str, list[Point]]] = {}
    for place, (run, records) in enumerate(files):
        machine = _hardware(run.machine)
        for case, own in _by_case(records).items():
            points = cases.setdefault(case, {measure.title: [] for measure in MEASURES})
            for measure in MEASURES:
                known = [found for record in own if (found := measure.of(record)) is not None]
                if known:
                    value, low, high = (math.fsum(ends) / len(known) for ends in zip(*known, strict=True))
                    points[measure.title].append(Point(place, value, low, high, machine))
    lines = [
        Line(case, points, {measure.title: measure.regressions(points[measure.title]) for measure in MEASURES})
        for case, points in cases.items()
    ]
    last = len(files) - 1
    lines.sort(key=lambda line: not line.latest(last))
    return History(tuple(run for run, _ in files), tuple(lines), tuple(left_out))


def _readable(paths: Iterable[Path]) -> tuple[list[tuple[Run, list[Record]]], list[str]]:
    """What can be read, in the order of time, and what is wrong with the rest, such as a former version's schema."""
    files, wrong = [], []
    for path in paths:
        try:
            files.append(read(path))
        except UnreadableJsonError as error:
            wrong.append(error)
    if not files:
        raise wrong[0]
    return sorted(files, key=lambda found: found[0].started), [str(error) for error in wrong]


def as_markdown(found: History) -> str:
    """What became worse first, then a row a case and measure."""
    table = found.table
    left_out = [f"- left out: {reason}" for reason in found.left_out]
    lines = ["| " + " | ".join(cells) + " |" for cells in (table.columns, ["---"] * len(table.columns), *table.rows)]
    return "\n".join(["# What each case took over commits", "", found.summary, "", *left_out, "", *lines]) + "\n"


def write_history(found: History, folder: Path) -> Path:
    """Put history.png and history.md into the folder; returns the latter.

    Raises:
        NotWrittenError: the folder cannot be written.
    """
    picture, text = folder / "history.png", folder / "history.md"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        drawing(found).savefig(picture, metadata={"Software": None})
        text.write_text(as_markdown(found), encoding="utf-8")
    except OSError as error:
        raise NotWrittenError(f"cannot write {error.filename}: {error.strerror}; choose another --out") from None
    return text


def drawing(found: History) -> Figure:
    """A row of panels a case, one a measure; the first `MOST_CASES` cases, which are the worse ones."""
    use()
    shown = found.lines[:MOST_CASES]
    measures = [measure for measure in MEASURES if any(line.points[measure.title] for line in shown)]
    figure = Figure(figsize=(3.2 * max(2, len(measures)), 0.9 + 1.15 * len(shown)), layout="constrained")
    panels = figure.subplots(len(shown), len(measures), squeeze=False, sharex=True)
    for row, line in zip(panels, shown, strict=True):
        for axes, measure in zip(row, measures, strict=True):
            _panel(axes, line, measure)
        row[0].set_title(line.case, loc="left", fontsize=9)
    for axes, measure in zip(panels[0], measures, strict=True):
        axes.annotate(
            measure.title, (1, 1), xytext=(0, 18), xycoords="axes fraction", textcoords="offset points", ha="right"
        )
    every = max(1, math.ceil(len(found.runs) / MOST_TICKS))
    places = range(0, len(found.runs), every)
    for axes in panels[-1]:
        axes.set_xticks(places, [found.commits[place] for place in places], fontsize=7)
        axes.set_xlim(-0.5, len(found.runs) - 0.5)
    figure.supxlabel("runs by commit, the latest on the right; a cross is a regression", fontsize=8, color=QUIET)
    return figure


def _panel(axes: Axes, line: Line, measure: Measure) -> None:
    points = line.points[measure.title]
    for own in [points] if measure.anywhere else _by_machine(points):
        places = [point.place for point in own]
        axes.fill_between(
            places, [p.low for p in own], [p.high for p in own], color=PALETTE[2], alpha=0.15, linewidth=0
        )
        axes.plot(places, [point.value for point in own], color=PALETTE[2], marker="o", markersize=3, linewidth=1)
    worse = line.regressions[measure.title]
    axes.plot(
        [p.place for p in worse], [p.value for p in worse], linestyle="", marker="X", color=PALETTE[1], markersize=8
    )
    if points:
        most = max(point.high for point in points)
        axes.set_ylim(0, 1.15 * most or 1)
        last = points[-1]
        axes.annotate(
            number(last.value, ".3g"),
            (last.place, last.value),
            xytext=(0, -9),
            textcoords="offset points",
            ha="center",
            fontsize=7,
            color=INK,
        )
    axes.tick_params(labelsize=7)


def _by_case(records: Iterable[Record]) -> dict[str, list[Record]]:
    """By all that a case is but its seed."""
    found: dict[str, list[Record]] = {}
    for record in records:
        case = record.case
        size = f" {case.image_size}x{case.image_size}" if record.kind == "step" else ""
        name = case.label.replace(f" seed{case.seed}", "") + size
        found.setdefault(f"{name} on {case.device}" if case.device != "cpu" else name, []).append(record)
    return found


def _by_machine(points: Iterable[Point]) -> list[list[Point]]:
    found: dict[tuple[object, ...], list[Point]] = {}
    for point in points:
        found.setdefault(point.machine, []).append(point)
    return list(found.values())


def _hardware(machine: Machine) -> tuple[object, ...]:
    return tuple(getattr(machine, name) for name in HARDWARE)


def _ends(points: Sequence[Point]) -> tuple[str, str, str, str]:
    """The first, the last but one and the last figure, and the last over the one before."""
    first, last = points[0], points[-1]
    before = points[-2] if len(points) > 1 else None
    change = MISSING if before is None or not before.value else f"x{number(last.value / before.value, '.3g')}"
    return (
        number(first.value, ".4g"),
        MISSING if before is None else number(before.value, ".4g"),
        number(last.value, ".4g"),
        change,
    )
