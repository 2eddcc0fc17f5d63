"""The report on disk: one page that needs no network, the figures, the records as CSV, the summary, the statement."""

import errno
import io
import re
import tempfile
from pathlib import Path
from typing import Any

import matplotlib as mpl
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from PIL import Image

from reports.data.load import Results
from reports.data.part import Part
from reports.data.words.glossary import ARMS, COMPLETE, MEASURES, SETTING, TERMS
from reports.figures import style
from reports.figures.panels import Drawing, signed
from reports.page.columns import CURVE_COLUMNS, columns_table
from reports.page.exhibits import ERASURE_FIGURES, STEP_FIGURES
from reports.page.inline_svg import for_the_page
from reports.page.sections import Exhibit, Section, sections
from reports.page.summary import as_data, dumps
from reports.sustainability import statement as sustainability
from reports.tables.machine import commit_text, machine_table

MOST_ROWS = 300  # of a table in the page
COLOURS = 64  # of a PNG
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
    drawn = [(section, exhibit) for section in found for exhibit in section.exhibits if exhibit.drawing]
    content = {
        "sections": found,
        "svg": {
            (stem := f"{section.name}{exhibit.name}"): _save(exhibit, _source(section.part), staged / stem, vector)
            for section, exhibit in drawn
        },
        "origin": machine_table(results),
        "commit_text": commit_text,
        "MOST_ROWS": MOST_ROWS,
        "SETTING": SETTING,
        "COMPLETE": COMPLETE,
        "ARMS": ARMS,
        "MEASURES": MEASURES,
        "TERMS": TERMS,
        "NO_STATEMENT": sustainability.MISSING,
    }
    for template in ("page/index.html", "summary.md", "sustainability.md"):
        text = _templates().get_template(f"{template}.j2").render(content)
        (staged / Path(template).name).write_text(text, encoding="utf-8")
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


def _source(part: Part) -> str:
    """Where a figure comes from, in a line."""
    return f"profile {part.run.profile}, {part.hardware}, commit {commit_text(part.run)}; zo-unlearning-bench"


def _save(exhibit: Exhibit, source: str, path: Path, vector: bool) -> Markup:
    """Write the figure as PNG and, where asked for, as SVG and PDF, which explain themselves by a title and a source;
    return the SVG element, to stand in the page, which has words of its own.
    """
    drawing, whole = exhibit.drawing, exhibit.whole
    assert drawing is not None
    assert whole is not None  # of more than `drawing` shows
    with mpl.rc_context({"svg.fonttype": "none"}):  # text that can be searched, and an eighth of the bytes
        element = for_the_page(_svg(drawing), path.name)
    signed(whole, source)
    path.with_suffix(".png").write_bytes(_png(whole))
    if vector:
        path.with_suffix(".svg").write_text(_svg(whole), encoding="utf-8")
        whole.figure.savefig(path.with_suffix(".pdf"), metadata={"CreationDate": None})
    return Markup(element)  # noqa: S704 (matplotlib's own output, which escapes its text)


def _svg(drawing: Drawing) -> str:
    buffer = io.StringIO()
    drawing.figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _png(drawing: Drawing) -> bytes:
    """In as many colours as a drawing has, which takes a third of the bytes."""
    drawn, small = io.BytesIO(), io.BytesIO()
    drawing.figure.savefig(drawn, format="png", metadata={"Software": None})
    with Image.open(drawn) as picture:
        picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(small, "png", optimize=True)
    return small.getvalue()


def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("reports.page", "templates"),
        autoescape=select_autoescape(["html.j2"]),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
