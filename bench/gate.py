"""The memory gate: fails when a case peaks higher than its baseline.

`python -m bench.gate reports/latest/benchmark.json`
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from bench.atomic import write_text
from bench.baseline import Baseline, BaselineError, read_baseline, write_baseline
from bench.comparison import Allowance, Finding, Kind, Ledger, compare
from bench.json_option import DEFAULT_JSON, ROOT
from bench.record import Record, UnreadableJsonError, read_benchmark_json
from bench.sizes import parse_bytes

BASELINES = ROOT / "profiles" / "baselines"
WRONG_USAGE = 2
EXIT_CODES: dict[Kind, int] = {"regression": 1, "not comparable": 4, "no baseline": 3, "improvement": 0}
UNCOUNTABLE: tuple[Kind, ...] = ("not comparable", "no baseline")
EXPLAINED = (
    "Exit codes: 0 the baseline holds; 1 a regression; 2 wrong usage, or a file that cannot be used; 3 a case without "
    "a baseline; 4 asked to compare what different machines measured. Of several, the first in the order 1, 4, 3."
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except (UnreadableJsonError, BaselineError) as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"cannot write: {error.strerror}" + (f": {error.filename}" if error.filename else ""))


def _run(options: argparse.Namespace) -> int:
    run, records = read_benchmark_json(options.json_file)
    path = options.baseline or BASELINES / f"{run.profile}.json"
    baseline = read_baseline(path)
    findings = compare(records, run.machine, baseline or Baseline(), _allowances(options))
    if baseline is None:
        _say(f"no baseline {_shown(path)}; make it with --update")
    else:
        _say(*findings)
    _say(_summary(records, findings))
    if options.update:
        updated = (baseline or Baseline()).updated(run, records)
        write_baseline(path, updated)
        _say(f"{_shown(path)} now holds {len(updated.cases)} cases, {len(records)} of them from this run")
    if options.markdown:
        write_text(options.markdown, _markdown(records, findings))
    if options.json:
        write_text(options.json, json.dumps(_smaller_is_better(records), indent=1) + "\n")
    return 0 if options.update else exit_code(findings)


def exit_code(findings: Sequence[Finding]) -> int:
    """The code of the gravest finding; 0 if there is none."""
    return next((code for kind, code in EXIT_CODES.items() if any(f.kind == kind for f in findings)), 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.gate", description="Fail when a case peaks higher than its baseline.", epilog=EXPLAINED
    )
    parser.add_argument(
        "json_file", nargs="?", type=Path, default=DEFAULT_JSON, help="benchmark JSON (default: reports/latest's)"
    )
    parser.add_argument("--baseline", type=Path, metavar="FILE", help="default: profiles/baselines/PROFILE.json")
    parser.add_argument(
        "--tolerance",
        type=_tolerance,
        default=Allowance(),
        metavar="SIZE|PERCENT",
        help="growth allowed to the tensor ledger, such as 64KiB or 1%% (default: 0, exact)",
    )
    for ledger in ("allocator", "process"):
        parser.add_argument(
            f"--{ledger}",
            nargs=2,
            metavar=("PERCENT", "FLOOR"),
            help=f"hold the {ledger} ledger, too: growth beyond both fails, such as 5%% 1MiB",
        )
    parser.add_argument("--update", action="store_true", help="make what was measured the baseline")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write a summary for a pull request")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the peaks as customSmallerIsBetter JSON")
    return parser


def _allowances(options: argparse.Namespace) -> dict[Ledger, Allowance]:
    allowances: dict[Ledger, Allowance] = {"tensor": options.tolerance}
    named: tuple[Ledger, ...] = ("allocator", "process")
    for ledger in named:
        if given := getattr(options, ledger):
            try:
                allowances[ledger] = Allowance(_share(given[0]), parse_bytes(given[1]))
            except ValueError as error:
                _parser().error(f"argument --{ledger}: {error}")
    return allowances


def _tolerance(text: str) -> Allowance:
    try:
        return Allowance(share=_share(text)) if text.endswith("%") else Allowance(floor=parse_bytes(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _share(text: str) -> float:
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = -1.0
    if not text.endswith("%") or not 0 <= share < float("inf"):
        raise ValueError(f"{text!r} is no percentage; write it as 5%")
    return share


def _summary(records: Sequence[Record], findings: Sequence[Finding]) -> str:
    """How many cases there are, and how many of each kind of finding."""
    counts = [
        f"{count} {kind}" if kind in UNCOUNTABLE or count == 1 else f"{count} {kind}s"
        for kind in get_args(Kind)
        if (count := sum(finding.kind == kind for finding in findings))
    ]
    tighten = "; --update tightens the baseline" if any(f.kind == "improvement" for f in findings) else ""
    cases = "1 case" if len(records) == 1 else f"{len(records)} cases"
    return f"memory of {cases}: {', '.join(counts) or 'the baseline holds'}{tighten}"


def _markdown(records: Sequence[Record], findings: Sequence[Finding]) -> str:
    lines = ["### Memory", "", _summary(records, findings), ""]
    if findings:
        lines += ["| case | finding | |", "|---|---|---|"]
        lines += [f"| {_cell(f.case)} | {f.kind} | {_cell(f.sentence)} |" for f in findings]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _smaller_is_better(records: Sequence[Record]) -> list[dict[str, str | int]]:
    """What github-action-benchmark reads as `customSmallerIsBetter`: name, unit and value of every peak."""
    return [
        {"name": f"{record.case.label}: {ledger} peak", "unit": "bytes", "value": peak}
        for record in sorted(records, key=lambda record: record.case.id)
        for ledger in get_args(Ledger)
        if (peak := getattr(record.memory, f"{ledger}_peak_bytes")) is not None
        if not (ledger == "tensor" and record.memory.tensor_basis == "forecast")
    ]


def _shown(path: Path) -> str:
    return os.path.relpath(path)


def _say(*lines: object) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _fail(message: str) -> int:
    sys.stderr.write(f"gate: {message}\n")
    return WRONG_USAGE


if __name__ == "__main__":
    sys.exit(main())
