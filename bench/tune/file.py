"""NAME.tuning.json, the file beside a profile: every learning rate that was tried, how it did, and what trying took."""

import tempfile
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from bench.base.atomic_write import write_text
from bench.base.json_text import with_tables
from bench.base.paths import called
from bench.profiles import Profile, profile_path
from bench.record import Machine, Tail, TuningCost
from bench.tune.choice import Score
from bench.tune.search import Trial, tunable

TABLES = ("costs", "scores", "trials")


class Plan(NamedTuple):
    """What a trial is of, beside its scenario."""

    model: str
    dataset: str
    image_size: int
    dtype: str


class Tuning(BaseModel):
    """What the file holds.

    Attributes:
        identity: a hash over what a trial depends on, but for the suite's own code, the arm and its tails.
        plans: of each [[unlearning]] table.
        sources: of each arm of the user's own, a hash over its code.
    """

    model_config = ConfigDict(extra="forbid")

    identity: str
    plans: list[Plan] = []
    command: str
    started: str
    commit: str | None
    dirty: bool | None
    machine: Machine
    sources: dict[str, str] = {}
    costs: list[TuningCost] = []
    scores: list[Score] = []
    trials: list[Trial] = []

    def forget_changed(self, profile: str, sources: dict[str, str], tails: dict[str, set[Tail]]) -> None:
        """Drop what was tried of arms whose code, or the tails that they are to be tried on, are no longer what they
        were, from the file beside the profile, too; `sources` and `tails` are of the arms as they are.
        """
        tried = {arm: {trial.tail for trial in self.trials if trial.method == arm} for arm in tails}
        known = {arm for arm, source in sources.items() if self.sources.get(arm, "") == source}
        changed = (sources.keys() - known) | {arm for arm in tails if tried[arm] != tails[arm]}
        self.costs = [cost for cost in self.costs if cost.method not in changed]
        self.scores = [score for score in self.scores if score.method not in changed]
        self.trials = [trial for trial in self.trials if trial.method not in changed]
        self.sources |= {arm: source for arm, source in sources.items() if source}
        if changed & {arm for arm, tried_on in tried.items() if tried_on}:
            with alone_at(profile):
                write_text(tuning_path(profile), self.text())

    def plans_tried(self, arm: str) -> set[int]:
        """The plans that the arm was tried for; of one whose search was broken off, none."""
        done = {cost.method for cost in self.costs}
        return {trial.plan for trial in self.trials if trial.method == arm and arm in done}

    def add_cost(self, cost: TuningCost) -> None:
        """Of a search of the arm, beside what others of it took, for other plans."""
        before = next((one for one in self.costs if one.method == cost.method), None)
        if before is not None:
            joules = None if before.joules is None or cost.joules is None else before.joules + cost.joules
            cost = cost.model_copy(
                update={
                    "seconds": before.seconds + cost.seconds,
                    "sample_forwards": before.sample_forwards + cost.sample_forwards,
                    "joules": joules,
                    "basis": None if joules is None else cost.basis,
                }
            )
            self.costs.remove(before)
        self.costs.append(cost)

    def text(self) -> str:
        """As JSON, a cost, a score or a trial a line."""
        data = self.model_dump(mode="json")
        return with_tables(data, {name: data.pop(name) for name in TABLES})

    def write(self, profile: str) -> None:
        """Put it beside the profile, in the place of a former one; what a search of the same kind that runs meanwhile
        found for arms that this one has not is taken in.
        """
        with alone_at(profile):
            found = read_tuning(profile)
            if found is not None and found.identity == self.identity:
                self._take_in(found)
            write_text(tuning_path(profile), self.text())

    def _take_in(self, other: "Tuning") -> None:
        new = {cost.method for cost in other.costs} - {cost.method for cost in self.costs}
        self.costs += [cost for cost in other.costs if cost.method in new]
        self.scores += [score for score in other.scores if score.method in new]
        self.trials += [trial for trial in other.trials if trial.method in new]
        self.sources |= {arm: source for arm, source in other.sources.items() if arm in new}


def plans_of(profile: Profile) -> list[Plan]:
    """What the trials of a profile are of."""
    return [
        Plan(plan.model, plan.dataset or profile.dataset, plan.image_size, plan.dtype) for plan in profile.unlearning
    ]


def tuning_path(profile: str) -> Path:
    """Where the file of a profile is, which is given by its name or as FILE.toml."""
    return profile_path(profile).with_suffix(".tuning.json")


def alone_at(profile: str) -> FileLock:
    """Keeps other searches from the files of a profile, as a context manager."""
    name = sha256(str(tuning_path(profile).resolve()).encode()).hexdigest()
    return FileLock(Path(tempfile.gettempdir()) / f"zo-bench-tune-{name[:16]}.lock")


def put_aside(profile: str) -> Path:
    """Keep a profile's file under another name, in the place of one that was kept before."""
    path = tuning_path(profile)
    return path.replace(path.with_suffix(".previous.json"))


def read_tuning(profile: str) -> Tuning | None:
    """The file of a profile; None if there is none.

    Raises:
        ValueError: it cannot be read; the message is one line and names the way out.
    """
    path = tuning_path(profile)
    try:
        return Tuning.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError, UnicodeDecodeError):
        raise ValueError(f"{path} cannot be read; restore it, or delete it to search anew") from None


def tuning_costs(given: str, profile: Profile) -> tuple[TuningCost, ...]:
    """What finding the learning rates of a profile's arms took; empty if no such file is there.

    Args:
        given: the profile's name or FILE.toml; the file of its `tuned_by` counts instead, which must be there.

    Raises:
        ValueError: it cannot be read, or is not there though it must be.
    """
    source = profile.tuned_by
    found = read_tuning(source or given)
    if found is None:
        if source is not None:
            raise ValueError(
                f"tuned_by = {source!r}, but there is no {tuning_path(source)}; "
                f"name the profile that {called('tune')} was run on, or leave tuned_by out"
            )
        return ()
    arms = tunable(profile)
    return tuple(cost for cost in found.costs if cost.method in arms)
