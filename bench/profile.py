"""What to run: a TOML file under `profiles/` as a pydantic model, and the cases that follow from it."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from bench.record import Case

T = TypeVar("T")

PROFILES = Path(__file__).resolve().parent.parent / "profiles"
MOST_THREADS = 1024

Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]
Pixels = Annotated[int, Field(gt=0, le=4096)]


def _all_different(values: list[T]) -> list[T]:
    twice = [value for value in values if values.count(value) > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} stands there more than once")
    return values


def _as_list(value: Any) -> Any:
    """A single `[step]` table is a list of one, as several `[[step]]` are a list."""
    return [value] if isinstance(value, dict) else value


Distinct = AfterValidator(_all_different)
Names = Annotated[list[str], Field(min_length=1), Distinct]


class ProfileError(ValueError):
    """A profile that cannot be used; the message is one line and names the way out."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Training(_Table):
    """How the original and the retrained model are trained: SGD with a one-cycle learning rate."""

    epochs: Positive
    batch_size: Annotated[int, Field(ge=2)]  # batch norm needs two
    lr: Annotated[float, Field(gt=0)]
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0)] = 0.0


class StepPlan(_Table):
    """Step-cost cases: every method on every model at every batch size. A profile may have several."""

    models: Names
    image_size: Pixels
    batch_sizes: Annotated[list[Positive], Field(min_length=1), Distinct]
    methods: Names


class UnlearningPlan(_Table):
    """Whole runs: every method on every scenario with every seed.

    A run gives up after `max_steps` without completion and goes on for `horizon` times T* after it.
    """

    model: str
    image_size: Pixels
    batch_size: Positive
    scenarios: Names
    methods: Names
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**63)]], Field(min_length=1), Distinct]
    horizon: Annotated[float, Field(ge=0)]
    max_steps: Positive
    eps: Annotated[float, Field(gt=0)] = 1e-3
    training: Training
    learning_rates: dict[str, Annotated[float, Field(ge=0)]] = {}


class Profile(_Table):
    """One profile.

    A step is timed for about `timing_s` seconds and never fewer than `min_rounds` rounds; `window_s` is the least
    length of an energy window in seconds, `country` the ISO 3166 alpha-3 code whose grid the emissions are computed
    for, `test_fraction` the share of an image folder without `test/` that is held out.
    """

    name: str
    description: str
    dataset: str
    test_fraction: Annotated[float, Field(gt=0, lt=1)] | None = None
    devices: Annotated[list[Literal["cpu", "cuda", "mps", "xpu"]], Field(min_length=1), Distinct]
    threads: Annotated[int, Field(gt=0, le=MOST_THREADS)]
    country: str
    window_s: Seconds
    timing_s: Seconds = 3.0
    min_rounds: Annotated[int, Field(ge=3)] = 5
    step: Annotated[list[StepPlan], BeforeValidator(_as_list)] = []
    unlearning: UnlearningPlan | None = None

    @model_validator(mode="after")
    def _runs_something(self) -> "Profile":
        if not self.step and self.unlearning is None:
            raise ValueError("the profile runs nothing; add a [step] or an [unlearning] table")
        _all_different([case.id for case in self.step_cases()])
        return self

    def step_cases(self) -> list[Case]:
        """The cases of `bench/test_step_cost.py`."""
        return [
            Case(
                method=method,
                model=model,
                dataset=self.dataset,
                image_size=plan.image_size,
                batch_size=batch_size,
                device=device,
                threads=self.threads,
                seed=0,
            )
            for device in self.devices
            for plan in self.step
            for model in plan.models
            for batch_size in plan.batch_sizes
            for method in plan.methods
        ]

    def unlearning_cases(self) -> list[Case]:
        """The cases of `bench/test_unlearning.py`."""
        plan = self.unlearning
        if plan is None:
            return []
        return [
            Case(
                method=method,
                model=plan.model,
                dataset=self.dataset,
                image_size=plan.image_size,
                batch_size=plan.batch_size,
                device=device,
                threads=self.threads,
                seed=seed,
                scenario=scenario,
            )
            for device in self.devices
            for scenario in plan.scenarios
            for method in plan.methods
            for seed in plan.seeds
        ]


def available_profiles() -> list[str]:
    """Names of the profiles that come with the suite."""
    return sorted(path.stem for path in PROFILES.glob("*.toml"))


def load_profile(name_or_path: str) -> Profile:
    """Read a profile by its name under `profiles/`, or from a `.toml` file of the user's.

    Raises:
        ProfileError: there is no such profile, it is not TOML, or it has a wrong or misspelled entry.
    """
    path = Path(name_or_path) if name_or_path.endswith(".toml") else PROFILES / f"{name_or_path}.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return Profile.model_validate({"name": path.stem, **table})
    except (FileNotFoundError, IsADirectoryError):
        choices = ", ".join(available_profiles())
        raise ProfileError(f"no profile {name_or_path!r}; choose from: {choices}, or give a FILE.toml") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileError(f"{path.name}: not TOML: {error}") from None
    except ValidationError as error:
        raise ProfileError(f"{path.name}: {_first_problem(error)}") from None


def _first_problem(error: ValidationError) -> str:
    """The first finding in one line; before all others a key that does not exist, with the keys that do."""
    finding = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    where = [str(part) for part in finding["loc"]]
    if finding["type"] != "extra_forbidden":
        return f"{'.'.join(where) or 'profile'}: {finding['msg']}"
    keys = ", ".join(sorted(_table_at([part for part in finding["loc"][:-1] if isinstance(part, str)]).model_fields))
    return f"unknown key {'.'.join(where)!r}; choose from: {keys}"


def _table_at(path: list[str]) -> type[BaseModel]:
    tables: dict[tuple[str, ...], type[BaseModel]] = {
        (): Profile,
        ("step",): StepPlan,
        ("unlearning",): UnlearningPlan,
        ("unlearning", "training"): Training,
    }
    return tables[tuple(path)]
