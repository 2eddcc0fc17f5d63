"""One run of the suite: what its cases share."""

import hashlib
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import torch
from torch import nn

from bench.instruments.clock import STEADIER
from bench.instruments.energy import EnergyMeter, Meter, NoMeter
from bench.instruments.machine import describe_commit, describe_machine
from bench.journal import Journal
from bench.json_option import ROOT
from bench.options import Settings
from bench.progress import Progress
from bench.record import WIDE_SPREAD, Case, Record, Run
from bench.standin import StandIn
from bench.workloads.checkpoints import CheckpointKey, load_or_train
from bench.workloads.datasets import ImageData
from bench.workloads.models import build_model
from bench.workloads.training import train_from_scratch, training_steps


class Suite:
    """What the cases of one run share.

    Args:
        settings: what the user asked for.
        data: loads the profile's data at an image size in pixels, once for each.
        run: where the records come from.
        journal: keeps finished cases.
        progress: tells the user what is going on.
    """

    def __init__(
        self, settings: Settings, data: Callable[[int], ImageData], run: Run, journal: Journal, progress: Progress
    ) -> None:
        self.profile = settings.profile
        self.data = data
        self.run = run
        self.journal = journal
        self.progress = progress
        self.memory_only = settings.memory_only
        self._energy = settings.energy
        self._checkpoints = settings.checkpoints

    @cached_property
    def meter(self) -> Meter:
        """The energy meter, started at its first use."""
        return EnergyMeter(self.profile.country) if self._energy else NoMeter("energy was turned off (--no-energy)")

    def stand_in(self, case: Case) -> StandIn:
        """What stands in for the case wherever only its memory matters."""
        training = self.profile.unlearning.training if self.profile.unlearning is not None else None
        return StandIn.of(case, self.data(case.image_size).spec, training)

    def trained(self, case: Case, indices: torch.Tensor) -> nn.Module:
        """The case's model trained on the samples at `indices`, from the cache where it is there."""
        assert self.profile.unlearning is not None
        data, training = self.data(case.image_size), self.profile.unlearning.training
        key = CheckpointKey.of(case.model, case.dataset, data, indices, training, case.seed)
        device = torch.device(case.device)
        model = build_model(case.model, data.spec, case.seed).to(device)
        steps = training_steps(training, len(indices))

        def train() -> nn.Module:
            return train_from_scratch(
                case.model, data, indices, training, case.seed, device, self.tracker("training", steps)
            )

        return load_or_train(self._checkpoints, key, model, train, tell=self.progress.say)

    def tracker(self, description: str, total: int | None) -> Callable[[Iterable[Any]], Iterator[Any]]:
        """Passes items through and shows how many of `total` went by."""
        return lambda items: self.progress.track(items, description, total)

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


def describe_run(settings: Settings, data: Callable[[int], ImageData], command: Sequence[str]) -> Run:
    """Where this run's JSON comes from."""
    profile = settings.profile
    commit, dirty = describe_commit(ROOT)
    machine = describe_machine()
    sizes = {case.image_size for case in (*profile.step_cases(), *profile.unlearning_cases())}
    contents = [data(size).fingerprint for size in sorted(sizes)]
    passes = f"memory only: {settings.memory_only}, energy: {settings.energy}"
    identity = (profile.model_dump_json(), passes, *contents, _code_fingerprint(), machine.model_dump_json())
    return Run(
        profile=profile.name,
        command=shlex.join(["pytest", *command]),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=commit,
        dirty=dirty,
        machine=machine,
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
