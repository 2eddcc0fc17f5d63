"""The report on disk: one page that needs no network, every figure as SVG and PNG, all records as one CSV."""

import io
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, Template, select_autoescape
from markupsafe import Markup
from matplotlib.figure import Figure

from reports import style
from reports.claims import Claim, claims
from reports.figures import Drawing, draw_all
from reports.load import Results
from reports.origin import machine_table
from reports.step_tables import memory_comparison, step_table, time_comparison
from reports.table import Table
from reports.unlearning_tables import cost_table, quality_table, stability_table, verdict_table

TABLES = (quality_table, cost_table, stability_table, time_comparison, memory_comparison, step_table)


@dataclass(frozen=True)
class Section:
    """One run's part of the page, on one device; machines and devices stand side by side and are never pooled."""

    title: str
    claims: Sequence[Claim]
    verdicts: Table | None
    drawings: Sequence[tuple[Drawing, Markup]]
    tables: Sequence[Table]


def write_report(results: Results, folder: Path) -> list[Path]:
    """Draw everything and put it into `folder`, replacing a former report file by file.

    Raises:
        OSError: the folder cannot be written; a former report in it is then as it was.

    Returns:
        The files written, the page first.
    """
    style.use()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".drawing-") as workshop:
        staged = Path(workshop)
        parts = sorted(set(zip(results.cases["run"].tolist(), results.cases["device"].tolist(), strict=True)))
        sections = [_section(results, number, device, staged) for number, device in parts]
        page = _template().render(sections=sections, origin=machine_table(results))
        (staged / "index.html").write_text(page, encoding="utf-8")
        results.cases.to_csv(staged / "results.csv", index=False)
        names = sorted((path.name for path in staged.iterdir()), key=lambda name: (name != "index.html", name))
        return [(staged / name).replace(folder / name) for name in names]


def _section(results: Results, number: int, device: str, staged: Path) -> Section:
    one = _part(results, number, device)
    alone = len(one.cases) == len(results.cases)
    prefix = "" if alone else f"run{number}-{device}-"
    drawings = [(drawing, _save(drawing.figure, staged / f"{prefix}{drawing.name}")) for drawing in draw_all(one)]
    tables = [table for make in TABLES if (table := make(one)) is not None]
    run = results.runs[number - 1]
    title = "" if alone else f"Run {number}: profile {run.profile} on {run.machine.processor}, {device}"
    found = claims(one.of_kind("unlearning"), one.rules)
    return Section(title, found, verdict_table(found), drawings, tables)


def _part(results: Results, number: int, device: str) -> Results:
    def of(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[(frame["run"] == number) & (frame["device"] == device)]

    return replace(results, cases=of(results.cases), curves=of(results.curves))


def _save(figure: Figure, stem: Path) -> Markup:
    """Write the figure as PNG and SVG; return the SVG element, to stand in the page."""
    figure.savefig(stem.with_suffix(".png"))
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    svg = buffer.getvalue()
    stem.with_suffix(".svg").write_text(svg, encoding="utf-8")
    element = svg[svg.index("<svg") :]
    return Markup(_own_ids(element, stem.name))  # noqa: S704 (matplotlib's own output, which escapes its text)


def _own_ids(svg: str, name: str) -> str:
    """Ids that no other figure of the page has."""
    return re.sub(r'(\bid="|"#|url\(#)', rf"\g<1>{name}-", svg)


def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("reports", "templates"),
        autoescape=select_autoescape(["html", "j2"], default=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("index.html.j2")
