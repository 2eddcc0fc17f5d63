"""`python -m reports [benchmark.json ...] [--out DIR]`: draw the report from benchmark JSON alone."""

import argparse
import sys
from pathlib import Path

from bench.record import UnreadableJsonError
from reports.load import load
from reports.page import write_report

LATEST = Path(__file__).resolve().parent / "latest"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code, 2 if something given cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m reports", description="Draw the report from benchmark JSON.")
    parser.add_argument("json", nargs="*", type=Path, help="benchmark JSON files (default: reports/latest's)")
    parser.add_argument("--out", type=Path, default=LATEST, help="folder of the report (default: reports/latest)")
    options = parser.parse_args(arguments)
    try:
        written = write_report(load(options.json or [LATEST / "benchmark.json"]), options.out)
    except UnreadableJsonError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"cannot write the report to {options.out}: {error.strerror}; choose another folder with --out")
    sys.stdout.write(f"report: {written[0]} ({len(written)} files)\n")
    return 0


def _fail(message: str) -> int:
    sys.stderr.write(f"reports: {message}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
