"""What to run: a TOML file under `profiles/` as a pydantic model, and the cases that follow from it."""

import tomllib
from itertools import product
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from bench.base.paths import PROFILES
from bench.record import TWO_FORWARDS, Case, Rules, StepBar, as_list

T = TypeVar("T")

MOST_THREADS = 1024

Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]
Pixels = Annotated[int, Field(gt=0, le=4096)]


def _all_different(values: list[T]) -> list[T]:
    twice = [value for value in values if values.count(value) > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} stands there more than once")
    return values


Distinct = AfterValidator(_all_different)
Names = Annotated[list[str], Field(min_length=1), Distinct]
BatchSizes = Annotated[list[Positive], Field(min_length=1), Distinct]
Seeds = Annotated[list[Annotated[int, Field(ge=0, lt=2**63)]], Field(min_length=1), Distinct]


class ProfileError(ValueError):
    """A profile that cannot be used; the message is one line and names the way out."""


class _Table(BaseModel):
    """A table of the TOML file; what stands under a field describes its key in profiles/README.md."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class Training(_Table):
    """How the original and the retrained model are trained: SGD with a one-cycle learning rate."""

    epochs: Positive
    """passes over the training data"""
    batch_size: Annotated[int, Field(ge=2)]  # batch norm needs two
    """samples a step, two or more"""
    lr: Annotated[float, Field(gt=0)]
    """the highest learning rate of the cycle"""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """of SGD"""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """of SGD"""


class StepPlan(_Table):
    """Step-cost cases: every method on every model at every batch size. A profile may have several."""

    models: Names
    """names of networks"""
    image_size: Pixels
    """height and width of the images, in pixels"""
    batch_sizes: BatchSizes
    """samples a step"""
    methods: Names
    """names of arms"""


class Tuned(_Table):
    """What an arm is run with, under its name."""

    lr: Annotated[float, Field(ge=0)]
    """learning rate"""
    eps: Annotated[float, Field(gt=0)] = 1e-3
    """size of the perturbation, for a zeroth-order arm"""


class UnlearningPlan(_Table):
    """Whole runs: every method on every scenario with every seed at every batch size. A profile may have several."""

    model: str
    """the network"""
    dataset: str | None = None
    """used instead of the profile's"""
    image_size: Pixels
    """height and width of the images, in pixels"""
    batch_sizes: BatchSizes
    """samples a step"""
    scenarios: Names
    """what is to be forgotten: `class:K` (an index or a name) or `random:F` (a share)"""
    methods: Names
    """names of arms"""
    seeds: Seeds
    """of training, of the random forget set and of the arm"""
    horizon: Annotated[float, Field(ge=0)]
    """how long a run goes on after completion, in multiples of T*"""
    max_steps: Positive
    """a run gives up here if it has not completed"""
    resolution: Annotated[float, Field(gt=1, le=2)] = 1.05
    """a run is evaluated at every step up to 1 / (`resolution` - 1), then at steps each `resolution` times the last"""
    retain_evaluated: Positive | None = None
    """how many samples of the retain set an evaluation looks at, the same for all arms of a seed; all if not given"""
    train_mode: bool = False
    """have the model in train mode, with dropout and moving batch norm; dropout draws by the case's seed"""
    training: Training
    """how the original and Retrain are trained"""
    hyperparameters: dict[str, Tuned] = {}
    """what each arm is run with"""


class TuningPlan(_Table):
    """Where `python -m bench.tune` looks: every learning rate for every arm, every `eps` for zeroth-order ones."""

    seeds: Seeds
    """for tuning alone: no result may use them"""
    learning_rates: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1), Distinct]
    """the grid"""
    eps: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1), Distinct] = [1e-3]
    """the grid of perturbations"""


