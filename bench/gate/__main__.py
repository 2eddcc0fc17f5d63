"""The memory gate: fails when a case peaks higher than its baseline.

`python -m bench.gate reports/latest/benchmark.json`
"""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from bench.base.atomic_write import write_text
from bench.base.paths import BASELINES, DEFAULT_JSON, PROFILES, InstalledError, called, check_own
from bench.base.sizes import parse_bytes
from bench.gate.baseline import Baseline, BaselineError, is_measured, read_baseline, write_baseline
from bench.gate.comparison import Allowance, Finding, Kind, Ledger, compare
from bench.profiles import profile_path
from bench.record import Record, Run, UnreadableJsonError, read_benchmark_json

WRONG_USAGE = 2
EXIT_CODES: dict[Kind, int] = {"regression": 1, "not comparable": 4, "no baseline": 3, "improvement": 0}
UNCOUNTABLE: tuple[Kind, ...] = ("not comparable", "no baseline")
EXPLAINED = (
    "Exit codes: 0 the baseline holds; 1 a regression; 2 wrong usage, or a file that cannot be used; 3 a case without "
    "a baseline; 4 asked to compare what different machines measured. Of several, the first in the order 1, 4, 3. "
    "With --update: what is left to tell after it."
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except (UnreadableJsonError, BaselineError, InstalledError) as error:
        return _fail(str(error))
    except UnicodeEncodeError as error:
        wrong = error.object[error.start : error.end]
        return _fail(f"{options.json_file}: damaged: {wrong!a} is no text; run the suite again")
    except OSError as error:
        return _fail(f"cannot write: {error.strerror}" + (f": {error.filename}" if error.filename else ""))


def _run(options: argparse.Namespace) -> int:
    run, records = read_benchmark_json(options.json_file)
    path = options.baseline or default_baseline(run)
    if options.update:
        check_own(path, "name a file of yours with --baseline FILE")
    found, allowances = read_baseline(path), _allowances(options)
    baseline = found or Baseline()
    findings = compare(records, run.machine, baseline, allowances)
    summary = _summary(records, findings, baseline)
    if found is None:
        _say(f"no baseline {_shown(path)}; make it with --update")
    else:
        _say(*findings)
    _say(summary)
    if options.markdown:
        write_text(options.markdown, _markdown(summary, findings))
    if options.json:
        write_text(options.json, json.dumps(_smaller_is_better(records), indent=1) + "\n")
    if not options.update:
        return exit_code(findings)
    updated = _update(path, baseline, run, records)
    return exit_code(compare(records, run.machine, updated, allowances))


def _update(path: Path, baseline: Baseline, run: Run, records: Sequence[Record]) -> Baseline:
    """Put what was measured into the baseline's file, and tell what that did."""
    updated = baseline.updated(run, records)
    write_baseline(path, updated)
    _say(*baseline.lost(updated))
    taken = sum(is_measured(record) for record in records)
    _say(f"{_shown(path)} now holds {len(updated.cases)} cases, {taken} of them from this run")
    return updated


def default_baseline(run: Run) -> Path:
    """The committed baseline of the run's profile.

    Raises:
        BaselineError: the profile is a file of the user's own, which may bear the name of a committed one.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--profile", default=run.profile)
    given = parser.parse_known_args(shlex.split(run.command))[0].profile
    if profile_path(given).resolve().parent != PROFILES:
        raise BaselineError(f"{given} is a profile of your own: name its baseline with --baseline FILE")
    return BASELINES / f"{run.profile}.json"


def exit_code(findings: Sequence[Finding]) -> int:
    """The code of the gravest finding; 0 if there is none."""
    return next((code for kind, code in EXIT_CODES.items() if any(f.kind == kind for f in findings)), 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=called("gate"), description="Fail when a case peaks higher than its baseline.", epilog=EXPLAINED
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


def _summary(records: Sequence[Record], findings: Sequence[Finding], baseline: Baseline) -> str:
    """How many cases there are, how many of each kind of finding, and how much of the baseline was measured."""
    counts = [
        f"{count} {kind}" if kind in UNCOUNTABLE or count == 1 else f"{count} {kind}s"
        for kind in get_args(Kind)
        if (count := sum(finding.kind == kind for finding in findings))
    ]
    tighten = "; --update tightens the baseline" if any(f.kind == "improvement" for f in findings) else ""
    cases = "1 case" if len(records) == 1 else f"{len(records)} cases"
    measured = len(baseline.cases.keys() & {record.case.id for record in records})
    partly = f"; {measured} of {len(baseline.cases)} baseline cases measured" if measured < len(baseline.cases) else ""
    return f"memory of {cases}: {', '.join(counts) or 'the baseline holds'}{partly}{tighten}"


def _markdown(summary: str, findings: Sequence[Finding]) -> str:
    lines = ["### Memory", "", summary, ""]
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
