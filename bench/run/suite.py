"""One run of the suite: what its cases share."""

import hashlib
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from bench.base.paths import ROOT
from bench.instruments.clock import STEADIER
from bench.instruments.energy import EnergyMeter, Meter, NoMeter
from bench.instruments.machine import describe_commit, describe_machine
from bench.record import WIDE_SPREAD, Record, Run, TuningCost
from bench.run.command_line import Settings
from bench.run.journal import Journal
from bench.run.materials import Materials
from bench.workloads.datasets import Library


class Suite:
    """What the cases of one run share.

    Args:
        settings: what the user asked for.
        materials: data and trained models.
        run: where the records come from.
        journal: keeps finished cases.
    """

    def __init__(self, settings: Settings, materials: Materials, run: Run, journal: Journal) -> None:
        self.profile = settings.profile
        self.materials = materials
        self.progress = materials.progress
        self.run = run
        self.journal = journal
        self.memory_only = settings.memory_only
        self._energy = settings.energy

    @cached_property
    def meter(self) -> Meter:
        """The energy meter, started at its first use."""
        return EnergyMeter(self.profile.country) if self._energy else NoMeter("energy was turned off (--no-energy)")

    def keep(self, benchmark: Any, record: Record) -> None:
        """Put the record into pytest-benchmark's `extra_info` and the finished case into the journal."""
        benchmark.extra_info["record"] = record.model_dump(mode="json")
        self.journal.append(_benchmark_entry(benchmark, record))

    def outcome(self, nodeid: str) -> str:
        """How a case ended, in a word."""
        entry = self.journal.entries.get(nodeid)
        return "not measured" if entry is None else str(entry["extra_info"]["record"]["outcome"])

    def tell_wide_spreads(self) -> None:
        """Say how many timings scatter too much to be relied on, and what helps; nothing if none does."""
        records = (Record.model_validate(entry["extra_info"]["record"]) for entry in self.journal.entries.values())
        spreads = [record.time.spread for record in records if record.time is not None]
        wide = [spread for spread in spreads if spread > WIDE_SPREAD]
        if wide:
            self.progress.say(
                f"{len(wide)} of {len(spreads)} step times have quartiles more than {WIDE_SPREAD:.0%} of the median "
                f"apart (the widest {max(wide):.0%}): {STEADIER}; the records' notes name them"
            )


def describe_run(
    settings: Settings, library: Library, command: Sequence[str], tuning: tuple[TuningCost, ...] = ()
) -> Run:
    """Where this run's JSON comes from.

    Args:
        tuning: what the search for the profile's learning rates took.
    """
    profile = settings.profile
    commit, dirty = describe_commit(ROOT)
    machine = describe_machine()
    sets = {(case.dataset, case.image_size) for case in (*profile.step_cases(), *profile.unlearning_cases())}
    contents = [library(*which).fingerprint for which in sorted(sets)]
    passes = f"memory only: {settings.memory_only}, energy: {settings.energy}"
    identity = (profile.model_dump_json(), passes, *contents, _code_fingerprint(), machine.model_dump_json())
    return Run(
        profile=profile.name,
        description=profile.description,
        command=shlex.join(["pytest", *command]),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=commit,
        dirty=dirty,
        machine=machine,
        rules=profile.rules,
        tuning=tuning,
        fingerprint=hashlib.sha256("\n".join(identity).encode()).hexdigest(),
    )


def _code_fingerprint() -> str:
    """A hash over the sources that decide what a case measures, committed or not."""
    digest = hashlib.sha256()
    for folder in ("zo_core", "bench"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _benchmark_entry(benchmark: Any, record: Record) -> dict[str, Any]:
    """The case as pytest-benchmark's JSON has it; without statistics where nothing was timed."""
    entry: dict[str, Any] = {"group": benchmark.group, "name": benchmark.name, "fullname": benchmark.fullname}
    if benchmark.stats is not None:
        entry = benchmark.stats.as_dict(include_data=True)
    return entry | {"params": record.case.model_dump(), "extra_info": benchmark.extra_info}
