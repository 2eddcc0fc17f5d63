"""The process ledger of an engine's case: a fresh process that never imports torch, as it would run on a device.

It is `python -m zo_core.edge measure`, whose peak is counted from its start: there is no server that it is forked from,
and loading the engine and the weights is part of it.
"""

import json
import os
import subprocess
import sys

from bench.base.paths import ROOT
from bench.instruments.ledgers.process_ledger import MALLOC, ProcessPeak
from bench.instruments.stand_in import StandIn
from zo_core.ascent.plan import HEAD, MOVABLE, PLAIN

PATIENCE_S = 1800.0


def engine_peak(stand_in: StandIn) -> ProcessPeak:
    """Measure in a fresh process, or say why that failed."""
    return told_by(measuring(stand_in))


def told_by(command: list[str], given: str = "") -> ProcessPeak:
    """The peak that a fresh process tells at its end, or why it does not; `given` is its standard input."""
    done = run_fresh(command, given)
    if done is None:
        return ProcessPeak(reason=f"the process had not answered after {PATIENCE_S:g} s")
    if done.returncode:
        said = done.stderr.strip().splitlines()
        return ProcessPeak(reason=f"the process left with exit code {done.returncode}: {said[-1] if said else ''}")
    found = json.loads(done.stdout)
    return ProcessPeak(total=found["process_peak_bytes"], start=found["process_start_bytes"])


def run_fresh(command: list[str], given: str = "") -> "subprocess.CompletedProcess[str] | None":
    """A process that has ended; None if it did not in time, and was killed."""
    environment = os.environ | MALLOC
    try:
        return subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None


def measuring(stand_in: StandIn, steps: int = 2) -> list[str]:
    """The command that takes so many of the case's steps and tells the peak."""
    case, on = stand_in.case, stand_in.packaged()
    method = MOVABLE if case.method == PLAIN else case.method
    command = [sys.executable, "-m", "zo_core.edge", "measure", str(on.package.folder), "--seconds", "0"]
    command += ["--batch-size", str(case.batch_size), "--threads", str(case.threads), "--steps", str(steps)]
    plain = ["--inference", str(on.plain)] if case.method == PLAIN else []
    tail = ["--tail", stand_in.tail] if stand_in.tail != "all" and case.method != HEAD else []
    return [*command, "--method", method, *tail, *plain]