class Profile(_Table):
    """One profile."""

    name: str = ""
    """the file's name, if not given"""
    description: str
    """in a line, for the console and the report"""
    dataset: str
    """the data set, such as `digits` or `imagefolder:PATH`"""
    test_fraction: Annotated[float, Field(gt=0, lt=1)] | None = None
    """the share of an image folder without `test/` that is held out"""
    train_per_class: Positive | None = None
    """take only the first so many training samples of each class"""
    test_per_class: Positive | None = None
    """take only the first so many test samples of each class"""
    devices: Annotated[list[Literal["cpu", "cuda", "mps", "xpu"]], Field(min_length=1), Distinct]
    """where to run; a device that is not there is skipped, visibly"""
    threads: Annotated[int, Field(gt=0, le=MOST_THREADS)]
    """CPU threads"""
    country: str
    """whose grid the emissions are computed for: an ISO 3166 alpha-3 code"""
    window_s: Seconds
    """the least length of an energy window, in seconds"""
    timing_s: Seconds = 3.0
    """about how long a step is timed, in seconds"""
    min_rounds: Annotated[int, Field(ge=3)] = 5
    """the least number of rounds that a step is timed for"""
    step: Annotated[list[StepPlan], BeforeValidator(as_list)] = []
    """what a step costs"""
    unlearning: Annotated[list[UnlearningPlan], BeforeValidator(as_list)] = []
    """what unlearning does"""
    tuning: TuningPlan | None = None
    """where learning rates are searched for"""
    rules: Rules = Rules()
    """what makes a verdict, said in advance"""
    tuned_by: str | None = None
    """the profile whose search found the learning rates, if that is not this one"""

    @model_validator(mode="after")
    def _runs_something(self) -> "Profile":
        if not self.step and not self.unlearning:
            raise ValueError("the profile runs nothing; add a [step] or an [unlearning] table")
        _all_different([case.id for case in self.step_cases()])
        _all_different([case.id for case in self.unlearning_cases()])
        return self

    @model_validator(mode="after")
    def _times_what_has_a_bar(self) -> "Profile":
        timed = {(case.model, case.method, case.batch_size) for case in self.step_cases()}
        for bar in self.rules.step_time:
            named = [bar.method] if bar.over == TWO_FORWARDS else [bar.method, bar.over]
            for method, batch_size in product(named, bar.batch_sizes):
                if (bar.model, method, batch_size) not in timed:
                    missing = f"{bar.model}, {method}, batch {batch_size}"
                    raise ValueError(f"rules.step_time names a step that the profile does not time: {missing}")
        return self

    @model_validator(mode="after")
    def _tunes_on_other_seeds(self) -> "Profile":
        used = {seed for plan in self.unlearning for seed in plan.seeds}
        both = sorted(used & set(self.tuning.seeds)) if self.tuning is not None else []
        if both:
            raise ValueError(f"seed {both[0]} is for tuning and for results; take another for [tuning]")
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
        return [case for plan in self.unlearning for case in self._cases_of(plan)]

    def plan_of(self, case: Case) -> UnlearningPlan:
        """The plan that an unlearning case follows from; a pilot case of the first plan with its setting."""
        plans = [plan for plan in self.unlearning if self._has_setting(plan, case)]
        return next((plan for plan in plans if case.method in plan.methods and case.seed in plan.seeds), plans[0])

    def _has_setting(self, plan: UnlearningPlan, case: Case) -> bool:
        of_plan = plan.model, plan.dataset or self.dataset, plan.image_size
        same = of_plan == (case.model, case.dataset, case.image_size)
        return same and case.batch_size in plan.batch_sizes and case.scenario in plan.scenarios

    def pilot_cases(self, plan: UnlearningPlan, tuning: TuningPlan) -> list[Case]:
        """What a plan's learning rates are tried on: its erasures with the seeds for tuning, on the first device."""
        pilot = self.model_copy(update={"devices": self.devices[:1]})
        return pilot._cases_of(plan.model_copy(update={"seeds": tuning.seeds, "methods": ["retrain"]}))

    def _cases_of(self, plan: UnlearningPlan) -> list[Case]:
        return [
            Case(
                method=method,
                model=plan.model,
                dataset=plan.dataset or self.dataset,
                image_size=plan.image_size,
                batch_size=batch_size,
                device=device,
                threads=self.threads,
                seed=seed,
                scenario=scenario,
            )
            for device in self.devices
            for batch_size in plan.batch_sizes
            for scenario in plan.scenarios
            for method in plan.methods
            for seed in plan.seeds
        ]


def available_profiles() -> list[str]:
    """Names of the profiles that come with the suite."""
    return sorted(path.stem for path in PROFILES.glob("*.toml"))


def profile_path(name_or_path: str) -> Path:
    """The file of a profile, given by its name under `profiles/` or as a `.toml` file."""
    return Path(name_or_path) if name_or_path.endswith(".toml") else PROFILES / f"{name_or_path}.toml"


def read_profile(name_or_path: str) -> str:
    """The text of a profile's file, without a byte order mark; raises OSError and UnicodeDecodeError."""
    return profile_path(name_or_path).read_text(encoding="utf-8-sig")


def load_profile(name_or_path: str) -> Profile:
    """Read a profile by its name under `profiles/`, or from a `.toml` file of the user's.

    Raises:
        ProfileError: there is no such profile, it is not TOML, or it has a wrong or misspelled entry.
    """
    path = profile_path(name_or_path)
    try:
        table = tomllib.loads(read_profile(name_or_path))
        return Profile.model_validate({"name": path.stem, **table})
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        choices = ", ".join(available_profiles())
        raise ProfileError(f"no profile {name_or_path!r}; choose from: {choices}, or give a FILE.toml") from None
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileError(f"{path.name}: not TOML: {error}") from None
    except ValidationError as error:
        raise ProfileError(f"{path.name}: {_first_problem(error)}") from None


def _first_problem(error: ValidationError) -> str:
    """The first finding in one line; before all others a key that does not exist, with the keys that do."""
    finding = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    where = [str(part) for part in finding["loc"]]
    if finding["type"] != "extra_forbidden":
        return f"{'.'.join(where) or 'profile'}: {finding['msg'].removeprefix('Value error, ')}"
    keys = ", ".join(sorted(_table_at([part for part in finding["loc"][:-1] if isinstance(part, str)]).model_fields))
    return f"unknown key {'.'.join(where)!r}; choose from: {keys}"


def _table_at(path: list[str]) -> type[BaseModel]:
    tables: dict[tuple[str, ...], type[BaseModel]] = {
        (): Profile,
        ("step",): StepPlan,
        ("unlearning",): UnlearningPlan,
        ("unlearning", "training"): Training,
        ("tuning",): TuningPlan,
        ("rules",): Rules,
        ("rules", "step_time"): StepBar,
    }
    return Tuned if path[1:2] == ["hyperparameters"] else tables[tuple(path)]
