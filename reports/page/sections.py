"""One run's part of the report, on one device."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reports.data.load import Results
from reports.data.part import Part, parts
from reports.figures.looks.labels import Labels, labels
from reports.figures.panels import Drawing
from reports.page.exhibits import MOST_IN_FILES, QUALITY, SUBJECTS, Pair, Subject
from reports.page.glance import Glance, glance
from reports.page.summary import Finding, findings
from reports.sustainability.statement import Statement, statement
from reports.tables.erasures import verdict_table
from reports.tables.side_by_side import side_by_side_table
from reports.tables.table import Table, anchor


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
        title, about: the subject, and what is in it.
        missing: why a run may have none.
        undrawn: what only the tables have; empty where the figures show all.
    """

    title: str
    about: str
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
        part: the run and the device, with the claims.
        name: what its files and anchors begin with, "" where it is the only one.
        title, short: the run in words.
        glance: the first screen.
        side_by_side: the two ascents, in numbers.
    """

    part: Part
    name: str
    title: str
    short: str
    glance: Glance
    verdicts: Table | None
    findings: Sequence[Finding]
    side_by_side: Table | None
    groups: Sequence[Group]
    statement: Statement | None

    def called(self, setting: str) -> str:
        """What people call a setting, or a network."""
        return self.part.spoken.get(setting) or self.part.networks.get(setting, setting)

    @property
    def exhibits(self) -> list[Exhibit]:
        """Of all subjects."""
        return [exhibit for group in self.groups for exhibit in group.exhibits]

    @property
    def quality(self) -> Table | None:
        """At completion, the evidence of forgetting."""
        return next((exhibit.table for exhibit in self.exhibits if exhibit.name == QUALITY), None)


def sections(results: Results) -> Iterator[Section]:
    """One for every run and device, in the order given."""
    found = list(parts(results))
    for part in found:
        name = "" if len(found) == 1 else f"{anchor(f'run{part.number} {part.device}')}-"
        names = labels(part.cases, part.spoken | part.networks)
        said = findings(part)
        yield Section(
            part,
            name,
            f"Run {part.number}: profile {part.run.profile} on {part.hardware}, {part.device}",
            f"Run {part.number}: {part.run.profile}, {part.device}",
            glance(part, said),
            verdict_table(part.claims),
            said,
            side_by_side_table(part),
            [_group(part, subject, names) for subject in SUBJECTS],
            statement(part),
        )


def _group(part: Part, subject: Subject, names: Labels) -> Group:
    """Figures of so many models or settings in the page, and of more in the files; tables of all."""
    known = list(subject.cases(part)[subject.of].unique())
    if not known:
        return Group(subject.title, subject.about, (), subject.missing, "")
    exhibits = [_exhibit(part, pair, subject, known, names) for pair in subject.pairs]
    shown = "all" if len(known) <= MOST_IN_FILES else f"the first {MOST_IN_FILES}"
    undrawn = (
        f"The figures here are of the first {subject.most} of {len(known)} {subject.of}s; the files beside this page "
        f"show {shown}, the tables have all."
    )
    return Group(
        subject.title,
        subject.about,
        (*exhibits, *(Exhibit("", None, None, tabulate(part)) for tabulate in subject.last)),
        subject.missing,
        undrawn if len(known) > subject.most else "",
    )


def _exhibit(part: Part, pair: Pair, subject: Subject, known: Sequence[str], names: Labels) -> Exhibit:
    """The figures are of the first of the models or settings that are known."""
    rows = pair.rows(part)
    few, more = (names.on(rows[rows[subject.of].isin(known[:count])]) for count in (subject.most, MOST_IN_FILES))
    drawing = pair.draw(few)
    whole = pair.draw(more) if subject.most < min(len(known), MOST_IN_FILES) else drawing
    return Exhibit(pair.name, drawing, whole, pair.tabulate(part), pair.missing)
