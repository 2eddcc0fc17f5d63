"""The report on disk: one page that needs no network, the figures, the records as CSV, the summary, the statement."""

import io
import re
import tempfile
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from reports import style
from reports.columns import CURVE_COLUMNS, columns_table
from reports.drawing import Drawing
from reports.figures import ERASURE_FIGURES, STEP_FIGURES
from reports.load import SETTING, Results
from reports.origin import commit_text, hardware, machine_table
from reports.sections import Section, sections
from reports.summary import as_data, dumps

MOST_ROWS = 500  # of a table in the page
CURVE_DIGITS = 6  # significant, in curves.csv


def write_report(results: Results, folder: Path) -> list[Path]:
    """Draw everything and put it into `folder`, replacing a former report file by file; figures only it had go.

    Raises:
        OSError: the folder cannot be written. A former report in it is as it was if anything goes wrong while drawing;
            the page is put there last.

    Returns:
        The files written, the page first.
    """
    style.use()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".drawing-") as workshop:
        staged = Path(workshop)
        _write(results, staged)
        names = sorted((path.name for path in staged.iterdir()), key=lambda name: (name == "index.html", name))
        written = [(staged / name).replace(folder / name) for name in names][::-1]
    for stale in _figures_in(folder) - set(written):
        stale.unlink()
    return written


def _figures_in(folder: Path) -> set[Path]:
    """The figures of this and of former reports, by their names."""
    names = "|".join(pair.name for pair in (*STEP_FIGURES, *ERASURE_FIGURES))
    figure = re.compile(rf"(run\d+-[a-z0-9-]+-)?({names})\.(svg|png|pdf)")
    return {path for path in folder.iterdir() if figure.fullmatch(path.name)}


def _write(results: Results, staged: Path) -> None:
    parts = list(sections(results))
    drawings = {
        f"{part.name}{exhibit.name}": exhibit.drawing
        for part in parts
        for group in part.groups
        for exhibit in group.exhibits
        if exhibit.drawing is not None
    }
    svg = {stem: _save(drawing, staged / stem) for stem, drawing in drawings.items()}
    content = {
        "sections": parts,
        "svg": svg,
        "origin": machine_table(results),
        "hardware": hardware,
        "commit_text": commit_text,
        "MOST_ROWS": MOST_ROWS,
        "SETTING": SETTING,
    }
    for template in ("index.html", "summary.md", "sustainability.md"):
        text = _templates().get_template(f"{template}.j2").render(content)
        (staged / template).write_text(text, encoding="utf-8")
    results.cases.to_csv(staged / "results.csv", index=False)
    curves = results.curves[list(CURVE_COLUMNS)]
    curves.to_csv(staged / "curves.csv", index=False, float_format=f"%.{CURVE_DIGITS}g")
    columns_table(results.cases.columns).to_csv(staged / "columns.csv", index=False)
    for name, data in (("summary", _summary), ("sustainability", _sustainability)):
        (staged / f"{name}.json").write_text(dumps([_origin(part) | data(part) for part in parts]), encoding="utf-8")


def _origin(part: Section) -> dict[str, Any]:
    run = part.run
    return {
        "profile": run.profile,
        "device": part.device,
        "machine": hardware(run, part.device),
        "commit": run.commit,
        "dirty": run.dirty,
        "command": run.command,
        "started": run.started,
    }


def _summary(part: Section) -> dict[str, Any]:
    return as_data(part.claims, part.findings)


def _sustainability(part: Section) -> dict[str, Any]:
    said = part.statement
    return (
        {} if said is None else {"headline": said.headline, "evidence": said.evidence, "notes": said.notes} | said.data
    )


def _save(drawing: Drawing, stem: Path) -> Markup:
    """Write the figure as PNG, PDF and SVG; return the SVG element, to stand in the page."""
    drawing.figure.draw_without_rendering()
    drawing.figure.set_layout_engine(None)  # it is laid out; every format would do that again
    buffer = io.StringIO()
    drawing.figure.savefig(buffer, format="svg", metadata={"Date": None})
    svg = buffer.getvalue()
    stem.with_suffix(".svg").write_text(svg, encoding="utf-8")
    drawing.figure.savefig(stem.with_suffix(".png"))
    drawing.figure.savefig(stem.with_suffix(".pdf"), metadata={"CreationDate": None})
    element = style.follow_the_page(_shorter(svg[svg.index("<svg") :]))
    return Markup(_own_ids(element, stem.name))  # noqa: S704 (matplotlib's own output, which escapes its text)


def _shorter(svg: str) -> str:
    """Without comments and indentation, and with coordinates to a hundredth of a point."""
    bare = re.sub(r"<!--.*?-->|^ +", "", svg, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r' (?:d|x|y)="[^"]*"', lambda found: re.sub(r"(\.\d\d)\d+", r"\1", found.group()), bare)


def _own_ids(svg: str, name: str) -> str:
    """Ids that no other figure of the page has."""
    return re.sub(r'(\bid="|"#|url\(#)', rf"\g<1>{name}-", svg)


def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("reports", "templates"),
        autoescape=select_autoescape(["html.j2"]),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
