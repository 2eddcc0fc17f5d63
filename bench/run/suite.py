"""One run of the suite: what its cases share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from torch import nn

import zo_core
from bench.arms.table import methods
from bench.base.atomic_write import write_text
from bench.base.paths import ROOT
from bench.instruments.clock import STEADIER
from bench.instruments.machine import describe_commit, describe_machine
from bench.profiles import Profile
from bench.record import WIDE_SPREAD, Case, Kind, ModelFile, Record, Run, Sample, Searched, TuningCost, model_file
from bench.run.command_line import Settings, as_typed
from bench.run.journal import Journal, JournalError
from bench.run.materials import Materials
from bench.run.out_of_memory import memory_alone, record_or_out_of_memory
from bench.workloads.datasets import Library
from bench.workloads.models import model_bytes, models
from bench.workloads.requests import digest, samples
from bench.workloads.splits import split
from bench.workloads.weights import save_weights
from zo_core.receipt import Receipt

RECEIPT = ".receipt.json"

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
        self._models = settings.save_models
        self._energy = settings.energy
        self._told: set[str] = set()

    @cached_property
    def meter(self) -> Meter:
        """The energy meter, started at its first use, since it loads CodeCarbon."""
        from bench.instruments.energy import EnergyMeter, NoMeter

        return EnergyMeter(self.profile.country) if self._energy else NoMeter("energy was turned off (--no-energy)")

    def model_bytes(self, case: Case) -> int:
        """Bytes of the parameters and buffers of the case's model."""
        return model_bytes(case.model, self.materials.data_of(case).spec, case.dtype)

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

    def save_model(self, record: Record, model: nn.Module, receipt: Receipt | None = None) -> None:
        """Write the model of a case that is finished, if the user wants models, named by the case; beside it how it can
        be made again without the data, if it can.
        """
        if self._models is None:
            return
        path = self._models / model_file(record.case)
        try:
            save_weights(path, model, {"case": record.case.id, "record_sha256": record.digest})
            if receipt is not None:
                write_text(path.with_suffix(RECEIPT), receipt.to_json())
        except OSError as error:  # to go on would be to make what cannot be kept
            pytest.exit(
                f"cannot write {path}: {error.strerror}; --resume goes on", returncode=pytest.ExitCode.INTERRUPTED
            )

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
    settings: Settings,
    library: Library,
    weights: Sequence[ModelFile],
    command: Sequence[str],
    tuning: tuple[TuningCost, ...],
    searched: tuple[Searched, ...],
    timing: str,
) -> Run:
    """Where this run's JSON comes from.

    Args:
        weights: the files of the profile's weights.
        tuning: what the search for the profile's learning rates took.
        searched: what it found in the profile's settings.
        timing: how steps are timed, if they are: part of what makes a finished case another's.
    """
    profile = settings.profile
    commit, dirty = describe_commit(ROOT)
    machine = describe_machine()
    cases = (*profile.step_cases(), *profile.unlearning_cases())
    sets = {(case.dataset, case.image_size) for case in cases}
    requests = _requests(profile, library)
    contents = [library(*which) for which in sorted(sets)]
    foreign = [*(data.fingerprint for data in contents), *(file.sha256 for file in weights), *requests]
    foreign += [models.source(name) for name in sorted({case.model for case in cases})]
    foreign += [methods.source(name) for name in sorted({case.method for case in cases})]
    passes = (
        f"memory only: {settings.memory_only}, energy: {settings.energy}, timing: {timing}, "
        f"models: {settings.save_models and settings.save_models.resolve()}"
    )
    identity = (profile.model_dump_json(), passes, *foreign, _code_fingerprint(), machine.model_dump_json())
    return Run(
        profile=profile.name,
        description=profile.description,
        profile_text=settings.profile_text,
        command=as_typed(command),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=commit,
        dirty=dirty,
        machine=machine,
        rules=profile.rules,
        tuning=tuning,
        searched=searched,
        data=tuple({data.inventory.dataset: data.inventory for data in contents}.values()),
        requests=requests,
        fingerprint=hashlib.sha256("\n".join(identity).encode()).hexdigest(),
    )


def _requests(profile: Profile, library: Library) -> dict[str, tuple[Sample, ...]]:
    """The samples of every request by their digest."""
    cases = profile.unlearning_cases()
    asked = dict.fromkeys((case.dataset, case.image_size, str(case.scenario), case.seed) for case in cases)
    found = {}
    for dataset, image_size, scenario, seed in asked:
        data = library(dataset, image_size)
        request = samples(data, split(data, scenario, seed).forget)
        found[digest(request)] = request
    return found


def _code_fingerprint() -> str:
    """A hash over the sources that decide what a case measures, committed or not."""
    digest = hashlib.sha256()
    for folder in (Path(zo_core.__file__).parent, ROOT / "bench"):
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.relative_to(folder.parent).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _benchmark_entry(benchmark: Any, record: Record) -> dict[str, Any]:
    """The case as pytest-benchmark's JSON has it; without statistics where nothing was timed."""
    entry: dict[str, Any] = {"group": benchmark.group, "name": benchmark.name, "fullname": benchmark.fullname}
    if benchmark.stats is not None:
        entry = benchmark.stats.as_dict(include_data=True)
    return entry | {"params": record.case.model_dump(), "extra_info": benchmark.extra_info}
