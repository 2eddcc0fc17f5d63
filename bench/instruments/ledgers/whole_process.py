"""A case's steps in a process of their own, from its first instruction on: its peak, and with how much it gets through.

A control group's memory controller does it where a group may be made (Linux: as root, or delegated): it counts what is
resident, files that can be read again aside, and kills. Elsewhere RLIMIT_DATA does: it counts all private memory that
may be written to, resident or not, such as the data of libraries that are merely mapped, and lets allocations fail.
"""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import torch

from bench.instruments.ledgers.engine_ledger import measuring, run_fresh, told_by
from bench.instruments.ledgers.process_ledger import ProcessPeak
from bench.instruments.stand_in import StandIn
from bench.record import Cap
from zo_core.edge.device.memory import peak_bytes

STEPS = 20  # as in an erasure: what grows from step to step would show
MIB = 2**20
MEMBERSHIP, GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
LIMITS = {"cgroup2": "memory.max", "cgroup": "memory.limit_in_bytes"}  # of version 2 and 1
IN_GROUP = 'echo $$ > "$1/cgroup.procs" && shift && exec "$@"'
WITH_RLIMIT = 'ulimit -d "$1" && shift && exec "$@"'


def under_caps(stand_in: StandIn, limits_mib: Sequence[int]) -> Iterator[Cap]:
    """Whether the case's steps get through under each of the limits.

    The least that suffices is found by halving: what is above it is taken to suffice, what is below it not to.

    Args:
        limits_mib: ascending.
    """
    if not limits_mib:
        return
    command = _command(stand_in)
    basis: Literal["cgroup", "RLIMIT_DATA"] = "cgroup" if (group := _own_group()) is not None else "RLIMIT_DATA"
    low, high = 0, len(limits_mib)
    while low < high:
        middle = (low + high) // 2
        if _completes(command, limits_mib[middle] * MIB, group, stand_in):
            high = middle
        else:
            low = middle + 1
    for place, limit in enumerate(limits_mib):
        yield Cap(limit_bytes=limit * MIB, completed=place >= low, basis=basis)


def life_peak(stand_in: StandIn) -> ProcessPeak:
    """The peak of a process that begins with nothing and takes the steps, or why it has none."""
    return told_by(_command(stand_in), stand_in.model_dump_json())


def _command(stand_in: StandIn) -> list[str]:
    if stand_in.case.engine != "torch":
        return measuring(stand_in, STEPS)
    return [sys.executable, "-m", "bench.instruments.ledgers.whole_process"]


def _completes(command: list[str], limit: int, group: Path | None, stand_in: StandIn) -> bool:
    with _limited(limit, group) as prefix:
        done = run_fresh([*prefix, *command], stand_in.model_dump_json())
    return done is not None and done.returncode == 0


@contextmanager
def _limited(limit: int, group: Path | None) -> Iterator[list[str]]:
    """What stands before a command that is to have so many bytes and no more."""
    if group is None:
        yield ["sh", "-c", WITH_RLIMIT, "sh", str(limit // 1024)]
        return
    with _subgroup(group) as own:
        limits = next(own / name for name in LIMITS.values() if (own / name).exists())
        limits.write_text(str(limit), encoding="ascii")
        with suppress(OSError):  # not where there is no swap
            (own / "memory.swap.max").write_text("0", encoding="ascii")
        yield ["sh", "-c", IN_GROUP, "sh", str(own)]


@contextmanager
def _subgroup(group: Path) -> Iterator[Path]:
    own = group / f"zo-bench-{os.getpid()}"
    own.mkdir()
    try:
        yield own
    finally:
        own.rmdir()


def _own_group() -> Path | None:
    """The control group that groups with a limit can be made in; None where that may not be done."""
    try:
        lines = MEMBERSHIP.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for number, controllers, path in (line.split(":", 2) for line in lines):
        if "memory" in controllers.split(",") or (number, controllers) == ("0", ""):
            root = GROUPS / "memory" if controllers else GROUPS
            group = root / path.lstrip("/")
            if _can_limit(group):
                return group
    return None


def _can_limit(group: Path) -> bool:
    try:
        with _subgroup(group) as own:
            return any(os.access(own / name, os.W_OK) for name in LIMITS.values())
    except OSError:
        return False


def _take_steps() -> None:
    """Take the steps of the stand-in that comes in, and tell the peak."""
    start, stand_in = peak_bytes(), StandIn.model_validate_json(sys.stdin.read())
    torch.set_num_threads(stand_in.case.threads)
    step = stand_in.prepare()
    for _ in range(STEPS):
        step.turn()
    sys.stdout.write(json.dumps({"process_start_bytes": start, "process_peak_bytes": peak_bytes()}) + "\n")


if __name__ == "__main__":
    _take_steps()
