"""`python -m reports [benchmark.json ...] [--out DIR]` draws the report; `compare A.json B.json` says what changed
between two runs, `history *.json` over many; `readme` puts the committed results into the documents.
"""

import argparse
import sys
from pathlib import Path

from bench.record import UnreadableJsonError
from reports.compare import NothingInCommonError, as_text, compare
from reports.data.load import load
from reports.history import history, write_history
from reports.page.readme.write import write_documents
from reports.page.write import NotWrittenError, write_report

HERE = Path(__file__).resolve().parent
CLONE = (HERE.parent / "zo_core").is_dir()
LATEST = HERE / "latest" if CLONE else Path("reports", "latest")  # nothing is written into an installed package
CALLED = "python -m reports" if CLONE else "zo-bench report"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code, 2 if something given cannot be used."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        command = {"compare": _compare, "history": _history, "readme": _readme}.get(given[0]) if given else None
        return _draw(given) if command is None else command(given[1:])
    except (UnreadableJsonError, NothingInCommonError, NotWrittenError) as error:
        sys.stderr.write(f"reports: {error}\n")
        return 2


def _draw(given: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog=CALLED,
        description=f"Draw the report from benchmark JSON; see also: {CALLED} compare --help, {CALLED} history --help",
    )
    parser.add_argument("json", nargs="*", type=Path, help="benchmark JSON files (default: reports/latest's)")
    parser.add_argument("--out", type=Path, default=LATEST, help="folder of the report (default: reports/latest)")
    parser.add_argument("--vector", action="store_true", help="write the figures as SVG and PDF, too")
    options = parser.parse_args(given)
    results = load(options.json or [LATEST / "benchmark.json"])
    written = write_report(results, options.out, options.vector)
    sys.stdout.write(f"report: {written[0]} ({len(written)} files)\n")
    return 0


def _compare(given: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog=f"{CALLED} compare", description="What changed between two runs of one machine."
    )
    parser.add_argument("before", type=Path, help="a benchmark JSON file")
    parser.add_argument("after", type=Path, help="a later one")
    options = parser.parse_args(given)
    sys.stdout.write(as_text(compare(options.before, options.after)))
    return 0


def _history(given: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog=f"{CALLED} history", description="What each case took over many runs, with regressions marked."
    )
    parser.add_argument("json", nargs="+", type=Path, help="benchmark JSON files, in any order")
    parser.add_argument("--out", type=Path, default=LATEST, help="folder of history.md and history.png")
    options = parser.parse_args(given)
    found = history(options.json)
    written = write_history(found, options.out)
    sys.stdout.write("".join(f"{line}\n" for line in (*found.left_out, found.summary, written)))
    return 0


def _readme(given: list[str]) -> int:
    argparse.ArgumentParser(
        prog=f"{CALLED} readme", description="Write the results of reports/gallery/ into the README files."
    ).parse_args(given)
    if not CLONE:
        raise NotWrittenError("readme writes the documents of a clone; the installed package has none")
    try:
        written = write_documents()
    except OSError as error:
        raise NotWrittenError(f"cannot write {error.filename}: {error.strerror}") from None
    sys.stdout.write("".join(f"{path}\n" for path in written))
    return 0


if __name__ == "__main__":
    sys.exit(main())
