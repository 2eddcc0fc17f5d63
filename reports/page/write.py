"""The report on disk: one page that needs no network, the figures, the records as CSV, the summary, the statement."""

import errno
import io
import re
import tempfile
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from reports.data.glossary import ARMS, COMPLETE, MEASURES, SETTING
from reports.data.load import Results
from reports.data.part import Part
from reports.figures import style
from reports.figures.panels import Drawing
from reports.page.columns import CURVE_COLUMNS, columns_table
from reports.page.exhibits import ERASURE_FIGURES, STEP_FIGURES
from reports.page.inline_svg import for_the_page
from reports.page.sections import Exhibit, Section, sections
from reports.page.summary import as_data, dumps
from reports.sustainability import statement as sustainability
from reports.tables.machine import commit_text, machine_table

MOST_ROWS = 300  # of a table in the page
CURVE_DIGITS = 6  # significant, in curves.csv


class NotWrittenError(Exception):
    """The report cannot be written where it should be; the message is one line and says what to do."""


def write_report(results: Results, folder: Path, vector: bool = False) -> list[Path]:
    """Draw everything and put it into `folder`, replacing a former report file by file; figures only it had go.

    Args:
        vector: the figures as SVG and PDF, too.

    Raises:
        NotWrittenError: the folder cannot be written. A former report in it is then as it was, and so it is if anything
            goes wrong while drawing.

    Returns:
        The files written, the page first.
    """
    style.use()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".drawing-") as workshop:
            _write(results, Path(workshop), vector)
            return _put(Path(workshop), folder)
    except OSError as error:
        where = error.filename2 or error.filename or folder
        raise NotWrittenError(
            f"cannot write the report: {where}: {error.strerror}; choose another folder with --out"
        ) from None


def _put(staged: Path, folder: Path) -> list[Path]:
    """Everything into its place, the page last."""
    names = sorted((path.name for path in staged.iterdir()), key=lambda name: (name == "index.html", name))
    for name in names:
        if (folder / name).is_dir():
            raise IsADirectoryError(errno.EISDIR, "a folder is in the way", folder / name)
    written = [(staged / name).replace(folder / name) for name in names][::-1]
    for stale in _figures_in(folder) - set(written):
        stale.unlink()
    return written


def _figures_in(folder: Path) -> set[Path]:
    """The figures of this and of former reports, by their names."""
    names = "|".join(pair.name for pair in (*STEP_FIGURES, *ERASURE_FIGURES))
    figure = re.compile(rf"(run\d+-[a-z0-9-]+-)?({names})\.(svg|png|pdf)")
    return {path for path in folder.iterdir() if figure.fullmatch(path.name)}


def _write(results: Results, staged: Path, vector: bool) -> None:
    found = list(sections(results))
    stems = {f"{section.name}{exhibit.name}": exhibit for section in found for exhibit in section.exhibits}
    content = {
        "sections": found,
        "svg": {stem: _save(exhibit, staged / stem, vector) for stem, exhibit in stems.items() if exhibit.drawing},
        "origin": machine_table(results),
        "commit_text": commit_text,
        "MOST_ROWS": MOST_ROWS,
        "SETTING": SETTING,
        "COMPLETE": COMPLETE,
        "ARMS": ARMS,
        "MEASURES": MEASURES,
        "NO_STATEMENT": sustainability.MISSING,
    }
    for template in ("index.html", "summary.md", "sustainability.md"):
        text = _templates().get_template(f"{template}.j2").render(content)
        (staged / template).write_text(text, encoding="utf-8")
    results.cases.to_csv(staged / "results.csv", index=False)
    curves = results.curves[list(CURVE_COLUMNS)]
    curves.to_csv(staged / "curves.csv", index=False, float_format=f"%.{CURVE_DIGITS}g")
    columns_table(results.cases.columns).to_csv(staged / "columns.csv", index=False)
    for name, data in (("summary", _summary), ("sustainability", _sustainability)):
        (staged / f"{name}.json").write_text(
            dumps([_origin(section.part) | data(section) for section in found]), encoding="utf-8"
        )


def _origin(part: Part) -> dict[str, Any]:
    run = part.run
    return {
        "profile": run.profile,
        "device": part.device,
        "machine": part.hardware,
        "commit": run.commit,
        "dirty": run.dirty,
        "command": run.command,
        "started": run.started,
    }


def _summary(section: Section) -> dict[str, Any]:
    return as_data(section.part.claims, section.findings)


def _sustainability(section: Section) -> dict[str, Any]:
    return sustainability.as_data(section.statement)


def _save(exhibit: Exhibit, path: Path, vector: bool) -> Markup:
    """Write the figure as PNG and, where asked for, as SVG and PDF; return the SVG element, to stand in the page."""
    drawing, whole = exhibit.drawing, exhibit.whole
    assert drawing is not None
    assert whole is not None  # of more than `drawing` shows
    svg = _svg(drawing)
    whole.figure.savefig(path.with_suffix(".png"))
    if vector:
        path.with_suffix(".svg").write_text(svg if whole is drawing else _svg(whole), encoding="utf-8")
        whole.figure.savefig(path.with_suffix(".pdf"), metadata={"CreationDate": None})
    return Markup(for_the_page(svg, path.name))  # noqa: S704 (matplotlib's own output, which escapes its text)


def _svg(drawing: Drawing) -> str:
    drawing.figure.draw_without_rendering()
    drawing.figure.set_layout_engine(None)  # it is laid out; every format would do that again
    buffer = io.StringIO()
    drawing.figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("reports.page", "templates"),
        autoescape=select_autoescape(["html.j2"]),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
