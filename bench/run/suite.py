"""One run of the suite: what its cases share."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest

from bench.base.paths import ROOT
from bench.instruments.clock import STEADIER
from bench.instruments.machine import describe_commit, describe_machine
from bench.record import WIDE_SPREAD, Case, Kind, Record, Run, TuningCost
from bench.run.command_line import Settings
from bench.run.journal import Journal, JournalError
from bench.run.materials import Materials
from bench.run.out_of_memory import memory_alone, record_or_out_of_memory
from bench.workloads.datasets import Library
from bench.workloads.models import model_bytes

if TYPE_CHECKING:
    from bench.instruments.energy import Meter


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
        self._memory_only = settings.memory_only
        self._energy = settings.energy
        self._told: set[str] = set()

    @cached_property
    def meter(self) -> Meter:
        """The energy meter, started at its first use, since it loads CodeCarbon."""
        from bench.instruments.energy import EnergyMeter, NoMeter

        return EnergyMeter(self.profile.country) if self._energy else NoMeter("energy was turned off (--no-energy)")

    def model_bytes(self, case: Case) -> int:
        """Bytes of the parameters and buffers of the case's model."""
        return model_bytes(case.model, self.materials.data_of(case).spec)

    def keep(self, benchmark: Any, kind: Kind, case: Case, measure: Callable[[], Record]) -> None:
        """Measure the case, or its memory alone; put the record into pytest-benchmark's `extra_info` and the journal.

        Args:
            benchmark: pytest-benchmark's fixture.
            measure: makes the record; out of memory is a result, too.
        """
        stand_in, size = self.materials.stand_in(case), self.model_bytes(case)

        def record() -> Record:
            return memory_alone(kind, stand_in, size) if self._memory_only else measure()

        kept = record_or_out_of_memory(kind, stand_in, size, record)
        benchmark.extra_info["record"] = kept.model_dump(mode="json")
        try:
            self.journal.append(_benchmark_entry(benchmark, kept))
        except JournalError as error:  # to go on would be to measure what cannot be kept
            pytest.exit(str(error), returncode=pytest.ExitCode.INTERRUPTED)
        for path in self.journal.put_aside:
            self.tell_once(str(path), f"cases of a former run are in {path.name} now")

    def record_of(self, nodeid: str) -> Record | None:
        """The record of a finished case; None for one that is not."""
        entry = self.journal.entries.get(nodeid)
        return None if entry is None else Record.model_validate(entry["extra_info"]["record"])

    def tell_once(self, about: str, line: str) -> None:
        """Say something the first time that it is about this."""
        if about not in self._told:
            self._told.add(about)
            self.progress.say(line)

    def close(self) -> None:
        """The run is over."""
        self.progress.close()
        self.journal.close()

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
    settings: Settings, library: Library, command: Sequence[str], tuning: tuple[TuningCost, ...], timing: str
) -> Run:
    """Where this run's JSON comes from.

    Args:
        tuning: what the search for the profile's learning rates took.
        timing: how steps are timed, if they are: part of what makes a finished case another's.
    """
    profile = settings.profile
    commit, dirty = describe_commit(ROOT)
    machine = describe_machine()
    sets = {(case.dataset, case.image_size) for case in (*profile.step_cases(), *profile.unlearning_cases())}
    contents = [library(*which).fingerprint for which in sorted(sets)]
    passes = f"memory only: {settings.memory_only}, energy: {settings.energy}, timing: {timing}"
    identity = (profile.model_dump_json(), passes, *contents, _code_fingerprint(), machine.model_dump_json())
    return Run(
        profile=profile.name,
        description=profile.description,
        profile_text=settings.profile_text,
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
