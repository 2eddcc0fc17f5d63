"""NAME.tuning.json, the file beside a profile: every learning rate that was tried, how it did, and what trying took."""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from bench.base.atomic_write import write_text
from bench.profiles import Profile, profile_path
from bench.record import Machine, TuningCost
from bench.tune.search import Score, Trial, tunable

TABLES = ("costs", "scores", "trials")


class Tuning(BaseModel):
    """What the file holds. `identity` is a hash over what a trial depends on, but for the code."""

    model_config = ConfigDict(extra="forbid")

    identity: str
    command: str
    started: str
    commit: str | None
    dirty: bool | None
    machine: Machine
    costs: list[TuningCost] = []
    scores: list[Score] = []
    trials: list[Trial] = []

    def text(self) -> str:
        """As JSON, a cost, a score or a trial a line."""
        head = json.dumps(self.model_dump(mode="json", exclude=set(TABLES)), indent=1).removesuffix("\n}")
        blocks = [f' "{name}": [\n{_lines(getattr(self, name))}\n ]' for name in TABLES]
        return ",\n".join([head, *blocks]) + "\n}\n"

    def write(self, profile: str) -> None:
        """Put it beside the profile, in the place of a former one."""
        write_text(tuning_path(profile), self.text())


def tuning_path(profile: str) -> Path:
    """Where the file of a profile is, which is given by its name or as FILE.toml."""
    return profile_path(profile).with_suffix(".tuning.json")


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
                "name the profile that python -m bench.tune was run on, or leave tuned_by out"
            )
        return ()
    arms = tunable(profile)
    return tuple(cost for cost in found.costs if cost.method in arms)


def _lines(rows: list[BaseModel]) -> str:
    return ",\n".join(f"  {row.model_dump_json()}" for row in rows)
